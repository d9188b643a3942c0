//! The house rules that a compiler does not check.
//!
//! Which room may open on which is the table below; it is the one in `src/lib.rs` and
//! `ARCHITECTURE.md`. A change here is a change to the house, not to a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Each room and what it may import: no room with an equal or larger number, so the table is in
/// layers and knows no circles.
const ROOMS: [Room; 15] = [
    room("http1", 1, Imports::Only(&[])),
    room("route", 1, Imports::Only(&[])),
    room("balance", 1, Imports::Only(&[])),
    room("guard", 1, Imports::Only(&[])),
    room("telemetry", 1, Imports::Only(&[])),
    room("nginx", 1, Imports::Only(&[])),
    room("ring", 1, Imports::Only(&[])),
    // `http1` for the field edits that a route makes.
    room("plan", 2, Imports::Only(&["http1", "route", "balance", "guard"])),
    room("transport", 2, Imports::Only(&["ring"])),
    room("config", 3, Imports::Only(&["plan", "route", "balance", "guard", "nginx"])),
    room("upstream", 3, Imports::Only(&["plan", "balance", "transport", "ring", "telemetry"])),
    room("proxy", 4, Imports::LowerBut("config")),
    room("shard", 5, Imports::LowerBut("config")),
    room("control", 6, Imports::Only(&["shard", "config", "plan", "telemetry"])),
    room("cli", 7, Imports::Lower),
];

struct Room {
    name: &'static str,
    layer: u32,
    imports: Imports,
}

enum Imports {
    Only(&'static [&'static str]),
    /// Every room in a lower layer.
    Lower,
    /// Every one but this.
    LowerBut(&'static str),
}

const fn room(name: &'static str, layer: u32, imports: Imports) -> Room {
    Room { name, layer, imports }
}

impl Room {
    fn named(name: &str) -> Option<&'static Room> {
        ROOMS.iter().find(|room| room.name == name)
    }

    fn may_import(&self, name: &str) -> bool {
        let is_lower = Room::named(name).is_some_and(|other| other.layer < self.layer);
        is_lower
            && match self.imports {
                Imports::Only(names) => names.contains(&name),
                Imports::Lower => true,
                Imports::LowerBut(other) => name != other,
            }
    }
}

/// Rooms whose code takes time as an argument and opens no socket, and what would break that.
const PURE_ROOMS: [&str; 6] = ["http1", "route", "balance", "guard", "telemetry", "plan"];
const IMPURE: [&str; 6] =
    ["Instant::now", "SystemTime", "TcpStream", "TcpListener", "UnixStream", "UdpSocket"];

/// Names what it forbids.
const THIS: &str = "tests/tidy.rs";
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
        Some(Room::named(name).unwrap_or_else(|| {
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

/// What is wrong with a file: the line, or 0 for the file as a whole, and what.
type Faults = Vec<(usize, String)>;

/// Fails with a list of all that `faults` finds in these files.
fn expect_none(rule: &str, files: Vec<Source>, faults: impl Fn(&Source) -> Faults) {
    let mut found = Vec::new();
    for file in files {
        found.extend(faults(&file).into_iter().map(|(line, what)| match line {
            0 => format!("{}: {what}", file.path),
            line => format!("{}:{line}: {what}", file.path),
        }));
    }
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

/// Those of `words` that stand in `text`.
fn words_in(text: &str, words: &[&str]) -> Faults {
    let found = words.iter().filter(|word| text.contains(**word));
    found.map(|word| (0, (*word).to_owned())).collect()
}

/// The lines of `text` that are wrong, by number, from 1.
fn lines_that(text: &str, what: &str, is_wrong: impl Fn(&str) -> bool) -> Faults {
    let lines = text.lines().enumerate().filter(|(_, line)| is_wrong(line));
    lines.map(|(at, line)| (at + 1, format!("{what}: {}", line.trim()))).collect()
}

#[test]
fn the_table_of_rooms_means_what_it_says() {
    for room in &ROOMS {
        if let Imports::Only(names) = room.imports {
            let wrong = names.iter().find(|name| !room.may_import(name));
            assert_eq!(wrong, None, "{} opens downwards only", room.name);
        }
    }
    let proxy = Room::named("proxy").expect("a room");
    assert!(proxy.may_import("http1") && proxy.may_import("upstream"));
    assert!(!["config", "proxy", "shard", "nowhere"].iter().any(|name| proxy.may_import(name)));
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    expect_none("imports that the layout does not allow", rust_files("src"), |file| {
        let Some(room) = file.room() else { return Faults::new() };
        let imports = crate_imports(&file.code()).into_iter();
        let imports = imports.filter(|name| name != room.name && !room.may_import(name));
        let imports = imports.map(|name| (0, format!("{} → {name}", room.name)));
        imports.chain(lines_that_climb_out(file)).collect()
    });
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
fn lines_that_climb_out(file: &Source) -> Faults {
    let inside = file.path.trim_start_matches("src/").trim_end_matches("/mod.rs");
    let mut allowed = inside.matches('/').count();
    let mut in_test_module = false;
    let mut faults = Faults::new();
    for (at, line) in file.code().lines().enumerate() {
        if !in_test_module && line.starts_with("mod ") && line.ends_with('{') {
            in_test_module = true;
            allowed += 1;
        }
        // Chains stand at the beginning of a path: `super::super::x`.
        if line.contains(&"super::".repeat(allowed + 1)) {
            faults.push((at + 1, "`super` climbs out of the room".to_owned()));
        }
    }
    faults
}

#[test]
fn pure_rooms_read_no_clock_and_open_no_socket() {
    let is_pure = |file: &Source| file.room().is_some_and(|room| PURE_ROOMS.contains(&room.name));
    let files = rust_files("src").into_iter().filter(is_pure).collect();
    expect_none("clocks and sockets where time is an argument", files, |file| {
        words_in(&file.code(), &IMPURE)
    });
}

#[test]
fn unsafe_code_is_in_ring_sys_only() {
    expect_none("unsafe code outside src/ring/sys", all_rust_files(), |file| {
        if file.path.starts_with("src/ring/sys/") || file.path == THIS {
            return Faults::new();
        }
        lines_that(&file.text, "unsafe", |line| {
            let code = line.split("//").next().unwrap_or_default();
            code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe")
        })
    });
}

/// A pause in a test is a guess, unless it is a peer's: see `support::pause`.
#[test]
fn tests_sleep_in_one_place_only() {
    let is_the_place = |file: &Source| file.path == "tests/support/waiting.rs" || file.path == THIS;
    let files = rust_files("tests").into_iter().filter(|file| !is_the_place(file)).collect();
    expect_none("sleeps outside of tests/support/waiting.rs", files, |file| {
        lines_that(&file.code(), "sleeps", |line| line.contains("sleep"))
    });
}

#[test]
fn files_fit_a_reader() {
    expect_none("files too long or too wide", all_rust_files(), |file| {
        let too_wide = |line: &str| line.chars().count() > COLUMNS_MAX;
        let mut faults = lines_that(&file.text, "too wide", too_wide);
        faults.extend(lines_that(&file.text, "blanks at the end", |l| l.ends_with([' ', '\t'])));
        let lines = file.text.lines().count();
        if lines > LINES_MAX {
            faults.push((0, format!("{lines} lines, of {LINES_MAX} at most")));
        }
        faults
    });
}

#[test]
fn nothing_is_left_unfinished() {
    let others = all_rust_files().into_iter().filter(|file| file.path != THIS).collect();
    expect_none("unfinished or left behind", others, |file| {
        words_in(&file.text, &["todo!", "unimplemented!", "dbg!", "FIXME", "XXX"])
    });
}

#[test]
fn files_have_names_that_say_something() {
    let vague = ["util", "utils", "helper", "helpers", "common", "misc", "types"];
    expect_none("modules named after nothing", all_rust_files(), |file| {
        let path = file.path.trim_end_matches(".rs");
        let named = path.split('/').filter(|name| vague.contains(name));
        named.map(|name| (0, name.to_owned())).collect()
    });
}

/// A file that no module declares is not compiled, and rots unnoticed.
#[test]
fn every_file_belongs_to_a_module() {
    let files = rust_files("src");
    expect_none("files that no module declares", rust_files("src"), |file| {
        let path = file.path.trim_end_matches("/mod.rs").trim_end_matches(".rs");
        let (folder, name) = path.rsplit_once('/').expect("below src");
        let is_root = folder == "src" && ["lib", "main"].contains(&name);
        let parents = ["/mod.rs", ".rs", "/lib.rs"].map(|end| format!("{folder}{end}"));
        let declaration = format!("mod {name};");
        let declares =
            |parent: &Source| parents.contains(&parent.path) && parent.text.contains(&declaration);
        let is_declared = is_root || files.iter().any(declares);
        if is_declared { Faults::new() } else { vec![(0, declaration.clone())] }
    });
}

/// `# Changelog`, then `## Unreleased` or `## 1.2.3 (2026-01-31)`, newest first, each holding
/// `### Added` and the like with lists below.
#[test]
fn the_changelog_keeps_its_shape() {
    let Ok(text) = fs::read_to_string(root().join("CHANGELOG.md")) else { return };
    assert_eq!(text.lines().next(), Some("# Changelog"), "the first line");
    let titles: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let versions: Option<Vec<_>> = titles.iter().map(|title| release(title)).collect();
    let versions = versions.unwrap_or_else(|| panic!("no releases: {titles:?}"));
    assert!(versions.is_sorted_by(|newer, older| newer > older), "newest first: {titles:?}");
    let kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
    let wrong = lines_that(&text, "no kind of change", |line| {
        line.strip_prefix("### ").is_some_and(|kind| !kinds.contains(&kind))
    });
    assert!(wrong.is_empty(), "{wrong:?}");
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
