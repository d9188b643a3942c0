//! What a directory holds, as a page or as JSON, in the forms of nginx's autoindex.
//!
//! To read a directory and look at each of its entries takes as long as it takes, so a thread of
//! its own does it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, OFlags, ResolveFlags, Stat, statat};
use serde_json::json;

use super::store::{Place, fault};
use super::{FileFault, FileRequest};
use crate::http1::http_date;
use crate::plan::{FileCachePlan, FilesPlan, Listing, RoutePlan, Symlinks};
use crate::proxy::client::Client;
use crate::proxy::connection::Next;
use crate::proxy::reply::{self, Manner, Reply};
use crate::proxy::scope::Sent;
use crate::proxy::trail::Trail;
use crate::ring::{mailbox, open_now};
use crate::route::{decode_file_path, encode_file_path};

/// Threads that read directories for one shard at a time.
const AT_ONCE: usize = 4;
/// Entries that are shown; a page with more is for nobody to read.
const ENTRIES_MAX: usize = 20_000;
/// In a page: how wide names are.
const NAME_WIDTH: usize = 50;

/// A name in a directory.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: Vec<u8>,
    is_folder: bool,
    size: u64,
    modified: i64,
}

/// Answers with what is in a directory. `path`: where it is below the route's.
pub async fn answer(
    client: &Client,
    trail: &Trail,
    asked: &FileRequest,
    manner: Manner,
    (route, files): (&RoutePlan, &FilesPlan),
    (root, path): (&Path, Vec<u8>),
) -> Result<Next, FileFault> {
    let as_json = files.listing == Listing::Json || asked.wants_json;
    let form = match as_json {
        true => Form::Json,
        false => Form::Page { of: decode_file_path(&asked.path).unwrap_or_default() },
    };
    let body = read_apart(client, trail, (route, files), (root, path), form).await?;
    let content_type = if as_json { "application/json" } else { "text/html; charset=utf-8" };
    let fields: &[_] = match files.listing {
        Listing::Json => &[],
        _ => &[("Vary", "Accept")],
    };
    let sent = Sent::Own { content_type, modified: None };
    let edits = asked.edits(client, &trail.service.plan, route, (200, sent));
    let reply = Reply::new(200, &edits, manner);
    let response = Reply { content_type, body: body.as_bytes(), fields, ..reply }.to_response();
    Ok(reply::send(client, trail, response, manner.keep_alive).await)
}

/// What is made of a directory's entries.
enum Form {
    Json,
    /// Under the name that was asked for.
    Page {
        of: Vec<u8>,
    },
}

/// Has a thread read the directory and write down what is there: for 20,000 entries that takes
/// milliseconds.
async fn read_apart(
    client: &Client,
    trail: &Trail,
    (route, files): (&RoutePlan, &FilesPlan),
    (folder, path): (&Path, Vec<u8>),
    form: Form,
) -> Result<String, FileFault> {
    let context = &client.context;
    let running = context.files.listings().clone();
    if std::sync::Arc::strong_count(&running) > AT_ONCE + 1 {
        return Err(FileFault::Short);
    }
    let default = FileCachePlan::default();
    let cache = trail.service.plan.file_cache.as_ref().unwrap_or(&default);
    let symlinks = files.symlinks;
    let place = Place { context, cache, folder, symlinks };
    let root = place.root().await?;
    let (sender, mut results) = mailbox().map_err(fault)?;
    let read = move || {
        let body = read(root.as_fd(), &path, symlinks).map(|entries| match &form {
            Form::Json => to_json(&entries),
            Form::Page { of } => to_page(of, &entries),
        });
        // Without a receiver the client has left.
        sender.send(body);
        drop(running);
    };
    let thread = std::thread::Builder::new().name("listing".into());
    thread.spawn(read).map_err(|_| FileFault::Short)?;
    let waiting = results.recv(&context.ring);
    let read = client.timer.within(route.timeouts.body_idle, waiting).await;
    read.ok().flatten().unwrap_or(Err(FileFault::Broken))
}

/// What is in a directory, directories first, by name. Hidden names are left out, and so are links
/// that must not be followed.
fn read(root: BorrowedFd<'_>, path: &[u8], symlinks: Symlinks) -> Result<Vec<Entry>, FileFault> {
    let folder = open(root, path, OFlags::RDONLY | OFlags::DIRECTORY, symlinks);
    let folder = folder.map_err(|error| fault(error.into()))?;
    let names = Dir::read_from(&folder).map_err(|error| fault(error.into()))?;
    let mut entries = Vec::new();
    for name in names {
        let name = name.map_err(|error| fault(error.into()))?;
        let name = name.file_name().to_bytes();
        if name.starts_with(b".") {
            continue;
        }
        let below = || [path, name].concat();
        let Some(stat) = look(root, folder.as_fd(), name, below, symlinks) else { continue };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind.is_dir() || kind.is_file() {
            entries.push(Entry {
                name: name.to_vec(),
                is_folder: kind.is_dir(),
                size: stat.st_size as u64,
                modified: stat.st_mtime,
            });
        }
        if entries.len() == ENTRIES_MAX {
            break;
        }
    }
    entries.sort_by(|a, b| (!a.is_folder, &a.name).cmp(&(!b.is_folder, &b.name)));
    Ok(entries)
}

/// What an entry is; of a link, what it leads to, if it may.
fn look(
    root: BorrowedFd<'_>,
    folder: BorrowedFd<'_>,
    name: &[u8],
    below: impl Fn() -> Vec<u8>,
    symlinks: Symlinks,
) -> Option<Stat> {
    let name = OsStr::from_bytes(name);
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    if !FileType::from_raw_mode(stat.st_mode).is_symlink() {
        return Some(stat);
    }
    match symlinks {
        Symlinks::Never => None,
        Symlinks::Anywhere => statat(folder, name, AtFlags::empty()).ok(),
        Symlinks::Inside => {
            let target = open(root, &below(), OFlags::PATH, symlinks).ok()?;
            rustix::fs::fstat(&target).ok()
        }
    }
}

fn open(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    symlinks: Symlinks,
) -> rustix::io::Result<OwnedFd> {
    let resolve = match symlinks {
        Symlinks::Inside => ResolveFlags::BENEATH,
        Symlinks::Never => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        Symlinks::Anywhere => ResolveFlags::empty(),
    };
    let path: &[u8] = if path.is_empty() { b"." } else { path };
    open_now(root, path, flags | OFlags::CLOEXEC, resolve)
}

fn to_json(entries: &[Entry]) -> String {
    let entry = |entry: &Entry| {
        let name = String::from_utf8_lossy(&entry.name);
        let modified = http_date(entry.modified);
        match entry.is_folder {
            true => json!({ "name": name, "type": "directory", "mtime": modified }),
            false => {
                json!({ "name": name, "type": "file", "mtime": modified, "size": entry.size })
            }
        }
    };
    serde_json::Value::from(entries.iter().map(entry).collect::<Vec<_>>()).to_string()
}

fn to_page(path: &[u8], entries: &[Entry]) -> String {
    let title = escaped(&String::from_utf8_lossy(path));
    let mut page = format!(
        "<html>\r\n<head><title>Index of /{title}</title></head>\r\n<body>\r\n\
         <h1>Index of /{title}</h1><hr><pre>"
    );
    if !path.is_empty() {
        page.push_str("<a href=\"../\">../</a>\r\n");
    }
    for entry in entries {
        let slash = if entry.is_folder { "/" } else { "" };
        let name = format!("{}{slash}", String::from_utf8_lossy(&entry.name));
        let length = name.chars().count();
        let shown = match length > NAME_WIDTH {
            true => name.chars().take(NAME_WIDTH - 3).chain("..>".chars()).collect(),
            false => name,
        };
        // A colon would make what stands before it a scheme.
        let href = encode_file_path(&entry.name).replace(':', "%3A");
        let _ = write!(page, "<a href=\"{}{slash}\">{}</a>", escaped(&href), escaped(&shown));
        let size = if entry.is_folder { "-".to_owned() } else { entry.size.to_string() };
        let blanks = NAME_WIDTH.saturating_sub(length) + 1;
        let _ = write!(page, "{:blanks$}{} {size:>19}\r\n", "", day_and_time(entry.modified));
    }
    page.push_str("</pre><hr></body>\r\n</html>\r\n");
    page
}

/// `06-Nov-1994 08:49`
fn day_and_time(seconds: i64) -> String {
    let date = http_date(seconds);
    format!("{}-{}-{} {}", &date[5..7], &date[8..11], &date[12..16], &date[17..22])
}

/// As text in a page.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn entry(name: &str, is_folder: bool) -> Entry {
        Entry { name: name.into(), is_folder, size: 1234, modified: 784_111_777 }
    }

    #[test]
    fn a_page_is_that_of_nginx() {
        let page = to_page(b"a/b/", &[entry("sub", true), entry("file.txt", false)]);
        let lines: Vec<&str> = page.split("\r\n").collect();
        assert_eq!(lines[1], "<head><title>Index of /a/b/</title></head>");
        assert_eq!(lines[3], "<h1>Index of /a/b/</h1><hr><pre><a href=\"../\">../</a>");
        let blanks = " ".repeat(47);
        let dash = format!("{:>19}", "-");
        let row = format!("<a href=\"sub/\">sub/</a>{blanks}06-Nov-1994 08:49 {dash}");
        assert_eq!(lines[4], row);
        assert!(lines[5].starts_with("<a href=\"file.txt\">file.txt</a>"));
        assert!(lines[5].ends_with(" 06-Nov-1994 08:49                1234"));
        assert!(!to_page(b"", &[]).contains("../"));
    }

    #[test]
    fn names_cannot_break_out() {
        let name = "<script>alert('&\"')</script> javascript:x";
        let page = to_page(b"<b>/", &[entry(name, false)]);
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("href=\"j"));
        assert!(page.contains("&lt;script&gt;alert(&#39;&amp;&quot;&#39;)"), "{page}");
        assert!(page.contains("javascript%3Ax"));
        let json = to_json(&[entry("\"\\", false), entry("d", true)]);
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let parsed: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let file = json!({ "name": "\"\\", "type": "file", "mtime": date, "size": 1234 });
        let folder = json!({ "name": "d", "type": "directory", "mtime": date });
        assert_eq!(parsed, json!([file, folder]));
    }

    #[test]
    fn long_names_are_cut() {
        let page = to_page(b"", &[entry(&"n".repeat(60), false)]);
        let shown = format!(">{}..&gt;</a> 06-Nov", "n".repeat(47));
        assert!(page.contains(&shown), "{page}");
    }

    #[test]
    fn entries_are_those_that_would_be_served() {
        let stage = tempfile::tempdir().expect("a directory");
        let root = stage.path().join("root");
        fs::create_dir_all(root.join("d/sub")).expect("directories");
        fs::write(stage.path().join("secret"), "secret").expect("a file");
        fs::write(root.join("d/z"), "12").expect("a file");
        fs::write(root.join("d/.hidden"), "").expect("a file");
        symlink("../../secret", root.join("d/out")).expect("a link");
        symlink("z", root.join("d/in")).expect("a link");
        symlink("nowhere", root.join("d/broken")).expect("a link");
        let root = fs::File::open(root).expect("the root");
        let names = |symlinks| {
            let entries = read(root.as_fd(), b"d/", symlinks).expect("read");
            let name = |entry: Entry| String::from_utf8(entry.name).expect("text");
            entries.into_iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names(Symlinks::Never), ["sub", "z"]);
        assert_eq!(names(Symlinks::Inside), ["sub", "in", "z"]);
        assert_eq!(names(Symlinks::Anywhere), ["sub", "in", "out", "z"]);
        assert!(read(root.as_fd(), b"nowhere/", Symlinks::Inside).is_err());
    }
}
