//! What must be refused, and what looks like it and must not: one row a case, each read whole,
//! byte by byte, and with the next message behind it.

mod bodies;
mod requests;
mod responses;

use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 4096, fields: 64 };

/// Section of the RFC, what is sent, and what comes of it.
type Row<T> = (&'static str, &'static [u8], Result<T, Fault>);

/// The head's length, having looked at `input` in steps of `step` bytes.
fn find_end(input: &[u8], step: usize) -> Result<usize, Fault> {
    let mut scanner = HeadScanner::new();
    for end in (0..input.len()).step_by(step).chain([input.len()]) {
        if let Some(len) = scanner.find_end(&input[..end], &LIMITS).map_err(|r| r.fault)? {
            return Ok(len);
        }
    }
    panic!("no end in {:?}", input.escape_ascii().to_string());
}

fn request(input: &[u8], step: usize) -> Result<(RequestFraming, usize), Fault> {
    let end = find_end(input, step)?;
    let mut storage = FieldStorage::new();
    let head = parse_request(&input[..end], &mut storage, &LIMITS).map_err(|r| r.fault)?;
    Ok((head.facts.framing, end))
}

fn response(input: &[u8], step: usize) -> Result<(ResponseFraming, usize), Fault> {
    let end = find_end(input, step)?;
    let mut storage = FieldStorage::new();
    let head = parse_response(&input[..end], &mut storage, false, &LIMITS).map_err(|r| r.fault)?;
    Ok((head.facts.framing, end))
}

fn body(input: &[u8], step: usize) -> Result<(usize, usize), Fault> {
    let (payload, end) = differential::decode(input, step)?;
    let (end, _) = end.expect("the row holds a whole body");
    Ok((payload.len(), end))
}

/// Runs each row in each way.
fn check<T: Copy + PartialEq + std::fmt::Debug>(
    rows: &[Row<T>],
    read: impl Fn(&[u8], usize) -> Result<(T, usize), Fault>,
) {
    for (section, input, expected) in rows {
        let row = format!("§{section} {}", input.escape_ascii());
        let expected_end = expected.map(|framing| (framing, whole_len(input, expected.is_ok())));
        for step in [usize::MAX, 1, 2, 7] {
            assert_eq!(read(input, step), expected_end, "{row}, {step} bytes a step");
            let behind = [*input, b"GET /next HTTP/1.1\r\n"].concat();
            assert_eq!(read(&behind, step), expected_end, "{row}, next behind, {step} a step");
        }
    }
}

/// An accepted row is one message and nothing else.
fn whole_len(input: &[u8], accepted: bool) -> usize {
    if accepted { input.len() } else { 0 }
}

#[test]
fn requests() {
    check(requests::ROWS, request);
}

#[test]
fn responses() {
    check(responses::ROWS, response);
}

#[test]
fn chunked_bodies() {
    check(bodies::ROWS, body);
}

/// The reference must say the same of each row, or comparing with it proves nothing.
#[test]
fn reference_agrees() {
    requests::ROWS.iter().for_each(|(_, input, _)| differential::request_head(input));
    for (_, input, _) in responses::ROWS {
        for flags in 0..4 {
            differential::response_head(&[&[flags], *input].concat());
        }
    }
    for (_, input, _) in bodies::ROWS {
        differential::chunked(&[b"\x02", *input].concat());
    }
}

/// No prefix of an accepted row is accepted, and none is refused either.
#[test]
fn prefixes_wait() {
    for (_, input, _) in requests::ROWS.iter().filter(|(_, _, expected)| expected.is_ok()) {
        for len in 0..input.len() {
            assert_eq!(HeadScanner::new().find_end(&input[..len], &LIMITS), Ok(None));
        }
    }
}
