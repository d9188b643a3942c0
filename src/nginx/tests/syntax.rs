//! Words, blocks, includes.

use super::translate_files;
use crate::nginx::lexer::{Lexer, Token};

/// The words of a text, other pieces as themselves; a mistake as `!what`.
fn words(text: &str) -> Vec<String> {
    let mut lexer = Lexer::new(text, 0);
    let mut words = Vec::new();
    loop {
        match lexer.next() {
            Ok(Some(Token::Word(word))) => words.push(word.text),
            Ok(Some(Token::Semicolon(_))) => words.push(";".to_owned()),
            Ok(Some(Token::Open(_))) => words.push("{".to_owned()),
            Ok(Some(Token::Close(_))) => words.push("}".to_owned()),
            Ok(None) => return words,
            Err(error) => {
                words.push(format!("!{}", error.what));
                return words;
            }
        }
    }
}

#[test]
fn texts_are_cut_as_nginx_cuts_them() {
    let table: [(&str, &[&str]); 18] = [
        ("a b;", &["a", "b", ";"]),
        ("a\tb\r\n;", &["a", "b", ";"]),
        ("a{b;}", &["a", "{", "b", ";", "}"]),
        ("a # b;\nc;", &["a", "c", ";"]),
        ("a#b;", &["a#b", ";"]),
        ("a \"b c\";", &["a", "b c", ";"]),
        ("a 'b \"c\"';", &["a", "b \"c\"", ";"]),
        (r#"a "b \" c";"#, &["a", "b \" c", ";"]),
        (r"a b\ c;", &["a", r"b\ c", ";"]),
        (r"a ^/\d+\.php$;", &["a", r"^/\d+\.php$", ";"]),
        (r"a \n\t\\;", &["a", "\n\t\\", ";"]),
        ("a ${host}x;", &["a", "${host}x", ";"]),
        ("a ^/x{2}$;", &["a", "^/x", "{", "2}$", ";"]),
        ("a \"^/x{2}$\" {", &["a", "^/x{2}$", "{"]),
        ("if ($a = \"b\") {", &["if", "($a", "=", "b", ")", "{"]),
        ("a 'b'c;", &["a", "!`c` follows a quoted text without a blank"]),
        ("a 'b;", &["a", "!a quoted text is not closed"]),
        ("a b\"c d\";", &["a", "b\"c", "d\"", ";"]),
    ];
    for (text, expected) in table {
        assert_eq!(words(text), expected, "{text}");
    }
}

#[test]
fn any_text_is_cut_without_a_panic() {
    let pieces = ["a", "\\", "\"", "'", "{", "}", ";", "$", "#", "\n", " ", "é", "${"];
    let mut state = 7_u32;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..8 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(pieces[(state >> 16) as usize % pieces.len()]);
        }
        let _ = words(&text);
    }
}

/// Fails unless the only complaint is this.
#[track_caller]
fn assert_refused(files: &[(&str, &str)], expected: &str) {
    let errors = translate_files(files).expect_err("refused");
    assert_eq!(errors, [expected], "{files:?}");
}

#[test]
fn blocks_and_lines_must_be_closed() {
    let table = [
        ("http { server { }", "nginx.conf:1:18: the block of line 1 is not closed; add the `}`"),
        (
            "http { } }",
            "nginx.conf:1:10: a `}` closes nothing; remove it, or add the `{` it \
            belongs to",
        ),
        ("http { sendfile on }", "nginx.conf:1:17: `on` is not ended; add a `;` before the `}`"),
        ("user www-data", "nginx.conf:1:6: the file ends after `www-data`; add a `;`"),
        ("http { ; }", "nginx.conf:1:8: there is nothing before `;`; remove it"),
        (
            "http { { } }",
            "nginx.conf:1:8: a `{` opens nothing; put what it opens before it; an expression with \
             braces needs quotes",
        ),
    ];
    for (text, expected) in table {
        assert_refused(&[("nginx.conf", text)], expected);
    }
}

#[test]
fn files_are_included_where_they_are_named() {
    let main = "events { }\nhttp { include sites/*.conf; include none/*; }";
    let site = |port: u16| format!("server {{ listen {port}; return 204; }}");
    let files = [
        ("nginx.conf", main),
        ("sites/b.conf", &site(82)),
        ("sites/a.conf", &site(81)),
        ("sites/c.txt", "nonsense"),
    ];
    let (text, notes) = translate_files(&files).expect("accepted");
    let listeners: Vec<&str> = text.lines().filter(|line| line.starts_with("address")).collect();
    assert_eq!(listeners, ["address = \"0.0.0.0:81\"", "address = \"0.0.0.0:82\""]);
    assert!(text.contains("# sites/a.conf:1\n"), "{text}");
    assert!(notes.iter().any(|note| note.contains("no file matches `none/*`")), "{notes:?}");
}

#[test]
fn what_cannot_be_included_is_told() {
    assert_refused(
        &[("nginx.conf", "events { }\nhttp { include gone.conf; server { } }")],
        "nginx.conf:2:16: `gone.conf` cannot be read: No such file or directory (os error 2); \
         check its path and permissions",
    );
    assert_refused(
        &[
            ("nginx.conf", "events { }\nhttp { include a; }"),
            ("a", "include b;"),
            ("b", "include a;"),
        ],
        "b:1:9: `a` includes itself; take it out of this pattern",
    );
    assert_refused(
        &[("nginx.conf", "http { include a; server { } }"), ("a", "server {")],
        "a:1:9: the block of line 1 is not closed; add the `}`",
    );
}

#[test]
fn programs_in_blocks_are_refused_as_one() {
    let text = "http { server { location / { content_by_lua_block { ngx.say({1, \"}\"}) }\n} } }";
    let errors = translate_files(&[("nginx.conf", text)]).expect_err("refused");
    assert!(errors[0].contains("`content_by_lua_block` is not honoured"), "{errors:?}");
}

#[test]
fn the_file_of_a_site_is_read_as_if_it_were_included() {
    let site = "server { listen 80; server_name a.example; return 204; }";
    let (text, notes) = translate_files(&[("site", site)]).expect("accepted");
    assert!(text.contains("host = [\"a.example\", \"*\"]"), "{text}");
    assert!(notes[0].contains("as if it stood in `http"), "{notes:?}");
}
