//! `ip`, `field:NAME` and the like as written: what tells requests apart.

use crate::config::complaint::suggest;
use crate::config::edits::is_token;
use crate::config::fields::Field;
use crate::plan::ValueOf;

/// One of two `words`, or what `of` makes of `field:NAME` and `cookie:NAME`.
pub(super) fn read<T>(
    field: Field<'_>,
    words: [(&'static str, T); 2],
    of: impl FnOnce(ValueOf) -> T,
) -> Option<T> {
    let text = field.text()?.value;
    let (kind, name) = match text.split_once(':') {
        Some((kind, name)) => (kind, Some(name)),
        None => (text, None),
    };
    match (kind, name.filter(|name| is_token(name))) {
        ("field", Some(name)) => Some(of(ValueOf::Field(name.to_ascii_lowercase()))),
        ("cookie", Some(name)) => Some(of(ValueOf::Cookie(name.to_owned()))),
        ("field" | "cookie", None) => {
            let what = format!("`{}` is \"{text}\", without a valid name", field.key);
            field.refuse(what, format!("write \"{kind}:NAME\""))
        }
        _ => {
            let known = [words[0].0, words[1].0, "field:NAME", "cookie:NAME"];
            let found = words.into_iter().find(|(word, _)| *word == text);
            found.map(|(_, key)| key).or_else(|| {
                let what = format!("unknown `{}` \"{text}\"", field.key);
                field.refuse(what, suggest(text, known, "it may be"))
            })
        }
    }
}
