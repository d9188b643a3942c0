//! What every part of the translation needs.

use super::Surroundings;
use super::complaint::Complaints;
use super::quantity::{bytes, milliseconds, time_text};
use super::rates::Rates;
use super::scope::Scope;
use super::texts::Names;
use super::toml;
use super::tree::{Directive, Files, Place, Word};
use super::upstream::Upstreams;

/// Nothing waits longer: what is meant to be endless is written as years.
const YEAR: u64 = 365 * 24 * 3_600_000;

/// One translation.
pub(super) struct Work<'t> {
    pub surroundings: &'t Surroundings,
    pub files: &'t Files,
    pub complaints: &'t Complaints,
    pub names: Names,
    pub upstreams: Upstreams<'t>,
    pub rates: Rates<'t>,
    /// The different access logs, as written; the first is the main one.
    pub logs: Vec<String>,
    /// The `http` block alone.
    pub http: Scope<'t>,
}

impl Work<'_> {
    /// `sites/akuma.conf:12`, for comments.
    pub fn origin(&self, place: Place) -> String {
        format!("{}:{}", self.files.name(place), place.line)
    }

    /// Milliseconds that a word says.
    pub fn time(&self, word: &Word) -> Option<u64> {
        let time = milliseconds(&word.text);
        if time.is_none() {
            let what = format!("`{}` is no time", word.text);
            self.complaints.error(word.place, what, "write such as `60s`, `1m30s` or `500ms`");
        }
        time.map(|time| time.min(YEAR))
    }

    /// The time that a directive says in this scope, or what nginx takes without it.
    pub fn time_of(&self, scope: &Scope<'_>, name: &str, default: u64) -> u64 {
        let word = scope.one(name).and_then(|directive| directive.arguments.first());
        word.and_then(|word| self.time(word)).unwrap_or(default)
    }

    /// Bytes that a word says.
    pub fn size(&self, word: &Word) -> Option<u64> {
        let size = bytes(&word.text);
        if size.is_none() {
            let what = format!("`{}` is no size", word.text);
            self.complaints.error(word.place, what, "write such as `512`, `8k` or `1m`");
        }
        size
    }

    /// Complains of a value that is not honoured.
    pub fn refuse(&self, directive: &Directive, why: &str, instead: &str) {
        let values: Vec<&str> = directive.arguments.iter().map(|word| word.text.as_str()).collect();
        let said = format!("{} {}", directive.name.text, values.join(" "));
        let what = format!("`{}` is not honoured: {why}", said.trim());
        self.complaints.error(directive.place(), what, instead);
    }

    /// `retry` of what leads to this upstream, as `proxy_next_upstream` and its tries and timeout
    /// say in this scope.
    pub fn retry(&self, scope: &Scope<'_>, upstream: &str) -> Vec<(String, String)> {
        let servers = self.upstreams.servers(upstream);
        let asked: u64 = scope.value("proxy_next_upstream_tries").parse().unwrap_or(0);
        let all = if servers > 1 { servers.clamp(2, 8) as u64 } else { 1 };
        let mut tries = if asked == 0 { all } else { asked.min(all) };
        let (mut on, mut non_idempotent) = (Vec::new(), false);
        let said = scope.one("proxy_next_upstream");
        let words = said.map(|line| line.arguments.as_slice()).unwrap_or_default();
        for word in words {
            match word.text.as_str() {
                "error" => on.push("\"closed\"".to_owned()),
                "timeout" => on.push("\"timeout\"".to_owned()),
                "non_idempotent" => non_idempotent = true,
                "off" => tries = 1,
                "invalid_header" => {
                    let what = "`invalid_header` has no effect";
                    let why = "an answer that makes no sense is a 502, and is not asked for again";
                    self.complaints.note(word.place, what, why);
                }
                text => match text.strip_prefix("http_").and_then(|code| code.parse().ok()) {
                    Some(code @ (403 | 404 | 429 | 500 | 502 | 503 | 504)) => {
                        on.push(u16::to_string(&code));
                    }
                    _ => {
                        let what = format!("`{text}` is not known to `proxy_next_upstream`");
                        let remedy = "write error, timeout, http_500, …, non_idempotent or off";
                        self.complaints.error(word.place, what, remedy);
                    }
                },
            }
        }
        if words.is_empty() {
            on = vec!["\"closed\"".to_owned(), "\"timeout\"".to_owned()];
        }
        let within = self.time_of(scope, "proxy_next_upstream_timeout", 0);
        if within > 0 && within <= self.time_of(scope, "proxy_read_timeout", 60_000) {
            // Once a server has had all of its time, none is left for another.
            on.retain(|what| what != "\"timeout\"");
        }
        let mut pairs = vec![("tries".to_owned(), tries.to_string())];
        if tries == 1 {
            return pairs;
        }
        if !on.is_empty() {
            pairs.push(("on".to_owned(), format!("[{}]", on.join(", "))));
            if non_idempotent {
                pairs.push(("non_idempotent".to_owned(), "true".to_owned()));
            }
        }
        if within > 0 {
            pairs.push(("timeout".to_owned(), toml::text(&time_text(within))));
        }
        pairs
    }
}
