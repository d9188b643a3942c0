//! What must be refused, and what looks like it and must not: one row a case, each read whole,
//! byte by byte, and with the next message behind it.

use super::Fault as F;
use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 4096, fields: 64 };

/// Section of the RFC, what is sent, and what comes of it.
type Row<T> = (&'static str, &'static [u8], Result<T, Fault>);

use RequestFraming::{Chunked, Length, None as NoBody};

/// Request heads. Sections without a number in front are of RFC 9112.
const REQUESTS: &[Row<RequestFraming>] = &[
    // Lines and line ends.
    ("2.1", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(NoBody)),
    ("2.2", b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(NoBody)),
    ("2.2", b"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(NoBody)),
    ("2.2", b"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::EmptyLines)),
    ("2.2", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::BareLf)),
    ("2.2", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::BareCr)),
    ("2.2", b"GET / HTTP/1.1\nHost: a\n\n", Err(F::BareLf)),
    ("2.2", b"GET / HTTP/1.1\nHost: a\r\n\r\n", Err(F::BareLf)),
    ("2.2", b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", Err(F::BareLf)),
    ("2.2", b"GET / HTTP/1.1\r\nHost: a\r\n\n", Err(F::BareLf)),
    ("2.2", b"GET / HTTP/1.1\r\nHost: a\n\r\n", Err(F::BareLf)),
    ("2.2", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", Err(F::BareCr)),
    ("2.2", b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", Err(F::BareCr)),
    ("2.2", b"GET / HTTP/1.1\r\nX: a\r\n\rHost: a\r\n\r\n", Err(F::BareCr)),
    ("2.2", b"GET / HTTP/1.1\rHost: a\r\n\r\n", Err(F::BareCr)),
    ("2.2", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", Err(F::Folded)),
    ("9110 5.5", b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", Err(F::Nul)),
    ("9110 5.5", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Err(F::Nul)),
    // Request line.
    ("3", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::RequestLine)),
    ("3", b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::RequestLine)),
    ("3", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Err(F::RequestLine)),
    ("3", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::RequestLine)),
    ("3", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::RequestLine)),
    ("3", b"GET / index HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::RequestLine)),
    ("3", b"GET /\r\nHost: a\r\n\r\n", Err(F::RequestLine)),
    ("3", b"GET\r\n\r\n", Err(F::RequestLine)),
    ("3.1", b"GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Method)),
    ("3.1", b"GET\x7f / HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Method)),
    ("3.1", b"G\xc9T / HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Method)),
    ("3.1", b"M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(NoBody)),
    ("9110 9.1", b"get / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(NoBody)),
    ("2.3", b"GET / http/1.1\r\nHost: a\r\n\r\n", Err(F::RequestLine)),
    ("2.3", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", Err(F::RequestLine)),
    ("2.3", b"GET / HTTP/11\r\nHost: a\r\n\r\n", Err(F::RequestLine)),
    ("2.3", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", Err(F::Version)),
    ("2.3", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", Err(F::Version)),
    ("2.3", b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", Err(F::Version)),
    ("9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Err(F::Version)),
    // Target.
    ("3.2", b"GET /a\x7fb HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Target)),
    ("3.2", b"GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Target)),
    ("3.2", b"GET /\tb HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Target)),
    ("3.2", b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Target)),
    ("3.2", b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Target)),
    ("3.2", b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Target)),
    ("3.2", b"GET index HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Target)),
    ("3.2.1", b"GET /?a=%00&b[]={|}^ HTTP/1.1\r\nHost: a\r\n\r\n", Ok(NoBody)),
    ("3.2.1", b"GET //b/c HTTP/1.1\r\nHost: a\r\n\r\n", Ok(NoBody)),
    ("3.2.2", b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", Ok(NoBody)),
    ("3.2.2", b"GET HTTPS://b?q HTTP/1.1\r\nHost: a\r\n\r\n", Ok(NoBody)),
    ("3.2.2", b"GET http://b/ HTTP/1.1\r\n\r\n", Err(F::HostMissing)),
    ("3.2.2", b"GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Scheme)),
    ("3.2.2", b"GET file:///etc HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Scheme)),
    ("9110 4.2.4", b"GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::UserInfo)),
    ("9110 4.2.1", b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Target)),
    ("9110 4.2.1", b"GET http://b:x/ HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Target)),
    ("9110 4.2.1", b"GET http://b\\c/ HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Target)),
    ("3.2.3", b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Connect)),
    ("3.2.3", b"GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Target)),
    ("3.2.4", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Ok(NoBody)),
    ("3.2.4", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", Err(F::Target)),
    // Host.
    ("3.2", b"GET / HTTP/1.1\r\n\r\n", Err(F::HostMissing)),
    ("3.2", b"GET / HTTP/1.0\r\n\r\n", Ok(NoBody)),
    ("3.2", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", Ok(NoBody)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Err(F::HostRepeated)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", Err(F::HostRepeated)),
    ("3.2", b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", Err(F::HostRepeated)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Err(F::Host)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", Err(F::Host)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Err(F::Host)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", Err(F::Host)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", Err(F::Host)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: \xe9\r\n\r\n", Err(F::Host)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", Err(F::Host)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a:+80\r\n\r\n", Err(F::Host)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", Err(F::Host)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", Err(F::Host)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", Err(F::Host)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: [a.com]\r\n\r\n", Err(F::Host)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", Err(F::Host)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", Ok(NoBody)),
    // Field lines.
    ("5", b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", Err(F::FieldName)),
    ("5", b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", Err(F::FieldName)),
    ("5", b"GET / HTTP/1.1\r\nHost: a\r\nX@: b\r\n\r\n", Err(F::FieldName)),
    ("5", b"GET / HTTP/1.1\r\nHost: a\r\nX\xe9: b\r\n\r\n", Err(F::FieldName)),
    ("5", b"GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n", Err(F::FieldName)),
    ("5.1", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", Err(F::SpaceBeforeColon)),
    (
        "5.1",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n",
        Err(F::SpaceBeforeColon),
    ),
    ("5.2", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", Err(F::Folded)),
    ("5.2", b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\tc\r\n\r\n", Err(F::Folded)),
    ("9110 5.5", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x0bc\r\n\r\n", Err(F::FieldValue)),
    ("9110 5.5", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x7f\r\n\r\n", Err(F::FieldValue)),
    ("9110 5.5", b"GET / HTTP/1.1\r\nHost: a\r\nX: \xff\t \r\nY:\r\n\r\n", Ok(NoBody)),
    // Content-Length.
    ("6.2", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", Ok(Length(5))),
    ("6.2", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Ok(NoBody)),
    ("6.2", b"POST / HTTP/1.1\r\nHost: a\r\ncontent-length:\t05 \r\n\r\n", Ok(Length(5))),
    (
        "6.2",
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n",
        Ok(Length(u64::MAX)),
    ),
    (
        "6.2",
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n",
        Err(F::ContentLength),
    ),
    ("6.3", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", Err(F::ContentLength)),
    ("6.3", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", Err(F::ContentLength)),
    ("6.3", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", Err(F::ContentLength)),
    ("6.3", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5a\r\n\r\n", Err(F::ContentLength)),
    ("6.3", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n", Err(F::ContentLength)),
    ("6.3", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", Err(F::ContentLength)),
    ("6.3", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,\r\n\r\n", Err(F::ContentLength)),
    ("6.3", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\n", Err(F::ContentLength)),
    ("6.3", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \"5\"\r\n\r\n", Err(F::ContentLength)),
    ("6.3", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", Err(F::ContentLength)),
    (
        "6.3",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        Err(F::ContentLengthRepeated),
    ),
    (
        "6.3",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-length: 6\r\n\r\n",
        Err(F::ContentLengthRepeated),
    ),
    // Transfer-Encoding.
    ("6.1", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Ok(Chunked)),
    ("6.1", b"POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:CHUNKED\r\n\r\n", Ok(Chunked)),
    ("6.1", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \tchunked \r\n\r\n", Ok(Chunked)),
    (
        "6.1",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        Err(F::TransferEncoding),
    ),
    (
        "6.1",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        Err(F::TransferEncoding),
    ),
    (
        "6.1",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
        Err(F::TransferEncoding),
    ),
    (
        "6.1",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
        Err(F::TransferEncoding),
    ),
    (
        "6.1",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n",
        Err(F::TransferEncoding),
    ),
    (
        "6.1",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n",
        Err(F::TransferEncoding),
    ),
    (
        "6.1",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n",
        Err(F::TransferEncoding),
    ),
    (
        "6.1",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        Err(F::TransferEncoding),
    ),
    (
        "6.1",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
        Err(F::TransferEncoding),
    ),
    (
        "6.1",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
        Err(F::FieldValue),
    ),
    (
        "6.1",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        Err(F::EncodingOn10),
    ),
    (
        "6.3",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        Err(F::LengthAndEncoding),
    ),
    (
        "6.3",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        Err(F::LengthAndEncoding),
    ),
    // Neither name is the real one, and neither is forwarded.
    ("3875 4.1.18", b"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n", Ok(NoBody)),
    (
        "3875 4.1.18",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n",
        Ok(NoBody),
    ),
    // Expectations.
    (
        "9110 10.1.1",
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\n",
        Ok(Length(1)),
    ),
    ("9110 10.1.1", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", Err(F::Expectation)),
];

use ResponseFraming as R;

/// Answers to GET.
const RESPONSES: &[Row<ResponseFraming>] = &[
    ("6.3", b"HTTP/1.1 200 OK\r\n\r\n", Ok(R::UntilClose)),
    ("6.3", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Ok(R::Length(5))),
    ("6.3", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Ok(R::None)),
    ("6.3", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Ok(R::Chunked)),
    ("6.3", b"HTTP/1.0 200 OK\r\n\r\n", Ok(R::UntilClose)),
    ("6.3", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", Ok(R::None)),
    ("6.3", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", Ok(R::None)),
    ("6.3", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Ok(R::None)),
    ("6.3", b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n", Ok(R::None)),
    ("6.3", b"HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\n", Ok(R::Length(5))),
    ("4", b"HTTP/1.1 200\r\n\r\n", Ok(R::UntilClose)),
    ("4", b"HTTP/1.1 200 \r\n\r\n", Ok(R::UntilClose)),
    ("4", b"HTTP/1.1 200 D\xe9j\xe0 vu\r\n\r\n", Ok(R::UntilClose)),
    ("4", b"HTTP/1.1  200 OK\r\n\r\n", Err(F::StatusLine)),
    ("4", b"HTTP/1.1 20 OK\r\n\r\n", Err(F::StatusLine)),
    ("4", b"HTTP/1.1 2000 OK\r\n\r\n", Err(F::StatusLine)),
    ("4", b"HTTP/1.1 2x0 OK\r\n\r\n", Err(F::StatusLine)),
    ("4", b"HTTP/1.1 -20 OK\r\n\r\n", Err(F::StatusLine)),
    ("4", b"HTTP/1.1\r\n\r\n", Err(F::StatusLine)),
    ("4", b"HTTP/1.1 200 O\x01K\r\n\r\n", Err(F::StatusLine)),
    ("4", b"ICY 200 OK\r\n\r\n", Err(F::StatusLine)),
    ("4", b"http/1.1 200 OK\r\n\r\n", Err(F::StatusLine)),
    ("2.3", b"HTTP/2.0 200 OK\r\n\r\n", Err(F::Version)),
    ("2.3", b"HTTP/1.2 200 OK\r\n\r\n", Err(F::Version)),
    ("9110 15", b"HTTP/1.1 099 Low\r\n\r\n", Err(F::Status)),
    ("9110 15", b"HTTP/1.1 600 High\r\n\r\n", Err(F::Status)),
    ("9110 15", b"HTTP/1.1 599 High\r\nContent-Length: 1\r\n\r\n", Ok(R::Length(1))),
    ("2.2", b"\r\nHTTP/1.1 200 OK\r\n\r\n", Err(F::StatusLine)),
    ("2.2", b"HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\n", Err(F::BareLf)),
    ("2.2", b"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 5\r\n\r\n", Err(F::BareLf)),
    ("2.2", b"HTTP/1.1 200 OK\r\nX: a\rY: b\r\n\r\n", Err(F::BareCr)),
    ("9110 5.5", b"HTTP/1.1 200 OK\r\nX: a\0\r\n\r\n", Err(F::Nul)),
    ("5.1", b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", Err(F::SpaceBeforeColon)),
    ("5.2", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", Err(F::Folded)),
    ("5.2", b"HTTP/1.1 200 OK\r\n X: a\r\n\r\n", Err(F::Folded)),
    ("5", b"HTTP/1.1 200 OK\r\nX\r\n\r\n", Err(F::FieldName)),
    ("6.3", b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", Err(F::ContentLength)),
    ("6.3", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", Err(F::ContentLength)),
    ("6.3", b"HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n", Err(F::ContentLength)),
    (
        "6.3",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        Err(F::ContentLengthRepeated),
    ),
    (
        "6.3",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        Err(F::LengthAndEncoding),
    ),
    ("6.1", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Err(F::TransferEncoding)),
    (
        "6.1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        Err(F::TransferEncoding),
    ),
    ("6.1", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", Err(F::TransferEncoding)),
    ("6.1", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Err(F::EncodingOn10)),
];

/// Chunked bodies: how many bytes of payload.
const BODIES: &[Row<usize>] = &[
    ("7.1", b"0\r\n\r\n", Ok(0)),
    ("7.1", b"5\r\nhello\r\n0\r\n\r\n", Ok(5)),
    ("7.1", b"00000005\r\nhello\r\n000\r\n\r\n", Ok(5)),
    ("7.1", b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", Ok(20)),
    ("7.1", b"\r\nhello\r\n0\r\n\r\n", Err(F::ChunkSize)),
    ("7.1", b"0x5\r\nhello\r\n0\r\n\r\n", Err(F::ChunkSize)),
    ("7.1", b"+5\r\nhello\r\n0\r\n\r\n", Err(F::ChunkSize)),
    ("7.1", b"-5\r\nhello\r\n0\r\n\r\n", Err(F::ChunkSize)),
    ("7.1", b" 5\r\nhello\r\n0\r\n\r\n", Err(F::ChunkSize)),
    ("7.1", b"5_0\r\nhello\r\n0\r\n\r\n", Err(F::ChunkSize)),
    ("7.1", b"g\r\nhello\r\n0\r\n\r\n", Err(F::ChunkSize)),
    ("7.1", b"5\nhello\r\n0\r\n\r\n", Err(F::ChunkSize)),
    ("7.1", b"5\0\r\nhello\r\n0\r\n\r\n", Err(F::ChunkSize)),
    ("7.1", b"5\rhello\r\n0\r\n\r\n", Err(F::ChunkEnd)),
    ("7.1", b"5\r\r\nhello\r\n0\r\n\r\n", Err(F::ChunkEnd)),
    ("7.1", b"5\r\nhello\n0\r\n\r\n", Err(F::ChunkEnd)),
    ("7.1", b"5\r\nhello0\r\n\r\n", Err(F::ChunkEnd)),
    ("7.1", b"5\r\nhello\r0\r\n\r\n", Err(F::ChunkEnd)),
    ("7.1", b"5\r\nhelloXX0\r\n\r\n", Err(F::ChunkEnd)),
    ("7.1", b"10000000000000000\r\n", Err(F::ChunkTooLarge)),
    ("7.1", b"00000000000000005\r\nhello\r\n0\r\n\r\n", Err(F::ChunkTooLarge)),
    ("7.1.1", b"5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n", Ok(5)),
    ("7.1.1", b"5 \t; a=b\r\nhello\r\n0\r\n\r\n", Ok(5)),
    ("7.1.1", b"5 \r\nhello\r\n0\r\n\r\n", Err(F::ChunkExtension)),
    ("7.1.1", b"5 5\r\nhello\r\n0\r\n\r\n", Err(F::ChunkExtension)),
    ("7.1.1", b"5;\nhello\r\n0\r\n\r\n", Err(F::ChunkExtension)),
    ("7.1.1", b"5;a\0\r\nhello\r\n0\r\n\r\n", Err(F::ChunkExtension)),
    ("7.1.1", b"5;a\rX\r\nhello\r\n0\r\n\r\n", Err(F::ChunkEnd)),
    ("7.1.2", b"0\r\nX-Sum: 1\r\nContent-Length: 5\r\n\r\n", Ok(0)),
    ("7.1.2", b"0\n\r\n", Err(F::ChunkSize)),
    ("7.1.2", b"0\r\n\n", Err(F::BareLf)),
    ("7.1.2", b"0\r\nX: a\n\r\n", Err(F::BareLf)),
    ("7.1.2", b"0\r\n\rX", Err(F::BareCr)),
    ("7.1.2", b"0\r\nX: a\rY: b\r\n\r\n", Err(F::BareCr)),
    ("7.1.2", b"0\r\nX: \0\r\n\r\n", Err(F::Nul)),
    ("7.1.2", b"0\r\nX : a\r\n\r\n", Err(F::SpaceBeforeColon)),
    ("7.1.2", b"0\r\nX: a\r\n b\r\n\r\n", Err(F::Folded)),
    ("7.1.2", b"0\r\nGET / HTTP/1.1\r\n\r\n", Err(F::FieldName)),
];

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
    check(REQUESTS, request);
}

#[test]
fn responses() {
    check(RESPONSES, response);
}

#[test]
fn chunked_bodies() {
    check(BODIES, body);
}

/// The reference must say the same of each row, or comparing with it proves nothing.
#[test]
fn reference_agrees() {
    REQUESTS.iter().for_each(|(_, input, _)| differential::request_head(input));
    for (_, input, _) in RESPONSES {
        for flags in 0..4 {
            differential::response_head(&[&[flags], *input].concat());
        }
    }
    for (_, input, _) in BODIES {
        differential::chunked(&[b"\x02", *input].concat());
    }
}

/// No prefix of an accepted row is accepted, and none is refused either.
#[test]
fn prefixes_wait() {
    for (_, input, _) in REQUESTS.iter().filter(|(_, _, expected)| expected.is_ok()) {
        for len in 0..input.len() {
            assert_eq!(HeadScanner::new().find_end(&input[..len], &LIMITS), Ok(None));
        }
    }
}
