//! `docs/from-nginx.md` lists the directives that the code knows.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::nginx::directive::{self, FAMILIES, Fate, Known};

const BEGIN: &str = "<!-- The tables below are compared with src/nginx/directive by a test. -->\n";
const END: &str = "<!-- The end of the tables. -->\n";

/// The tables as they should be.
fn tables() -> String {
    let mut out = String::new();
    let of = |wanted: fn(&Fate) -> bool| {
        let mut list: Vec<&Known> = directive::all().filter(|known| wanted(&known.fate)).collect();
        list.sort_by_key(|known| known.name);
        list
    };
    out.push_str("\n### Honoured\n\n");
    let names: Vec<String> = of(|fate| matches!(fate, Fate::Honoured))
        .iter()
        .map(|known| format!("`{}`", known.name))
        .collect();
    for line in names.chunks(5) {
        let _ = writeln!(out, "{}{}", line.join(", "), if line.len() == 5 { "," } else { "" });
    }
    out.push_str("\n### Not needed\n\n| directive | why |\n|---|---|\n");
    for known in of(|fate| matches!(fate, Fate::NotNeeded(_))) {
        if let Fate::NotNeeded(why) = known.fate {
            let _ = writeln!(out, "| `{}` | {why} |", known.name);
        }
    }
    for (start, fate) in FAMILIES {
        if let Fate::NotNeeded(why) = fate {
            let _ = writeln!(out, "| others that begin with `{start}` | {why} |");
        }
    }
    out.push_str("\n### Refused\n\n| directive | why | instead |\n|---|---|---|\n");
    for known in of(|fate| matches!(fate, Fate::Refused(..))) {
        if let Fate::Refused(why, instead) = known.fate {
            let _ = writeln!(out, "| `{}` | {why} | {instead} |", known.name);
        }
    }
    out.push('\n');
    out
}

/// To write the tables anew: `CORELANE_WRITE_DOCS=1 cargo test --lib nginx::tests::guide`.
#[test]
fn the_guide_lists_every_directive() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/from-nginx.md");
    let guide = fs::read_to_string(&path).unwrap();
    let (before, rest) = guide.split_once(BEGIN).expect("the mark before the tables");
    let (found, after) = rest.split_once(END).expect("the mark behind the tables");
    let wanted = tables();
    if std::env::var_os("CORELANE_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    for (found, wanted) in found.lines().zip(wanted.lines()) {
        assert_eq!(found, wanted, "docs/from-nginx.md is not what the code says");
    }
    assert_eq!(found.len(), wanted.len(), "docs/from-nginx.md is not what the code says");
}
