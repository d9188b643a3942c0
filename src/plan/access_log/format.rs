//! A line as text and values.

use std::fmt;

use super::Variable;
use crate::plan::template::{TemplateError, split_name};

/// Most request fields that one format names (`$http_NAME`), besides those with variables of their
/// own.
pub const FIELDS_MAX: usize = 16;

/// How values are made harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// As nginx does: `\xHH` for quotes, backslashes and what is no visible ASCII; `-` where there
    /// is no value.
    Default,
    /// What stands inside the quotes of a JSON string; nothing where there is no value.
    Json,
    /// A whole JSON value: a number, a string in quotes, or null.
    JsonValue,
}

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// These bytes.
    Text(String),
    /// This value.
    Variable(Variable),
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat {
    /// Its parts, without the end of the line.
    pub segments: Vec<Segment>,
    /// How values are escaped.
    pub escape: Escape,
    /// The request fields that it names, in lower case.
    pub fields: Vec<String>,
}

/// Why a text is no format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// It names no value at all.
    NoVariable,
    /// A `$` that no name follows.
    NoName,
    /// `${` without `}`.
    Open,
    /// There is no such variable.
    Unknown(String),
    /// More than [`FIELDS_MAX`] request fields.
    TooManyFields,
    /// A character that would break lines apart.
    ControlCharacter,
}

impl From<TemplateError> for FormatError {
    fn from(error: TemplateError) -> FormatError {
        match error {
            TemplateError::NoName => FormatError::NoName,
            TemplateError::Open => FormatError::Open,
            TemplateError::Unknown(name) => FormatError::Unknown(name),
        }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormatError::NoVariable => f.write_str("it names no variable"),
            FormatError::NoName => f.write_str("a `$` has no name behind it"),
            FormatError::Open => f.write_str("a `${` is not closed"),
            FormatError::Unknown(name) => write!(f, "there is no variable `${name}`"),
            FormatError::TooManyFields => {
                write!(f, "it names more than {FIELDS_MAX} request fields")
            }
            FormatError::ControlCharacter => f.write_str("it holds a control character"),
        }
    }
}

/// As nginx's `combined`.
const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
                        $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";

/// One object a line.
const JSON: &str = concat!(
    r#"{"time":$time_iso8601,"client":$remote_addr,"method":$request_method,"host":$host,"#,
    r#""uri":$request_uri,"protocol":$server_protocol,"status":$status,"bytes":$body_bytes_sent,"#,
    r#""request_bytes":$request_body_bytes,"referer":$http_referer,"user_agent":$http_user_agent,"#,
    r#""request_id":$request_id,"route":$route,"upstream":$upstream,"server":$upstream_addr,"#,
    r#""attempts":$attempts,"head":$head_time,"queue":$queue_time,"connect":$connect_time,"#,
    r#""first_byte":$first_byte_time,"body":$body_time,"total":$total_time,"#,
    r#""trace_id":$trace_id,"span_id":$span_id}"#,
);

impl LogFormat {
    /// nginx's `combined`.
    pub fn combined() -> LogFormat {
        LogFormat::built_in(COMBINED, Escape::Default)
    }

    /// One JSON object a line.
    pub fn json() -> LogFormat {
        LogFormat::built_in(JSON, Escape::JsonValue)
    }

    fn built_in(text: &str, escape: Escape) -> LogFormat {
        LogFormat::parse(text, escape).expect("a unit test parses both")
    }

    /// Reads a format: text with `$name` or `${name}` for values.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn parse(text: &str, escape: Escape) -> Result<LogFormat, FormatError> {
        if text.chars().any(char::is_control) {
            return Err(FormatError::ControlCharacter);
        }
        let mut format = LogFormat { segments: Vec::new(), escape, fields: Vec::new() };
        let mut pieces = text.split('$');
        format.text(pieces.next().unwrap_or_default());
        for piece in pieces {
            let (name, rest) = split_name(piece)?;
            let variable = format.variable(name)?;
            format.segments.push(Segment::Variable(variable));
            format.text(rest);
        }
        match format.segments.iter().any(|part| matches!(part, Segment::Variable(_))) {
            true => Ok(format),
            false => Err(FormatError::NoVariable),
        }
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.segments.push(Segment::Text(text.to_owned()));
        }
    }

    fn variable(&mut self, name: &str) -> Result<Variable, FormatError> {
        if let Some(variable) = Variable::named(name) {
            return Ok(variable);
        }
        let unknown = || FormatError::Unknown(name.to_owned());
        let field = name.strip_prefix("http_").filter(|field| !field.is_empty());
        let field = field.ok_or_else(unknown)?.replace('_', "-").to_ascii_lowercase();
        let known = self.fields.iter().position(|known| *known == field);
        let index = match known {
            Some(index) => index,
            None if self.fields.len() == FIELDS_MAX => return Err(FormatError::TooManyFields),
            None => {
                self.fields.push(field);
                self.fields.len() - 1
            }
        };
        u8::try_from(index).map(Variable::Field).map_err(|_| FormatError::TooManyFields)
    }

    /// Whether a line has one of these values.
    pub fn has(&self, variables: &[Variable]) -> bool {
        self.segments.iter().any(|segment| match segment {
            Segment::Text(_) => false,
            Segment::Variable(variable) => variables.contains(variable),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LogFormat, FormatError> {
        LogFormat::parse(text, Escape::Default)
    }

    #[test]
    fn text_and_values_take_turns() {
        let format = parse("[$status]${host}x $http_x_Trace$http_X_TRACE $http_b").unwrap();
        let text = |text: &str| Segment::Text(text.to_owned());
        let value = Segment::Variable;
        assert_eq!(
            format.segments,
            [
                text("["),
                value(Variable::Status),
                text("]"),
                value(Variable::Host),
                text("x "),
                value(Variable::Field(0)),
                value(Variable::Field(0)),
                text(" "),
                value(Variable::Field(1)),
            ]
        );
        assert_eq!(format.fields, ["x-trace", "b"]);
        assert!(format.has(&[Variable::Host]) && !format.has(&[Variable::Route]));
    }

    #[test]
    fn what_is_no_format() {
        let unknown = |name: &str| Err(FormatError::Unknown(name.to_owned()));
        assert_eq!(parse("$stats"), unknown("stats"));
        assert_eq!(parse("${a b}"), unknown("a b"));
        assert_eq!(parse("$http_"), unknown("http_"));
        assert_eq!(parse("a"), Err(FormatError::NoVariable));
        assert_eq!(parse("$status $"), Err(FormatError::NoName));
        assert_eq!(parse("$$status"), Err(FormatError::NoName));
        assert_eq!(parse("${}"), Err(FormatError::NoName));
        assert_eq!(parse("${status"), Err(FormatError::Open));
        assert_eq!(parse("$status\n"), Err(FormatError::ControlCharacter));
        let fields = |count: usize| (0..count).map(|n| format!("$http_f{n}")).collect::<String>();
        assert!(parse(&fields(FIELDS_MAX)).is_ok());
        assert_eq!(parse(&fields(FIELDS_MAX + 1)), Err(FormatError::TooManyFields));
    }

    #[test]
    fn the_built_in_formats_are_formats() {
        assert!(LogFormat::combined().has(&[Variable::TimeLocal]));
        assert!(LogFormat::json().has(&[Variable::TraceId]));
        assert!(Variable::NAMES.iter().all(|name| Variable::named(name).is_some()));
    }
}
