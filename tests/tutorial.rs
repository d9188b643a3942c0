//! docs/tutorial.md, done as it is written: its files are written, its commands run in one shell,
//! and what it says that one sees is compared with what one sees.
//!
//! What the fences mean:
//! - `sh`: commands. Each must succeed, the last of several in an `&&` list too; `sh fails`: the
//!   last one must not.
//! - `toml config.toml`, and any other with a name that has a dot: a file of that name, in the
//!   folder where the shell is. The paragraph above must name it: readers do not see the fence.
//! - `text`: all that the commands above print, on standard output and standard error, and what
//!   those in the background print, for which is waited. `…` stands for anything in a line, alone
//!   in one for whole lines. How much space is between words does not count.
//! - `text soon`: the same, but what is to be seen comes by itself after a while, as the document
//!   says. The commands above are repeated until it has come.
//!
//! Anything else that looks like code is an error, so nothing in the document is left out.
//!
//! Each number of four digits is a port, and is replaced by a free one, everywhere in the document:
//! tests must not meet what runs on the machine. After `kill %N` the end of that job is waited for.

#[path = "tutorial/document.rs"]
mod document;
#[path = "tutorial/shell.rs"]
mod shell;
mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use document::{Expected, Step, is_as_expected, steps, with_ports};
use shell::Shell;
use support::*;

/// The longest that a document may let its reader wait: a server that was ejected is tried again
/// after ten seconds.
const LONG: std::time::Duration = std::time::Duration::from_secs(30);

/// Does what a document says. The error names the line.
fn follow(document: &str) -> Result<(), String> {
    let steps = steps(&with_ports(document, free_port))?;
    let mut shell = Shell::new();
    for step in &steps {
        match step {
            Step::Write { name, text, .. } => {
                fs::write(shell.place().join(name), text).expect("a file");
            }
            Step::Run { line, commands, fails, expected } => {
                run(&mut shell, commands, *fails, expected.as_ref())
                    .map_err(|error| format!("line {line}:\n{commands}{error}"))?;
            }
        }
    }
    Ok(())
}

fn run(
    shell: &mut Shell,
    commands: &str,
    fails: bool,
    expected: Option<&Expected>,
) -> Result<(), String> {
    let mut once = || -> Result<String, String> {
        let status = shell.run(commands)?;
        if (status != 0) != fails {
            return Err(format!("status {status}:\n{}", shell.output()));
        }
        for jobs in commands.lines().filter_map(|line| line.strip_prefix("kill %")) {
            shell.await_ended(&format!("%{jobs}"))?;
        }
        // What runs in the background may print later.
        if let Some(Expected { text, soon: false }) = expected {
            let in_background = commands.lines().any(|line| line.ends_with('&'));
            let patience = if in_background { PATIENCE } else { ms(0) };
            comes_true(patience, || is_as_expected(text, &shell.output()));
        }
        Ok(shell.output())
    };
    let mut seen = once();
    let Some(Expected { text, soon }) = expected else { return seen.map(drop) };
    let is_so =
        |seen: &Result<String, String>| seen.as_ref().is_ok_and(|seen| is_as_expected(text, seen));
    if *soon {
        comes_true(LONG, || {
            let there = is_so(&seen);
            if !there {
                seen = once();
            }
            there
        });
    }
    match is_so(&seen) {
        true => Ok(()),
        false => Err(format!("expected:\n{text}seen:\n{}", seen?)),
    }
}

/// Whether the program is there.
fn installed(program: &str) -> bool {
    let mut command = Command::new(program);
    let found =
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

#[test]
fn the_tutorial_works_as_it_is_written() {
    if !["node", "curl", "bash", "setsid"].into_iter().all(installed) {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tutorial.md");
    let document = fs::read_to_string(path).expect("a document");
    if let Err(error) = follow(&document) {
        panic!("docs/tutorial.md, {error}");
    }
}

/// A document that is wrong, and part of what is said about it.
const WRONG: [(&str, &str); 10] = [
    ("```sh\nfalse\ntrue\n```", "line 2:\nfalse\ntrue\nstatus 1"),
    ("```sh\nfalse | cat\n```", "status 1"),
    ("```sh\nfalse && true\n```", "status 1"),
    ("```sh fails\ntrue\n```", "status 0"),
    ("```sh\necho one\n```\n```text\ntwo\n```", "expected:\ntwo\nseen:\none\n"),
    ("```sh\necho one >&2; echo two\n```\n```text\none\n```", "seen:\none\ntwo\n"),
    ("```sh\nno-such-command\n```", "status 127"),
    (
        "`x`:\n```toml config.toml\na = 1\n```",
        "line 3: the paragraph above does not say `config.toml`",
    ),
    ("```text\none\n```", "line 2: what is a block of [\"text\"] here?"),
    ("Then:\n\n    corelane run\n", "line 3: code without a fence"),
];

#[test]
fn what_does_not_work_is_reported() {
    for (document, part) in WRONG {
        let error = follow(document).expect_err(document);
        assert!(error.contains(part), "{document}\n{error}");
    }
}

#[test]
fn files_jobs_and_output_are_as_written() {
    let document = "`a.txt` holds two lines:\n```text a.txt\none 8080\ntwo\n```\n```sh\nmkdir b\n\
        cat a.txt; cd b\n```\n```text\none 8080\nt…\n```\nNow `c.txt`:\n```text c.txt\n3\n```\n\
        ```sh\n(echo begins; exec tail -f /dev/null) &\n```\n```text\nbegins\n```\n\
        ```sh\nkill %1\n```\n```sh\ncat ../b/c.txt; echo; echo 8080; jobs\n```\n\
        ```text\n…\n\n8080\n```\n";
    assert_eq!(follow(document), Ok(()));
}

#[test]
fn what_comes_soon_is_waited_for() {
    let document = "```sh\necho x >> a; wc -l < a\n```\n```text soon\n5\n```";
    assert_eq!(follow(document), Ok(()));
}

#[test]
fn nothing_is_left_running() {
    let mut shell = Shell::new();
    let started = "tail -f /dev/null & (tail -f /dev/null & tail -f /dev/null) & echo $! >&2";
    assert_eq!(shell.run(started), Ok(0));
    let number = shell.output().trim().to_owned();
    assert!(Path::new("/proc").join(&number).exists(), "{number}");
    shell.end();
    let state = fs::read_to_string(format!("/proc/{number}/stat"));
    assert!(state.is_err() || state.is_ok_and(|state| state.contains(") Z")), "{number} runs");
}

#[test]
fn ports_are_replaced_where_they_stand_alone() {
    let mut next = 20_000;
    let port = || {
        next += 1;
        next
    };
    let text = "a:8080 (3001), 8080; 80801 0644 E914 v8080 127.0.0.1:3001/";
    let expected = "a:20001 (20002), 20001; 80801 0644 E914 v8080 127.0.0.1:20002/";
    assert_eq!(with_ports(text, port), expected);
}

#[test]
fn what_differs_is_seen() {
    for (expected, seen) in [("a b", "a   b\n"), ("a … d", "a b c d"), ("…\nx", "1\n2\nx\n")] {
        assert!(is_as_expected(expected, seen), "{expected:?} {seen:?}");
    }
    for (expected, seen) in [
        ("a b", "a b\nc"),
        ("a b", "a c"),
        ("a … d", "a b c"),
        ("…\nx", "x"),
        ("a", "ab"),
        ("a", ""),
    ] {
        assert!(!is_as_expected(expected, seen), "{expected:?} {seen:?}");
    }
}
