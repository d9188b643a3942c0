//! The examples of documents that lead from other programs to this one are accepted as they stand.

use std::fs;
use std::path::Path;
use std::process::Command;

const DOCUMENTS: [&str; 1] = ["docs/from-haproxy.md"];

/// The examples of a document, each with the number of its first line.
fn examples(text: &str) -> Vec<(usize, String)> {
    let mut examples = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if line == "```toml" {
            let of_example = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            let example: String = of_example.flat_map(|line| [line, "\n"]).collect();
            examples.push((number + 1, example));
        }
    }
    examples
}

/// An example with what it leaves out: where clients connect, what leads to its upstream, or both.
fn completed(example: &str) -> String {
    let mut text = example.to_owned();
    if !text.contains("[[listener]]") {
        text += "[[listener]]\naddress = \"127.0.0.1:8080\"\n";
    }
    if !text.contains("[[route]]") {
        let name = text.lines().find_map(|line| line.strip_prefix("name = "));
        match name.filter(|_| text.contains("[[upstream]]")) {
            Some(name) => text += &format!("[[route]]\nupstream = {name}\n"),
            None => text += "[[route]]\nrespond = { status = 200 }\n",
        }
    }
    text
}

#[test]
fn examples_are_accepted_without_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    let user = "ann:$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA\n";
    let token = "0123456789abcdef0123456789abcdef\n";
    for (name, text) in [("staff.htpasswd", user), ("closed.html", "<p>"), ("admin.token", token)] {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    let token = folder.path().join("admin.token");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(token, private).expect("permissions");
    for document in DOCUMENTS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
        let examples = examples(&fs::read_to_string(path).expect("a document"));
        assert!(examples.len() > 5, "{document}: {} examples", examples.len());
        for (line, example) in examples {
            let text = completed(&example);
            fs::write(folder.path().join("corelane.toml"), &text).expect("a file");
            let output = Command::new(env!("CARGO_BIN_EXE_corelane"))
                .args(["check", "-c", "corelane.toml"])
                .current_dir(folder.path())
                .output()
                .expect("the binary runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{document}:{line}:\n{said}{text}");
        }
    }
}

/// What a document tells to run is there to be run.
#[test]
fn commands_are_known() {
    let output = Command::new(env!("CARGO_BIN_EXE_corelane")).args(["ctl", "--help"]).output();
    let help = String::from_utf8(output.expect("the binary runs").stdout).expect("text");
    let known = |command: &str| help.lines().any(|line| line.trim().starts_with(command));
    for document in DOCUMENTS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
        let text = fs::read_to_string(path).expect("a document");
        for rest in text.split("corelane ctl ").skip(1) {
            let command = rest.split(|c: char| !c.is_alphanumeric()).next().expect("a word");
            assert!(known(command), "{document}: corelane ctl {command}\n{help}");
        }
    }
}
