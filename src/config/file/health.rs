//! `passive` and `health` of an upstream as written.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::YEAR;
use crate::config::fields::{Field, Fields};
use crate::config::source::{Located, Spot};
use crate::plan::{CheckKind, CheckPlan, HttpCheck, PassivePlan};

/// `passive` of an upstream.
#[derive(Debug, Default)]
pub(in crate::config) struct PassiveTable {
    pub failures: Option<u32>,
    pub window: Option<Duration>,
    pub ejection: Option<Duration>,
    pub max_ejection: Option<Located<Duration>>,
    pub eject_refused: Option<bool>,
}

impl PassiveTable {
    pub(super) fn read(mut fields: Fields<'_>) -> PassiveTable {
        let time = |field: Field<'_>| field.duration(Duration::from_millis(1)..=YEAR);
        let table = PassiveTable {
            failures: fields.get("failures").and_then(|field| field.whole32(1..=1_000)),
            window: fields.get("window").and_then(time),
            ejection: fields.get("ejection").and_then(time),
            max_ejection: fields.get("max_ejection").and_then(|field| field.placed(time)),
            eject_refused: fields.get("eject_refused").and_then(Field::flag),
        };
        fields.finish();
        table
    }

    /// The plan: what is not set is as by default. An ejection that is set longer than the longest
    /// by default is the longest too.
    pub fn plan(&self) -> PassivePlan {
        let default = PassivePlan::default();
        let ejection = self.ejection.unwrap_or(default.ejection);
        let longest = default.max_ejection.max(ejection);
        PassivePlan {
            failures: self.failures.unwrap_or(default.failures),
            window: self.window.unwrap_or(default.window),
            ejection,
            max_ejection: self.max_ejection.as_ref().map_or(longest, |set| set.value),
            eject_refused: self.eject_refused.unwrap_or(default.eject_refused),
        }
    }
}

/// `health` of an upstream.
#[derive(Debug)]
pub(in crate::config) struct HealthTable {
    pub tcp: bool,
    pub http: HttpTable,
    pub interval: Option<Duration>,
    pub jitter_percent: Option<u32>,
    pub timeout: Option<Located<Duration>>,
    pub rise: Option<u32>,
    pub fall: Option<u32>,
}

/// What of it is for HTTP only.
#[derive(Debug, Default)]
pub(in crate::config) struct HttpTable {
    pub method: Option<Located<&'static str>>,
    pub path: Option<Located<String>>,
    pub host: Option<Located<String>>,
    pub status: Option<Located<Vec<RangeInclusive<u16>>>>,
    pub body: Option<Located<String>>,
}

impl HealthTable {
    pub(super) fn read(mut fields: Fields<'_>) -> HealthTable {
        // More often than this is load, not a check.
        let time = |field: Field<'_>| field.duration(Duration::from_millis(10)..=YEAR);
        let kinds = [("http", false), ("tcp", true)];
        let table = HealthTable {
            tcp: fields.get("type").and_then(|field| field.one_of(&kinds)).unwrap_or(false),
            http: HttpTable::read(&mut fields),
            interval: fields.get("interval").and_then(time),
            jitter_percent: fields.get("jitter_percent").and_then(|field| field.whole32(0..=90)),
            timeout: fields.get("timeout").and_then(|field| field.placed(time)),
            rise: fields.get("rise").and_then(|field| field.whole32(1..=1_000)),
            fall: fields.get("fall").and_then(|field| field.whole32(1..=1_000)),
        };
        fields.finish();
        table
    }

    /// From the beginning of one check to that of the next.
    pub fn interval(&self) -> Duration {
        self.interval.unwrap_or(Duration::from_secs(2))
    }

    /// The plan: what is not set is as by default. No check takes longer than the interval.
    pub fn plan(&self) -> CheckPlan {
        let interval = self.interval();
        let timeout = Duration::from_secs(1).min(interval);
        CheckPlan {
            kind: if self.tcp { CheckKind::Tcp } else { CheckKind::Http(self.http.plan()) },
            interval,
            jitter_percent: self.jitter_percent.unwrap_or(10),
            timeout: self.timeout.as_ref().map_or(timeout, |set| set.value),
            rise: self.rise.unwrap_or(2),
            fall: self.fall.unwrap_or(3),
        }
    }
}

impl HttpTable {
    fn read(fields: &mut Fields<'_>) -> HttpTable {
        let methods = HttpCheck::METHODS.map(|method| (method, method));
        let method = |field: Field<'_>| field.placed(|field| field.one_of(&methods));
        HttpTable {
            method: fields.get("method").and_then(method),
            path: fields.get("path").and_then(read_target),
            host: fields.get("host").and_then(read_host),
            status: fields.get("status").and_then(read_statuses),
            body: fields.get("body").and_then(read_wanted),
        }
    }

    /// Every key that is set, and where.
    pub fn keys(&self) -> impl Iterator<Item = (&'static str, Spot)> {
        let keys = [
            ("method", self.method.as_ref().map(|set| set.spot)),
            ("path", self.path.as_ref().map(|set| set.spot)),
            ("host", self.host.as_ref().map(|set| set.spot)),
            ("status", self.status.as_ref().map(|set| set.spot)),
            ("body", self.body.as_ref().map(|set| set.spot)),
        ];
        keys.into_iter().filter_map(|(key, spot)| Some((key, spot?)))
    }

    fn plan(&self) -> HttpCheck {
        let owned = |set: &Option<Located<String>>| set.as_ref().map(|set| set.value.clone());
        let statuses = self.status.as_ref().map(|set| set.value.clone());
        HttpCheck {
            method: self.method.as_ref().map_or(HttpCheck::METHODS[0], |set| set.value),
            path: owned(&self.path).unwrap_or_else(|| "/".to_owned()),
            host: owned(&self.host),
            statuses: statuses.unwrap_or_else(|| vec![200..=399]),
            body: owned(&self.body),
        }
    }
}

fn read_target(field: Field<'_>) -> Option<Located<String>> {
    let text = field.text()?.value;
    if !text.starts_with('/') {
        let what = format!("`path` is \"{text}\": a path begins with `/`");
        return field.refuse(what, format!("did you mean \"/{text}\"?"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        let what = "`path` holds characters that a request's target cannot";
        return field.refuse(what, "write them percent-encoded");
    }
    Some(field.located(text.to_owned()))
}

fn read_host(field: Field<'_>) -> Option<Located<String>> {
    let text = field.text()?.value;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
        let what = format!("`host` is \"{text}\", which is no host");
        return field.refuse(what, "write a name, with a port if need be: \"app.internal\"");
    }
    Some(field.located(text.to_owned()))
}

fn read_wanted(field: Field<'_>) -> Option<Located<String>> {
    let text = field.text()?.value;
    if text.is_empty() {
        return field.refuse("`body` is empty, which every answer has in it", "remove it");
    }
    Some(field.located(text.to_owned()))
}

fn read_statuses(field: Field<'_>) -> Option<Located<Vec<RangeInclusive<u16>>>> {
    let items = field.one_or_list();
    if items.is_empty() && field.is_list() {
        return field.refuse("`status` is empty", "add at least one, such as 200");
    }
    let statuses: Vec<_> = items.iter().filter_map(|item| read_status(*item)).collect();
    Some(field.located(statuses))
}

/// 200, "200" or "200-299".
fn read_status(item: Field<'_>) -> Option<RangeInclusive<u16>> {
    let remedy = "write a status from 200 to 599, or a range such as \"200-299\"";
    if item.is_whole() {
        let status = item.whole32(200..=599)? as u16;
        return Some(status..=status);
    }
    let text = item.text_or("a status such as 200, or a range such as \"200-299\"")?.value;
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let status = |text: &str| text.parse().ok().filter(|status| (200..=599).contains(status));
    match (status(first), status(last)) {
        (Some(first), Some(last)) if first <= last => Some(first..=last),
        _ => {
            let hundred =
                text.strip_suffix("xx").filter(|digit| ["2", "3", "4", "5"].contains(digit));
            let remedy = hundred.map_or(remedy.to_owned(), |digit| {
                format!("did you mean \"{digit}00-{digit}99\"?")
            });
            item.refuse(format!("`{text}` is no range of statuses"), remedy)
        }
    }
}
