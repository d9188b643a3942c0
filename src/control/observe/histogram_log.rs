//! Latency histograms on their way to a file, which is begun anew when it is full.
//!
//! A thread writes it: a disk that hangs keeps nothing else waiting. Each interval is one write to
//! the end of whatever has the file's name then, so a process that ends and the one that takes over
//! from it may both write.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use crate::plan::HistogramLogPlan;
use crate::telemetry::{Interval, Latency, LogInterval, Phase, hlog_head, hlog_lines};

/// Intervals that may wait to be written; for what comes then there is no room.
const WAITING_MAX: usize = 8;

/// Collects what is to be written.
pub struct HistogramLog {
    interval: Duration,
    /// Since when, by the time that the ledger has.
    from: Duration,
    latency: Latency,
    pages: SyncSender<Page>,
    /// Says nothing, and is closed when all is written.
    written: Receiver<()>,
}

/// How long the end of the process waits for what is left to be written.
const LAST_PAGES: Duration = Duration::from_secs(2);

/// The lines of one interval.
struct Page {
    from: Duration,
    lines: Vec<u8>,
}

impl HistogramLog {
    /// Begins at `now`.
    ///
    /// # Errors
    /// Why there is no thread to write it.
    pub fn start(plan: &HistogramLogPlan, now: Duration) -> io::Result<HistogramLog> {
        let (pages, received) = sync_channel(WAITING_MAX);
        let file = File { plan: plan.clone() };
        let thread = std::thread::Builder::new().name("histogram-log".into());
        let (alive, written) = sync_channel(0);
        thread.spawn(move || {
            file.keep(&received);
            drop::<SyncSender<()>>(alive);
        })?;
        let (interval, latency) = (plan.interval, Latency::default());
        Ok(HistogramLog { interval, from: now, latency, pages, written })
    }

    /// Adds what a shard recorded.
    pub fn take(&mut self, interval: &Interval) {
        interval.routes().for_each(|(_, route)| self.latency.merge(&route.latency));
    }

    /// Ends an interval that has lasted long enough at `now`, which counts from `epoch`, a time
    /// since 1970.
    pub fn write_if_due(&mut self, now: Duration, epoch: Duration) {
        if now.saturating_sub(self.from) >= self.interval {
            self.write(now, epoch);
        }
    }

    fn write(&mut self, now: Duration, epoch: Duration) {
        let (from, length) = (epoch + self.from, now.saturating_sub(self.from));
        let latency = std::mem::take(&mut self.latency);
        self.from = now;
        if Phase::ALL.into_iter().all(|phase| latency.count(phase) == 0) {
            return;
        }
        let mut lines = Vec::new();
        if let Err(error) = hlog_lines(&mut lines, LogInterval { from, length }, &latency) {
            tracing::error!(%error, "histograms cannot be encoded; please report this");
            return;
        }
        match self.pages.try_send(Page { from, lines }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                tracing::warn!("the histogram log takes too long to write; an interval is lost");
            }
            Err(TrySendError::Disconnected(_)) => {
                tracing::error!("nobody writes the histogram log any more");
            }
        }
    }

    /// Has what is left written, and waits for nothing: another may write to the same file already.
    pub fn retire(mut self, now: Duration, epoch: Duration) {
        self.write(now, epoch);
    }

    /// Writes what is left, and waits until that is done, as long as a disk takes that does not
    /// hang.
    pub fn end(mut self, now: Duration, epoch: Duration) {
        self.write(now, epoch);
        let HistogramLog { pages, written, .. } = self;
        drop(pages);
        if written.recv_timeout(LAST_PAGES) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the end of the histogram log is not written: it is not taken");
        }
    }
}

/// The file, as its thread has it.
struct File {
    plan: HistogramLogPlan,
}

impl File {
    /// Writes all that comes. A failure is told once, until it goes well again.
    fn keep(self, pages: &Receiver<Page>) {
        let mut fails = false;
        for page in pages {
            let written = self.write(&page);
            if let (Err(error), false) = (&written, fails) {
                let path = self.plan.file.display();
                tracing::error!(%error, "cannot write the histogram log {path}");
            }
            fails = written.is_err();
        }
    }

    fn write(&self, page: &Page) -> io::Result<()> {
        let path = &self.plan.file;
        let size = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let full = size > 0 && size + page.lines.len() as u64 > self.plan.max_size;
        if full {
            rotate(path, self.plan.keep)?;
        }
        let mut bytes = Vec::new();
        if full || size == 0 {
            bytes.extend_from_slice(hlog_head(page.from).as_bytes());
        }
        bytes.extend_from_slice(&page.lines);
        OpenOptions::new().create(true).append(true).open(path)?.write_all(&bytes)
    }
}

/// The file with this number after its name; the larger, the older.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Puts the file aside; of those before it, the oldest goes.
fn rotate(path: &Path, keep: u32) -> io::Result<()> {
    let missing_is_fine = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    if keep == 0 {
        return missing_is_fine(fs::remove_file(path));
    }
    for number in (1..keep).rev() {
        missing_is_fine(fs::rename(numbered(path, number), numbered(path, number + 1)))?;
    }
    missing_is_fine(fs::rename(path, numbered(path, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(second: u64, bytes: usize) -> Page {
        Page { from: Duration::from_secs(second), lines: vec![b'x'; bytes] }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_full_file_makes_room_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let plan = HistogramLogPlan {
            file: folder.path().join("a.hlog"),
            interval: Duration::from_secs(1),
            max_size: 1000,
            keep: 2,
        };
        let file = File { plan };
        for second in 0..3 {
            file.write(&page(second, 200)).unwrap();
        }
        assert_eq!(names(folder.path()), ["a.hlog"]);
        let text = fs::read_to_string(&file.plan.file).unwrap();
        assert_eq!(text.matches("StartTime:").count(), 1);
        for second in 3..20 {
            file.write(&page(second, 700)).unwrap();
            let text = fs::read_to_string(&file.plan.file).unwrap();
            assert!(text.contains(&format!("[StartTime: {second}.000 ")), "{text}");
        }
        assert_eq!(names(folder.path()), ["a.hlog", "a.hlog.1", "a.hlog.2"]);
        let text = fs::read_to_string(numbered(&file.plan.file, 2)).unwrap();
        assert!(text.contains("[StartTime: 17.000 "), "{text}");

        let none = File { plan: HistogramLogPlan { keep: 0, ..file.plan } };
        none.write(&page(20, 700)).unwrap();
        assert_eq!(names(folder.path()), ["a.hlog", "a.hlog.1", "a.hlog.2"]);
    }

    #[test]
    fn what_is_left_is_written_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.hlog");
        let plan = HistogramLogPlan {
            file: path.clone(),
            interval: Duration::from_secs(3600),
            max_size: 1 << 20,
            keep: 0,
        };
        let seconds = Duration::from_secs;
        let epoch = seconds(1_763_755_200);
        let mut log = HistogramLog::start(&plan, seconds(1)).unwrap();
        log.latency.add(Phase::Total, 100, 1);
        log.write_if_due(seconds(2), epoch);
        log.end(seconds(3), epoch);
        let text = fs::read_to_string(path).unwrap();
        let line = text.lines().last().unwrap();
        assert!(line.starts_with("Tag=total,1763755201.000,2.000,100.000,HIST"), "{line}");
    }

    /// A pipe that nobody reads stands for a disk that hangs.
    #[test]
    fn the_end_does_not_wait_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pipe");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &file, kind, mode, 0).unwrap();
        let interval = Duration::from_secs(1);
        let plan = HistogramLogPlan { file: file.clone(), interval, max_size: 1 << 20, keep: 0 };
        let mut log = HistogramLog::start(&plan, Duration::ZERO).unwrap();
        log.latency.add(Phase::Total, 100, 1);
        log.end(interval, Duration::ZERO);
        // The thread goes on: it is still about to write.
        let mut line = String::new();
        std::io::Read::read_to_string(&mut fs::File::open(&file).unwrap(), &mut line).unwrap();
        assert!(line.contains("Tag=total"), "{line}");
    }
}
