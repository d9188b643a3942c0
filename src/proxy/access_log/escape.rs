//! Makes what clients send harmless: no byte of it can end a line, or the value that it is in.

/// Which bytes a way of escaping lets stand.
const fn plain(json: bool) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        table[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    // Valid in JSON, as it is; UTF-8 is looked at apart.
    table[0x7f] = json;
    table
}

static PLAIN: [bool; 256] = plain(false);
static PLAIN_IN_JSON: [bool; 256] = plain(true);

const UPPER: &[u8; 16] = b"0123456789ABCDEF";
const LOWER: &[u8; 16] = b"0123456789abcdef";

/// As nginx does: `\xHH` for quotes, backslashes and all that is no visible ASCII.
pub fn put_escaped(out: &mut Vec<u8>, mut bytes: &[u8]) {
    while let Some(at) = bytes.iter().position(|byte| !PLAIN[usize::from(*byte)]) {
        let byte = bytes[at];
        out.extend_from_slice(&bytes[..at]);
        out.extend_from_slice(b"\\x");
        put_hex(out, byte, UPPER);
        bytes = &bytes[at + 1..];
    }
    out.extend_from_slice(bytes);
}

/// The inside of a JSON string (RFC 8259 §7). What is no UTF-8 becomes U+FFFD.
pub fn put_json(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.iter().position(|byte| !PLAIN_IN_JSON[usize::from(*byte)]) {
        None => out.extend_from_slice(bytes),
        Some(at) => {
            out.extend_from_slice(&bytes[..at]);
            put_special_json(out, &bytes[at..]);
        }
    }
}

#[cold]
fn put_special_json(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..0x20 => {
                    out.extend_from_slice(b"\\u00");
                    put_hex(out, byte, LOWER);
                }
                _ => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn put_hex(out: &mut Vec<u8>, byte: u8, digits: &[u8; 16]) {
    out.push(digits[usize::from(byte >> 4)]);
    out.push(digits[usize::from(byte & 15)]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        put_escaped(&mut out, bytes);
        String::from_utf8(out).expect("ASCII")
    }

    fn json(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        put_json(&mut out, bytes);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn as_nginx_does() {
        assert_eq!(escaped(b"GET /a?b HTTP/1.1"), "GET /a?b HTTP/1.1");
        assert_eq!(escaped(b"\"\\\n\r\t\0\x1f\x7f\xff"), r"\x22\x5C\x0A\x0D\x09\x00\x1F\x7F\xFF");
        assert_eq!(escaped("ü\"x".as_bytes()), r"\xC3\xBC\x22x");
        assert_eq!(escaped(b""), "");
    }

    #[test]
    fn as_json_does() {
        assert_eq!(json("a ü\u{7f}".as_bytes()), "a ü\u{7f}");
        assert_eq!(json(b"\"\\\n\r\t\0\x1f"), r#"\"\\\n\r\t\u0000\u001f"#);
        assert_eq!(json(b"a\xffb\xc3"), "a\u{fffd}b\u{fffd}");
    }

    proptest! {
        #[test]
        fn nothing_ends_a_line_or_a_string(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = escaped(&bytes);
            prop_assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"'));
            let value: String = serde_json::from_str(&format!("\"{}\"", json(&bytes))).unwrap();
            prop_assert_eq!(value, String::from_utf8_lossy(&bytes));
        }
    }
}
