//! Texts with variables, as written.

use super::complaint::suggest;
use super::fields::Field;
use crate::plan::{Template, TemplateError, Term};

impl Field<'_> {
    /// A text with variables.
    pub fn template(self) -> Option<Template> {
        let text = self.text()?.value;
        let error = match Template::parse(text, |_| None) {
            Ok(template) => return Some(template),
            Err(error) => error,
        };
        let remedy = match &error {
            TemplateError::NoName => {
                "write the name of a variable, such as `$host`, or `$$` for a dollar".to_owned()
            }
            TemplateError::Open => "write `${host}`".to_owned(),
            TemplateError::Unknown(name) => {
                suggest(name, Term::NAMES.iter().copied(), "there are, among others,")
            }
        };
        self.refuse(format!("`{}` is \"{text}\": {error}", self.key), remedy)
    }
}
