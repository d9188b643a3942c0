//! Maintenance, CORS, passwords and compression, as configured.

use super::refused::check_parts;
use super::*;
use crate::plan::{Coding, CompressPlan, ContentPlan, Origins};

const OWN: &str = "[[route]]\npath = \"/x\"\nupstream = \"app\"\n";

/// The plan of a route with these lines, below `top`.
fn content(top: &str, lines: &str) -> Option<Box<ContentPlan>> {
    let text = format!("{top}\n{LISTENER}{UPSTREAM}{ROUTE}{OWN}{lines}\n");
    accept(&text).plan.routes[1].content.clone()
}

fn compress(top: &str, lines: &str) -> Option<CompressPlan> {
    Some((*content(top, lines)?.compress?).clone())
}

#[test]
fn most_routes_have_none_of_it() {
    assert!(content("", "").is_none());
    for nothing in ["maintenance = false", "compress = false"] {
        assert!(content("", nothing).is_none(), "{nothing}");
    }
    assert!(content("compress = true", "compress = false").is_none());
    assert!(content("compress = false", "").is_none());
}

#[test]
fn compression_of_all_and_of_one() {
    let default = compress("", "compress = true").expect("on");
    assert_eq!(default.codings, [Coding::Zstd, Coding::Brotli, Coding::Gzip]);
    assert_eq!((default.min_bytes, default.types.len()), (1024, CompressPlan::TYPES.len()));
    assert_eq!(compress("compress = true", ""), Some(default.clone()));
    assert_eq!(compress("", "compress = {}"), Some(default));
    let top = "compress = { algorithms = \"gzip\", min_bytes = \"20B\", level = 7 }";
    let own = compress(top, "compress = { types = [\"text/*\"], level = { br = 2 } }").expect("on");
    assert_eq!((&own.codings[..], own.min_bytes, own.types.len()), (&[Coding::Gzip][..], 20, 1));
    assert_eq!((own.gzip_level, own.brotli_level, own.zstd_level), (7, 2, 7));
    let again = compress("compress = false", "compress = { level = 1 }").expect("on");
    assert_eq!((again.gzip_level, again.min_bytes), (1, 1024));
}

#[test]
fn wrong_compression() {
    check_parts(&[
        (
            "compress = { algorithms = [\"gzip\", \"brotli\", \"gzip\"], types = [\"html\"], \
             level = 10 }",
            &[
                "1:36: there is no algorithm \"brotli\"; did you mean `br`?",
                "1:46: `gzip` is there twice; remove one",
                "1:64: \"html\" is no content type; write \"text/html\", \"text/*\", or \"*\" for \
                 all",
                "1:81: `level` is 10; write a number from 1 to 9",
            ],
        ),
        (
            "[[route]]\npath = \"/x\"\nupstream = \"app\"\ncompress = { algorithms = [], \
             level = { br = 11, deflate = 1 } }",
            &[
                "4:27: `algorithms` is empty; remove it, or set compress = false",
                "4:46: `br` is 11; write a number from 1 to 9",
                "4:50: unknown key `deflate` in `level` of `compress`; the keys here are `gzip`, \
                 `br`, `zstd`",
            ],
        ),
        ("compress = \"gzip\"", &["1:12: `compress` is a string; write true or false"]),
    ]);
}

#[test]
fn other_sites() {
    let cors = |text: &str| content("", &format!("cors = {{ {text} }}")).unwrap().cors.unwrap();
    let plan = cors("origins = \"*\"");
    assert_eq!((&plan.origins, plan.credentials, plan.max_age), (&Origins::Any, false, Some(600)));
    assert_eq!((&*plan.methods, plan.headers), ("GET, HEAD, POST, PUT, PATCH, DELETE", None));
    let plan = cors(
        "origins = [\"https://a.example\"], methods = [\"GET\"], headers = [\"X-A\", \"X-B\"], \
         expose = \"X-C\", credentials = true, max_age = \"1h\"",
    );
    assert_eq!((&*plan.methods, plan.headers.as_deref()), ("GET", Some("X-A, X-B")));
    assert_eq!((&*plan.expose, plan.credentials, plan.max_age), ("X-C", true, Some(3600)));
}

#[test]
fn wrong_sites() {
    let route = |text: &str| format!("{OWN}cors = {{ {text} }}");
    let origins = route(
        "origins = [\"a.example\", \"https://a.example/\", \"https://b.example:443\", \"*\", \
         \"null\", \"https://*b.example\", \"https://\"]",
    );
    let credentials = route("origins = \"*\", credentials = true");
    let expose = route("origins = \"https://a.example\", credentials = true, expose = \"*\"");
    let names = route("origins = \"*\", methods = [\"get\", \"a b\"], headers = [\"X A\"]");
    check_parts(&[
        (
            &origins,
            &[
                "4:21: an item of `origins` is \"a.example\", which has no scheme; did you mean \
                 \"https://a.example\"?",
                "4:34: an item of `origins` is \"https://a.example/\", but an origin has no path; \
                 did you mean \"https://a.example\"?",
                "4:56: an item of `origins` is \"https://b.example:443\", but browsers leave out \
                 that port; did you mean \"https://b.example\"?",
                "4:81: an item of `origins` is \"*\", which stands alone; write origins = \"*\"",
                "4:86: an item of `origins` is \"null\", which any page can make itself; remove it",
                "4:94: an item of `origins` is \"https://*b.example\", but a star is a whole \
                 label; write \"https://*.example.com\"",
                "4:116: an item of `origins` is \"https://\", which names no host; write \
                 \"https://app.example.com\"",
            ],
        ),
        (
            &credentials,
            &["4:39: `credentials` with all origins would let every site act as the visitor; \
                 list the `origins`, or remove `credentials`"],
        ),
        (
            &expose,
            &["4:55: with `credentials`, browsers take the `*` in `expose` for a name; list the \
               fields in `expose`"],
        ),
        (
            &names,
            &[
                "4:36: \"get\" is no method: they are in capitals; did you mean \"GET\"?",
                "4:43: \"a b\" is no method; write \"GET\" or the like",
                "4:62: `X A` is not a field name; use letters, digits and hyphens, as in \
                 \"X-Request-Id\"",
            ],
        ),
        (
            &route("credentials = false"),
            &["4:8: `cors` has no `origins`; add origins = [\"https://app.example.com\"]"],
        ),
    ]);
}

/// Reads a file with these lines of a route, beside `files`.
fn among(files: &[(&str, &str)], lines: &str) -> Result<Loaded, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let name = folder.path().join("corelane.toml").display().to_string();
    let text = format!("{LISTENER}{UPSTREAM}{ROUTE}{lines}\n");
    let short = |complaint: &Complaint| {
        complaint.to_string().replace(&format!("{}/", folder.path().display()), "")
    };
    from_text(&text, &name, &machine()).map_err(|all| all.iter().map(short).collect())
}

const HASH: &str = "$apr1$Ab./0189$Y1p2aeVqep1OQWYqoVNgc.";

#[test]
fn password_files() {
    let users = format!("ann:{HASH}\n");
    let lines = "basic_auth = { realm = \"Staff\", file = \"users\" }";
    let loaded = among(&[("users", &users)], lines).expect("accepted");
    let auth = loaded.plan.routes[0].content.as_ref().unwrap().basic_auth.as_ref().unwrap();
    assert_eq!(&*auth.challenge, "Basic realm=\"Staff\", charset=\"UTF-8\"");
    assert!(auth.passwords.admit(b"ann:secret") && !auth.passwords.admit(b"ann:other"));
    assert_eq!(loaded.warnings, []);
    assert!(loaded.written.files.iter().all(|file| !file.text.contains("apr1")));

    let empty = among(&[("users", "")], lines).expect("accepted");
    assert_eq!(empty.warnings.len(), 1, "{:?}", empty.warnings);

    let wrong = format!("# staff\nann:{HASH}\nbob:plain\n\ncarl\n");
    let route = format!("{lines}\n[[route]]\npath = \"/x\"\nupstream = \"app\"\n{lines}");
    assert_eq!(
        among(&[("users", &wrong)], &route).expect_err("refused"),
        [
            "users:3:1: the password of `bob` is not hashed, or by a scheme that is not known \
             here; make it anew: htpasswd -B FILE USER",
            "users:5:1: the line has no colon; write user:hash, as htpasswd does",
        ]
    );
    let missing = among(&[], lines).expect_err("refused");
    assert!(missing[0].starts_with("corelane.toml:8:40: `users` cannot be read"), "{missing:?}");
    let none = among(&[], "basic_auth = { realm = \"x\" }").expect_err("refused");
    let expected = "corelane.toml:8:14: `basic_auth` has no `file`; add file = \"site.htpasswd\"";
    assert_eq!(none, [expected]);
}

#[test]
fn maintenance() {
    let plan = |files: &[(&str, &str)], lines: &str| {
        let loaded = among(files, lines).expect("accepted");
        loaded.plan.routes[0].content.clone().unwrap().maintenance.unwrap()
    };
    let default = plan(&[], "maintenance = true");
    assert!(default.is_on() && default.allow.is_none() && default.when.is_none());
    assert_eq!(default.retry_after, Some(300));
    let page = plan(&[("page.HTML", "<p>")], "maintenance = { file = \"page.HTML\" }").page;
    assert_eq!((&*page.content_type, &page.bytes[..]), ("text/html; charset=utf-8", &b"<p>"[..]));
    let lines = "maintenance = { body = \"x\", content_type = \"a/b\", retry_after = \"2m\", \
                 when = \"closed\", allow = [\"10.0.0.0/8\", \"unix\"] }";
    for (files, on) in [(&[("closed", "")][..], true), (&[], false)] {
        let plan = plan(files, lines);
        assert_eq!(
            (plan.is_on(), plan.retry_after, &*plan.page.content_type),
            (on, Some(120), "a/b")
        );
        let allow = plan.allow.unwrap();
        assert!(allow.allows(None) && !allow.allows(Some([127, 0, 0, 1].into())));
        assert!(plan.when.unwrap().path.ends_with("closed"));
    }
    for (lines, expected) in [
        (
            "maintenance = { file = \"none.html\" }",
            "corelane.toml:8:24: `none.html` cannot be read: No such file or directory (os error \
             2); check its path and permissions",
        ),
        (
            "maintenance = { file = \"corelane.toml\", body = \"x\" }",
            "corelane.toml:8:24: maintenance has one page: `file` or `body`; keep one of the two",
        ),
        (
            "maintenance = \"yes\"",
            "corelane.toml:8:15: `maintenance` is a string; write true or false",
        ),
        (
            "maintenance = { allow = [], when = \"\" }",
            "corelane.toml:8:25: `allow` is empty; remove it, or name a network",
        ),
    ] {
        assert_eq!(among(&[], lines).expect_err("refused")[0], expected);
    }
}
