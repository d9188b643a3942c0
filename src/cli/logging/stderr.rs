//! Lines on their way to standard error.
//!
//! A thread writes them. Whoever reads them may stop reading: a pipe is full then, and a shard that
//! wrote to it would serve nobody. Before there are shards, whoever has something to say writes it
//! himself: a process that is to become another user must have one thread until it has.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait to be written; what comes then is counted and left out.
const WAITING_MAX: usize = 4096;
/// How long whoever ends waits for what is left to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

enum Piece {
    Line(Vec<u8>),
    /// All that came before is to be written; then this is dropped.
    Mark(Sender<()>),
}

/// Takes lines.
#[derive(Clone, Default)]
pub struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// On their way to the thread, once there is one.
    pieces: OnceLock<SyncSender<Piece>>,
    left_out: AtomicU64,
}

impl Lines {
    /// Has lines written to `to` by a thread from now on.
    ///
    /// # Errors
    /// Why there is none.
    pub fn begin(&self, to: impl Write + Send + 'static) -> io::Result<()> {
        let (pieces, received) = sync_channel(WAITING_MAX);
        let shared = self.0.clone();
        let thread = std::thread::Builder::new().name("log".into());
        thread.spawn(move || write(to, &received, &shared.left_out))?;
        // Whoever began it before goes on.
        let _ = self.0.pieces.set(pieces);
        Ok(())
    }

    /// Waits until what was said so far is written, as long as somebody takes it.
    pub fn flush(&self) {
        let Some(pieces) = self.0.pieces.get() else { return };
        let (mark, written) = channel();
        if pieces.try_send(Piece::Mark(mark)).is_ok() {
            // It ends by the drop of the mark: nothing is ever sent.
            let _ = written.recv_timeout(LAST_LINES);
        }
    }
}

fn write(mut to: impl Write, pieces: &Receiver<Piece>, left_out: &AtomicU64) {
    for piece in pieces {
        let line = match piece {
            Piece::Line(line) => line,
            Piece::Mark(mark) => {
                drop(mark);
                continue;
            }
        };
        // Without a reader there is nobody to tell.
        let _ = to.write_all(&line);
        let missing = left_out.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let _ = writeln!(to, "{missing} lines of the log are missing here: nobody took them");
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

/// Takes a line, which comes in one piece.
pub struct Line<'a>(&'a Lines);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shared = &self.0.0;
        let Some(pieces) = shared.pieces.get() else {
            return io::stderr().write_all(line).map(|()| line.len());
        };
        if pieces.try_send(Piece::Line(line.to_vec())).is_err() {
            shared.left_out.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufRead, BufReader};

    use super::*;

    #[test]
    fn nobody_waits_for_whoever_does_not_read() {
        let (ours, theirs) = rustix::pipe::pipe().unwrap();
        let lines = Lines::default();
        lines.begin(File::from(theirs)).unwrap();
        let said = 4 * WAITING_MAX;
        for number in 0..said {
            let line = format!("{number} {}\n", "x".repeat(100));
            lines.make_writer().write_all(line.as_bytes()).unwrap();
        }
        assert!(lines.0.left_out.load(Ordering::Relaxed) > 0);
        let reader = BufReader::new(File::from(ours));
        let (mut came, mut missing) = (0, 0);
        for line in reader.lines().map(Result::unwrap) {
            match line.strip_suffix(" lines of the log are missing here: nobody took them") {
                Some(number) => missing += number.parse::<usize>().unwrap(),
                None => came += 1,
            }
            if came + missing == said {
                return;
            }
        }
        panic!("{came} came and {missing} are missing of {said}");
    }

    #[test]
    fn what_was_said_is_written_before_the_end() {
        let (ours, theirs) = rustix::pipe::pipe().unwrap();
        let lines = Lines::default();
        lines.begin(File::from(theirs)).unwrap();
        lines.make_writer().write_all(b"the end\n").unwrap();
        lines.flush();
        let mut text = [0; 8];
        assert_eq!(rustix::io::read(&ours, &mut text).unwrap(), 8);
        assert_eq!(&text, b"the end\n");
    }
}
