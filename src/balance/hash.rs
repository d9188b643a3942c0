//! Hashing keys to servers. The results are part of the product's behaviour: a change here sends
//! every client of a hashing upstream elsewhere on the next upgrade, so the tests pin some values.

/// Multiplies to 128 bits and folds the halves: every input bit reaches every output bit.
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Mixes two words into one evenly spread word.
///
/// The constants keep a zero on either side from swallowing the other (a fold by zero is zero).
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let once = fold(a ^ 0x2d35_8dcc_aa6c_78a5, b ^ 0x8bb8_4b93_962e_acc9);
    fold(once ^ a.rotate_left(32), 0x4b33_a62e_d433_d4a3 ^ b)
}

/// The key that [`Balancer::choose`](super::Balancer::choose) takes, from the bytes to hash.
///
/// The same bytes give the same key in every shard, process and run. It is fast, not secret: who
/// chooses the bytes can choose the server, as with any hash of what a client sends.
pub fn hash_key(bytes: &[u8]) -> u64 {
    let mut state = mix(0x51_7cc1_b727_220a, bytes.len() as u64);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        state = mix(state, u64::from_le_bytes(word));
    }
    let rest = chunks.remainder();
    let mut word = [0; 8];
    word[..rest.len()].copy_from_slice(rest);
    mix(state, u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn short_keys_do_not_collide() {
        let mut seen = HashSet::new();
        for length in 0..20 {
            assert!(seen.insert(hash_key(&vec![0; length])));
        }
        for a in 0..=255u8 {
            for b in 0..=255u8 {
                seen.insert(hash_key(&[10, 0, a, b]));
            }
        }
        assert_eq!(seen.len(), 20 + 65_536);
    }

    #[test]
    fn every_bit_of_a_key_counts() {
        let base = hash_key(b"10.182.205.169");
        for bit in 0..14 * 8 {
            let mut bytes = *b"10.182.205.169";
            bytes[bit / 8] ^= 1 << (bit % 8);
            let changed = (hash_key(&bytes) ^ base).count_ones();
            assert!((12..=52).contains(&changed), "bit {bit} changes {changed} bits");
        }
    }
}
