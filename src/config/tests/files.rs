//! Routes that serve files, accepted and refused.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::plan::{Expires, FilesPlan, LastResort, Listing, Place, Symlinks, Template, TryPiece};

fn site(path: &str, settings: &str) -> String {
    format!("{LISTENER}[[route]]\n{path}\n[route.files]\n{settings}\n")
}

fn files(path: &str, settings: &str) -> FilesPlan {
    let plan = accept(&site(path, settings)).plan;
    match &plan.routes[0].action {
        Action::Files(files) => (**files).clone(),
        other => panic!("no files: {other:?}"),
    }
}

#[test]
fn what_is_not_written_is_as_documented() {
    let plan = accept(&site("", "root = \"/srv/www\"")).plan;
    let cache = plan.file_cache.expect("a cache");
    assert_eq!((cache.max, cache.valid), (1000, Duration::from_secs(1)));
    let files = files("", "root = \"/srv/www\"");
    assert_eq!(files.place, Place::Root("/srv/www".into()));
    assert_eq!(files.index, ["index.html"]);
    assert_eq!((files.listing, files.symlinks), (Listing::Off, Symlinks::Inside));
    assert!(files.tries.is_none() && files.precompressed.is_empty() && files.etag);
    assert_eq!((files.hidden, files.max_ranges), (false, 64));
    assert_eq!((files.cache_control, files.expires), (None, None));
    assert_eq!(files.types.of(b"a.html"), "text/html");
    assert_eq!(accept(&format!("{LISTENER}{UPSTREAM}{ROUTE}")).plan.file_cache, None);
}

#[test]
fn types_of_a_route_go_before_those_of_all() {
    let all = "[files]\ncharset = \"utf-8\"\ndefault_type = \"x/all\"\n\
               [files.types]\na = \"x/a\"\nb = \"text/b\"\n";
    let route = site("", "root = \"/\"\ntypes = { A = \"x/own\" }");
    let plan = accept(&format!("{all}{route}")).plan;
    let Action::Files(files) = &plan.routes[0].action else { panic!("no files") };
    let of = |name: &[u8]| files.types.of(name).into_owned();
    assert_eq!([of(b"x.a"), of(b"x.b")], ["x/own", "text/b; charset=utf-8"]);
    assert_eq!(of(b"x"), "x/all");
    let silent = files_of(&format!("{all}{}", site("", "root = \"/\"\ncharset = \"none\"")));
    assert_eq!(silent.types.of(b"x.b"), "text/b");
}

#[test]
fn only_types_leaves_out_what_is_known_from_elsewhere() {
    let of = |all: &str, route: &str, name: &[u8]| {
        let route = site("", &format!("root = \"/\"\n{route}"));
        files_of(&format!("[files]\n{all}\n{route}")).types.of(name).into_owned()
    };
    let (default, known) = ("application/octet-stream", "types = { a = \"x/a\" }");
    assert_eq!(of("only_types = true", "", b"x.html"), default);
    assert_eq!(of("only_types = true", "only_types = false", b"x.html"), "text/html");
    assert_eq!(of(known, "only_types = true", b"x.html"), default);
    assert_eq!(of(known, "only_types = true", b"x.a"), default);
    assert_eq!(of(known, "only_types = true\ntypes = { b = \"x/b\" }", b"x.b"), "x/b");
    assert_eq!(of(known, "", b"x.a"), "x/a");
    let all = format!("only_types = true\n{known}");
    assert_eq!(of(&all, "", b"x.a"), "x/a");
    assert_eq!(of(&all, "types = { b = \"x/b\" }", b"x.a"), "x/a");
}

#[test]
fn an_alias_may_be_for_another_path() {
    for path in ["path_regex = '\\.css$'", "path = \"/s/a/\"", "path_exact = \"/s/x\""] {
        let place = files(path, "alias = \"/srv/x\"\nalias_path = \"/%73/\"").place;
        let expected = Place::Alias { folder: "/srv/x".into(), matched: b"s/".to_vec() };
        assert_eq!(place, expected, "{path}");
    }
}

fn files_of(text: &str) -> FilesPlan {
    match &accept(text).plan.routes[0].action {
        Action::Files(files) => (**files).clone(),
        other => panic!("no files: {other:?}"),
    }
}

#[test]
fn an_alias_is_what_the_route_matches() {
    let alias = |path| files(path, "alias = \"/srv/x\"").place;
    let expected = |matched: &str| Place::Alias {
        folder: "/srv/x".into(),
        matched: matched.as_bytes().to_vec(),
    };
    assert_eq!(alias("path = \"/a%20b\""), expected("a b"));
    assert_eq!(alias("path = \"/a/\""), expected("a/"));
    assert_eq!(alias(""), expected(""));
    let file = Place::File { folder: "/srv".into(), name: "x".into() };
    assert_eq!(alias("path_exact = \"/f\""), file);
}

#[test]
fn try_and_expires() {
    let tries = "root = \"/\"\ntry = [\"$uri\", \"/p${uri}.html\", \"$uri/\", \"/i.html\"]";
    let plan = files("", tries).tries.expect("a plan");
    let piece = |text: &str| TryPiece::Text(text.to_owned());
    assert_eq!(plan.paths[1].pieces, [piece("/p"), TryPiece::Uri, piece(".html")]);
    let directories: Vec<bool> = plan.paths.iter().map(|path| path.directory).collect();
    assert_eq!(directories, [false, false, true]);
    assert_eq!(plan.last, LastResort::Path(Template::plain("/i.html")));
    let status = files("", "root = \"/\"\ntry = [\"$uri\", \"=404\"]").tries.expect("a plan");
    assert_eq!(status.last, LastResort::Status(404));
    let expires = |written| files("", &format!("root = \"/\"\nexpires = {written}")).expires;
    let hour = Duration::from_secs(3600);
    assert_eq!(expires("\"1h\""), Some(Expires::After(hour)));
    assert_eq!(expires("\"max\""), Some(Expires::Max));
    assert_eq!(expires("\"epoch\""), Some(Expires::Epoch));
    assert_eq!(expires("{ after_change = \"1h\" }"), Some(Expires::AfterChange(hour)));
}

/// Relative to the file that names it; what is not there yet is worth a warning.
#[test]
fn the_root_is_looked_at() {
    let main = format!("include = [\"sites/*.toml\"]\n{LISTENER}");
    let route = "[[route]]\n[route.files]\nroot = \"www\"\n[[route]]\npath = \"/b\"\n\
                 [route.files]\nroot = \"nowhere\"\n[[route]]\npath = \"/c\"\n\
                 [route.files]\nroot = \"a.toml\"\n";
    let folder = folder(&[("main.toml", &main), ("sites/a.toml", route), ("sites/www/x", "")]);
    let loaded =
        load(&Origin::Toml(folder.path().join("main.toml")), &machine()).expect("accepted");
    let Action::Files(files) = &loaded.plan.routes[0].action else { panic!("no files") };
    assert_eq!(*files.place.folder(), folder.path().join("sites/www"));
    let lines: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    let sites = folder.path().join("sites");
    let expected = [
        format!(
            "{0}/a.toml:7:8: `{0}/nowhere` cannot be looked at: No such file or directory (os \
             error 2); requests are answered 404 until it is there",
            sites.display()
        ),
        format!(
            "{0}/a.toml:11:8: `{0}/a.toml` is a file, not a directory; name a directory",
            sites.display()
        ),
    ];
    assert_eq!(lines, expected);
    assert!(Path::new("/").is_dir());
}

#[test]
fn mistakes_are_named() {
    for (settings, complaint) in [
        ("", "files have no `root`; add root = \"/var/www/html\""),
        ("root = \"/\"\nalias = \"/\"", "files have one of `root` and `alias`; keep `root` to"),
        (
            "root = \"/\"\nalias_path = \"/a\"",
            "`alias_path` says what `alias` stands for, and there is none; remove it, or",
        ),
        (
            "alias = \"/\"\nalias_path = \"a\"",
            "`alias_path` is \"a\": a path begins with `/`; did you mean \"/a\"?",
        ),
        ("root = \"\"", "`root` is no path; write a directory such as"),
        (
            "root = \"/\"\nindx = \"a\"",
            "unknown key `indx` in [route.files]; did you mean `index`?",
        ),
        ("root = \"/\"\nindex = [\"/a\"]", "\"/a\" is no file's name; write a name such as"),
        ("root = \"/\"\nindex = [\"../a\"]", "\"../a\" is no file's name; write a name such as"),
        ("root = \"/\"\nlisting = \"xml\"", "`listing` is not understood; write true, false or"),
        ("root = \"/\"\nprecompressed = [\"gz\"]", "unknown `precompressed` \"gz\"; it may be"),
        ("root = \"/\"\nsymlinks = \"off\"", "unknown `symlinks` \"off\"; "),
        ("root = \"/\"\ntry = [\"$uri\"]", "`try` needs a path and what answers if it is not"),
        ("root = \"/\"\ntry = [\"=404\", \"/a\"]", "\"=404\" is not a path; only the last of"),
        ("root = \"/\"\ntry = [\"a\", \"/a\"]", "\"a\" does not begin with `/` or `$uri`; did you"),
        ("root = \"/\"\ntry = [\"$url\", \"/a\"]", "there is no variable `$url`; did you mean"),
        ("root = \"/\"\ntry = [\"$uri\", \"=200\"]", "\"=200\" is no status of an error; write"),
        ("root = \"/\"\ntry = [\"$uri\", \"a\"]", "\"a\" cannot be the last of `try`; end with a"),
        (
            "root = \"/\"\ntypes = { \".js\" = \"a/b\" }",
            "`.js` is no extension; did you mean `js`?",
        ),
        ("root = \"/\"\ncharset = \"a b\"", "\"a b\" is no charset; write \"utf-8\" or \"none\""),
        ("root = \"/\"\nexpires = \"1 hour\"", "`1 hour` is not a time; did you mean \"1h\"?"),
    ] {
        let refused = from_text(&site("", settings), "c.toml", &machine());
        let complaints = refused.expect_err(settings);
        let line = complaints[0].to_string();
        assert!(line.contains(&format!(": {complaint}")), "{settings}: {line}");
    }
    let regex = site("path_regex = \"^/a\"", "alias = \"/\"");
    let complaints = from_text(&regex, "c.toml", &machine()).expect_err("refused");
    assert!(complaints[0].to_string().contains("`alias` replaces what the route matches, and"));
    let both = "alias = \"/srv/$1\"\nalias_path = \"/a/\"";
    let both = site("path_regex = \"^/a/(.*)$\"", both);
    let complaints = from_text(&both, "c.toml", &machine()).expect_err("refused");
    assert!(complaints[0].to_string().contains("with variables stands for no path; remove"));
}
