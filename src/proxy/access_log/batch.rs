//! Lines on their way to the thread that writes them.
//!
//! A shard fills one block after the other. A block goes to the writer when it is full, or each
//! second, and comes back empty; so there is nothing to allocate once there are as many as are
//! needed. When the writer has all of them, lines are left out and counted: a shard never waits.

use std::sync::mpsc;

/// Most blocks of one shard.
const BLOCKS_MAX: usize = 5;
/// Room in a block beyond the size at which it goes, bytes: most lines are shorter.
const ROOM: usize = 2 << 10;

/// What the writer is sent.
#[derive(Debug)]
pub enum Delivery {
    /// Whole lines, and where to give the memory back.
    Lines(Vec<u8>, mpsc::Sender<Vec<u8>>),
    /// To close the file, and to open the one that has its name now.
    Reopen,
    /// Everything was sent.
    End,
}

/// Where a shard sends its lines.
#[derive(Clone, Debug)]
pub struct Outlet(pub mpsc::Sender<Delivery>);

/// The blocks of one shard.
pub struct Batch {
    outlet: Outlet,
    block: Vec<u8>,
    /// A block of this length goes.
    size: usize,
    /// How many blocks there are.
    blocks: usize,
    give_back: mpsc::Sender<Vec<u8>>,
    given_back: mpsc::Receiver<Vec<u8>>,
}

impl Batch {
    /// Without lines so far.
    pub fn new(outlet: Outlet, size: usize) -> Batch {
        let (give_back, given_back) = mpsc::channel();
        let block = Vec::with_capacity(size + ROOM);
        Batch { outlet, block, size, blocks: 1, give_back, given_back }
    }

    /// Where to write the next line; `None`: there is no room for it.
    pub fn room(&mut self) -> Option<&mut Vec<u8>> {
        if self.block.len() >= self.size && !self.pass_on() {
            return None;
        }
        Some(&mut self.block)
    }

    /// A line has been written.
    pub fn written(&mut self) {
        if self.block.len() >= self.size {
            self.pass_on();
        }
    }

    /// Sends what there is, if another block can be had to go on with.
    pub fn pass_on(&mut self) -> bool {
        if self.block.is_empty() {
            return true;
        }
        let Some(next) = self.next_block() else { return false };
        let full = std::mem::replace(&mut self.block, next);
        self.send(full);
        true
    }

    fn next_block(&mut self) -> Option<Vec<u8>> {
        match self.given_back.try_recv() {
            Ok(mut block) => {
                block.clear();
                // One that had a very long line need not stay as large.
                block.shrink_to(2 * self.size + ROOM);
                Some(block)
            }
            Err(_) if self.blocks < BLOCKS_MAX => {
                self.blocks += 1;
                Some(Vec::with_capacity(self.size + ROOM))
            }
            Err(_) => None,
        }
    }

    fn send(&self, block: Vec<u8>) {
        // Without a writer the process is ending.
        let _ = self.outlet.0.send(Delivery::Lines(block, self.give_back.clone()));
    }
}

/// What is left is sent, even if the writer has all other blocks.
impl Drop for Batch {
    fn drop(&mut self) {
        if !self.block.is_empty() {
            let block = std::mem::take(&mut self.block);
            self.send(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(batch: &mut Batch, line: &str) -> bool {
        let Some(block) = batch.room() else { return false };
        block.extend_from_slice(line.as_bytes());
        batch.written();
        true
    }

    fn next(writer: &mpsc::Receiver<Delivery>) -> Option<(Vec<u8>, mpsc::Sender<Vec<u8>>)> {
        match writer.try_recv().ok()? {
            Delivery::Lines(lines, back) => Some((lines, back)),
            Delivery::Reopen | Delivery::End => None,
        }
    }

    #[test]
    fn blocks_go_round() {
        let (sender, writer) = mpsc::channel();
        let mut batch = Batch::new(Outlet(sender), 8);
        assert!(put(&mut batch, "123\n"));
        assert!(next(&writer).is_none());
        assert!(put(&mut batch, "456\n"));
        let (lines, back) = next(&writer).expect("a full block");
        assert_eq!(lines, b"123\n456\n");
        let memory = lines.as_ptr();
        back.send(lines).unwrap();
        assert!(put(&mut batch, "789\n") && batch.pass_on());
        assert_eq!(next(&writer).expect("what there was").0, b"789\n");
        assert_eq!(batch.block.as_ptr(), memory, "the one that was given back");
        assert!(batch.pass_on() && next(&writer).is_none(), "there is nothing to send");
    }

    #[test]
    fn without_a_block_there_is_no_room() {
        let (sender, writer) = mpsc::channel();
        let mut batch = Batch::new(Outlet(sender), 4);
        // The last stays here.
        let taken = (0..20).take_while(|_| put(&mut batch, "123\n")).count();
        assert_eq!(taken, BLOCKS_MAX);
        let (lines, back) = next(&writer).expect("the first");
        back.send(lines).unwrap();
        assert!(put(&mut batch, "456\n"));
        drop(batch);
        let rest: Vec<u8> = std::iter::from_fn(|| next(&writer)).flat_map(|(l, _)| l).collect();
        assert_eq!(rest, b"123\n".repeat(4).into_iter().chain(*b"456\n").collect::<Vec<u8>>());
    }
}
