//! What a document asks its reader to do, and what it says comes of that.

use std::collections::BTreeMap;

/// Stands for what differs from one machine, or one time, to another.
const ANYTHING: &str = "…";

/// One thing to do, with the number of its first line.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Write { line: usize, name: String, text: String },
    Run { line: usize, commands: String, fails: bool, expected: Option<Expected> },
}

/// What a reader is told to see.
#[derive(Debug, PartialEq, Eq)]
pub struct Expected {
    pub text: String,
    /// After a while, which the text around it speaks of.
    pub soon: bool,
}

/// A block of code and what its fence says.
struct Block<'a> {
    line: usize,
    words: Vec<&'a str>,
    text: String,
    /// The last paragraph before it.
    above: String,
}

/// The steps of a document, or what in it is no step and looks like one.
pub fn steps(document: &str) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    for Block { line, words, text, above } in blocks(document)? {
        match (words.as_slice(), steps.last_mut()) {
            (["sh"], _) => {
                steps.push(Step::Run { line, commands: text, fails: false, expected: None });
            }
            (["sh", "fails"], _) => {
                steps.push(Step::Run { line, commands: text, fails: true, expected: None });
            }
            (["text"] | ["text", "soon"], Some(Step::Run { expected: expected @ None, .. })) => {
                *expected = Some(Expected { text, soon: words.len() > 1 })
            }
            ([_, name], _) if name.contains('.') => {
                if !above.contains(&format!("`{name}`")) {
                    return Err(format!("line {line}: the paragraph above does not say `{name}`"));
                }
                steps.push(Step::Write { line, name: (*name).to_owned(), text });
            }
            _ => return Err(format!("line {line}: what is a block of {words:?} here?")),
        }
    }
    Ok(steps)
}

fn blocks(document: &str) -> Result<Vec<Block<'_>>, String> {
    let (mut blocks, mut above, mut over) = (Vec::new(), String::new(), true);
    let mut lines = (1..).zip(document.lines());
    while let Some((line, text)) = lines.next() {
        if let Some(info) = text.strip_prefix("```") {
            let words = info.split_whitespace().collect();
            let within: Vec<&str> =
                lines.by_ref().map(|(_, text)| text).take_while(|text| *text != "```").collect();
            let text = within.iter().flat_map(|line| [*line, "\n"]).collect();
            blocks.push(Block { line: line + 1, words, text, above: above.clone() });
            over = true;
        } else if text.starts_with("    ") {
            return Err(format!("line {line}: code without a fence, which nobody runs"));
        } else if text.trim().is_empty() {
            over = true;
        } else {
            if std::mem::take(&mut over) {
                above.clear();
            }
            above.extend([text, "\n"]);
        }
    }
    Ok(blocks)
}

/// The document with other ports: each number of four digits that stands by itself is one.
pub fn with_ports(document: &str, mut port: impl FnMut() -> u16) -> String {
    let mut ports: BTreeMap<&str, u16> = BTreeMap::new();
    let mut text = String::new();
    let mut rest = document;
    while !rest.is_empty() {
        let is_word = |c: char| c.is_alphanumeric();
        let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let end = rest[word..].find(is_word).map_or(rest.len(), |next| word + next);
        let is_port = word == 4
            && !rest.starts_with('0')
            && rest[..word].bytes().all(|byte| byte.is_ascii_digit());
        match is_port {
            true => text += &ports.entry(&rest[..word]).or_insert_with(&mut port).to_string(),
            false => text += &rest[..word],
        }
        text += &rest[word..end];
        rest = &rest[end..];
    }
    text
}

/// Whether what was seen is as expected. How much space there is between words does not count:
/// columns are as wide as what stands in them.
pub fn is_as_expected(expected: &str, seen: &str) -> bool {
    let lines = |text: &str| {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        text.trim_end().lines().map(words).collect::<Vec<_>>()
    };
    are_like(&lines(expected), &lines(seen))
}

/// A line with nothing but [`ANYTHING`] stands for one line or more.
fn are_like(expected: &[String], seen: &[String]) -> bool {
    match expected.split_first() {
        None => seen.is_empty(),
        Some((first, rest)) if first == ANYTHING => {
            (1..=seen.len()).any(|count| are_like(rest, &seen[count..]))
        }
        Some((first, rest)) => seen
            .split_first()
            .is_some_and(|(line, others)| is_like(first, line) && are_like(rest, others)),
    }
}

fn is_like(expected: &str, line: &str) -> bool {
    let Some((start, mut rest)) = expected.split_once(ANYTHING) else { return expected == line };
    let Some(mut line) = line.strip_prefix(start) else { return false };
    while let Some((middle, others)) = rest.split_once(ANYTHING) {
        let Some(at) = line.find(middle) else { return false };
        line = &line[at + middle.len()..];
        rest = others;
    }
    line.ends_with(rest)
}
