//! Tables that do not grow: cut into sets of [`WAYS`] places, of which a key may take those of one.

use std::ops::Range;

/// Places of a set: 64 bytes of keys, one cache line.
pub(super) const WAYS: usize = 8;

/// As many places as there are, at least, in whole sets.
pub(super) fn places(least: usize) -> usize {
    least.div_ceil(WAYS).max(1) * WAYS
}

/// The set of a key in a table with so many places. It comes from the upper half of the key alone.
pub(super) fn set_of(key: u64, places: usize) -> Range<usize> {
    let sets = (places / WAYS) as u64;
    let first = (((key >> 32) * sets) >> 32) as usize * WAYS;
    first..first + WAYS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_table_is_whole_sets() {
        assert_eq!([0, 1, 8, 9].map(places), [8, 8, 8, 16]);
    }

    proptest! {
        #[test]
        fn every_key_has_a_whole_set_in_the_table(key: u64, least in 0usize..1 << 24) {
            let set = set_of(key, places(least));
            prop_assert_eq!((set.start % WAYS, set.len()), (0, WAYS));
            prop_assert!(set.end <= places(least));
        }
    }
}
