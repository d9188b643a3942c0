//! `[access_log]` as written.

use std::path::{Path, PathBuf};

use crate::config::complaint::{nearest, suggest};
use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::plan::{
    AccessLogPlan, Escape, FIELDS_MAX, FormatError, LogFormat, LogTarget, Sample, Variable,
};

/// `[access_log]`.
#[derive(Debug)]
pub(in crate::config) struct AccessLogTable {
    pub format: Option<LogFormat>,
    pub to: Option<LogTarget>,
    pub more: Vec<(Located<String>, LogTarget)>,
    pub sample: Option<Sample>,
    pub buffer: Option<u64>,
}

impl AccessLogTable {
    pub(in crate::config) fn read(mut fields: Fields<'_>) -> AccessLogTable {
        let escape = fields.get("escape").and_then(|field| {
            let words = [("default", Escape::Default), ("json", Escape::Json)];
            Some(field.located(field.one_of(&words)?))
        });
        let table = AccessLogTable {
            format: fields.get("format").and_then(|field| read_format(field, escape.as_ref())),
            to: fields.require("to", "to = \"/var/log/corelane/access.log\"").and_then(read_target),
            more: fields.get("more").and_then(read_more).unwrap_or_default(),
            sample: fields.get("sample").and_then(read_sample),
            buffer: fields.get("buffer").and_then(|field| field.size(4 << 10..=16 << 20)),
        };
        if let (Some(escape), None) = (&escape, fields.get("format")) {
            let remedy = "remove it, or write a `format` of your own";
            fields.complain_at(escape.spot, "`escape` has no effect without a `format`", remedy);
        }
        fields.finish();
        table
    }

    /// Whether a log has this name.
    pub fn has(&self, name: &Located<String>) -> bool {
        name.value == AccessLogPlan::MAIN
            || self.more.iter().any(|(known, _)| known.value == name.value)
    }

    /// The plan; the path of a file is relative to `folder`.
    pub fn plan(&self, folder: &Path) -> Option<AccessLogPlan> {
        let found = |target: &LogTarget| match target {
            LogTarget::File(path) => LogTarget::File(folder.join(path)),
            other => other.clone(),
        };
        let to = found(self.to.as_ref()?);
        let more = self.more.iter().map(|(name, target)| (name.value.clone(), found(target)));
        let more = more.collect();
        Some(AccessLogPlan {
            format: self.format.clone().unwrap_or_else(LogFormat::combined),
            to,
            more,
            sample: self.sample.unwrap_or(Sample::ALL),
            buffer: self.buffer.map_or(AccessLogPlan::BUFFER, |bytes| bytes as usize),
        })
    }
}

/// The names of the formats that need not be written.
const BUILT_IN: [&str; 2] = ["combined", "json"];

fn read_format(field: Field<'_>, escape: Option<&Located<Escape>>) -> Option<LogFormat> {
    let text = field.text()?.value;
    let built_in = match text {
        "combined" => Some(LogFormat::combined()),
        "json" => Some(LogFormat::json()),
        _ => None,
    };
    if let (Some(_), Some(escape)) = (&built_in, escape) {
        let what = format!("`escape` has no effect on the format \"{text}\"");
        field.at(escape.spot).complain(what, "remove it, or write a `format` of your own");
    }
    if built_in.is_some() {
        return built_in;
    }
    let escape = escape.map_or(Escape::Default, |escape| escape.value);
    LogFormat::parse(text, escape).map_or_else(
        |error| field.refuse(format!("`format` is \"{text}\": {error}"), remedy(text, &error)),
        Some,
    )
}

fn remedy(text: &str, error: &FormatError) -> String {
    match error {
        FormatError::NoVariable => match nearest(text, &BUILT_IN) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => {
                "write \"combined\", \"json\", or a text such as \"$remote_addr $status\"".into()
            }
        },
        FormatError::NoName => "write the name of a variable, such as `$status`".into(),
        FormatError::Open => "write `${status}`".into(),
        FormatError::Unknown(name) => suggest(name, Variable::NAMES.iter().copied(), "there are"),
        FormatError::TooManyFields => format!("name {FIELDS_MAX} at most"),
        FormatError::ControlCharacter => "leave it out; each line is ended anyway".into(),
    }
}

/// `stdout`, `syslog`, `syslog:unix:/path`, or the path of a file.
fn read_target(field: Field<'_>) -> Option<LogTarget> {
    let text = field.text()?.value;
    let words = ["stdout", "syslog"];
    match text {
        "" => field.refuse("`to` is empty", "write the path of a file, \"stdout\" or \"syslog\""),
        "stdout" => Some(LogTarget::Stdout),
        "syslog" => Some(LogTarget::Syslog(PathBuf::from(LogTarget::DEV_LOG))),
        _ => match text.strip_prefix("syslog:") {
            Some(socket) => match socket.strip_prefix("unix:").filter(|path| !path.is_empty()) {
                Some(path) => Some(LogTarget::Syslog(PathBuf::from(path))),
                None => field.refuse(
                    format!("`to` is \"{text}\": only a local socket is known"),
                    "write \"syslog:unix:/dev/log\"; a local daemon can pass lines on",
                ),
            },
            None if !text.contains(['/', '.']) && nearest(text, &words).is_some() => field.refuse(
                format!("`to` is \"{text}\""),
                format!(
                    "{} For a file of that name write \"./{text}\"",
                    suggest(text, words, "it may be")
                ),
            ),
            None => Some(LogTarget::File(PathBuf::from(text))),
        },
    }
}

/// `more`: names and targets.
fn read_more(field: Field<'_>) -> Option<Vec<(Located<String>, LogTarget)>> {
    let table = field.table("names and targets")?;
    let read = |(name, field): (Located<&str>, Field<'_>)| {
        if name.value == AccessLogPlan::MAIN {
            return field.at(name.spot).refuse("`main` is what `to` says", "choose another name");
        }
        Some((Located { value: name.value.to_owned(), spot: name.spot }, read_target(field)?))
    };
    Some(table.entries().filter_map(read).collect())
}

/// `access_log` of a route.
#[derive(Debug)]
pub(in crate::config) enum LogsWritten {
    /// Those that all others are in, or none.
    Usual(bool),
    /// These.
    Named(Vec<Located<String>>),
}

pub(super) fn read_logs(field: Field<'_>) -> Option<LogsWritten> {
    if field.as_text().is_none() && !field.is_list() {
        return field.flag().map(LogsWritten::Usual);
    }
    let items = field.one_or_list().into_iter();
    let names = items.filter_map(|item| Some(item.located(item.text()?.value.to_owned())));
    Some(LogsWritten::Named(names.collect()))
}

/// `10%`, `0.5%` or `1 in 20`.
fn read_sample(field: Field<'_>) -> Option<Sample> {
    let text = field.text_or("a share in quotes, such as \"10%\" or \"1 in 20\"")?.value;
    let sample = match (text.strip_suffix('%'), text.strip_prefix("1 in ")) {
        (Some(percent), _) => ten_thousandths(percent).map(Sample::millionths),
        (_, Some(count)) => match count.parse() {
            Ok(count @ 1..=1_000_000) => Some(Sample::one_in(count)),
            _ => None,
        },
        _ => None,
    };
    sample.or_else(|| {
        let remedy = "write a share from \"0%\" to \"100%\", with four decimals at most, or \
                      \"1 in 20\"";
        field.refuse(format!("`sample` is \"{text}\""), remedy)
    })
}

/// A percentage, in ten thousandths of a percent.
fn ten_thousandths(percent: &str) -> Option<u32> {
    let (whole, part) = percent.split_once('.').unwrap_or((percent, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || whole.len() > 3 || part.len() > 4 {
        return None;
    }
    let part = format!("{part:0<4}").parse::<u32>().ok()?;
    let share = whole.parse::<u32>().ok()? * 10_000 + part;
    (share <= 1_000_000).then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        for (text, share) in [
            ("10", Some(100_000)),
            ("0", Some(0)),
            ("100", Some(1_000_000)),
            ("0.5", Some(5_000)),
            ("12.0625", Some(120_625)),
            ("100.0001", None),
            ("1.00001", None),
            ("101", None),
            ("-1", None),
            ("", None),
            ("1.", None),
            (".5", None),
            ("1e2", None),
        ] {
            assert_eq!(ten_thousandths(text), share, "{text}");
        }
    }
}
