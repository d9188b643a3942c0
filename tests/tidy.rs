//! The house rules that a compiler does not check.
//!
//! Which room may open on which is the table below; it is the one in `src/lib.rs` and
//! `ARCHITECTURE.md`. A change here is a change to the house, not to a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms it may import. No room may import one with an equal or larger number,
/// so the table is in layers and knows no circles.
const ROOMS: [Room; 13] = [
    Room { name: "http1", layer: 1, may_import: &[] },
    Room { name: "route", layer: 1, may_import: &[] },
    Room { name: "balance", layer: 1, may_import: &[] },
    Room { name: "telemetry", layer: 1, may_import: &[] },
    Room { name: "ring", layer: 1, may_import: &[] },
    // `http1` for the field edits that a route makes.
    Room { name: "plan", layer: 2, may_import: &["http1", "route", "balance"] },
    Room { name: "transport", layer: 2, may_import: &["ring"] },
    Room { name: "config", layer: 3, may_import: &["plan", "route", "balance"] },
    Room {
        name: "upstream",
        layer: 3,
        may_import: &["plan", "balance", "transport", "ring", "telemetry"],
    },
    Room {
        name: "proxy",
        layer: 4,
        may_import: &[
            "http1",
            "route",
            "balance",
            "telemetry",
            "ring",
            "plan",
            "transport",
            "upstream",
        ],
    },
    Room {
        name: "shard",
        layer: 5,
        may_import: &[
            "http1",
            "route",
            "balance",
            "telemetry",
            "ring",
            "plan",
            "transport",
            "upstream",
            "proxy",
        ],
    },
    Room { name: "control", layer: 6, may_import: &["shard", "config", "plan", "telemetry"] },
    Room {
        name: "cli",
        layer: 7,
        may_import: &[
            "http1",
            "route",
            "balance",
            "telemetry",
            "ring",
            "plan",
            "transport",
            "config",
            "upstream",
            "proxy",
            "shard",
            "control",
        ],
    },
];

struct Room {
    name: &'static str,
    layer: u32,
    may_import: &'static [&'static str],
}

/// Rooms whose code takes time as an argument and opens no socket, and what would break that.
const PURE_ROOMS: [&str; 5] = ["http1", "route", "balance", "telemetry", "plan"];
const IMPURE: [&str; 6] =
    ["Instant::now", "SystemTime", "TcpStream", "TcpListener", "UnixStream", "UdpSocket"];

const LINES_MAX: usize = 600;
const COLUMNS_MAX: usize = 100;

/// A source file of the repository.
struct Source {
    /// Relative to the repository, such as `src/route/path.rs`.
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below a folder of the repository.
fn rust_files(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let paths = entries.map(|entry| entry.expect("an entry").path());
        for path in paths {
            if path.is_dir() {
                // The fuzzers are a workspace of their own, with build output of their own.
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(Source::read(&path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn all_rust_files() -> Vec<Source> {
    ["src", "tests", "bench", "fuzz"].into_iter().flat_map(rust_files).collect()
}

impl Source {
    fn read(path: &Path) -> Source {
        let relative = path.strip_prefix(root()).expect("below the root");
        Source {
            path: relative.to_str().expect("a plain name").to_owned(),
            text: fs::read_to_string(path).expect("a text"),
        }
    }

    /// The room of a file below `src`; none for `lib.rs` and `main.rs`.
    fn room(&self) -> Option<&'static Room> {
        let (name, _) = self.path.strip_prefix("src/")?.split_once('/')?;
        Some(ROOMS.iter().find(|room| room.name == name).unwrap_or_else(|| {
            panic!("{}: no room is called {name}; add it to the table", self.path)
        }))
    }

    /// The code with comments left out, so that only what is compiled counts.
    fn code(&self) -> String {
        let code = |line: &str| match line.find("//") {
            // `https://` in a string is no comment.
            Some(at) if !line[..at].ends_with(':') => line[..at].to_owned(),
            _ => line.to_owned(),
        };
        self.text.lines().map(|line| code(line) + "\n").collect()
    }
}

/// Fails with a list of everything that was found.
fn expect_none(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn layers_only_open_downwards() {
    for room in &ROOMS {
        for import in room.may_import {
            let other = ROOMS.iter().find(|room| room.name == *import).expect("a room");
            assert!(other.layer < room.layer, "{} may not import {import}", room.name);
        }
    }
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for file in rust_files("src") {
        let Some(room) = file.room() else { continue };
        for import in crate_imports(&file.code()) {
            let is_room = ROOMS.iter().any(|room| room.name == import);
            if import != room.name && !(is_room && room.may_import.contains(&&*import)) {
                wrong.push(format!("{}: {} → {import}", file.path, room.name));
            }
        }
        for line in lines_that_climb_out(&file) {
            wrong.push(format!("{}:{line}: `super` climbs out of the room", file.path));
        }
    }
    expect_none(wrong, "imports that the layout does not allow");
}

/// The first segment of every `crate::…` path, groups in braces included.
fn crate_imports(code: &str) -> BTreeSet<String> {
    let mut imports = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|before| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(group) => imports.extend(group_heads(group)),
            None => imports.extend(identifier(rest)),
        }
    }
    imports
}

/// The heads of `a::b, c::{d, e}}`.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut at_head = true;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            _ if at_head && !character.is_whitespace() => {
                heads.extend(identifier(&group[at..]));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> Option<String> {
    let name: String = text
        .chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

/// Lines with more `super`s than there are modules between them and the room's own.
fn lines_that_climb_out(file: &Source) -> Vec<usize> {
    let inside = file.path.trim_start_matches("src/").trim_end_matches("/mod.rs");
    let depth = inside.matches('/').count();
    let mut in_test_module = 0;
    let mut lines = Vec::new();
    for (number, line) in file.code().lines().enumerate() {
        if line.starts_with("mod ") && line.ends_with('{') {
            in_test_module = 1;
        }
        // Chains stand at the beginning of a path: `super::super::x`.
        let longest = (1..=6).rev().find(|&count| line.contains(&"super::".repeat(count)));
        if longest.unwrap_or(0) > depth + in_test_module {
            lines.push(number + 1);
        }
    }
    lines
}

#[test]
fn pure_rooms_read_no_clock_and_open_no_socket() {
    let mut wrong = Vec::new();
    for file in rust_files("src") {
        if file.room().is_some_and(|room| PURE_ROOMS.contains(&room.name)) {
            let code = file.code();
            let found = IMPURE.iter().filter(|word| code.contains(*word));
            wrong.extend(found.map(|word| format!("{}: {word}", file.path)));
        }
    }
    expect_none(wrong, "clocks and sockets where time is an argument");
}

#[test]
fn unsafe_code_is_in_ring_sys_only() {
    let mut wrong = Vec::new();
    for file in all_rust_files() {
        let allowed = file.path.starts_with("src/ring/sys/") || file.path == "tests/tidy.rs";
        let mut words = file.text.lines().enumerate().filter(|(_, line)| {
            let code = line.split("//").next().unwrap_or_default();
            code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe")
        });
        if let (false, Some((line, _))) = (allowed, words.next()) {
            wrong.push(format!("{}:{}", file.path, line + 1));
        }
    }
    expect_none(wrong, "unsafe code outside src/ring/sys");
}

/// A pause in a test is a guess, unless it is a peer's: see `support::pause`.
#[test]
fn tests_sleep_in_one_place_only() {
    let allowed = ["tests/support/waiting.rs", "tests/tidy.rs"];
    let mut wrong = Vec::new();
    for file in rust_files("tests").iter().filter(|file| !allowed.contains(&&*file.path)) {
        let code = file.code();
        let lines = code.lines().enumerate().filter(|(_, line)| line.contains("sleep"));
        wrong.extend(lines.map(|(line, _)| format!("{}:{}", file.path, line + 1)));
    }
    expect_none(wrong, "sleeps outside of tests/support/waiting.rs");
}

#[test]
fn files_fit_a_reader() {
    let mut wrong = Vec::new();
    for file in all_rust_files() {
        let lines = file.text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!("{}: {lines} lines, of {LINES_MAX} at most", file.path));
        }
        for (number, line) in file.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX {
                wrong.push(format!("{}:{}: {columns} columns", file.path, number + 1));
            }
            if line.ends_with([' ', '\t']) {
                wrong.push(format!("{}:{}: blanks at the end", file.path, number + 1));
            }
        }
    }
    expect_none(wrong, "files too long or too wide");
}

#[test]
fn nothing_is_left_unfinished() {
    let mut wrong = Vec::new();
    for file in all_rust_files().iter().filter(|file| file.path != "tests/tidy.rs") {
        for word in ["todo!", "unimplemented!", "dbg!", "FIXME", "XXX"] {
            if file.text.contains(word) {
                wrong.push(format!("{}: {word}", file.path));
            }
        }
    }
    expect_none(wrong, "unfinished or left behind");
}

#[test]
fn files_have_names_that_say_something() {
    let vague = ["util", "utils", "helper", "helpers", "common", "misc", "types"];
    let mut wrong = Vec::new();
    for file in all_rust_files() {
        let path = PathBuf::from(&file.path);
        let names = path.iter().filter_map(|name| name.to_str());
        if names.map(|name| name.trim_end_matches(".rs")).any(|name| vague.contains(&name)) {
            wrong.push(file.path);
        }
    }
    expect_none(wrong, "modules named after nothing");
}

/// A file that no module declares is not compiled, and rots unnoticed.
#[test]
fn every_file_belongs_to_a_module() {
    let files = rust_files("src");
    let mut wrong = Vec::new();
    for file in &files {
        let path = file.path.trim_end_matches("/mod.rs").trim_end_matches(".rs");
        let (folder, name) = path.rsplit_once('/').expect("below src");
        let is_root = folder == "src" && ["lib", "main"].contains(&name);
        let parents =
            [format!("{folder}.rs"), format!("{folder}/mod.rs"), format!("{folder}/lib.rs")];
        let declares = |parent: &&Source| {
            parents.contains(&parent.path) && parent.text.contains(&format!("mod {name};"))
        };
        if !is_root && !files.iter().any(|parent| declares(&parent)) {
            wrong.push(file.path.clone());
        }
    }
    expect_none(wrong, "files that no module declares");
}

/// `# Changelog`, then `## Unreleased` or `## 1.2.3 (2026-01-31)`, newest first, each holding
/// `### Added` and the like with lists below.
#[test]
fn the_changelog_keeps_its_shape() {
    let Ok(text) = fs::read_to_string(root().join("CHANGELOG.md")) else { return };
    assert_eq!(text.lines().next(), Some("# Changelog"), "the first line");
    let mut wrong = Vec::new();
    let mut last: Option<Vec<u32>> = None;
    for (number, line) in text.lines().enumerate() {
        if let Some(title) = line.strip_prefix("## ") {
            match release(title) {
                Some(version) if last.as_ref().is_none_or(|last| version < *last) => {
                    last = Some(version);
                }
                _ => wrong.push(format!("CHANGELOG.md:{}: {line}", number + 1)),
            }
        }
        let kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
        if line.strip_prefix("### ").is_some_and(|kind| !kinds.contains(&kind)) {
            wrong.push(format!("CHANGELOG.md:{}: {line}", number + 1));
        }
    }
    expect_none(wrong, "headings of the changelog");
}

/// The version of a heading; `Unreleased` is newer than all.
fn release(title: &str) -> Option<Vec<u32>> {
    if title == "Unreleased" {
        return Some(vec![u32::MAX]);
    }
    let (version, date) = title.strip_suffix(')')?.split_once(" (")?;
    let numbers = |text: &str, separator| -> Option<Vec<u32>> {
        text.split(separator).map(|part| part.parse().ok()).collect()
    };
    let date = numbers(date, '-')?;
    let version = numbers(version, '.')?;
    (date.len() == 3 && date[0] >= 2026 && version.len() == 3).then_some(version)
}

#[test]
fn paths_are_read_as_rust_reads_them() {
    let code = "use crate::a::b;\nuse crate::{c, d::{e, f}, g as h};\nlet x = crate::i::J;\n\
                use $crate::k; use other_crate::l;";
    let imports: Vec<String> = crate_imports(code).into_iter().collect();
    assert_eq!(imports, ["a", "c", "d", "g", "i", "k"]);
}
