//! Users and their passwords, as htpasswd writes them.

mod md5_crypt;

use std::collections::HashMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// What a check may cost: bcrypt doubles with each step, and 15 is about two seconds.
const BCRYPT_COST_MAX: u32 = 15;
/// Likewise for SHA crypt; 5,000 is what everybody has.
const ROUNDS_MAX: usize = 1_000_000;
/// Longest password that is checked at all, bytes: MD5 and SHA crypt hash it in every round.
const PASSWORD_MAX: usize = 512;

/// Who may come in.
pub struct Passwords {
    users: HashMap<String, Secret>,
    /// Of the text they were read from.
    digest: [u8; 32],
    /// Checked for a user that there is not, so that the answer takes as long as for one there is:
    /// the one that takes longest. Where a file has hashes of several kinds, who has which can be
    /// told by the time still.
    decoy: Option<Secret>,
}

/// What is kept of one password.
#[derive(Clone, PartialEq, Eq)]
enum Secret {
    /// The whole text.
    Bcrypt(String),
    Md5 {
        marker: &'static str,
        salt: String,
        digest: String,
    },
    ShaCrypt {
        wide: bool,
        rounds: usize,
        salt: String,
        digest: String,
    },
    Sha1 {
        digest: [u8; 20],
        salt: Vec<u8>,
    },
}

/// What is wrong with one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordFault {
    /// From 1.
    pub line: usize,
    /// What.
    pub what: String,
    /// What to do.
    pub remedy: &'static str,
}

const MAKE_ANEW: &str = "make it anew: htpasswd -B FILE USER";

impl Passwords {
    /// Reads lines of `user:hash`; what stands behind a second colon is a comment, and so is a line
    /// that begins with `#`.
    ///
    /// # Errors
    /// All lines that say something else.
    pub fn parse(text: &str) -> Result<Passwords, Vec<PasswordFault>> {
        let (mut users, mut faults, mut decoy) = (HashMap::new(), Vec::new(), None);
        for (line, entry) in (1..).zip(text.lines()) {
            let entry = entry.trim();
            if entry.is_empty() || entry.starts_with('#') {
                continue;
            }
            let fault = |(what, remedy)| PasswordFault { line, what, remedy };
            match read_entry(entry) {
                Ok((user, secret)) => {
                    if decoy.as_ref().is_none_or(|other: &Secret| other.cost() < secret.cost()) {
                        decoy = Some(secret.clone());
                    }
                    if users.insert(user.to_owned(), secret).is_some() {
                        let what = format!("the user `{user}` is there twice");
                        faults.push(fault((what, "remove one of the lines")));
                    }
                }
                Err(wrong) => faults.push(fault(wrong)),
            }
        }
        let digest = Sha256::digest(text).into();
        if faults.is_empty() { Ok(Passwords { users, digest, decoy }) } else { Err(faults) }
    }

    /// Tells one text from another.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Whether these are a user's name and password, `name:password` (RFC 7617 §2). Takes as long
    /// as the scheme of the hash wants it to: from a microsecond to seconds.
    pub fn admit(&self, credentials: &[u8]) -> bool {
        let Some(colon) = credentials.iter().position(|byte| *byte == b':') else { return false };
        let (user, password) = (&credentials[..colon], &credentials[colon + 1..]);
        let known = std::str::from_utf8(user).ok().and_then(|user| self.users.get(user));
        let Some(secret) = known.or(self.decoy.as_ref()) else { return false };
        let matches = password.len() <= PASSWORD_MAX && secret.matches(password);
        matches && known.is_some()
    }
}

/// Users are told, secrets are not.
impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("users", &self.users.len()).finish_non_exhaustive()
    }
}

impl Secret {
    /// How long a check takes, roughly, in microseconds.
    fn cost(&self) -> u64 {
        match self {
            // `$2y$12$…`: each step doubles it.
            Secret::Bcrypt(hash) => {
                let cost = hash.get(4..6).and_then(|cost| cost.parse::<u32>().ok());
                50 << cost.unwrap_or_default().min(BCRYPT_COST_MAX)
            }
            Secret::ShaCrypt { rounds, .. } => *rounds as u64,
            Secret::Md5 { .. } => 500,
            Secret::Sha1 { .. } => 1,
        }
    }

    fn matches(&self, password: &[u8]) -> bool {
        match self {
            Secret::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Secret::Md5 { marker, salt, digest } => {
                same(&md5_crypt::digest(password, marker, salt), digest.as_bytes())
            }
            Secret::ShaCrypt { wide, rounds, salt, digest } => {
                let found = sha_crypt(password, salt.as_bytes(), *rounds, *wide);
                found.is_some_and(|found| same(found.as_bytes(), digest.as_bytes()))
            }
            Secret::Sha1 { digest, salt } => {
                let found = Sha1::new().chain_update(password).chain_update(salt).finalize();
                same(&found, digest)
            }
        }
    }
}

fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

fn sha_crypt(password: &[u8], salt: &[u8], rounds: usize, wide: bool) -> Option<String> {
    use sha_crypt::{Sha256Params, Sha512Params, sha256_crypt_b64, sha512_crypt_b64};
    match wide {
        true => sha512_crypt_b64(password, salt, &Sha512Params::new(rounds).ok()?).ok(),
        false => sha256_crypt_b64(password, salt, &Sha256Params::new(rounds).ok()?).ok(),
    }
}

/// What is wrong, and what to do.
type Wrong = (String, &'static str);

fn read_entry(entry: &str) -> Result<(&str, Secret), Wrong> {
    let mut parts = entry.splitn(3, ':');
    let (user, hash) = (parts.next().unwrap_or_default(), parts.next());
    let Some(hash) = hash else {
        return Err(("the line has no colon".to_owned(), "write user:hash, as htpasswd does"));
    };
    if user.is_empty() {
        return Err(("the line names no user".to_owned(), "write user:hash, as htpasswd does"));
    }
    match read_secret(hash) {
        Ok(secret) => Ok((user, secret)),
        Err((what, remedy)) => Err((format!("the password of `{user}` {what}"), remedy)),
    }
}

fn read_secret(hash: &str) -> Result<Secret, Wrong> {
    for marker in ["$apr1$", "$1$"] {
        if let Some(rest) = hash.strip_prefix(marker) {
            return read_md5(marker, rest);
        }
    }
    if ["$2y$", "$2b$", "$2a$"].iter().any(|start| hash.starts_with(start)) {
        return read_bcrypt(hash);
    }
    for (start, wide) in [("$5$", false), ("$6$", true)] {
        if let Some(rest) = hash.strip_prefix(start) {
            return read_sha_crypt(rest, wide);
        }
    }
    if let Some(base64) = hash.strip_prefix("{SHA}") {
        return read_sha1(base64, false);
    }
    if let Some(base64) = hash.strip_prefix("{SSHA}") {
        return read_sha1(base64, true);
    }
    let what = match hash.len() {
        0 => "is empty",
        13 if md5_crypt::is_digits(hash) => {
            "is hashed by DES crypt, which looks at 8 letters of it only"
        }
        _ => "is not hashed, or by a scheme that is not known here",
    };
    Err((what.to_owned(), MAKE_ANEW))
}

fn cut_short() -> Wrong {
    ("is a hash that is cut short or altered".to_owned(), MAKE_ANEW)
}

fn read_md5(marker: &'static str, rest: &str) -> Result<Secret, Wrong> {
    let (salt, digest) = rest.split_once('$').ok_or_else(cut_short)?;
    let fits = salt.len() <= md5_crypt::SALT_MAX && digest.len() == md5_crypt::TEXT_LEN;
    match fits && md5_crypt::is_digits(digest) {
        true => Ok(Secret::Md5 { marker, salt: salt.to_owned(), digest: digest.to_owned() }),
        false => Err(cut_short()),
    }
}

fn read_bcrypt(hash: &str) -> Result<Secret, Wrong> {
    let parts: bcrypt::HashParts = hash.parse().map_err(|_| cut_short())?;
    // Behind `$2y$10$`: 16 bytes of salt, 23 of digest.
    let decoded = |text: Option<&str>| text.and_then(|text| bcrypt::BASE_64.decode(text).ok());
    let (salt, digest) = (decoded(hash.get(7..29)), decoded(hash.get(29..)));
    if hash.len() != 60
        || salt.is_none()
        || digest.is_none()
        || !(4..=31).contains(&parts.get_cost())
    {
        return Err(cut_short());
    }
    if parts.get_cost() > BCRYPT_COST_MAX {
        let what = format!("takes far too long to check, at a cost of {}", parts.get_cost());
        return Err((what, "make it anew with a cost of 10: htpasswd -B -C 10 FILE USER"));
    }
    Ok(Secret::Bcrypt(hash.to_owned()))
}

/// `[rounds=5000$]salt$digest`
fn read_sha_crypt(rest: &str, wide: bool) -> Result<Secret, Wrong> {
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        Some(rest) => {
            let (rounds, rest) = rest.split_once('$').ok_or_else(cut_short)?;
            (rounds.parse().map_err(|_| cut_short())?, rest)
        }
        None => (sha_crypt::ROUNDS_DEFAULT, rest),
    };
    let (salt, digest) = rest.split_once('$').ok_or_else(cut_short)?;
    if rounds > ROUNDS_MAX {
        let what = format!("takes far too long to check, with {rounds} rounds");
        return Err((what, MAKE_ANEW));
    }
    let length = if wide { 86 } else { 43 };
    let fits = rounds >= sha_crypt::ROUNDS_MIN && salt.len() <= 16 && digest.len() == length;
    match fits && md5_crypt::is_digits(digest) {
        true => {
            let (salt, digest) = (salt.to_owned(), digest.to_owned());
            Ok(Secret::ShaCrypt { wide, rounds, salt, digest })
        }
        false => Err(cut_short()),
    }
}

/// The digest, and behind it the salt if there is one.
fn read_sha1(base64: &str, salted: bool) -> Result<Secret, Wrong> {
    let bytes = STANDARD.decode(base64).map_err(|_| cut_short())?;
    let (digest, salt) = bytes.split_first_chunk::<20>().ok_or_else(cut_short)?;
    match salted != salt.is_empty() {
        true => Ok(Secret::Sha1 { digest: *digest, salt: salt.to_vec() }),
        false => Err(cut_short()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `secret`, in every form that is known.
    const FORMS: [&str; 9] = [
        "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
        "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
        "$apr1$Ab./0189$Y1p2aeVqep1OQWYqoVNgc.",
        "$1$Ab./0189$LxMFGIdT1T8fPsVFzw.PN0",
        "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA",
        "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.\
         Pq.H91p5hVO1",
        "$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0\
         DRY/x8v0/crpIjl8NJSAqXV/",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0",
    ];

    #[test]
    fn who_is_not_there_takes_as_long_as_the_slowest() {
        let (quick, slow) = (
            "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
            "$2y$06$abcdefghijklmnopqrstuuxLa0AkDDSrQ9VwNnETzOsObiucpMYgC",
        );
        for text in [format!("a:{quick}\nb:{slow}"), format!("b:{slow}\na:{quick}")] {
            let passwords = Passwords::parse(&text).unwrap();
            assert!(passwords.decoy == passwords.users.get("b").cloned(), "{text}");
        }
    }

    #[test]
    fn every_known_form() {
        for form in FORMS {
            let text = format!("# people\n\nann:{form}:a comment\r\nbob:{}\n", FORMS[3]);
            let passwords = Passwords::parse(&text).expect("understood");
            assert_eq!((passwords.len(), passwords.is_empty()), (2, false));
            assert!(passwords.admit(b"ann:secret"), "{form}");
            assert!(passwords.admit(b"bob:secret"));
            let wrong: [&[u8]; 7] = [
                b"ann:secre",
                b"ann:secret2",
                b"ann:",
                b"ann",
                b"eve:secret",
                b":secret",
                b"\xff:",
            ];
            for wrong in wrong {
                assert!(!passwords.admit(wrong), "{form} {}", wrong.escape_ascii());
            }
        }
    }

    #[test]
    fn passwords_of_any_bytes() {
        let passwords = Passwords::parse(&format!("ann:{}", FORMS[0])).unwrap();
        for length in [0, 1, 71, 72, 73, 200, PASSWORD_MAX, 100_000] {
            for byte in [0, b'x', 0xff] {
                assert!(!passwords.admit(&[b"ann:", &vec![byte; length][..]].concat()));
            }
        }
        let passwords = Passwords::parse("").unwrap();
        assert!(!passwords.admit(b"ann:secret") && !passwords.admit(b":"));
    }

    #[test]
    fn lines_that_say_something_else() {
        let wrong = |line: &str| {
            let faults = Passwords::parse(&format!("# here\n{line}\n")).unwrap_err();
            assert_eq!((faults.len(), faults[0].line), (1, 2), "{line}");
            format!("{}; {}", faults[0].what, faults[0].remedy)
        };
        assert_eq!(wrong("ann"), "the line has no colon; write user:hash, as htpasswd does");
        assert_eq!(wrong(":x"), "the line names no user; write user:hash, as htpasswd does");
        let plain = "the password of `ann` is not hashed, or by a scheme that is not known here; \
                     make it anew: htpasswd -B FILE USER";
        for plain_text in ["secret", "{PLAIN}secret", "$y$j9T$abc$def", "secret secret"] {
            assert_eq!(wrong(&format!("ann:{plain_text}")), plain);
        }
        assert!(wrong("ann:").contains("is empty"));
        assert!(wrong("ann:rqXexS6ZhobKA").contains("DES crypt"));
        assert!(
            wrong("ann:$2y$31$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW")
                .contains("at a cost of 31")
        );
        assert!(
            wrong(&format!("ann:$6$rounds=99999999$s${}", "x".repeat(86)))
                .contains("99999999 rounds")
        );
        for form in FORMS {
            assert!(wrong(&format!("ann:{}", &form[..form.len() - 2])).contains("cut short"));
        }
        for form in ["$apr1$", "$apr1$saltsaltsalt$x", "$2y$", "$6$", "{SHA}", "{SHA}AAAA"] {
            assert!(wrong(&format!("ann:{form}")).contains("cut short"), "{form}");
        }
        let twice = format!("ann:{}\nann:{}", FORMS[2], FORMS[3]);
        assert_eq!(Passwords::parse(&twice).unwrap_err()[0].line, 2);
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let passwords = Passwords::parse(&format!("ann:{}", FORMS[2])).unwrap();
        assert_eq!(format!("{passwords:?}"), "Passwords { users: 1, .. }");
    }
}
