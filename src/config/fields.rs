//! Reading one TOML table: a value asked for by name, everything else complained of.
//!
//! Serde stops at the first error and knows no second one, so tables are walked by hand. A key
//! is known because it was asked for; [`Fields::finish`] complains of the rest.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::complaint::{Complaints, suggest};
use super::names::Names;
use super::quantity;
use super::source::{Located, Spot};

/// Keys of the file's top that are no tables: below a `[table]` they belong to that table, which
/// surprises everyone once.
const TOP_KEYS: [&str; 5] = ["shards", "include", "trusted_proxies", "user", "group"];

/// One table on its way to becoming a type.
pub(super) struct Fields<'a> {
    table: &'a DeTable<'a>,
    /// How complaints speak of it, such as `[[listener]]`.
    title: &'a str,
    /// Where it begins.
    pub spot: Spot,
    complaints: &'a Complaints,
    known: Vec<&'static str>,
    /// Keys that were complained of already.
    refused: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The fields of `table` in file number `spot.file`.
    pub fn new(
        table: &'a DeTable<'a>,
        title: &'a str,
        spot: Spot,
        complaints: &'a Complaints,
    ) -> Fields<'a> {
        Fields { table, title, spot, complaints, known: Vec::new(), refused: Vec::new() }
    }

    /// The value of `key`, if there is one.
    pub fn get(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        let (key, value) = self.table.get_key_value(key)?;
        Some(self.field(key.get_ref(), value))
    }

    /// The value of `key`; a complaint if there is none.
    pub fn require(&mut self, key: &'static str, example: &str) -> Option<Field<'a>> {
        let field = self.get(key);
        if field.is_none() {
            let what = format!("{} has no `{key}`", self.title);
            self.complaints.error(self.spot, what, format!("add {example}"));
        }
        field
    }

    /// Refuses a key that is called otherwise here; says whether it was there.
    pub fn take_renamed(&mut self, key: &'static str, name: &str) -> bool {
        let what = format!("`{key}` is called `{name}` in {}", self.title);
        self.refuse_key(key, what, &format!("did you mean `{name}`?"));
        self.refused.contains(&key)
    }

    /// Complains of the table as a whole.
    pub fn complain(&self, what: impl Into<String>, remedy: impl Into<String>) {
        self.complain_at(self.spot, what, remedy);
    }

    /// Complains of something inside the table.
    pub fn complain_at(&self, spot: Spot, what: impl Into<String>, remedy: impl Into<String>) {
        self.complaints.error(spot, what, remedy);
    }

    /// Every entry, for tables whose keys are free.
    pub fn entries(&self) -> impl Iterator<Item = (Located<&'a str>, Field<'a>)> {
        self.table.iter().map(|(key, value)| {
            let name = Located { value: &**key.get_ref(), spot: self.at(key.span().start) };
            (name, self.field(key.get_ref(), value))
        })
    }

    /// Complains of every key that nobody asked for.
    pub fn finish(self) {
        for (key, _) in self.table {
            let name = &**key.get_ref();
            if self.known.contains(&name) || self.refused.contains(&name) {
                continue;
            }
            let remedy = if TOP_KEYS.contains(&name) {
                "it belongs at the top of the file, above the first table".to_owned()
            } else {
                suggest(name, self.known.iter().copied(), "the keys here are")
            };
            let what = format!("unknown key `{name}` in {}", self.title);
            self.complaints.error(self.at(key.span().start), what, remedy);
        }
    }

    /// Refuses keys that exist, but not here.
    pub fn refuse_misplaced(&mut self, keys: &[&'static str], remedy: &str) {
        for &key in keys {
            self.refuse_key(key, format!("`{key}` cannot be set in {}", self.title), remedy);
        }
    }

    fn refuse_key(&mut self, key: &'static str, what: String, remedy: &str) {
        let Some((found, _)) = self.table.get_key_value(key) else { return };
        self.complaints.error(self.at(found.span().start), what, remedy);
        self.refused.push(key);
    }

    fn at(&self, offset: usize) -> Spot {
        Spot { file: self.spot.file, offset }
    }

    fn field(&self, key: &'a str, value: &'a Spanned<DeValue<'a>>) -> Field<'a> {
        let spot = self.at(value.span().start);
        Field { key, item: false, value: value.get_ref(), spot, complaints: self.complaints }
    }
}

/// One value. Every reader below complains when the value is not what it should be.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    /// The key it was found under; items of a list have their list's.
    pub key: &'a str,
    /// Whether it is an item of a list.
    item: bool,
    value: &'a DeValue<'a>,
    /// Where the value is.
    pub spot: Spot,
    complaints: &'a Complaints,
}

impl<'a> Field<'a> {
    /// Complains of this value.
    pub fn complain(&self, what: impl Into<String>, remedy: impl Into<String>) {
        self.complaints.error(self.spot, what, remedy);
    }

    /// The names that texts use.
    pub fn names(&self) -> &'a Names {
        &self.complaints.names
    }

    /// Complains of this value; always `None`, so that a reader can end with it.
    pub fn refuse<T>(&self, what: impl Into<String>, remedy: impl Into<String>) -> Option<T> {
        self.complain(what, remedy);
        None
    }

    /// The same value, complained of at another place.
    pub fn at(self, spot: Spot) -> Field<'a> {
        Field { spot, ..self }
    }

    /// The value with its place.
    pub fn located<T>(&self, value: T) -> Located<T> {
        Located { value, spot: self.spot }
    }

    /// What `read` makes of the value, with its place.
    pub fn placed<T>(self, read: impl FnOnce(Field<'a>) -> Option<T>) -> Option<Located<T>> {
        read(self).map(|value| self.located(value))
    }

    /// What `read` makes of the value, or `None` for a written "none".
    pub fn or_none<T>(self, read: impl FnOnce(Field<'a>) -> Option<T>) -> Option<Option<T>> {
        match self.as_text() {
            Some("none") => Some(None),
            _ => read(self).map(Some),
        }
    }

    /// A name that other tables may refer to. Names appear in logs, metrics and command lines, so
    /// they are kept plain.
    pub fn name(self) -> Option<Located<String>> {
        let text = self.text()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
            let what = format!("\"{}\" is not a name", text.value);
            return self.refuse(what, "use 1 to 64 letters, digits, hyphens, dots or underscores");
        }
        Some(self.located(text.value.to_owned()))
    }

    /// A string.
    pub fn text(self) -> Option<Located<&'a str>> {
        self.text_or("a string in quotes")
    }

    /// A string; the complaint about anything else asks for `wanted`.
    pub fn text_or(self, wanted: &str) -> Option<Located<&'a str>> {
        match self.value.as_str() {
            Some(text) => Some(self.located(text)),
            None => self.wrong_type(wanted),
        }
    }

    /// A string that is already known to be one; `None` without a complaint otherwise.
    pub fn as_text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// Whether the value is a table.
    pub fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// Whether the value is a whole number.
    pub fn is_whole(&self) -> bool {
        self.value.is_integer()
    }

    /// Whether the value is a list.
    pub fn is_list(&self) -> bool {
        self.value.is_array()
    }

    /// `true` or `false`.
    pub fn flag(self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.wrong_type("true or false"))
    }

    /// A whole number within `range`.
    pub fn whole(self, range: RangeInclusive<u64>) -> Option<u64> {
        let Some(integer) = self.value.as_integer() else {
            return self.wrong_type("a whole number");
        };
        // What does not fit (a minus sign included) is out of any range.
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        number.filter(|number| range.contains(number)).or_else(|| {
            let what = format!("`{}` is {integer}", self.key);
            let remedy = format!("write a number from {} to {}", range.start(), range.end());
            self.refuse(what, remedy)
        })
    }

    /// A whole number within a range that fits 32 bits.
    pub fn whole32(self, range: RangeInclusive<u32>) -> Option<u32> {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        self.whole(range).and_then(|number| u32::try_from(number).ok())
    }

    /// A time within `range`.
    pub fn duration(self, range: RangeInclusive<Duration>) -> Option<Duration> {
        self.quantity(range, &quantity::TIME)
    }

    /// A time within `range`, which may have microseconds.
    pub fn short_duration(self, range: RangeInclusive<Duration>) -> Option<Duration> {
        self.quantity(range, &quantity::SHORT_TIME)
    }

    /// A size within `range`, bytes.
    pub fn size(self, range: RangeInclusive<u64>) -> Option<u64> {
        self.quantity(range, &quantity::SIZE)
    }

    fn quantity<T>(self, range: RangeInclusive<T>, kind: &quantity::Kind<T>) -> Option<T>
    where
        T: PartialOrd + Copy,
    {
        let quantity::Kind { name, units, example, .. } = kind;
        let Some(text) = self.value.as_str() else {
            return self.wrong_type(&format!("a {name} with its unit, such as \"{example}\""));
        };
        let Some(value) = (kind.read)(text) else {
            let meant = (kind.meant)(text);
            let remedy = match meant.filter(|meant| (kind.read)(meant).is_some()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("write a whole number and {units}, such as \"{example}\""),
            };
            return self.refuse(format!("`{text}` is not a {name}"), remedy);
        };
        if range.contains(&value) {
            return Some(value);
        }
        let [least, most] = [range.start(), range.end()].map(|end| (kind.text)(*end));
        let what = format!("`{}` is \"{text}\"", self.key);
        self.refuse(what, format!("write a {name} from {least} to {most}"))
    }

    /// One of a set of words.
    pub fn one_of<T: Copy>(self, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text.value);
        found.map(|(_, value)| *value).or_else(|| {
            let what = format!("unknown `{}` \"{}\"", self.key, text.value);
            let known = words.iter().map(|(word, _)| *word);
            self.refuse(what, suggest(text.value, known, "it may be"))
        })
    }

    /// The items of a list.
    pub fn list(self) -> Vec<Field<'a>> {
        let Some(array) = self.value.as_array() else {
            return self.wrong_type("a list in brackets").unwrap_or_default();
        };
        let item = |item: &'a Spanned<DeValue<'a>>| Field {
            item: true,
            value: item.get_ref(),
            spot: Spot { file: self.spot.file, offset: item.span().start },
            ..self
        };
        array.iter().map(item).collect()
    }

    /// One item, or the items of a list.
    pub fn one_or_list(self) -> Vec<Field<'a>> {
        if self.is_list() { self.list() } else { vec![self] }
    }

    /// A table.
    pub fn table(self, title: &'a str) -> Option<Fields<'a>> {
        if let Some(table) = self.value.as_table() {
            return Some(Fields::new(table, title, self.spot, self.complaints));
        }
        if self.is_list() {
            let what = format!("there is one `{}` only", self.key);
            return self.refuse(what, format!("write it as {title}"));
        }
        self.wrong_type("a table")
    }

    /// The tables of `[[key]]`.
    pub fn tables(self, title: &'a str) -> Vec<Fields<'a>> {
        if self.is_list() {
            return self.list().into_iter().filter_map(|item| item.table(title)).collect();
        }
        let what = format!("`{}` is {}", self.key, kind_of(self.value));
        self.complain(what, format!("there may be several: write it as {title}"));
        // A single table is what was meant; reading it finds the mistakes inside as well.
        self.is_table().then(|| self.table(title)).flatten().into_iter().collect()
    }

    fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        let subject = if self.item { "an item of " } else { "" };
        let what = format!("{subject}`{}` is {}", self.key, kind_of(self.value));
        self.refuse(what, format!("write {wanted}"))
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time of day",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
