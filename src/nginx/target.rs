//! `proxy_pass`: which servers, and what they are asked for.

use super::scope::Scope;
use super::texts::{self, Piece, is_plain};
use super::tree::{Directive, Word};
use super::work::Work;

/// Where a `proxy_pass` leads.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The name of the upstream in the text that comes out.
    pub upstream: String,
    /// What `$proxy_host` is.
    pub proxy_host: String,
    /// What the servers are asked for.
    pub path: PathSent,
    /// The URL as written, for `proxy_redirect default`; `None`: it had variables.
    pub url: Option<String>,
}

/// What becomes of a request's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PathSent {
    /// It goes on as it came.
    AsCame,
    /// This is put in the place of what the location matched.
    Replaced(String),
    /// It is this, with variables.
    Whole(String),
}

/// Reads a `proxy_pass` in this scope. Complains of what cannot be.
pub(super) fn read(directive: &Directive, scope: &Scope<'_>, work: &Work<'_>) -> Option<Target> {
    let word = directive.arguments.first()?;
    read_word(word, is_plain(&word.text), scope, work)
}

/// Reads the URL of one. `is_fixed`: it had no variables, so that its path replaces another.
pub(super) fn read_word(
    word: &Word,
    is_fixed: bool,
    scope: &Scope<'_>,
    work: &Work<'_>,
) -> Option<Target> {
    let refuse = |what: String, remedy: &str| {
        work.complaints.error(word.place, what, remedy);
        None
    };
    let text = resolved(word, scope);
    let Some(rest) = text.strip_prefix("http://") else {
        if text.starts_with("https://") {
            let what = format!("`{text}`: TLS to servers is not spoken yet");
            return refuse(what, "name a port of theirs that speaks plain HTTP");
        }
        let what = format!("`{}` is not a URL of a server", word.text);
        return refuse(what, "begin with `http://`");
    };
    let (authority, path) = split(rest);
    if !is_plain(authority) {
        let what = format!("`{}`: the server is only known when a request comes", word.text);
        let remedy = "name an upstream; where there are several, choose by a `map` or by `set` in \
                      the server";
        return refuse(what, remedy);
    }
    let upstream = work.upstreams.named_or_implicit(authority, word, work.complaints)?;
    let proxy_host = match authority.strip_prefix("unix:") {
        Some(_) => "localhost".to_owned(),
        // nginx leaves out the port that is HTTP's own.
        None => authority.strip_suffix(":80").unwrap_or(authority).to_owned(),
    };
    let whole = !is_fixed;
    let path = match path {
        "" => PathSent::AsCame,
        path if !whole => PathSent::Replaced(path.to_owned()),
        path => {
            let word = Word { text: path.to_owned(), ..word.clone() };
            PathSent::Whole(work.names.text_with(&word, Some(&proxy_host), work.complaints)?)
        }
    };
    let url = (!whole).then(|| text.clone());
    Some(Target { upstream, proxy_host, path, url })
}

/// Authority and path. With `$request_uri` and the like right behind the name a path begins, and
/// with any variable behind a port.
fn split(rest: &str) -> (&str, &str) {
    if let Some(socket) = rest.strip_prefix("unix:") {
        return match socket.find(':') {
            Some(at) => {
                let (socket, path) = rest.split_at("unix:".len() + at);
                (socket, &path[1..])
            }
            None => (rest, ""),
        };
    }
    let mut at = 0;
    let begins = |piece: &Piece<'_>| {
        let begin = at;
        let (length, is_path) = match piece {
            Piece::Text(text) => (text.len(), false),
            Piece::Dollar => (1, false),
            Piece::Variable(name, written) => {
                let names_path = ["request_uri", "uri", "document_uri"].contains(name);
                (written.len(), names_path || ends_in_port(&rest[..begin]))
            }
        };
        at += length;
        is_path.then_some(begin)
    };
    let variable = texts::pieces(rest).iter().find_map(begins);
    let at = [rest.find('/'), rest.find('?'), variable].into_iter().flatten().min();
    rest.split_at(at.unwrap_or(rest.len()))
}

fn ends_in_port(text: &str) -> bool {
    let host = text.trim_end_matches(|character: char| character.is_ascii_digit());
    host.len() < text.len() && host.ends_with(':')
}

/// Scheme and server of a URL.
pub(super) fn server_of(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let (server, _) = split(&url[start..]);
    &url[..start + server.len()]
}

/// The URL with those variables filled in that a plain `set` of this scope gives their only value:
/// the way to have a name looked up again in nginx.
pub(super) fn resolved(word: &Word, scope: &Scope<'_>) -> String {
    let mut out = String::new();
    for piece in texts::pieces(&word.text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Dollar => out.push('$'),
            Piece::Variable(name, written) => match only_value(name, scope) {
                Some(value) => out.push_str(value),
                None => out.push_str(written),
            },
        }
    }
    out
}

fn only_value<'t>(name: &str, scope: &Scope<'t>) -> Option<&'t str> {
    let (plain, nested) = scope.sets(name);
    match plain.as_slice() {
        [set] if nested == 0 && is_plain(set.argument(1)) => Some(set.argument(1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_an_authority_and_a_path() {
        let table = [
            ("app", ("app", "")),
            ("app/", ("app", "/")),
            ("127.0.0.1:3000/a/b?c", ("127.0.0.1:3000", "/a/b?c")),
            ("app$request_uri", ("app", "$request_uri")),
            ("app/x/$1", ("app", "/x/$1")),
            ("$app/x", ("$app", "/x")),
            ("unix:/run/app.sock", ("unix:/run/app.sock", "")),
            ("unix:/run/app.sock:/x/", ("unix:/run/app.sock", "/x/")),
        ];
        for (text, expected) in table {
            assert_eq!(split(text), expected, "{text}");
        }
    }
}
