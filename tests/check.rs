//! `corelane check`: what is printed, and where.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `corelane check -c corelane.toml` among `files`.
fn check(files: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    run(folder.path(), "corelane.toml")
}

fn run(folder: &Path, file: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_corelane"))
        .args(["check", "-c", file])
        .current_dir(folder)
        .output()
        .expect("the binary runs")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("text")
}

fn stderr_lines(output: &Output) -> Vec<&str> {
    std::str::from_utf8(&output.stderr).expect("text").lines().collect()
}

const GOOD: &str = r#"
shards = 1
[[listener]]
address = "127.0.0.1:8080"
[[upstream]]
name = "app"
servers = ["127.0.0.1:3001", { address = "127.0.0.1:3002", backup = true }]
[[route]]
upstream = "app"
"#;

#[test]
fn a_good_file_is_one_line_on_standard_output() {
    let output = check(&[("corelane.toml", GOOD)]);
    assert!(output.status.success());
    let summary = "1 listener, 1 upstream (2 servers), 1 route, 1 shard";
    assert_eq!(stdout(&output), format!("configuration file corelane.toml is ok: {summary}\n"));
    assert_eq!(stderr_lines(&output), [""; 0]);
}

#[test]
fn a_warning_is_no_failure() {
    let spare = format!("{GOOD}[[upstream]]\nname = \"spare\"\nservers = [\"127.0.0.1:1\"]\n");
    let output = check(&[("corelane.toml", &spare)]);
    assert!(output.status.success());
    assert_eq!(
        stderr_lines(&output),
        ["corelane.toml:11:8: warning: no route uses the upstream `spare`; add a route or \
             remove it"]
    );
}

/// One wrong file, and every line that it gets.
struct Wrong {
    name: &'static str,
    text: &'static str,
    lines: &'static [&'static str],
}

const WRONG: [Wrong; 5] = [
    Wrong {
        name: "empty",
        text: "",
        lines: &[
            "corelane.toml:1:1: there is no listener; add [[listener]] with address = \
             \"0.0.0.0:8080\"",
            "corelane.toml:1:1: there is no route; add [[route]] with upstream = \"app\"",
            "configuration file corelane.toml is refused: 2 errors",
        ],
    },
    Wrong {
        name: "syntax",
        text: "[[listener]]\naddress = 0.0.0.0:8080\n",
        lines: &[
            "corelane.toml:2:11: `0.0.0.0:8080` is not a value; did you mean \"0.0.0.0:8080\", in \
             quotes?",
            "configuration file corelane.toml is refused: 1 error",
        ],
    },
    Wrong {
        name: "every table has a mistake",
        text: r#"
[[listener]]
address = ":8080"
[[upstream]]
name = "app"
balance = "least_con"
servers = ["10.0.0.1", "10.0.0.2:80"]
[[route]]
path = "api"
upstrem = "app"
[timeouts]
response = "60"
"#,
        lines: &[
            "corelane.toml:3:11: `:8080` names no address to listen on; write \"0.0.0.0:8080\" for \
             IPv4, or \"[::]:8080\" for IPv6 and IPv4",
            "corelane.toml:6:11: unknown `balance` \"least_con\"; did you mean `least_conn`?",
            "corelane.toml:7:12: `10.0.0.1` has no port; did you mean \"10.0.0.1:80\"?",
            "corelane.toml:8:1: the route does not say what answers; add `upstream`, `respond`, \
             `redirect` or `files`",
            "corelane.toml:9:8: `path` is \"api\": a path begins with `/`; did you mean \"/api\"?",
            "corelane.toml:10:1: unknown key `upstrem` in [[route]]; did you mean `upstream`?",
            "corelane.toml:12:12: `60` is not a time; did you mean \"60s\"?",
            "configuration file corelane.toml is refused: 7 errors",
        ],
    },
    Wrong {
        name: "an admin address for everybody",
        text: r#"
[admin]
address = "0.0.0.0:9900"
[[listener]]
address = "127.0.0.1:8080"
[[upstream]]
name = "app"
servers = ["127.0.0.1:3001"]
[[route]]
upstream = "app"
"#,
        lines: &[
            "corelane.toml:3:11: 0.0.0.0:9900 can be reached from other machines, and there is no \
             token; add token_file = \"admin.token\", or listen on 127.0.0.1 or a Unix socket",
            "configuration file corelane.toml is refused: 1 error",
        ],
    },
    Wrong {
        name: "a folder that is not there",
        text: "include = [\"sites/*.toml\"]\n[[listener]]\naddress = \"127.0.0.1:8080\"\n\
               [[route]]\nrespond = { status = 204 }\n",
        lines: &[
            "corelane.toml:1:12: `sites` cannot be read: No such file or directory (os error 2); \
             create the folder or remove the pattern",
            "configuration file corelane.toml is refused: 1 error",
        ],
    },
];

#[test]
fn wrong_files_get_every_complaint() {
    for wrong in WRONG {
        let output = check(&[("corelane.toml", wrong.text)]);
        assert_eq!(output.status.code(), Some(1), "{}", wrong.name);
        assert_eq!(stdout(&output), "", "{}", wrong.name);
        assert_eq!(stderr_lines(&output), wrong.lines, "{}", wrong.name);
    }
}

#[test]
fn complaints_name_the_included_file() {
    let main = format!("include = [\"sites/*.toml\"]\n{GOOD}");
    let site = "[[route]]\nhost = \"a.example\"\nupstream = \"ap\"\n";
    let output = check(&[("corelane.toml", &main), ("sites/a.toml", site)]);
    assert_eq!(
        stderr_lines(&output),
        [
            "sites/a.toml:3:12: there is no upstream `ap`; did you mean `app`?",
            "configuration file corelane.toml is refused: 1 error",
        ]
    );
}

#[test]
fn a_missing_file_is_one_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(folder.path(), "none.toml");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr_lines(&output),
        [
            "none.toml: the file cannot be read: No such file or directory (os error 2); check its \
             path and permissions",
            "configuration file none.toml is refused: 1 error",
        ]
    );
}

#[test]
fn the_shipped_file_is_ok() {
    let output = run(Path::new(env!("CARGO_MANIFEST_DIR")), "config.toml");
    assert!(output.status.success(), "{:?}", stderr_lines(&output));
}
