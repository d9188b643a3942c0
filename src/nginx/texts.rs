//! Texts with variables, and expressions.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::complaint::{Complaints, nearest};
use super::tree::{Directive, Word};

pub(super) use super::pattern::{expression, expression_on, expression_on_host};

/// Variables that a request has here as it has in nginx.
pub(super) const VARIABLES: [&str; 24] = [
    "host",
    "uri",
    "document_uri",
    "request_uri",
    "args",
    "query_string",
    "is_args",
    "scheme",
    "https",
    "request",
    "request_method",
    "server_protocol",
    "remote_addr",
    "remote_port",
    "server_addr",
    "server_port",
    "server_name",
    "proxy_host",
    "proxy_add_x_forwarded_for",
    "request_id",
    "status",
    "content_type",
    "content_length",
    "hostname",
];

/// The beginnings of names that stand for a field, an argument or a cookie.
const FAMILIES: [&str; 5] = ["http_", "sent_http_", "upstream_http_", "arg_", "cookie_"];

/// Whether a variable is of one of the families.
pub(super) fn is_family(name: &str) -> bool {
    FAMILIES.iter().any(|family| name.len() > family.len() && name.starts_with(family))
}

/// Names that the configuration defines itself, in lower case.
#[derive(Debug, Default)]
pub(super) struct Names {
    defined: BTreeSet<String>,
    /// What `$server_name` is in the server that is being translated.
    server: RefCell<Option<String>>,
    /// Where files are in the block that is being read.
    folder: RefCell<Folder>,
}

/// Where files are.
#[derive(Clone, Debug, Default)]
pub(super) enum Folder {
    #[default]
    Unknown,
    /// The whole path leads on from here.
    Root(String),
    /// This stands for what the location matches.
    Alias(String),
}

impl Names {
    /// What is read from now on belongs to a block with its files here.
    pub fn stand_in(&self, folder: Folder) {
        self.folder.replace(folder);
    }

    /// Those of `map`, `set` and of groups in expressions, wherever they stand.
    pub fn of(directives: &[Directive]) -> Names {
        let mut names = Names::default();
        names.collect(directives);
        names
    }

    /// A server is translated, whose first name is this.
    pub fn enter(&self, server: String) {
        self.server.replace(Some(server));
    }

    /// The server is done.
    pub fn leave(&self) {
        self.server.replace(None);
    }

    fn collect(&mut self, directives: &[Directive]) {
        for directive in directives {
            let name = match directive.name.text.as_str() {
                "set" => directive.argument(0),
                "map" => directive.argument(1),
                _ => "",
            };
            if let Some(name) = name.strip_prefix('$') {
                self.defined.insert(name.to_ascii_lowercase());
            }
            if matches!(directive.name.text.as_str(), "server_name" | "location" | "rewrite" | "if")
            {
                for word in &directive.arguments {
                    self.defined.extend(group_names(&word.text));
                }
            }
            self.collect(directive.children());
        }
    }

    /// The text of a word with variables, as Corelane takes it. Complains of variables that it does
    /// not know.
    pub fn text(&self, word: &Word, complaints: &Complaints) -> Option<String> {
        self.text_with(word, None, complaints)
    }

    /// The same where `$proxy_host` is known.
    pub fn text_with(
        &self,
        word: &Word,
        proxy_host: Option<&str>,
        complaints: &Complaints,
    ) -> Option<String> {
        let mut out = String::new();
        let mut fine = true;
        for piece in pieces(&word.text) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Dollar => {
                    let remedy = "name a variable; a dollar alone cannot be written";
                    complaints.error(word.place, "a `$` has no name behind it", remedy);
                    fine = false;
                }
                Piece::Variable(name, written) => match (name, proxy_host) {
                    ("proxy_host", Some(host)) => out.push_str(host),
                    ("proxy_port", Some(host)) => {
                        out.push_str(host.rsplit_once(':').map_or("80", |(_, port)| port));
                    }
                    ("document_root" | "realpath_root" | "request_filename", _) => {
                        match self.folder_as(name) {
                            Ok(text) => out.push_str(&text),
                            Err(remedy) => {
                                let what = format!("`{written}` is not honoured here");
                                complaints.error(word.place, what, remedy);
                                fine = false;
                            }
                        }
                    }
                    ("hostname", _) => out.push_str(&hostname()),
                    ("nginx_version", _) => out.push_str("1.22.1"),
                    ("server_name", _) if self.server.borrow().is_some() => {
                        let server = self.server.borrow();
                        out.push_str(&server.as_deref().unwrap_or_default().replace('$', "$$"));
                    }
                    _ => {
                        fine &= self.check(name, word, complaints);
                        out.push_str(written);
                    }
                },
            }
        }
        fine.then_some(out)
    }

    /// What a variable about files stands for, or what to write in its place.
    fn folder_as(&self, name: &str) -> Result<String, &'static str> {
        match (&*self.folder.borrow(), name) {
            (Folder::Unknown, _) => Err("say `root` in this block or around it"),
            (Folder::Root(folder), "request_filename") => Ok(format!("{folder}$uri")),
            (Folder::Alias(_), "request_filename") => {
                Err("write the path in place of it, or `root` in place of `alias`")
            }
            (Folder::Root(folder) | Folder::Alias(folder), _) => Ok(folder.clone()),
        }
    }

    fn check(&self, name: &str, word: &Word, complaints: &Complaints) -> bool {
        let name = name.to_ascii_lowercase();
        let is_group = name.len() == 1 && name.bytes().all(|byte| byte.is_ascii_digit());
        if is_group
            || self.defined.contains(&name)
            || VARIABLES.contains(&name.as_str())
            || is_family(&name)
        {
            return true;
        }
        let known = VARIABLES.iter().copied().chain(self.defined.iter().map(String::as_str));
        let (what, remedy) = match (is_nginxs(&name), nearest(&name, known)) {
            (true, _) => (
                format!("the variable `${name}` is not honoured"),
                "remove it, or let the application find out".to_owned(),
            ),
            (false, Some(near)) => {
                (format!("unknown variable `${name}`"), format!("did you mean `${near}`?"))
            }
            (false, None) => {
                (format!("unknown variable `${name}`"), format!("add `set ${name} …;`"))
            }
        };
        complaints.error(word.place, what, remedy);
        false
    }
}

/// Variables of nginx's that are not known here. None of them can be set, but for `$limit_rate`,
/// which is a setting.
pub(super) const NGINXS: [&str; 29] = [
    "binary_remote_addr",
    "body_bytes_sent",
    "bytes_sent",
    "connection",
    "connection_requests",
    "connection_time",
    "content_length",
    "document_root",
    "gzip_ratio",
    "invalid_referer",
    "limit_rate",
    "msec",
    "pid",
    "pipe",
    "proxy_port",
    "realip_remote_addr",
    "realip_remote_port",
    "realpath_root",
    "remote_user",
    "request_body",
    "request_body_file",
    "request_completion",
    "request_filename",
    "request_length",
    "request_time",
    "time_iso8601",
    "time_local",
    "uid_got",
    "uid_set",
];

/// Whether nginx has this variable, which is not known here.
fn is_nginxs(name: &str) -> bool {
    let starts = ["upstream_", "ssl_", "tcpinfo_", "sent_", "proxy_protocol_", "geoip_", "limit_"];
    NGINXS.contains(&name) || starts.iter().any(|start| name.starts_with(start))
}

/// The name of this machine.
pub(super) fn hostname() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().to_ascii_lowercase()
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    /// Its name, and how it was written.
    Variable(&'a str, &'a str),
    /// A `$` without a name.
    Dollar,
}

/// Cuts a text at its variables.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        if at > 0 {
            pieces.push(Piece::Text(&rest[..at]));
        }
        let behind = &rest[at + 1..];
        let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let (name, length) = match behind.as_bytes() {
            [b'1'..=b'9', ..] => (&behind[..1], 1),
            [b'{', inner @ ..] => {
                let end = inner.iter().take_while(|byte| word(byte)).count();
                let closed = inner.get(end) == Some(&b'}');
                if closed { (&behind[1..=end], end + 2) } else { ("", 0) }
            }
            bytes => {
                let end = bytes.iter().take_while(|byte| word(byte)).count();
                (&behind[..end], end)
            }
        };
        pieces.push(match name {
            "" => Piece::Dollar,
            name => Piece::Variable(name, &rest[at..at + 1 + length]),
        });
        rest = &behind[length..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

/// Whether a text has variables.
pub(super) fn is_plain(text: &str) -> bool {
    !text.contains('$')
}

/// The names of groups in an expression, in lower case.
fn group_names(expression: &str) -> impl Iterator<Item = String> + '_ {
    expression.match_indices("(?").filter_map(|(at, _)| {
        let rest = expression[at + 2..].trim_start_matches('P');
        let rest = rest.strip_prefix(['<', '\''])?;
        let end = rest.find(['>', '\''])?;
        let name = &rest[..end];
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        (!name.is_empty() && name.bytes().all(plain)).then(|| name.to_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_their_variables() {
        use Piece::{Dollar, Text, Variable};
        let table: [(&str, &[Piece<'_>]); 7] = [
            ("a", &[Text("a")]),
            ("$host", &[Variable("host", "$host")]),
            ("a${host}b", &[Text("a"), Variable("host", "${host}"), Text("b")]),
            ("$10", &[Variable("1", "$1"), Text("0")]),
            (
                "/$1/$x-y",
                &[Text("/"), Variable("1", "$1"), Text("/"), Variable("x", "$x"), Text("-y")],
            ),
            ("a$", &[Text("a"), Dollar]),
            ("${a", &[Dollar, Text("{a")]),
        ];
        for (text, expected) in table {
            assert_eq!(pieces(text), expected, "{text}");
        }
    }

    #[test]
    fn groups_have_names() {
        let names: Vec<String> =
            group_names(r"^(?<sub>.+)\.(?P<top>x)(?'Third'y)(?:z)(?i)").collect();
        assert_eq!(names, ["sub", "top", "third"]);
    }
}
