//! Texts with variables, as written.

use super::fields::Field;
use crate::plan::{Template, TemplateError, Term};

impl Field<'_> {
    /// A text with variables.
    pub fn template(self) -> Option<Template> {
        self.template_of(self.text()?.value)
    }

    /// A part of this value, which is a text with variables.
    pub fn template_of(self, text: &str) -> Option<Template> {
        let names = self.names();
        // Whether there is such a name shows when all has been read.
        let error = match Template::parse(text, |name| Some(names.used(name, self.spot))) {
            Ok(template) => {
                if template.terms().any(|term| matches!(term, Term::Group(_))) {
                    names.ask_for_groups();
                }
                return Some(template);
            }
            Err(error) => error,
        };
        let remedy = match &error {
            TemplateError::Open => "write `${host}`",
            TemplateError::NoName | TemplateError::Unknown(_) => {
                "write the name of a variable, such as `$host`, or `$$` for a dollar"
            }
        };
        self.refuse(format!("`{}` is \"{text}\": {error}", self.key), remedy)
    }
}
