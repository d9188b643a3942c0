//! Random messages, built from the parts where attacks live and then damaged, through the
//! differential checks; and every file of the fuzz corpus.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

const REQUEST_LINES: &[&str] = &[
    "GET / HTTP/1.1",
    "POST /a/b?c=d HTTP/1.1",
    "HEAD / HTTP/1.0",
    "OPTIONS * HTTP/1.1",
    "OPTIONS http://b HTTP/1.1",
    "GET http://b:80?q HTTP/1.1",
    "CONNECT b:443 HTTP/1.1",
];

const STATUS_LINES: &[&str] = &[
    "HTTP/1.1 200 OK",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 101 Switching Protocols",
    "HTTP/1.1 426 Upgrade Required",
    "HTTP/1.1 500",
];

const NAMES: &[&str] = &[
    "Host",
    "Connection",
    "Content-Length",
    "Transfer-Encoding",
    "TE",
    "Upgrade",
    "Expect",
    "Keep-Alive",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "Forwarded",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Scheme",
    "X-Forwarded-Server",
    "X-Real-IP",
    "X_Forwarded-For",
    "X-Forwarded_Port",
    "X_Real_IP",
    "Content_Length",
    "X-Request-Id",
    "Proxy-Connection",
    "Proxy-Authorization",
    "Via",
    "Cookie",
    "Max-Forwards",
    "Accept",
    "X-A",
    "x-b",
];

const VALUES: &[&str] = &[
    "",
    "a",
    "a:80",
    "[::1]",
    "5",
    "0",
    "5, 5",
    "chunked",
    "gzip, chunked",
    "close",
    "keep-alive",
    "Upgrade, HTTP2-Settings",
    "websocket",
    "h2c",
    "X-A, x-b, host, cookie",
    "trailers",
    "100-continue",
    "203.0.113.7",
    "\u{e9}",
];

/// Lines that mean something together.
const LINES: &[&str] = &[
    "Connection: close",
    "Connection: keep-alive",
    "Connection: upgrade",
    "Connection: upgrade, x-a",
    "Connection: TE, Upgrade",
    "Upgrade: websocket",
    "Upgrade: h2c, websocket",
    "TE: trailers, deflate",
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "X-Forwarded-For: 203.0.113.7, 203.0.113.8",
    "Max-Forwards: 10",
    "Max-Forwards: 99999999999999999999",
];

const CHUNKS: &[&str] = &[
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    "1\r\nx\r\n",
    "a;b=\"c\"\r\n0123456789\r\n",
    "3 ; x\r\nabc\r\n",
    "0\r\nX-Sum: 1\r\nHost: b\r\n\r\n",
    "ffffffffffffffff\r\n",
];

/// Bytes that end, begin or break something.
const SHARP: &[u8] = b"\r\n\0 \t:;,0aF-_#?/\x7f\x80\xff\x0b";

/// One small damage.
#[derive(Clone, Debug)]
enum Damage {
    Insert(Index, u8),
    Replace(Index, u8),
    Remove(Index),
    Repeat(Index, Index),
    Truncate(Index),
}

impl Damage {
    fn apply(&self, data: &mut Vec<u8>) {
        if data.is_empty() {
            return;
        }
        let len = data.len();
        match self {
            Damage::Insert(at, byte) => data.insert(at.index(len), *byte),
            Damage::Replace(at, byte) => data[at.index(len)] = *byte,
            Damage::Remove(at) => _ = data.remove(at.index(len)),
            Damage::Repeat(from, to) => {
                let (from, to) = (from.index(len), to.index(len));
                data.extend_from_within(from.min(to)..from.max(to));
            }
            Damage::Truncate(at) => data.truncate(at.index(len)),
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = prop_oneof![4 => select(SHARP), 1 => any::<u8>()];
    let insert = (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Damage::Insert(at, byte));
    let replace = (any::<Index>(), byte).prop_map(|(at, byte)| Damage::Replace(at, byte));
    prop_oneof![
        3 => insert,
        3 => replace,
        2 => any::<Index>().prop_map(Damage::Remove),
        1 => any::<(Index, Index)>().prop_map(|(from, to)| Damage::Repeat(from, to)),
        1 => any::<Index>().prop_map(Damage::Truncate),
    ]
}

fn damaged(whole: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (whole, vec(damage(), 0..3)).prop_map(|(mut data, damages)| {
        damages.iter().for_each(|damage| damage.apply(&mut data));
        data
    })
}

/// A head that has a fair chance to be accepted.
fn head(
    start_lines: &'static [&'static str],
    host: &'static str,
) -> impl Strategy<Value = Vec<u8>> {
    let pair = (select(NAMES), select(VALUES), any::<bool>()).prop_map(|(name, value, upper)| {
        let name = if upper { name.to_ascii_uppercase() } else { name.to_owned() };
        format!("{name}: {value}\r\n")
    });
    let field = prop_oneof![pair, select(LINES).prop_map(|line| format!("{line}\r\n"))];
    (select(start_lines), proptest::bool::weighted(0.2), vec(field, 0..6)).prop_map(
        move |(line, hostless, fields)| {
            let host = if hostless { "" } else { host };
            format!("{line}\r\n{host}{}\r\n", fields.concat()).into_bytes()
        },
    )
}

fn chunks() -> impl Strategy<Value = Vec<u8>> {
    vec(select(CHUNKS), 0..5).prop_map(|chunks| format!("{}0\r\n\r\n", chunks.concat()).into())
}

/// Cases are cheap here, and a failure is worth a row in a table rather than a file.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn request_heads(data in damaged(head(REQUEST_LINES, "Host: a\r\n"))) {
        differential::request_head(&data);
    }

    #[test]
    fn response_heads(flags in 0_u8..4, data in damaged(head(STATUS_LINES, ""))) {
        differential::response_head(&[&[flags], &data[..]].concat());
    }

    #[test]
    fn chunked_bodies(seed in any::<u8>(), data in damaged(chunks())) {
        differential::chunked(&[&[seed], &data[..]].concat());
    }

    #[test]
    fn random_bytes(data in vec(any::<u8>(), 0..64)) {
        differential::request_head(&data);
        differential::response_head(&data);
        differential::chunked(&data);
    }

    /// The scanner says the same of any split.
    #[test]
    fn scanner_splits(
        data in damaged(head(REQUEST_LINES, "Host: a\r\n")),
        cuts in vec(any::<Index>(), 0..6),
        bytes in 16_usize..200,
    ) {
        let limits = HeadLimits { bytes, fields: 64 };
        let whole = HeadScanner::new().find_end(&data, &limits);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(data.len());
        let mut scanner = HeadScanner::new();
        let verdicts = cuts.iter().map(|cut| scanner.find_end(&data[..*cut], &limits));
        let split = { verdicts }.find(|verdict| *verdict != Ok(None)).unwrap_or(Ok(None));
        prop_assert_eq!(whole, split);
    }

    #[test]
    fn chunk_sizes(n in any::<u64>(), shift in 0_u32..64) {
        let n = n >> shift;
        let mut out = [0; 18];
        let expected = format!("{n:x}\r\n");
        prop_assert_eq!(write_chunk_size(&mut out, n), expected.as_bytes());
    }
}

/// What the fuzzers found worth keeping stays checked without them.
#[test]
fn fuzz_corpus() {
    replay("request_head", differential::request_head);
    replay("response_head", differential::response_head);
    replay("chunked", differential::chunked);
}

fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(&folder).expect("the corpus is in git");
    let mut count = 0;
    for file in files {
        let path = file.expect("the corpus can be listed").path();
        check(&std::fs::read(path).expect("the corpus can be read"));
        count += 1;
    }
    assert_ne!(count, 0, "{folder} is empty");
}
