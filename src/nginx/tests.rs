//! nginx.conf in, TOML or complaints out.

mod guide;
mod inheritance;
mod messages;
mod syntax;
mod texts;
mod wholes;

use std::fs;
use std::path::Path;

use super::{Surroundings, Translation, translate};

/// Translates a main file and others beside it: names and texts. Places are relative to their
/// folder.
fn translate_files(files: &[(&str, &str)]) -> Result<(String, Vec<String>), Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let folder = dir.path().display().to_string() + "/";
    let plain = |text: String| text.replace(&folder, "");
    let surroundings = Surroundings {
        privileged: true,
        folder: Path::new("/etc/nginx").to_owned(),
        prefix: Path::new("/usr/share/nginx").to_owned(),
    };
    let main = dir.path().join(files[0].0);
    let lines = |remarks: Vec<super::Complaint>| -> Vec<String> {
        let line = |remark: super::Complaint| {
            let super::Complaint { file, line, column, what, remedy } = remark;
            plain(format!("{file}:{line}:{column}: {what}; {remedy}"))
        };
        remarks.into_iter().map(line).collect()
    };
    match translate(&main, &surroundings) {
        Ok(Translation { text, notes }) => Ok((plain(text), lines(notes))),
        Err(errors) => Err(lines(errors)),
    }
}

/// The text for what stands in `http`.
#[track_caller]
fn accept(http: &str) -> String {
    let main = format!("events {{ }}\nhttp {{\n{http}\n}}\n");
    match translate_files(&[("nginx.conf", &main)]) {
        Ok((text, _)) => text,
        Err(errors) => panic!("refused:\n{}", errors.join("\n")),
    }
}

/// The text for what stands in a server.
#[track_caller]
fn accept_server(server: &str) -> String {
    accept(&format!("server {{ listen 80;\n{server}\n}}"))
}

/// The complaints about what stands in `http`, from line 3 on.
#[track_caller]
fn refuse(http: &str) -> Vec<String> {
    let main = format!("events {{ }}\nhttp {{\n{http}\n}}\n");
    match translate_files(&[("nginx.conf", &main)]) {
        Ok((text, _)) => panic!("accepted:\n{text}"),
        Err(errors) => errors,
    }
}

/// Fails unless these lines follow each other somewhere in the text.
#[track_caller]
fn assert_has(text: &str, lines: &str) {
    let lines: Vec<&str> = lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let wanted = lines.join("\n");
    let plain: Vec<&str> = text.lines().map(str::trim).collect();
    assert!(plain.join("\n").contains(&wanted), "there is no\n{wanted}\nin\n{text}");
}
