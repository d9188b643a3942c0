//! Brotli in blocks, so that neither its memory nor the time of one call grows with the response.
//!
//! The encoder's own writer keeps what it has found out for up to half a MiB before it writes any
//! of it, in as many buffers again; and when it is dropped with a response that broke off, it
//! finishes that first.

use std::io;

use brotli::enc::StandardAlloc;
use brotli::enc::backward_references::BrotliEncoderParams;
use brotli::enc::encode::{BrotliEncoderOperation as Operation, BrotliEncoderStateStruct};

/// After so many bytes what was found is written, with codes of its own. Text of 290 KB becomes
/// larger by 0.4 % than in one go (by 0.9 % with half as much, by 0.2 % with twice as much).
const BLOCK: usize = 32 << 10;

/// Compresses what is written to it.
pub struct Blocks {
    state: BrotliEncoderStateStruct<StandardAlloc>,
    /// Made, and not taken.
    pub out: Vec<u8>,
    /// Bytes that were written since the last block ended.
    begun: usize,
}

impl Blocks {
    /// An encoder with a window of two to this power. Of its answer's `length` no more than that
    /// counts: a longer one would be given tables for a longer window.
    pub fn new(level: u32, window_log: u32, length: Option<u64>) -> Box<Blocks> {
        let window = 1u64 << window_log;
        let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
        state.params = BrotliEncoderParams {
            quality: level as i32,
            lgwin: window_log as i32,
            size_hint: length.unwrap_or(window).min(window) as usize,
            ..Default::default()
        };
        Box::new(Blocks { state, out: Vec::new(), begun: 0 })
    }

    /// Takes some of the response.
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let some = bytes.len().min(BLOCK - self.begun);
            self.run(Operation::BROTLI_OPERATION_PROCESS, &bytes[..some])?;
            bytes = &bytes[some..];
            self.begun += some;
            if self.begun == BLOCK {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Makes all that was written readable.
    pub fn flush(&mut self) -> io::Result<()> {
        self.begun = 0;
        self.run(Operation::BROTLI_OPERATION_FLUSH, b"")
    }

    /// There is no more: the last bytes.
    pub fn finish(mut self) -> io::Result<Vec<u8>> {
        self.run(Operation::BROTLI_OPERATION_FINISH, b"")?;
        Ok(self.out)
    }

    fn run(&mut self, operation: Operation, bytes: &[u8]) -> io::Result<()> {
        let (mut left, mut at) = (bytes.len(), 0);
        loop {
            // What it makes is taken out of its own memory.
            let (mut room, mut written, mut total) = (0, 0, None);
            let went = self.state.compress_stream(
                operation,
                &mut left,
                bytes,
                &mut at,
                &mut room,
                &mut [],
                &mut written,
                &mut total,
                &mut |_, _, _, _| (),
            );
            if !went {
                return Err(io::Error::other("Brotli"));
            }
            let mut size = 0;
            let made = self.state.take_output(&mut size);
            self.out.extend_from_slice(&made[..size]);
            if left == 0 && !self.state.has_more_output() {
                return Ok(());
            }
        }
    }
}
