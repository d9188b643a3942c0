//! Writes lines to where they shall go.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::io::Errno;

use super::syslog::Syslog;
use crate::plan::LogTarget;
use crate::shard::Delivery;

/// Permissions of a new file: lines tell who asked for what.
const MODE: Mode = Mode::from_raw_mode(0o640);

/// An open target.
pub struct Sink {
    target: LogTarget,
    output: Output,
    /// Lines that could not be written are counted there.
    lost: Arc<AtomicU64>,
    /// What was written last broke off in the middle of a line.
    broken: bool,
    /// The last write failed.
    failing: bool,
}

enum Output {
    Stream(File),
    Syslog(Syslog),
}

impl Sink {
    /// Opens this target.
    ///
    /// # Errors
    /// A sentence with the remedy.
    pub fn open(target: LogTarget, lost: Arc<AtomicU64>) -> Result<Sink, String> {
        let output =
            match &target {
                LogTarget::File(path) => open_file(path)
                    .map(Output::Stream)
                    .map_err(|error| cannot_open(path, &error))?,
                LogTarget::Stdout => {
                    let stdout = io::stdout().as_fd().try_clone_to_owned();
                    let stdout = stdout.map_err(|error| {
                        format!("the access log cannot go to standard output: {error}")
                    })?;
                    Output::Stream(File::from(stdout))
                }
                LogTarget::Syslog(socket) => {
                    let syslog = Syslog::new(socket);
                    Output::Syslog(syslog.map_err(|error| {
                        format!("the access log cannot go to {target}: {error}")
                    })?)
                }
            };
        Ok(Sink { target, output, lost, broken: false, failing: false })
    }

    /// The file, if it is an ordinary one.
    pub fn file(&self) -> Option<&Path> {
        match (&self.target, &self.output) {
            (LogTarget::File(path), Output::Stream(file)) => {
                file.metadata().is_ok_and(|metadata| metadata.is_file()).then_some(path)
            }
            _ => None,
        }
    }

    /// Writes what is delivered, to the end.
    pub fn run(mut self, deliveries: &mpsc::Receiver<Delivery>) {
        for delivery in deliveries {
            match delivery {
                Delivery::Lines(lines, back) => {
                    self.write(&lines);
                    // Its shard may have ended.
                    let _ = back.send(lines);
                }
                Delivery::Reopen => self.reopen(),
                Delivery::End => break,
            }
        }
    }

    fn write(&mut self, lines: &[u8]) {
        let (lost, result) = match &mut self.output {
            Output::Stream(file) => put(file, lines, &mut self.broken),
            Output::Syslog(syslog) => syslog.send(lines),
        };
        self.lost.fetch_add(lost, Ordering::Relaxed);
        match result {
            Ok(()) if std::mem::take(&mut self.failing) => {
                tracing::info!(to = %self.target, "the access log is written again");
            }
            // Told once, however long it lasts.
            Err(error) if !std::mem::replace(&mut self.failing, true) => {
                tracing::error!(%error, to = %self.target, "the access log cannot be written");
            }
            _ => {}
        }
    }

    /// What comes next goes to the file that has the name now.
    fn reopen(&mut self) {
        let LogTarget::File(path) = &self.target else { return };
        match open_file(path) {
            Ok(file) => {
                self.output = Output::Stream(file);
                self.broken = false;
            }
            Err(error) => tracing::error!("{}; the old file is kept", cannot_open(path, &error)),
        }
    }
}

/// Appends to a file. A pipe that nobody reads is no reason to wait. Root follows no link: the
/// folder may be writable for the user that the proxy serves as, who could lead it elsewhere. In
/// `/dev` nobody else makes links, and `/dev/stdout` is one.
fn open_file(path: &Path) -> io::Result<File> {
    let mut flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
    if rustix::process::geteuid().is_root() && !path.starts_with("/dev") {
        flags |= OFlags::NOFOLLOW;
    }
    let file: OwnedFd = open(path, flags | OFlags::NONBLOCK | OFlags::NOCTTY, MODE)?;
    // From now on a pipe that is full is waited for.
    fcntl_setfl(&file, OFlags::APPEND)?;
    Ok(File::from(file))
}

fn cannot_open(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "create its folder",
        io::ErrorKind::PermissionDenied => "let the proxy's user write there",
        _ if Errno::from_io_error(error) == Some(Errno::NXIO) => "nobody reads this pipe",
        _ if Errno::from_io_error(error) == Some(Errno::LOOP) => {
            "it is a symbolic link, which root does not follow: name the file itself"
        }
        _ => "set `to` of [access_log] to what can be written",
    };
    format!("the access log {path} cannot be opened: {error}; {remedy}")
}

/// Writes all of it, as far as that goes. Gives the number of lines that were lost.
fn put(file: &mut impl Write, lines: &[u8], broken: &mut bool) -> (u64, io::Result<()>) {
    if *broken {
        if let Err(error) = file.write_all(b"\n") {
            return (count(lines), Err(error));
        }
        *broken = false;
    }
    let mut rest = lines;
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return lose(lines, rest, broken, io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return lose(lines, rest, broken, error),
        }
    }
    (0, Ok(()))
}

fn lose(lines: &[u8], rest: &[u8], broken: &mut bool, error: io::Error) -> (u64, io::Result<()>) {
    let written = &lines[..lines.len() - rest.len()];
    *broken = written.last().is_some_and(|byte| *byte != b'\n');
    (count(rest), Err(error))
}

fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes in all, three at a time.
    struct Full(Vec<u8>, usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(3).min(self.1 - self.0.len());
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_are_lost_are_counted_and_break_no_others() {
        let (mut disk, mut broken) = (Full(Vec::new(), 8), false);
        let (lost, result) = put(&mut disk, b"one\ntwo\nthree\nfour\n", &mut broken);
        assert_eq!((lost, result.is_err(), broken), (2, true, false));
        disk.1 = 10;
        let (lost, _) = put(&mut disk, b"five\n", &mut broken);
        assert_eq!((lost, broken), (1, true));
        disk.1 = 100;
        let (lost, result) = put(&mut disk, b"six\n", &mut broken);
        assert_eq!((lost, result.is_ok(), broken), (0, true, false));
        assert_eq!(disk.0, b"one\ntwo\nfi\nsix\n");
    }
}
