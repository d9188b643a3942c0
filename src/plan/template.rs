//! Texts with variables: read once, filled in for each request.
//!
//! Names are nginx's, and mean what they mean there; like there, case does not matter.

use std::borrow::Cow;
use std::fmt;

/// Names and values of an enum stay together.
macro_rules! terms {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What of a request stands in a text.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Term {
            $($(#[$doc])* $variant,)*
            /// `$http_NAME`: the request's field of this name, in lower case; of several, all.
            Field(String),
            /// `$sent_http_NAME`, `$upstream_http_NAME`: the answer's field of this name, in lower
            /// case, as it came.
            Sent(String),
            /// `$arg_NAME`: this argument of the query, as sent.
            Argument(String),
            /// `$cookie_NAME`: this cookie.
            Cookie(String),
            /// `$1` to `$9`: what a group of the last expression matched.
            Group(u8),
            /// What the configuration defines, such as a named group of an expression: the
            /// number of the name.
            Named(u32),
        }

        impl Term {
            /// All names but those that begin with `http_`, `sent_http_`, `upstream_http_`, `arg_`
            /// or `cookie_`, the groups, and what the configuration defines itself.
            pub const NAMES: &[&str] = &[$($name,)* "query_string", "document_uri",
                "content_type", "content_length"];

            fn fixed(name: &str) -> Option<Term> {
                match name {
                    $($name => Some(Term::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

terms! {
    /// The host it is for: in lower case, without port; where there is none, `$server_name`.
    Host = "host",
    /// Its path: decoded, resolved, and rewritten as far as it was.
    Uri = "uri",
    /// Its target as it came.
    RequestUri = "request_uri",
    /// Its query, without the question mark.
    Args = "args",
    /// `?` where the query is not empty.
    IsArgs = "is_args",
    /// `http`
    Scheme = "scheme",
    /// `on` behind TLS, else nothing.
    Https = "https",
    /// Its request line.
    Request = "request",
    /// Its method.
    RequestMethod = "request_method",
    /// Its version: `HTTP/1.1`.
    ServerProtocol = "server_protocol",
    /// Whose request it is; behind a trusted proxy, whom that names. `unix:` over a Unix socket.
    RemoteAddr = "remote_addr",
    /// The port of the other end of the connection.
    RemotePort = "remote_port",
    /// Where it came in.
    ServerAddr = "server_addr",
    /// The port of that.
    ServerPort = "server_port",
    /// The first host of its route, as written.
    ServerName = "server_name",
    /// The name of its route's upstream.
    ProxyHost = "proxy_host",
    /// Its X-Forwarded-For with `$remote_addr` behind it.
    ProxyAddXForwardedFor = "proxy_add_x_forwarded_for",
    /// The id that error pages and log lines have.
    RequestId = "request_id",
    /// The status of the answer, once there is one.
    Status = "status",
}

/// What a text is filled in with.
pub trait Scope {
    /// Appends what stands for `term`; nothing where there is no such thing.
    fn put(&self, term: &Term, out: &mut Vec<u8>);
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Term),
}

/// A text with variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// Why a text cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// A `$` that no name follows.
    NoName,
    /// `${` without `}`.
    Open,
    /// There is no such variable.
    Unknown(String),
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TemplateError::NoName => f.write_str("a `$` has no name behind it"),
            TemplateError::Open => f.write_str("a `${` is not closed"),
            TemplateError::Unknown(name) => write!(f, "there is no variable `${name}`"),
        }
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// This text, in which a `$` is one.
    pub fn plain(text: impl Into<String>) -> Template {
        let mut template = Template::default();
        template.push_text(&text.into());
        template
    }

    /// Reads a text: `$name` or `${name}` for values, `$$` for a dollar. `named`: the number of
    /// what the configuration itself defines, by its name in lower case.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(
        text: &str,
        named: impl Fn(&str) -> Option<u32>,
    ) -> Result<Template, TemplateError> {
        let mut template = Template::default();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('$') {
            template.push_text(before);
            if let Some(behind) = behind.strip_prefix('$') {
                template.push_text("$");
                rest = behind;
                continue;
            }
            // As in nginx, a group has one digit: `$10` is `$1` and a zero.
            if let Some(digit @ b'1'..=b'9') = behind.bytes().next() {
                template.pieces.push(Piece::Value(Term::Group(digit - b'0')));
                rest = &behind[1..];
                continue;
            }
            let (name, behind) = split_name(behind)?;
            let term = Term::named(name, &named);
            let term = term.ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
            template.pieces.push(Piece::Value(term));
            rest = behind;
        }
        template.push_text(rest);
        Ok(template)
    }

    fn push_text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(before)) => before.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    /// The whole text, if it has no variables.
    pub fn fixed(&self) -> Option<&str> {
        match &self.pieces[..] {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text between its variables.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Value(_) => None,
        })
    }

    /// Its variables.
    pub fn terms(&self) -> impl Iterator<Item = &Term> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Value(term) => Some(term),
        })
    }

    /// The text for one request; borrowed if it is always the same.
    pub fn fill(&self, scope: &dyn Scope) -> Cow<'_, [u8]> {
        if let Some(text) = self.fixed() {
            return Cow::Borrowed(text.as_bytes());
        }
        let mut out = Vec::new();
        self.put(scope, &mut out);
        Cow::Owned(out)
    }

    /// Appends the text for one request.
    pub fn put(&self, scope: &dyn Scope, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Value(term) => scope.put(term, out),
            }
        }
    }

    /// Appends it for the value of a field: what would end the field becomes a blank (RFC 9110
    /// §5.5). Decoded paths may hold such bytes.
    pub fn put_value(&self, scope: &dyn Scope, out: &mut Vec<u8>) {
        let start = out.len();
        self.put(scope, out);
        let breaks = |byte: u8| byte < b' ' && byte != b'\t' || byte == 0x7F;
        out[start..].iter_mut().filter(|byte| breaks(**byte)).for_each(|byte| *byte = b' ');
    }
}

impl Term {
    fn named(name: &str, named: impl Fn(&str) -> Option<u32>) -> Option<Term> {
        let name = &*name.to_ascii_lowercase();
        let behind = |prefix| name.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        let alias = match name {
            "query_string" => Some(Term::Args),
            "document_uri" => Some(Term::Uri),
            "content_type" => Some(Term::Field("content-type".to_owned())),
            "content_length" => Some(Term::Field("content-length".to_owned())),
            _ => Term::fixed(name),
        };
        if alias.is_some() {
            return alias;
        }
        if let Some(field) = behind("http_") {
            return Some(Term::Field(field.replace('_', "-")));
        }
        if let Some(field) = behind("sent_http_").or_else(|| behind("upstream_http_")) {
            return Some(Term::Sent(field.replace('_', "-")));
        }
        if let Some(argument) = behind("arg_") {
            return Some(Term::Argument(argument.to_owned()));
        }
        if let Some(cookie) = behind("cookie_") {
            return Some(Term::Cookie(cookie.to_owned()));
        }
        named(name).map(Term::Named)
    }

    /// Whether a name is taken: the configuration cannot define it.
    pub fn is_taken(name: &str) -> bool {
        name.starts_with(|c: char| c.is_ascii_digit()) || Term::named(name, |_| None).is_some()
    }
}

/// A name at the beginning of what follows a `$`, and what comes behind it.
pub(super) fn split_name(piece: &str) -> Result<(&str, &str), TemplateError> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let (name, rest) = match piece.strip_prefix('{') {
        Some(inner) => inner.split_once('}').ok_or(TemplateError::Open)?,
        None => piece.split_at(piece.bytes().take_while(|byte| is_part(byte)).count()),
    };
    if name.is_empty() {
        return Err(TemplateError::NoName);
    }
    Ok((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Names;

    impl Scope for Names {
        fn put(&self, term: &Term, out: &mut Vec<u8>) {
            out.extend_from_slice(format!("<{term:?}>").as_bytes());
        }
    }

    fn parse(text: &str) -> Result<Template, TemplateError> {
        Template::parse(text, |name| (name == "mine").then_some(7))
    }

    fn filled(text: &str) -> String {
        String::from_utf8(parse(text).unwrap().fill(&Names).into_owned()).unwrap()
    }

    #[test]
    fn text_and_values_take_turns() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$$5 and $$", "$5 and $"),
            ("https://$host$request_uri", "https://<Host><RequestUri>"),
            ("${HOST}x", "<Host>x"),
            ("$http_X_Real_IP", "<Field(\"x-real-ip\")>"),
            ("$sent_http_X_y", "<Sent(\"x-y\")>"),
            ("$arg_a_b&$cookie_SID", "<Argument(\"a_b\")>&<Cookie(\"sid\")>"),
            ("/new/$1$10", "/new/<Group(1)><Group(1)>0"),
            ("${mine}$Mine.", "<Named(7)><Named(7)>."),
            ("$query_string$is_args", "<Args><IsArgs>"),
            ("$content_type", "<Field(\"content-type\")>"),
        ] {
            assert_eq!(filled(text), expected, "{text}");
        }
    }

    #[test]
    fn what_has_no_variables_is_borrowed() {
        for (text, fixed) in [("", Some("")), ("a$$b", Some("a$b")), ("a$host", None)] {
            let template = parse(text).unwrap();
            assert_eq!(template.fixed(), fixed, "{text}");
            let borrowed = matches!(template.fill(&Names), Cow::Borrowed(_));
            assert_eq!(borrowed, fixed.is_some(), "{text}");
        }
        assert_eq!(Template::plain("$host").fixed(), Some("$host"));
    }

    #[test]
    fn what_cannot_be_read() {
        let unknown = |name: &str| Err(TemplateError::Unknown(name.to_owned()));
        for (text, expected) in [
            ("$hots", unknown("hots")),
            ("$http_", unknown("http_")),
            ("${a b}", unknown("a b")),
            ("$", Err(TemplateError::NoName)),
            ("$$$", Err(TemplateError::NoName)),
            ("${}", Err(TemplateError::NoName)),
            ("$-", Err(TemplateError::NoName)),
            ("$0", unknown("0")),
            ("${host", Err(TemplateError::Open)),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_value_cannot_end_its_field() {
        struct Evil;
        impl Scope for Evil {
            fn put(&self, _: &Term, out: &mut Vec<u8>) {
                out.extend_from_slice(b"a\r\nSet-Cookie: x\0\x7f\tb\xe9");
            }
        }
        let mut out = b"X: \r\n".to_vec();
        parse("-$uri").unwrap().put_value(&Evil, &mut out);
        assert_eq!(out, b"X: \r\n-a  Set-Cookie: x  \tb\xe9");
    }

    #[test]
    fn names_are_taken() {
        assert!(Term::NAMES.iter().all(|name| Term::is_taken(name)));
        assert!(Term::is_taken("Arg_x") && Term::is_taken("1"));
        assert!(!Term::is_taken("mine") && !Term::is_taken("arg_"));
    }

    proptest! {
        /// Doubling the dollars makes any text its own.
        #[test]
        fn any_text_can_be_written(text: String) {
            prop_assert_eq!(filled(&text.replace('$', "$$")), text);
        }
    }
}
