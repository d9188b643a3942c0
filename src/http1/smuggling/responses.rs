//! Answers to GET.

use super::Row;
use crate::http1::{Fault as F, ResponseFraming as R};

pub(super) const ROWS: &[Row<R>] = &[
    ("6.3", b"HTTP/1.1 200 OK\r\n\r\n", Ok(R::UntilClose)),
    (
        "6.3",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        Ok(R::Length(5)),
    ),
    (
        "6.3",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        Ok(R::None),
    ),
    (
        "6.3",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        Ok(R::Chunked),
    ),
    ("6.3", b"HTTP/1.0 200 OK\r\n\r\n", Ok(R::UntilClose)),
    (
        "6.3",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        Ok(R::None),
    ),
    (
        "6.3",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        Ok(R::None),
    ),
    (
        "6.3",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        Ok(R::None),
    ),
    (
        "6.3",
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n",
        Ok(R::None),
    ),
    (
        "6.3",
        b"HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\n",
        Ok(R::Length(5)),
    ),
    ("4", b"HTTP/1.1 200\r\n\r\n", Ok(R::UntilClose)),
    ("4", b"HTTP/1.1 200 \r\n\r\n", Ok(R::UntilClose)),
    (
        "4",
        b"HTTP/1.1 200 D\xe9j\xe0 vu\r\n\r\n",
        Ok(R::UntilClose),
    ),
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
    (
        "9110 15",
        b"HTTP/1.1 599 High\r\nContent-Length: 1\r\n\r\n",
        Ok(R::Length(1)),
    ),
    ("2.2", b"\r\nHTTP/1.1 200 OK\r\n\r\n", Err(F::StatusLine)),
    (
        "2.2",
        b"HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\n",
        Err(F::BareLf),
    ),
    (
        "2.2",
        b"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 5\r\n\r\n",
        Err(F::BareLf),
    ),
    (
        "2.2",
        b"HTTP/1.1 200 OK\r\nX: a\rY: b\r\n\r\n",
        Err(F::BareCr),
    ),
    (
        "9110 5.5",
        b"HTTP/1.1 200 OK\r\nX: a\0\r\n\r\n",
        Err(F::Nul),
    ),
    (
        "5.1",
        b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
        Err(F::SpaceBeforeColon),
    ),
    (
        "5.2",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        Err(F::Folded),
    ),
    ("5.2", b"HTTP/1.1 200 OK\r\n X: a\r\n\r\n", Err(F::Folded)),
    ("5", b"HTTP/1.1 200 OK\r\nX\r\n\r\n", Err(F::FieldName)),
    (
        "6.3",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        Err(F::ContentLength),
    ),
    (
        "6.3",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
        Err(F::ContentLength),
    ),
    (
        "6.3",
        b"HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n",
        Err(F::ContentLength),
    ),
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
    (
        "6.1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        Err(F::TransferEncoding),
    ),
    (
        "6.1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        Err(F::TransferEncoding),
    ),
    (
        "6.1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        Err(F::TransferEncoding),
    ),
    (
        "6.1",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        Err(F::EncodingOn10),
    ),
];
