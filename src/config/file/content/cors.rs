//! `cors` as written.

use std::time::Duration;

use super::YEAR;
use crate::config::edits::is_token;
use crate::config::fields::{Field, Fields};
use crate::plan::{CorsPlan, OriginPattern, OriginPatternError, Origins};

/// What pages may do unless it is said: all that applications do.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// Browsers keep it no longer than two hours, whatever it says.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Reads the table; `None` if a part of it that must be there was wrong.
pub(super) fn read(mut fields: Fields<'_>) -> Option<CorsPlan> {
    let origins =
        fields.require("origins", "origins = [\"https://app.example.com\"]").and_then(read_origins);
    let methods = fields.get("methods").map(read_methods);
    let headers = fields.get("headers").map(|field| match field.as_text() {
        Some("*") => None,
        _ => Some(read_names(field)),
    });
    let expose = fields.get("expose").map(|field| match field.as_text() {
        Some("*") => "*".to_owned(),
        _ => read_names(field),
    });
    let credentials = fields.get("credentials").and_then(|field| field.placed(Field::flag));
    let max_age = fields.get("max_age").and_then(|field| field.duration(Duration::ZERO..=YEAR));
    if let (Some(Origins::Any), Some(on)) = (&origins, &credentials)
        && on.value
    {
        let what = "`credentials` with all origins would let every site act as the visitor";
        fields.complain_at(on.spot, what, "list the `origins`, or remove `credentials`");
    }
    if let (Some("*"), Some(on)) = (expose.as_deref(), &credentials)
        && on.value
    {
        let what = "with `credentials`, browsers take the `*` in `expose` for a name";
        fields.complain_at(on.spot, what, "list the fields in `expose`");
    }
    fields.finish();
    Some(CorsPlan {
        origins: origins?,
        methods: methods.unwrap_or_else(|| METHODS.to_owned()),
        headers: headers.flatten(),
        expose: expose.unwrap_or_default(),
        credentials: credentials.is_some_and(|on| on.value),
        max_age: Some(max_age.unwrap_or(MAX_AGE).as_secs()),
    })
}

fn read_origins(field: Field<'_>) -> Option<Origins> {
    if field.as_text() == Some("*") {
        return Some(Origins::Any);
    }
    let items = field.one_or_list();
    if items.is_empty() {
        return field.refuse("`origins` is empty", "name one, or remove `cors`");
    }
    Some(Origins::These(items.into_iter().filter_map(read_origin).collect()))
}

fn read_origin(field: Field<'_>) -> Option<OriginPattern> {
    let text = field.text()?.value;
    let error = match OriginPattern::parse(text) {
        Ok(pattern) => return Some(pattern),
        Err(error) => error,
    };
    let (why, remedy) = match error {
        OriginPatternError::Scheme if text == "*" => {
            ("which stands alone", "write origins = \"*\"".to_owned())
        }
        OriginPatternError::Scheme if text == "null" => {
            ("which any page can make itself", "remove it".to_owned())
        }
        OriginPatternError::Scheme => {
            ("which has no scheme", format!("did you mean \"https://{text}\"?"))
        }
        OriginPatternError::Path(meant) => {
            ("but an origin has no path", format!("did you mean \"{meant}\"?"))
        }
        OriginPatternError::Port(meant) => {
            ("but browsers leave out that port", format!("did you mean \"{meant}\"?"))
        }
        OriginPatternError::Star => {
            ("but a star is a whole label", "write \"https://*.example.com\"".to_owned())
        }
        OriginPatternError::Host => {
            ("which names no host", "write \"https://app.example.com\"".to_owned())
        }
    };
    field.refuse(format!("an item of `origins` is \"{text}\", {why}"), remedy)
}

fn read_methods(field: Field<'_>) -> String {
    let read = |item: Field<'_>| {
        let text = item.text()?.value;
        if !is_token(text) {
            return item.refuse(format!("\"{text}\" is no method"), "write \"GET\" or the like");
        }
        let upper = text.to_ascii_uppercase();
        if upper != text {
            let what = format!("\"{text}\" is no method: they are in capitals");
            return item.refuse(what, format!("did you mean \"{upper}\"?"));
        }
        Some(upper)
    };
    field.one_or_list().into_iter().filter_map(read).collect::<Vec<_>>().join(", ")
}

fn read_names(field: Field<'_>) -> String {
    let read = |item: Field<'_>| {
        let text = item.text()?.value;
        match is_token(text) {
            true => Some(text.to_owned()),
            false => item.refuse(
                format!("`{text}` is not a field name"),
                "use letters, digits and hyphens, as in \"X-Request-Id\"",
            ),
        }
    };
    field.one_or_list().into_iter().filter_map(read).collect::<Vec<_>>().join(", ")
}
