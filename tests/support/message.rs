//! Heads, requests and responses as the tests see them. None of this is the proxy's own parser.

use super::wire::{End, Framing};

/// Fields in the order of the wire, names as sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Adds the field on `line`; `None` when there is none.
    pub fn push_line(&mut self, line: &[u8]) -> Option<()> {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let latin = |bytes: &[u8]| bytes.iter().map(|&byte| char::from(byte)).collect::<String>();
        let (name, value) = (latin(&line[..colon]), latin(&line[colon + 1..]));
        if name.is_empty() || name.contains([' ', '\t', '\r']) || value.contains('\r') {
            return None;
        }
        self.0.push((name, value.trim_matches([' ', '\t']).to_owned()));
        Some(())
    }

    /// The value of the only field of this name; `None` without one.
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} is repeated: {values:?}");
        values.first().copied()
    }

    /// The values of all fields of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.0.iter().filter(named).map(|field| field.1.as_str()).collect()
    }

    /// Whether the field `name` lists `token`.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        let listed = |value: &&str| value.split(',').any(|t| t.trim().eq_ignore_ascii_case(token));
        self.all(name).iter().any(listed)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &(String, String)> {
        self.0.iter()
    }
}

/// A start line and fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The start line.
    pub start: String,
    /// The fields.
    pub fields: Fields,
}

impl Head {
    /// The nth word of the start line.
    pub fn word(&self, index: usize) -> &str {
        self.start.split(' ').nth(index).unwrap_or_default()
    }

    /// The framing of the body of a request with this head.
    pub fn request_framing(&self) -> Framing {
        match self.framing_fields() {
            Framing::UntilClosed => Framing::None,
            framing => framing,
        }
    }

    /// The framing of the body of a response with this head to a request with this method.
    pub fn response_framing(&self, method: &str) -> Framing {
        match self.word(1) {
            _ if method == "HEAD" => Framing::None,
            "204" | "304" | "101" => Framing::None,
            _ => self.framing_fields(),
        }
    }

    fn framing_fields(&self) -> Framing {
        let length = self.fields.get("content-length");
        match self.fields.get("transfer-encoding") {
            Some(coding) => {
                assert!(coding == "chunked" && length.is_none(), "ambiguous framing: {self:?}");
                Framing::Chunked
            }
            None => length.map_or(Framing::UntilClosed, |length| {
                Framing::Length(length.parse().expect("a number"))
            }),
        }
    }
}

/// A request that an origin received whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Index of the connection it came on.
    pub connection: usize,
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The target as it stood on the wire.
    pub target: String,
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// The fields.
    pub fields: Fields,
    /// How the body was delimited.
    pub framing: Framing,
    /// The body, decoded.
    pub body: Vec<u8>,
    /// Fields after a chunked body.
    pub trailers: Fields,
}

impl Request {
    /// The value of the only field of this name.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }
}

/// A response that a client received, whole or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Interim responses that came before it.
    pub interim: Vec<Head>,
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// The status code.
    pub status: u16,
    /// The fields.
    pub fields: Fields,
    /// How the body was delimited.
    pub framing: Framing,
    /// The body, decoded; what there was of it if the response broke off.
    pub body: Vec<u8>,
    /// Fields after a chunked body.
    pub trailers: Fields,
    /// What ended the response early, if anything did.
    pub broken: Option<End>,
}

impl Response {
    /// A response whose body is still to be read.
    pub fn from_head(head: Head, interim: Vec<Head>, method: &str) -> Response {
        Response {
            interim,
            version: head.word(0).to_owned(),
            status: head.word(1).parse().unwrap_or_else(|_| panic!("no status in {head:?}")),
            framing: head.response_framing(method),
            fields: head.fields,
            body: Vec::new(),
            trailers: Fields::default(),
            broken: None,
        }
    }

    /// The value of the only field of this name.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

/// The bytes of a response with a `Content-Length`.
pub fn response(status: u16, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!("HTTP/1.1 {status} Because\r\n");
    for (name, value) in fields {
        bytes += &format!("{name}: {value}\r\n");
    }
    bytes += &format!("Content-Length: {}\r\n\r\n", body.len());
    [bytes.as_bytes(), body].concat()
}

/// The bytes of a 200 response.
pub fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    response(200, &[], body)
}

/// The bytes of a POST request with a `Content-Length`.
pub fn post(path: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A chunked body of these chunks, with its end.
pub fn chunked(chunks: &[&str]) -> Vec<u8> {
    let mut bytes = String::new();
    for chunk in chunks {
        bytes += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
    }
    (bytes + "0\r\n\r\n").into_bytes()
}
