//! Files that routes name: passwords, pages for maintenance, and the file that says when.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::complain_unreadable;
use super::complaint::Complaints;
use super::file::{BasicAuthTable, File, MaintenanceTable};
use super::folder_of;
use super::source::{Sources, Spot};
use crate::guard::{PasswordFault, Passwords};
use crate::plan::{Page, Switch};

/// Largest page, bytes: it is held in memory, and sent in one go.
const PAGE_MAX: usize = 1 << 20;

/// Types of pages by the ends of their names.
const TYPES: [(&str, &str); 5] = [
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("json", "application/json"),
    ("xml", "application/xml"),
    ("svg", "image/svg+xml"),
];

/// Reads them all. Paths are relative to the file that names them.
pub(super) fn read_all(file: &mut File, sources: &mut Sources, complaints: &Complaints) {
    let mut known = BTreeMap::new();
    for route in &mut file.routes {
        if let Some(auth) = &mut route.content.basic_auth {
            read_passwords(auth, &mut known, sources, complaints);
        }
        if let Some(maintenance) = &mut route.content.maintenance {
            read_page(maintenance, sources, complaints);
            maintenance.switch = maintenance.when.as_ref().map(|when| {
                let path = path_of(sources, when.spot, when);
                let on = path.exists();
                Switch::new(path, on)
            });
        }
    }
}

fn path_of(sources: &Sources, spot: Spot, written: &str) -> PathBuf {
    folder_of(sources.name(spot)).join(written)
}

/// Routes that name the same file share it, and what is wrong with it is said once.
fn read_passwords(
    auth: &mut BasicAuthTable,
    known: &mut BTreeMap<PathBuf, Option<Arc<Passwords>>>,
    sources: &mut Sources,
    complaints: &Complaints,
) {
    let Some(file) = &auth.file else { return };
    let path = path_of(sources, file.spot, file);
    if let Some(known) = known.get(&path) {
        auth.read.clone_from(known);
        return;
    }
    let passwords = match fs::read_to_string(&path) {
        Err(error) => {
            complain_unreadable(complaints, file.spot, &path, &error);
            None
        }
        Ok(text) => {
            let passwords = parse_passwords(&text, &path, sources, complaints);
            if passwords.as_ref().is_some_and(|passwords| passwords.is_empty()) {
                let what = format!("`{}` holds no user: nobody is let in", path.display());
                complaints.warning(file.spot, what, "add one: htpasswd -B FILE USER");
            }
            passwords
        }
    };
    auth.read = passwords.clone();
    known.insert(path, passwords);
}

fn parse_passwords(
    text: &str,
    path: &Path,
    sources: &mut Sources,
    complaints: &Complaints,
) -> Option<Arc<Passwords>> {
    let faults = match Passwords::parse(text) {
        Ok(passwords) => return Some(Arc::new(passwords)),
        Err(faults) => faults,
    };
    // Its lines are needed for their places, not for what stands in them.
    let blank: String = text.lines().map(|_| "\n").collect();
    let file = sources.add(path.display().to_string(), blank);
    for PasswordFault { line, what, remedy } in faults {
        complaints.error(Spot { file, offset: line - 1 }, what, remedy);
    }
    None
}

fn read_page(table: &mut MaintenanceTable, sources: &Sources, complaints: &Complaints) {
    let Some(file) = &table.file else { return };
    let path = path_of(sources, file.spot, file);
    match fs::read(&path) {
        Err(error) => complain_unreadable(complaints, file.spot, &path, &error),
        Ok(bytes) if bytes.len() > PAGE_MAX => {
            let what = format!("`{}` is larger than 1 MiB", path.display());
            complaints.error(file.spot, what, "make the page smaller");
        }
        Ok(bytes) => {
            let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
            let known = TYPES.iter().find(|(known, _)| end.eq_ignore_ascii_case(known));
            let content_type = known.map_or("text/plain; charset=utf-8", |(_, known)| known);
            table.read = Some(Page { content_type: content_type.to_owned(), bytes });
        }
    }
}
