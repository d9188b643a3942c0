//! Changes to the fields of a head, some of which differ from request to request.

use super::template::{Scope, Template};
use crate::http1::FieldEdits;

/// `request_fields` or `response_fields`.
#[derive(Clone, Debug, Default)]
pub struct EditsPlan {
    /// All of them; the values of `made` are empty.
    edits: FieldEdits,
    made: Vec<Made>,
}

/// A value that is made for each request.
#[derive(Clone, Debug)]
struct Made {
    /// In which list, and where.
    adds: bool,
    index: usize,
    value: Template,
}

impl EditsPlan {
    /// Names are in lower case, and values fit a field. One that is empty is not written: `set`
    /// removes such a field, and `add` adds none.
    pub fn new(
        remove: Vec<String>,
        set: Vec<(String, Template)>,
        add: Vec<(String, Template)>,
    ) -> EditsPlan {
        let is_empty = |(_, value): &(String, Template)| value.fixed() == Some("");
        let (none, set): (Vec<_>, Vec<_>) = set.into_iter().partition(is_empty);
        let add = add.into_iter().filter(|pair| !is_empty(pair)).collect();
        let remove = remove.into_iter().chain(none.into_iter().map(|(name, _)| name)).collect();
        let mut made = Vec::new();
        let mut list = |adds: bool, pairs: Vec<(String, Template)>| {
            let value = |(index, (name, value)): (usize, (String, Template))| {
                let fixed = value.fixed().map(str::to_owned);
                let text = fixed.unwrap_or_else(|| {
                    made.push(Made { adds, index, value });
                    String::new()
                });
                (name, text)
            };
            pairs.into_iter().enumerate().map(value).collect()
        };
        let edits = FieldEdits { remove, set: list(false, set), add: list(true, add) };
        EditsPlan { edits, made }
    }

    /// The edits, where they are the same for all requests.
    pub fn fixed(&self) -> Option<&FieldEdits> {
        self.made.is_empty().then_some(&self.edits)
    }

    /// The edits for one request. What comes out empty is not written either, as in nginx.
    pub fn make(&self, scope: &dyn Scope) -> FieldEdits {
        let mut edits = self.edits.clone();
        let mut value = Vec::new();
        // From the end, so that what is left out moves nothing that is still to come.
        for made in self.made.iter().rev() {
            value.clear();
            made.value.put_value(scope, &mut value);
            let list = if made.adds { &mut edits.add } else { &mut edits.set };
            let text = value.trim_ascii();
            if text.is_empty() {
                let (name, _) = list.remove(made.index);
                if !made.adds {
                    edits.remove.push(name);
                }
                continue;
            }
            // Values that are not UTF-8 are long obsolete (RFC 9110 §5.5).
            list[made.index].1 = String::from_utf8_lossy(text).into_owned();
        }
        edits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Term;

    struct Host(&'static str);

    impl Scope for Host {
        fn put(&self, term: &Term, out: &mut Vec<u8>) {
            if *term == Term::Host {
                out.extend_from_slice(self.0.as_bytes());
            }
        }
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, Template)> {
        let read = |text| Template::parse(text, |_| None).unwrap();
        list.iter().map(|&(name, text)| (name.to_owned(), read(text))).collect()
    }

    #[test]
    fn values_without_variables_are_made_once() {
        let (set, add) = (pairs(&[("n", ""), ("a", "$$1")]), pairs(&[("b", "2"), ("m", "")]));
        let plan = EditsPlan::new(vec!["x".into()], set, add);
        let edits = plan.fixed().expect("fixed");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            (&edits.set[..], &edits.add[..]),
            (&[pair("a", "$1")][..], &[pair("b", "2")][..])
        );
        assert_eq!(edits.remove, ["x", "n"]);
    }

    #[test]
    fn what_comes_out_empty_is_left_out() {
        let set = pairs(&[("a", "$args"), ("b", "1"), ("c", "$host"), ("d", "$args")]);
        let plan = EditsPlan::new(Vec::new(), set, pairs(&[("e", "$args"), ("f", "<$host>")]));
        assert!(plan.fixed().is_none());
        let edits = plan.make(&Host("h"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(edits.set, [pair("b", "1"), pair("c", "h")]);
        assert_eq!(edits.add, [pair("f", "<h>")]);
        assert_eq!(edits.remove, ["d", "a"]);
    }
}
