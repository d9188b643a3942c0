//! Numbered places for values, in chunks: growing moves nothing and leaves nothing behind, as a
//! vector that doubles would, and a few thousand idle connections hold what they need.

use std::ops::{Index, IndexMut};

/// Slots of one chunk, a power of two.
const CHUNK: usize = 256;

/// A table of slots; the one set free last is used next.
pub(super) struct Slots<T> {
    chunks: Vec<Box<[T]>>,
    vacant: Vec<u32>,
    /// Slots ever used.
    len: u32,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { chunks: Vec::new(), vacant: Vec::new(), len: 0 }
    }
}

impl<T: Default> Slots<T> {
    /// A slot that nobody uses, as its last user left it.
    pub(super) fn insert(&mut self) -> u32 {
        if let Some(key) = self.vacant.pop() {
            return key;
        }
        if self.len as usize == self.chunks.len() * CHUNK {
            self.chunks.push((0..CHUNK).map(|_| T::default()).collect());
        }
        self.len += 1;
        self.len - 1
    }

    /// Sets a slot free.
    pub(super) fn remove(&mut self, key: u32) {
        self.vacant.push(key);
    }

    /// How many have been in use at once.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Every slot that was ever used.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flatten().take(self.len as usize)
    }
}

impl<T> Slots<T> {
    /// Every slot that was ever used.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten().take(self.len as usize)
    }

    /// The slot `key`, if there is one.
    pub(super) fn get(&self, key: u32) -> Option<&T> {
        self.chunks.get(key as usize / CHUNK)?.get(key as usize % CHUNK)
    }
}

impl<T> Index<u32> for Slots<T> {
    type Output = T;

    fn index(&self, key: u32) -> &T {
        &self.chunks[key as usize / CHUNK][key as usize % CHUNK]
    }
}

impl<T> IndexMut<u32> for Slots<T> {
    fn index_mut(&mut self, key: u32) -> &mut T {
        &mut self.chunks[key as usize / CHUNK][key as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_distinct_and_used_again() {
        let mut slots: Slots<u32> = Slots::default();
        let keys: Vec<u32> = (0..3 * CHUNK as u32).map(|_| slots.insert()).collect();
        keys.iter().for_each(|&key| slots[key] = key);
        assert!(keys.iter().all(|&key| slots[key] == key));
        slots.remove(300);
        assert_eq!(slots.insert(), 300);
        assert_eq!((slots.len(), slots.iter_mut().count()), (3 * CHUNK as u32, 3 * CHUNK));
    }
}
