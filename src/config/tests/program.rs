//! What a route does before it answers: listeners, targets, steps, maps, error pages.

use super::*;
use crate::plan::Step;

/// The complaints about a route with these lines, behind a listener and an upstream; the route's
/// lines begin at 8.
fn complaints(lines: &str) -> Vec<String> {
    let text = format!("{LISTENER}{UPSTREAM}[[route]]\nupstream = \"app\"\n{lines}\n");
    let refused = from_text(&text, "x", &machine()).expect_err(lines);
    refused.iter().map(|complaint| complaint.to_string()).collect()
}

#[test]
fn what_cannot_be_meant() {
    for (lines, expected) in [
        (
            "listeners = [\"public\"]",
            "x:8:14: there is no listener `public`; add name = \"public\" to a [[listener]]",
        ),
        ("listeners = []", "x:8:13: `listeners` is empty; remove it to take what comes by any"),
        (
            "host = \"~(\"",
            "x:8:8: `host` is \"~(\": bad regular expression: unclosed group; see \
             https://docs.rs/regex for the syntax",
        ),
        (
            "host = '~(?<uri>a)'",
            "x:8:8: the group `uri` has the name of a variable; call it otherwise",
        ),
        (
            "replace_path = \"x\"",
            "x:8:16: `replace_path` is \"x\": a path begins with `/`; did you mean \"/x\"?",
        ),
        (
            "path_within = \"/x\"",
            "x:8:15: `path_within` is about a `path_regex`, and there is none; remove it, or write \
             `path_start` alone",
        ),
        (
            "path_regex = \"a\"\nreplace_path = \"/x\"",
            "x:9:16: `replace_path` does not go with `path_regex`: what it matched has no end; \
             use `send_path`, such as \"/x/$1$is_args$args\"",
        ),
        (
            "replace_path = \"/x\"\nsend_path = \"/y\"",
            "x:9:13: a route has one of `replace_path` and `send_path`; keep one",
        ),
        (
            "before = \"site\"",
            "x:8:10: `before` is \"site\", which is no name of an internal route; did you mean \
             \"@site\"?",
        ),
        (
            "before = \"@site\"",
            "x:8:10: there is no internal route `site`; add a [[route]] with name = \"site\" and \
             internal = true",
        ),
        (
            "[[route]]\nname = \"a\"\ninternal = true\nbefore = \"@a\"\nsteps = [{ break = true }]",
            "x:11:10: `before` is of routes that are found by their path; remove it",
        ),
        (
            "[[route]]\nname = \"a\"\ninternal = true",
            "x:8:1: the route does not say what answers; add",
        ),
        (
            "redirects = [[\"a\"]]",
            "x:8:14: a rule of `redirects` is a pair of texts; write what to replace, and by what",
        ),
        (
            "request_fields = { set = { X = \"$nowhere\" } }",
            "x:8:32: there is no variable `$nowhere`; there are",
        ),
        (
            "steps = [{ set = \"mine\", to = \"a\" }, { if = \"$mne\", then = [] }]",
            "x:8:45: there is no variable `$mne`; did you mean `mine`?",
        ),
        (
            "steps = [{ set = \"host\", to = \"a\" }]",
            "x:8:18: `$host` is what it is; set another name",
        ),
        (
            "steps = [{}]",
            "x:8:10: a step does nothing; it begins with `set`, `rewrite`, `return`, `break`, \
             `answer_by`, `if`, `file`, `directory`, `exists`, `executable`",
        ),
        (
            "steps = [{ rewrite = \"(\", to = \"/a\" }]",
            "x:8:22: `rewrite` is \"(\": bad regular expression: unclosed group; see \
             https://docs.rs/regex for the syntax",
        ),
        (
            "steps = [{ rewrite = \"a\", to = \"/a\", then = \"lst\" }]",
            "x:8:45: unknown `then` \"lst\"; did you mean `last`?",
        ),
        (
            "steps = [{ if = \"$uri\", is = \"a\", matches = \"b\", then = [] }]",
            "x:8:45: a condition has one of `is`, `among`, `matches` and their opposites; write \
             one step for each",
        ),
        (
            "steps = [{ if = \"$uri\" }]",
            "x:8:10: a step has no `then`; add then = [{ return = 403 }]",
        ),
        (
            "steps = [{ return = 404, to = \"/a\" }]",
            "x:8:21: status 404 is not a redirect; write 301, 302, 303, 307 or 308, or `body` in \
             place of `to`",
        ),
        ("steps = [{ break = false }]", "x:8:20: `break` is false; write true, or remove the step"),
        ("steps = [{ break = true, than = 1 }]", "x:8:26: unknown key `than` in a step;"),
        (
            "error_pages = [{ on = [404], to = \"@gone\" }]",
            "x:8:35: there is no internal route `gone`; add a [[route]] with name = \"gone\" and \
             internal = true",
        ),
        (
            "error_pages = [{ on = [404], to = \"gone\" }]",
            "x:8:35: `to` is \"gone\", which is no place; write a path such as \"/50x.html\", \
             \"@name\" of an internal route, or a URL",
        ),
        (
            "error_pages = [{ on = [200], to = \"/a\" }]",
            "x:8:24: `on` is 200; write a number from 300 to 599",
        ),
        (
            "[[map]]\nname = \"a\"\nfrom = \"$b\"\nvalues = []\n\
             [[map]]\nname = \"b\"\nfrom = \"$host\"\nvalues = [[\"x\", \"$a\"]]",
            "x:9:8: the map `a` needs its own value; look it up by something else",
        ),
        (
            "[[map]]\nname = \"a\"\nfrom = \"$host\"\nvalues = [[\"X\", \"1\"], [\"x\", \"2\"]]",
            "x:11:24: \"x\" is there twice; keep one; case is ignored",
        ),
        (
            "[[route]]\nupstream = \"app\"",
            "x:8:1: there is already a route for any host and `/`; this one could never answer: \
             remove one of them",
        ),
    ] {
        let complaints = complaints(lines);
        assert!(complaints[0].starts_with(expected), "{lines}\n{complaints:#?}");
    }
}

/// The head of a request is copied for those only that something is made of later.
#[test]
fn few_routes_ask_about_a_request_later() {
    for (lines, later) in [
        ("redirects = [\"default\", [\"~^http://a/\", \"/b\"]]", false),
        ("request_fields = { set = { Host = \"$host\" } }\npass_forwarding = true", false),
        ("response_fields = { add = { X = \"a\" } }", false),
        ("redirects = [[\"/\", \"http://$host/\"]]", true),
        ("redirects = [[\"~^http://([^/]*)/\", \"/$1/\"]]", true),
        ("response_fields = { add = { X = \"$uri\" } }", true),
        ("error_pages = [{ on = [502], to = \"/x\" }]", true),
    ] {
        let loaded =
            accept(&format!("{LISTENER}{UPSTREAM}[[route]]\nupstream = \"app\"\n{lines}\n"));
        assert_eq!(loaded.plan.routes[0].asks_later(), later, "{lines}");
    }
}

#[test]
fn a_step_names_the_route_that_answers() {
    let internal = "[[route]]\nname = \"other\"\ninternal = \"by_name\"\npath = \"/there\"\n\
                    upstream = \"app\"\n";
    let steps = "steps = [{ if = \"$arg_x\", then = [{ answer_by = \"@other\" }] }]\n";
    let loaded = accept(&format!("{LISTENER}{UPSTREAM}{ROUTE}{steps}{internal}"));
    let program = loaded.plan.routes[0].program.as_ref().expect("a program");
    let Step::If { then, .. } = &program.steps[0] else { panic!("a condition") };
    assert!(matches!(then[0], Step::AnswerBy { route: 1, .. }), "{then:?}");
    let found = loaded.plan.table.find(None, "/there").map(|found| found.route);
    assert_eq!(found, Some(0), "no path leads there");
    let refused = complaints("steps = [{ answer_by = \"@none\" }]");
    assert!(refused[0].contains("there is no internal route `none`"), "{refused:?}");
}

#[test]
fn a_route_without_any_of_it_has_no_program() {
    let loaded = accept(&format!(
        "{LISTENER}{UPSTREAM}[[route]]\npath_regex = '^/(a|b)'\nupstream = \"app\"\n\
         response_fields = {{ set = {{ X = \"$host\" }} }}\n"
    ));
    assert!(loaded.plan.routes[0].program.is_none(), "nobody asks for the group");
    let asked = accept(&format!(
        "{LISTENER}{UPSTREAM}[[route]]\npath_regex = '^/(a|b)'\nupstream = \"app\"\n\
         send_path = \"/$1\"\n"
    ));
    let program = asked.plan.routes[0].program.as_ref().expect("a program");
    assert!(program.path.is_some() && program.steps.is_empty());
}

#[test]
fn an_expression_may_be_for_paths_that_begin_alike() {
    let route =
        |within: &str| format!("[[route]]\npath_regex = '/x$'\n{within}\nupstream = \"app\"\n");
    let within = |path: &str| route(&format!("path_within = \"{path}\""));
    let text = [LISTENER, UPSTREAM, &within("/a/"), &within("/%62/"), &route("")].concat();
    let plan = accept(&text).plan;
    let names: Vec<&str> = plan.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["* /x$ in /a/", "* /x$ in /b/", "* /x$"]);
    for (path, expected) in [("/a/x", 0), ("/b/c/x", 1), ("/c/x", 2), ("/%61/x", 0)] {
        let found = plan.table.find(None, path).map(|found| found.route);
        assert_eq!(found, Some(expected), "{path}");
    }
}

#[test]
fn the_same_route_may_be_there_for_each_listener() {
    let loaded = accept(&format!(
        "[[listener]]\nname = \"a\"\naddress = \"127.0.0.1:1\"\n\
         [[listener]]\nname = \"b\"\naddress = \"127.0.0.1:2\"\n{LISTENER}{UPSTREAM}\
         [[route]]\nlisteners = [\"a\"]\nupstream = \"app\"\n\
         [[route]]\nlisteners = [\"b\"]\nupstream = \"app\"\n\
         [[route]]\npath = \"/all\"\nupstream = \"app\"\n"
    ));
    let plan = &loaded.plan;
    let found = |table: &crate::route::Table, path| table.find(None, path).map(|at| at.route);
    let [(a, of_a), (b, of_b)] = &plan.tables[..] else { panic!("two tables") };
    assert_eq!((&a[..], &b[..]), ("a", "b"));
    assert_eq!(
        (found(of_a, "/"), found(of_b, "/"), found(&plan.table, "/")),
        (Some(0), Some(1), None)
    );
    for table in [of_a, of_b, &plan.table] {
        assert_eq!(found(table, "/all"), Some(2));
    }
}
