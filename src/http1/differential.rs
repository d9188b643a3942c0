//! The parsers against the [`reference`](super::reference): same verdict, same reading, same
//! forwarded head, however the bytes are split. One function for each fuzz target; each panics
//! where the two disagree.

use super::reference::{self, Chunked, Request, Response};
use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 16 * 1024, fields: MAX_FIELDS };

const EDITS: &FieldEdits = &FieldEdits { remove: Vec::new(), set: Vec::new(), add: Vec::new() };

/// Checks request heads.
pub fn request_head(data: &[u8]) {
    if data.len() >= LIMITS.bytes {
        return;
    }
    let found = find_end_both_ways(data);
    let expected = Request::of(data);
    let Ok(Some(end)) = found else {
        assert_eq!(expected, None, "the scanner found no end: {found:?}");
        return;
    };
    let mut storage = FieldStorage::new();
    let parsed = parse_request(&data[..end], &mut storage, &LIMITS);
    let Some((head, expected)) = both_accept(parsed, expected) else {
        return;
    };
    assert_eq!(head.len, end);
    assert_eq!(head.version == Version::Http11, expected.minor == 1);
    assert_eq!(head.host, expected.host.as_deref());
    assert_eq!(head.facts, expected.facts);
    let (path, query) = match expected.forwarded_target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*expected.forwarded_target, None),
    };
    assert_eq!((head.path(), head.query()), (path, query));

    for trusted in [false, true] {
        let mut out = Vec::new();
        let plain = RequestRewrite::plain(Some([192, 0, 2, 1].into()), EDITS);
        let how = RequestRewrite { trusted, request_id: Some("id-1"), ..plain };
        write_request(&mut out, &head, &how);
        let forwarded = reference::head(&out, 0).expect("a forwarded head is a head");
        assert_eq!(forwarded.len, out.len());
        let start = [head.method, &expected.forwarded_target, "HTTP/1.1"];
        assert_eq!(forwarded.start, start.map(|part| part.as_bytes().to_vec()));
        assert_eq!(forwarded.fields, expected.forwarded_fields(trusted));
        read_again(&out, &head.facts);
    }
}

/// What both read, unless both refuse it.
fn both_accept<T: std::fmt::Debug, R>(
    parsed: Result<T, Refusal>,
    expected: Option<R>,
) -> Option<(T, R)> {
    match (parsed, expected) {
        (Ok(head), Some(expected)) => Some((head, expected)),
        (Err(_), None) => None,
        (Ok(head), None) => panic!("accepted what the reference refuses: {head:?}"),
        (Err(refusal), Some(_)) => panic!("refused what the reference accepts: {refusal:?}"),
    }
}

/// What is forwarded must mean the same to the next reader of our own kind.
fn read_again(forwarded: &[u8], facts: &RequestFacts) {
    let limits = HeadLimits { bytes: forwarded.len() + 1, fields: MAX_FIELDS };
    let found = HeadScanner::new().find_end(forwarded, &limits);
    assert_eq!(found, Ok(Some(forwarded.len())));
    let mut storage = FieldStorage::new();
    match parse_request(forwarded, &mut storage, &limits) {
        Ok(again) => {
            assert_eq!(RequestFacts { keep_alive: facts.keep_alive, ..again.facts }, *facts)
        }
        Err(refusal) => assert_eq!(refusal.fault, Fault::TooManyFields),
    }
}

/// Checks response heads. The first byte says whether the request was HEAD and what the client
/// speaks.
pub fn response_head(data: &[u8]) {
    let Some((flags, data)) = data.split_first().filter(|_| data.len() < LIMITS.bytes) else {
        return;
    };
    let to_head = flags & 1 == 1;
    let client_version = if flags & 2 == 2 { Version::Http10 } else { Version::Http11 };
    let expected = Response::of(data, to_head);
    let found = find_end_both_ways(data);
    let Ok(Some(end)) = found else {
        assert_eq!(expected, None, "the scanner found no end: {found:?}");
        return;
    };
    let mut storage = FieldStorage::new();
    let parsed = parse_response(&data[..end], &mut storage, to_head, &LIMITS);
    let Some((head, expected)) = both_accept(parsed, expected) else {
        return;
    };
    assert_eq!(head.len, end);
    assert_eq!(head.facts, expected.facts);
    if head.status < 200 {
        return;
    }
    let request = RequestFacts {
        framing: RequestFraming::None,
        keep_alive: true,
        expect_continue: false,
        upgrade: false,
        is_head: to_head,
        idempotent: true,
    };
    let step = Exchange::new(request, client_version, false).response(&head.facts);
    let Ok(ResponseStep::Final { body_out: body, keep_alive, .. }) = step else {
        panic!("a final head is final: {step:?}");
    };
    let mut out = Vec::new();
    write_response(
        &mut out,
        &head,
        &ResponseRewrite { client_version, keep_alive, body, edits: EDITS, set_cookie: None },
    );
    let forwarded = reference::head(&out, 0).expect("a forwarded head is a head");
    assert_eq!(forwarded.fields, expected.forwarded_fields(client_version, body));
    assert_eq!(forwarded.len, out.len());
}

/// Checks chunked bodies. The first byte seeds how the input is split.
pub fn chunked(data: &[u8]) {
    let Some((seed, data)) = data.split_first() else {
        return;
    };
    let expected = reference::chunked(data);
    for piece in [usize::MAX, 1, 1 + usize::from(*seed)] {
        match (decode(data, piece), &expected) {
            (Err(Fault::ChunkExtensionsTooLong | Fault::TrailersTooLarge), _) => {}
            (Err(_), Chunked::Refused) => {}
            (Ok((payload, None)), Chunked::Incomplete(expected)) => assert_eq!(payload, *expected),
            (Ok((payload, Some((end, trailers)))), Chunked::Complete(expected, lines, len)) => {
                assert_eq!((&payload, end), (expected, *len));
                let lines: Vec<u8> = lines
                    .iter()
                    .filter(|line| trailers::passes(line, &[]) == Ok(true))
                    .flat_map(|line| [line, &b"\r\n"[..]].concat())
                    .collect();
                assert_eq!(trailers, lines);
            }
            (got, expected) => panic!("pieces of {piece}: {got:?}, expected {expected:?}"),
        }
    }
}

/// Payload, and if the body is complete, where it ended and its trailers.
type Decoded = (Vec<u8>, Option<(usize, Vec<u8>)>);

/// Feeds at most `piece` new bytes a step; with pieces of two, payload goes round the decoder.
pub(super) fn decode(data: &[u8], piece: usize) -> Result<Decoded, Fault> {
    let mut decoder = ChunkedDecoder::new();
    let (mut at, mut payload) = (0_usize, Vec::new());
    loop {
        let end = at.saturating_add(piece).min(data.len());
        let pending = decoder.pending().min((end - at) as u64) as usize;
        if piece == 2 && pending > 0 {
            decoder.skip(pending as u64);
            payload.extend_from_slice(&data[at..at + pending]);
            at += pending;
            continue;
        }
        match decoder.step(&data[at..end]).map_err(|refusal| refusal.fault)? {
            ChunkStep::NeedMore { consumed } => {
                assert_eq!(at + consumed, end, "framing is consumed whole");
                at = end;
                if at == data.len() {
                    return Ok((payload, None));
                }
            }
            ChunkStep::Payload { skip, len } => {
                assert_ne!(len, 0);
                payload.extend_from_slice(&data[at + skip..at + skip + len]);
                at += skip + len;
            }
            ChunkStep::Done { consumed } => {
                return Ok((payload, Some((at + consumed, decoder.trailers().to_vec()))));
            }
        }
    }
}

/// The scanner's verdict, which must not depend on how the bytes arrive.
fn find_end_both_ways(data: &[u8]) -> Result<Option<usize>, Refusal> {
    let whole = HeadScanner::new().find_end(data, &LIMITS);
    let mut scanner = HeadScanner::new();
    let by_bytes = (0..=data.len())
        .map(|len| scanner.find_end(&data[..len], &LIMITS))
        .find(|verdict| *verdict != Ok(None));
    assert_eq!(whole, by_bytes.unwrap_or(Ok(None)));
    whole
}
