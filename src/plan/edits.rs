//! Changes to the fields of a head, some of which differ from request to request.

use super::template::{Scope, Template};
use crate::http1::FieldEdits;

/// `request_fields` or `response_fields`.
#[derive(Clone, Debug, Default)]
pub struct EditsPlan {
    /// All of them; the values of `made` are empty. Those of `add_ok` come last in `add`.
    edits: FieldEdits,
    /// Those for responses to which `add_ok` adds nothing, where there are others.
    without_ok: Option<FieldEdits>,
    made: Vec<Made>,
}

/// Whether `add_ok` is for responses with this status: nginx's list for `add_header`.
pub fn is_ok(status: u16) -> bool {
    matches!(status, 200 | 201 | 204 | 206 | 301 | 302 | 303 | 304 | 307 | 308)
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
    /// removes such a field, and `add` adds none. `add_ok`: added where the status [`is_ok`].
    pub fn new(
        remove: Vec<String>,
        set: Vec<(String, Template)>,
        add: Vec<(String, Template)>,
        add_ok: Vec<(String, Template)>,
    ) -> EditsPlan {
        let is_empty = |(_, value): &(String, Template)| value.fixed() == Some("");
        let (none, set): (Vec<_>, Vec<_>) = set.into_iter().partition(is_empty);
        let mut add: Vec<_> = add.into_iter().filter(|pair| !is_empty(pair)).collect();
        let always = add.len();
        add.extend(add_ok.into_iter().filter(|pair| !is_empty(pair)));
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
        let without_ok = (edits.add.len() > always).then(|| {
            let add = edits.add[..always].to_vec();
            FieldEdits { add, ..edits.clone() }
        });
        EditsPlan { edits, without_ok, made }
    }

    /// Whether the edits are the same for all requests that are answered with the same status.
    pub fn is_fixed(&self) -> bool {
        self.made.is_empty()
    }

    /// The edits of a message, where they are the same for all requests. `status`: of a response.
    pub fn fixed(&self, status: Option<u16>) -> Option<&FieldEdits> {
        self.made.is_empty().then(|| self.of_status(status))
    }

    /// The edits of a response with this status, so far as they are the same for all requests.
    pub fn without_request(&self, status: u16) -> FieldEdits {
        let mut edits = self.of_status(Some(status)).clone();
        // Of a value that is made there is none yet.
        edits.set.retain(|(_, value)| !value.is_empty());
        edits.add.retain(|(_, value)| !value.is_empty());
        edits
    }

    fn of_status(&self, status: Option<u16>) -> &FieldEdits {
        match (&self.without_ok, status) {
            (Some(edits), Some(status)) if !is_ok(status) => edits,
            _ => &self.edits,
        }
    }

    /// The edits for one request. What comes out empty is not written either, as in nginx.
    pub fn make(&self, scope: &dyn Scope, status: Option<u16>) -> FieldEdits {
        let mut edits = self.of_status(status).clone();
        let mut value = Vec::new();
        // From the end, so that what is left out moves nothing that is still to come.
        for made in self.made.iter().rev() {
            value.clear();
            made.value.put_value(scope, &mut value);
            let list = if made.adds { &mut edits.add } else { &mut edits.set };
            if made.index >= list.len() {
                // It is not for this status.
                continue;
            }
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
        let plan = EditsPlan::new(vec!["x".into()], set, add, Vec::new());
        let edits = plan.fixed(None).expect("fixed");
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
        let add = pairs(&[("e", "$args"), ("f", "<$host>")]);
        let plan = EditsPlan::new(Vec::new(), set, add, Vec::new());
        assert!(!plan.is_fixed());
        let edits = plan.make(&Host("h"), None);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(edits.set, [pair("b", "1"), pair("c", "h")]);
        assert_eq!(edits.add, [pair("f", "<h>")]);
        assert_eq!(edits.remove, ["d", "a"]);
    }

    #[test]
    fn some_are_added_to_what_went_well() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let ok = pairs(&[("b", "2")]);
        let plan = EditsPlan::new(Vec::new(), Vec::new(), pairs(&[("a", "1")]), ok);
        for (status, expected) in [(Some(304), 2), (Some(200), 2), (Some(404), 1), (Some(202), 1)] {
            assert_eq!(plan.fixed(status).expect("fixed").add.len(), expected, "{status:?}");
        }
        let ok = pairs(&[("b", "2"), ("c", "$host"), ("d", "$args")]);
        let plan = EditsPlan::new(Vec::new(), Vec::new(), pairs(&[("a", "$host")]), ok);
        let made = |status| plan.make(&Host("h"), Some(status)).add;
        assert_eq!(made(200), [pair("a", "h"), pair("b", "2"), pair("c", "h")]);
        assert_eq!(made(500), [pair("a", "h")]);
    }
}
