//! Seeded randomness, and bytes that show where they belong.

/// A small seeded generator (splitmix64). The same seed gives the same test everywhere.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator for this seed.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// A number from 0 to `max` whose size in bits is evenly spread.
    pub fn log_uniform(&mut self, max: u64) -> u64 {
        let bits = self.below(u64::from(64 - max.leading_zeros()) + 1);
        let bound = 1u64.checked_shl(bits as u32).map_or(u64::MAX, |bound| bound.min(max + 1));
        if bits == 0 { 0 } else { bound / 2 + self.below(bound - bound / 2) }
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// An endless sequence of bytes in which every eight name their offset, so that a byte lost,
/// doubled or moved shows.
#[derive(Clone, Debug)]
pub struct Pattern {
    seed: u64,
    offset: u64,
}

impl Pattern {
    /// The sequence for `seed`, from its start.
    pub fn new(seed: u64) -> Pattern {
        Pattern { seed, offset: 0 }
    }

    /// How many bytes were taken or matched.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Writes the next bytes into `target`.
    pub fn fill(&mut self, target: &mut [u8]) {
        let mut filled = 0;
        while filled < target.len() {
            let word = mix(self.seed ^ mix(self.offset / 8)).to_le_bytes();
            let word = &word[(self.offset % 8) as usize..];
            let count = word.len().min(target.len() - filled);
            target[filled..filled + count].copy_from_slice(&word[..count]);
            filled += count;
            self.offset += count as u64;
        }
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes);
        bytes
    }

    /// Checks that these are the next bytes; says where they first differ.
    pub fn check(&mut self, bytes: &[u8]) -> Result<(), String> {
        let start = self.offset;
        let expected = self.take(bytes.len());
        match bytes.iter().zip(&expected).position(|(byte, expected)| byte != expected) {
            None => Ok(()),
            Some(at) => Err(format!("byte {} is wrong", start + at as u64)),
        }
    }
}
