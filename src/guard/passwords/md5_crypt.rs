//! The MD5 schemes of crypt(3) and of Apache's htpasswd (`$1$`, `$apr1$`): they differ in their
//! marker alone. Weak by now, but what most existing files hold.

use md5::{Digest, Md5};

/// Rounds are fixed: what made it slow in 1994.
const ROUNDS: usize = 1000;
/// More of a salt is not read.
pub const SALT_MAX: usize = 8;
/// Length of the digest as text.
pub const TEXT_LEN: usize = 22;

/// crypt(3)'s own order of six-bit digits.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Which bytes of the digest make four digits each, the first in the highest bits.
const GROUPS: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];

/// Whether all of `text` could stand in a hash.
pub fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| DIGITS.contains(&byte))
}

/// The digest of `password`, as it stands behind `marker` and the salt.
pub fn digest(password: &[u8], marker: &str, salt: &str) -> [u8; TEXT_LEN] {
    let salt = salt.as_bytes();
    let mut digest = begin(password, marker.as_bytes(), salt);
    for round in 0..ROUNDS {
        let mut next = Md5::new();
        let odd = round % 2 == 1;
        next.update(if odd { password } else { &digest[..] });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if odd { &digest[..] } else { password });
        digest = next.finalize().into();
    }
    as_text(&digest)
}

/// What the rounds begin with.
fn begin(password: &[u8], marker: &[u8], salt: &[u8]) -> [u8; 16] {
    let alternate = Md5::new().chain_update(password).chain_update(salt).chain_update(password);
    let alternate: [u8; 16] = alternate.finalize().into();
    let mut first = Md5::new().chain_update(password).chain_update(marker).chain_update(salt);
    for piece in password.chunks(alternate.len()) {
        first.update(&alternate[..piece.len()]);
    }
    // For each bit of the length: nothing says why, and it cannot be changed any more.
    let mut length = password.len();
    while length > 0 {
        let byte = if length % 2 == 1 { 0 } else { password[0] };
        first.update([byte]);
        length /= 2;
    }
    first.finalize().into()
}

fn as_text(digest: &[u8; 16]) -> [u8; TEXT_LEN] {
    let mut text = [0; TEXT_LEN];
    let groups = GROUPS.iter().map(|[high, middle, low]| {
        u32::from(digest[*high]) << 16 | u32::from(digest[*middle]) << 8 | u32::from(digest[*low])
    });
    let groups = groups.chain([u32::from(digest[11])]);
    for (four, mut bits) in text.chunks_mut(4).zip(groups) {
        for digit in four {
            *digit = DIGITS[(bits % 64) as usize];
            bits /= 64;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl passwd -apr1` and `openssl passwd -1`.
    #[test]
    fn known_digests() {
        for (password, marker, salt, expected) in KNOWN {
            let found = digest(password.as_bytes(), marker, salt);
            assert_eq!(std::str::from_utf8(&found).unwrap(), *expected, "{password:?} {marker}");
        }
    }

    const KNOWN: &[(&str, &str, &str, &str)] = &[
        ("", "$apr1$", "Ab./0189", "DPs4QzlaYA/7piBUKvfix."),
        ("", "$1$", "Ab./0189", "k8Q.iHxrVovSMBvqBAZS20"),
        ("a", "$apr1$", "Ab./0189", "dhN5v8E7M7J.ZA8TywvPK/"),
        ("a", "$1$", "Ab./0189", "ghgCxVvqozaARg3X2T0op."),
        ("secret", "$apr1$", "Ab./0189", "Y1p2aeVqep1OQWYqoVNgc."),
        ("secret", "$1$", "Ab./0189", "LxMFGIdT1T8fPsVFzw.PN0"),
        ("sixteen bytes ok", "$apr1$", "Ab./0189", "1apNIC3pc8rKxkmEv7PEa/"),
        ("sixteen bytes ok", "$1$", "Ab./0189", "76cyO9aJcXE5h321tCd4j1"),
        (
            "a password of more than thirty-two bytes, so that it wraps",
            "$apr1$",
            "Ab./0189",
            "t4LgpUXKWNQw7qpuLPf5O.",
        ),
        (
            "a password of more than thirty-two bytes, so that it wraps",
            "$1$",
            "Ab./0189",
            "TEj8yIrlWJ3NZOr.d2z0D.",
        ),
    ];
}
