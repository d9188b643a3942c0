//! What is refused, and in which words. Each case is one small file and all its complaints.

use super::*;
use proptest::prelude::*;

/// The complaints about a text, without the name of the file.
fn refuse(text: &str) -> Vec<String> {
    let complaints = from_text(text, "f", &machine()).expect_err("accepted");
    let line = |complaint: &Complaint| {
        let line = complaint.to_string();
        line.strip_prefix("f:").map(str::to_owned).unwrap_or(line)
    };
    complaints.iter().map(line).collect()
}

/// Compares the complaints of each case with those expected.
fn check(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        assert_eq!(refuse(text), *expected, "\n{text}");
    }
}

/// The same for a case that is only part of a file; the rest, without mistakes, follows.
pub(super) fn check_parts(cases: &[(&str, &[&str])]) {
    for (part, expected) in cases {
        let text = format!("{part}\n{LISTENER}{UPSTREAM}{ROUTE}");
        assert_eq!(refuse(&text), *expected, "\n{text}");
    }
}

#[test]
fn accounts() {
    check_parts(&[
        ("group = \"www-data\"", &["1:9: `group` is set, but no `user`; set `user` too"]),
        (
            "user = \"\"",
            &["1:8: `` cannot be the name of an account; write a name as in /etc/passwd or \
                 /etc/group, such as \"www-data\""],
        ),
        (
            "user = \"a:b\"",
            &["1:8: `a:b` cannot be the name of an account; write a name as in /etc/passwd or \
                 /etc/group, such as \"www-data\""],
        ),
        ("user = 33", &["1:8: `user` is a whole number; write a string in quotes"]),
    ]);
}

#[test]
fn shards() {
    check_parts(&[
        (
            "shards = 5",
            &["1:10: 5 shards, but this process may use 4 CPUs; write a count up to 4, or \
                 \"auto\""],
        ),
        ("shards = 0", &["1:10: `shards` is 0; write a number from 1 to 1024"]),
        ("shards = -1", &["1:10: `shards` is -1; write a number from 1 to 1024"]),
        (
            "shards = \"all\"",
            &["1:10: `shards` is not understood; write \"auto\", a count, or a list of CPUs"],
        ),
        (
            "shards = [0, 9, 0]",
            &[
                "1:14: this process may not use CPU 9; it may use 0-3",
                "1:17: CPU 0 is listed twice; a CPU runs one shard: remove it",
            ],
        ),
        (
            "shards = []",
            &["1:10: `shards` is an empty list; name at least one CPU, or write \"auto\""],
        ),
        ("shards = [0, \"1\"]", &["1:14: an item of `shards` is a string; write a whole number"]),
        ("limits = { connections = 3 }", &["1:26: 3 connections for 4 shards; write at least 4"]),
    ]);
}

#[test]
fn keys() {
    check_parts(&[
        (
            "[timeouts]\nhaeder = \"1s\"",
            &["2:1: unknown key `haeder` in [timeouts]; did you mean `header`?"],
        ),
        (
            "[splice]\nmode = \"fast\"",
            &["2:1: unknown key `mode` in [splice]; the keys here are `enabled`, `threshold`, \
               `pipe_size`, `pipes`"],
        ),
        ("lisener = 1", &["1:1: unknown key `lisener` in the file; did you mean `listener`?"]),
        (
            "[log]\nshards = 2",
            &["2:1: unknown key `shards` in [log]; it belongs at the top of the file, above the \
               first table"],
        ),
        ("[[timeouts]]", &["1:1: there is one `timeouts` only; write it as [timeouts]"]),
    ]);
}

#[test]
fn quantities() {
    check_parts(&[
        (
            "[timeouts]\nheader = 10\nkeepalive = \"10\"\nconnect = \"1 min\"\nresponse = \"0s\"\n\
             body_idle = \"9000h\"\ndrain = \"0s\"\nhalf_closed = \"soon\"",
            &[
                "2:10: `header` is a whole number; write a time with its unit, such as \"10s\"",
                "3:13: `10` is not a time; did you mean \"10s\"?",
                "4:11: `1 min` is not a time; did you mean \"1m\"?",
                "5:12: `response` is \"0s\"; write a time from 1ms to 8760h",
                "6:13: `body_idle` is \"9000h\"; write a time from 1ms to 8760h",
                "8:15: `soon` is not a time; write a whole number and ms, s, m or h, such as \
                 \"10s\"",
            ],
        ),
        (
            "[limits]\nheader_bytes = \"32KiB\"\nheader_fields = 257\nbody = \"64k\"\nconnections \
             = 0",
            &[
                "2:16: `header_bytes` is \"32KiB\"; write a size from 1KiB to 31KiB",
                "3:17: `header_fields` is 257; write a number from 1 to 256",
                "4:8: `64k` is not a size; did you mean \"64KiB\"?",
                "5:15: `connections` is 0; write a number from 1 to 10000000",
            ],
        ),
        (
            "[ring]\ntier = \"6.6\"\nentries = 1000\nbuffers = \"x\"",
            &[
                "2:8: unknown `tier` \"6.6\"; did you mean `6.1`?",
                "3:11: `entries` is 1000, not a power of two; did you mean 1024?",
                "4:11: `buffers` is a string; write a whole number",
            ],
        ),
        (
            "[splice]\nenabled = \"yes\"\nthreshold = 1024\npipe_size = \"1KiB\"\npipes = 0.5",
            &[
                "2:11: `enabled` is a string; write true or false",
                "3:13: `threshold` is a whole number; write a size with its unit, such as \
                 \"16KiB\"",
                "4:13: `pipe_size` is \"1KiB\"; write a size from 4KiB to 1GiB",
                "5:9: `pipes` is a number with a fraction; write a whole number",
            ],
        ),
        ("[log]\nlevel = \"warning\"", &["2:9: unknown `level` \"warning\"; did you mean `warn`?"]),
    ]);
}

#[test]
fn syntax() {
    check(&[
        ("a = \n", &["1:5: there is no value after the `=`; add one"]),
        ("name = app\n", &["1:8: `app` is not a value; did you mean \"app\", in quotes?"]),
        (
            "[x]\na = 0.0.0.0:80 # all\n",
            &["2:5: `0.0.0.0:80` is not a value; did you mean \"0.0.0.0:80\", in quotes?"],
        ),
        ("a = 10s\n", &["1:5: `10s` is not a value; did you mean \"10s\", in quotes?"]),
        ("a = [1, x]\n", &["1:9: `x` is not a value; did you mean \"x\", in quotes?"]),
        ("a = \"x\n", &["1:7: a string is not closed; add the `\"`"]),
        ("a = 'x\n", &["1:7: a string is not closed; add the `'`"]),
        ("a = 1\na = 2\n", &["2:1: `a` is there twice; keep one"]),
        ("[x\ny = 1\n", &["1:3: unclosed table; expected `]`"]),
        ("listener\n", &["1:9: key with no value; expected `=`"]),
        // One mistake of syntax hides what follows from it, and the checks do not guess.
        ("a = [1, 2\n[b]\nc = 1\n", &["2:1: missing comma between array elements; expected `,`"]),
    ]);
}

#[test]
fn listeners() {
    let without_port = "[[listener]]\naddress = \"127.0.0.1\"\nbacklog = 0\n";
    check(&[
        (
            "",
            &[
                "1:1: there is no listener; add [[listener]] with address = \"0.0.0.0:8080\"",
                "1:1: there is no route; add [[route]] with upstream = \"app\"",
            ],
        ),
        (
            &format!("{without_port}{LISTENER}{LISTENER}[[listener]]\n{UPSTREAM}{ROUTE}"),
            &[
                "2:11: `127.0.0.1` has no port; did you mean \"127.0.0.1:8080\"?",
                "3:11: `backlog` is 0; write a number from 1 to 65535",
                "7:11: there is already a listener on 127.0.0.1:8080; remove one of them",
                "8:1: [[listener]] has no `address`; add address = \"0.0.0.0:8080\"",
            ],
        ),
        (
            &format!("[listener]\nadress = \"127.0.0.1:1\"\n{UPSTREAM}{ROUTE}"),
            &[
                "1:1: `listener` is a table; there may be several: write it as [[listener]]",
                "1:1: [[listener]] has no `address`; add address = \"0.0.0.0:8080\"",
                "2:1: unknown key `adress` in [[listener]]; did you mean `address`?",
            ],
        ),
    ]);
    let any_port = "[[listener]]\naddress = \"127.0.0.1:0\"\n";
    accept(&format!("{any_port}{any_port}{UPSTREAM}{ROUTE}"));
}

#[test]
fn upstreams() {
    let upstream = |body: &str| format!("[[upstream]]\nname = \"app\"\n{body}\n{LISTENER}{ROUTE}");
    check(&[
        (
            &upstream(
                "balance = \"leastconn\"\nhash = \"ip\"\nservers = [\"10.0.0.1\", \
                 { address = \"x:1\", wieght = 3 }, { weight = 1 }, 3,\n\
                 { address = \"y:2\", weight = 0 }, { address = \"y:2\" }, \"http://q:3/\"]",
            ),
            &[
                "3:11: unknown `balance` \"leastconn\"; did you mean `least_conn`?",
                "4:8: `hash` has no effect with this `balance`; write balance = \
                 \"consistent_hash\" or remove `hash`",
                "5:12: `10.0.0.1` has no port; did you mean \"10.0.0.1:80\"?",
                "5:43: unknown key `wieght` in a server; did you mean `weight`?",
                "5:57: a server has no `address`; add address = \"127.0.0.1:3000\"",
                "5:73: an item of `servers` is a whole number; write an address in quotes, such as \
                 \"127.0.0.1:3000\"",
                "6:29: `weight` is 0; write a number from 1 to 1000000, or state = \"drain\" for \
                 no new requests",
                "6:46: the server y:2 is listed twice; remove one; a larger `weight` gives a \
                 larger \
                 share",
                "6:55: `http://q:3/` is a URL, not an address; did you mean \"q:3\"?",
            ],
        ),
        (
            &upstream("servers = [{ address = \"a:1\", backup = true }]"),
            &["1:1: every server of the upstream is a backup; remove `backup` from the servers \
               of every day"],
        ),
        (
            &upstream("servers = \"a:1\"\nbalance = \"consistent_hash\"\nhash = \"field:\""),
            &[
                "3:11: `servers` is a string; write a list in brackets",
                "5:8: `hash` is \"field:\", without a valid name; write \"field:NAME\"",
            ],
        ),
        (
            &upstream("servers = []\npool = { idle_timeout = \"0s\" }\nqueue = { maximum = 3 }"),
            &[
                "3:11: `servers` is empty; add at least one, such as \"127.0.0.1:3000\"",
                "4:25: `idle_timeout` is \"0s\"; write a time from 1ms to 8760h",
                "5:11: unknown key `maximum` in `queue`; did you mean `max`?",
            ],
        ),
        (
            &upstream(
                "servers = [\"a:1\"]\n\
                 retry = { tries = 0, stale = 1, budget = 20, budget_min = -1, unanswered = 2 }\n\
                 limits = { max_active = 0, max_pending = \"no\", retries = 3 }",
            ),
            &[
                "4:19: `tries` is 0; write a number from 1 to 8",
                "4:30: `stale` is a whole number; write true or false",
                "4:33: unknown key `budget` in `retry`; did you mean `budget_percent`?",
                "4:59: `budget_min` is -1; write a number from 0 to 10000000",
                "4:76: `unanswered` is a whole number; write true or false",
                "5:25: `max_active` is 0; write a number from 1 to 10000000",
                "5:42: `max_pending` is not understood; write a count, or \"none\"",
                "5:48: unknown key `retries` in `limits` of an upstream; the keys here are \
                 `max_active`, `max_pending`, `max_retries`",
            ],
        ),
        (
            &upstream(
                "servers = [{ address = \"a:1\", state = \"drained\" }]\nslow_start = 10\n\
                 passive = { failures = 0, window = \"0s\", ejecton = \"1s\", eject_refused = 1 }",
            ),
            &[
                "3:39: unknown `state` \"drained\"; did you mean `drain`?",
                "4:14: `slow_start` is a whole number; write a time with its unit, such as \"10s\"",
                "5:24: `failures` is 0; write a number from 1 to 1000",
                "5:36: `window` is \"0s\"; write a time from 1ms to 8760h",
                "5:42: unknown key `ejecton` in `passive`; did you mean `ejection`?",
                "5:74: `eject_refused` is a whole number; write true or false",
            ],
        ),
        (
            &upstream("servers = [\"a:1\"]\npassive = { max_ejection = \"5s\" }"),
            &["4:28: `max_ejection` is \"5s\", but the first ejection is 10s; write at least \
                 \"10s\""],
        ),
        (
            &upstream(
                "servers = [\"a:1\"]\nretry = { budget_percent = 0, budget_min = 0 }\n\
                 queue = { max = 100 }\nlimits = { max_pending = 99 }",
            ),
            &[
                "4:44: a budget of nothing allows no retry; raise `budget_min`, or write tries = 1 \
                 and stale = false",
                "6:26: max_pending = 99, but `queue` lets 100 requests wait; write at least 100, \
                 or lower `max` of `queue`",
            ],
        ),
        (
            &upstream(
                "servers = [\"a:1\"]\nretry = { tries = 1, stale = false, budget_min = 3 }\n\
                 limits = { max_retries = 3 }",
            ),
            &[
                "4:50: this has no effect: with tries = 1 and stale = false nothing is tried \
                 again; remove it",
                "5:26: this has no effect: with tries = 1 and stale = false nothing is tried \
                 again; remove it",
            ],
        ),
        (
            &upstream("servers = [\"a:1\"]\ntimeouts = { header = \"1s\" }\nhash = \"url\""),
            &[
                "4:14: `header` cannot be set in `timeouts` of an upstream; set it in [timeouts]",
                "5:8: unknown `hash` \"url\"; it may be `ip`, `path`, `field:NAME`, `cookie:NAME`",
            ],
        ),
        (
            &format!("{UPSTREAM}{UPSTREAM}[[upstream]]\nname = \"a b\"\n{LISTENER}{ROUTE}"),
            &[
                "5:8: there is already an upstream `app`; rename one, or put all servers into one \
                 upstream",
                "7:1: [[upstream]] has no `servers`; add servers = [\"127.0.0.1:3000\"]",
                "8:8: \"a b\" is not a name; use 1 to 64 letters, digits, hyphens, dots or \
                 underscores",
            ],
        ),
    ]);
}

#[test]
fn active_checks() {
    let health = |body: &str| format!("{UPSTREAM}[upstream.health]\n{body}\n{LISTENER}{ROUTE}");
    check(&[
        (
            &health(
                "type = \"htp\"\nmethod = \"POST\"\npath = \"healthz\"\nhost = \"http://a/\"\n\
                 status = [200, \"2xx\", \"299-200\", 99, true]\nbody = \"\"\nuri = \"/\"",
            ),
            &[
                "5:8: unknown `type` \"htp\"; did you mean `http`?",
                "6:10: unknown `method` \"POST\"; it may be `GET`, `HEAD`, `OPTIONS`",
                "7:8: `path` is \"healthz\": a path begins with `/`; did you mean \"/healthz\"?",
                "8:8: `host` is \"http://a/\", which is no host; write a name, with a port if need \
                 be: \"app.internal\"",
                "9:16: `2xx` is no range of statuses; did you mean \"200-299\"?",
                "9:23: `299-200` is no range of statuses; write a status from 200 to 599, or \
                 a range such as \"200-299\"",
                "9:34: `status` is 99; write a number from 200 to 599",
                "9:38: an item of `status` is true or false; write a status such as 200, or \
                 a range such as \"200-299\"",
                "10:8: `body` is empty, which every answer has in it; remove it",
                "11:1: unknown key `uri` in `health`; the keys here are `type`, `method`, `path`, \
                 `host`, `status`, `body`, `interval`, `jitter_percent`, `timeout`, `rise`, `fall`",
            ],
        ),
        (
            &health(
                "interval = \"1ms\"\njitter_percent = 100\ntimeout = 1\nrise = 0\nfall = 0\n\
                 status = []\npath = \"/a b\"",
            ),
            &[
                "5:12: `interval` is \"1ms\"; write a time from 10ms to 8760h",
                "6:18: `jitter_percent` is 100; write a number from 0 to 90",
                "7:11: `timeout` is a whole number; write a time with its unit, such as \"10s\"",
                "8:8: `rise` is 0; write a number from 1 to 1000",
                "9:8: `fall` is 0; write a number from 1 to 1000",
                "10:10: `status` is empty; add at least one, such as 200",
                "11:8: `path` holds characters that a request's target cannot; write them \
                 percent-encoded",
            ],
        ),
        (
            &health("timeout = \"3s\""),
            &["5:11: `timeout` is \"3s\", but a check begins every 2s; write at most \"2s\""],
        ),
        (
            &health("type = \"tcp\"\npath = \"/\"\nstatus = 200"),
            &[
                "6:8: `path` has no effect with type = \"tcp\"; remove it, or write type = \
                 \"http\"",
                "7:10: `status` has no effect with type = \"tcp\"; remove it, or write type = \
                 \"http\"",
            ],
        ),
        (
            &health("method = \"HEAD\"\nbody = \"ok\""),
            &["6:8: an answer to HEAD has no body to look at; write method = \"GET\" or remove \
               `body`"],
        ),
        (
            &format!("{UPSTREAM}health = true\n{LISTENER}{ROUTE}"),
            &["4:10: `health` is true or false; write a table"],
        ),
    ]);
}

/// Complaints about one route among the other tables, which end in line 5.
fn check_routes(cases: &[(&str, &[&str])]) {
    for (route, expected) in cases {
        let text = format!("{LISTENER}{UPSTREAM}[[route]]\n{route}\n");
        assert_eq!(refuse(&text), *expected, "\n{text}");
    }
}

#[test]
fn hosts_and_paths() {
    check_routes(&[
        (
            "upstream = \"app\"\nhost = [\"http://x.com/a\", \"a.com:80\", \"*foo\", \"\",\n\
             \"é.com\", 3]",
            &[
                "8:9: `host` is \"http://x.com/a\": a route's host is a name, not a URL; did you \
                 mean \"x.com\"?",
                "8:27: `host` is \"a.com:80\": a route's host has no port; did you mean \"a.com\"?",
                "8:39: `host` is \"*foo\": a star stands for what is in front or behind; write \
                 \"*.example.com\", \"www.example.*\", or \"*\" for any host",
                "8:47: `host` is \"\": a host may not be empty; remove it to match any host",
                "9:1: `host` is \"é.com\": a host name beyond ASCII is sent in its `xn--` form; \
                 write it in that form",
                "9:10: an item of `host` is a whole number; write a string in quotes",
            ],
        ),
        (
            "upstream = \"app\"\npath = \"/a*\"\npath_exact = \"api\"",
            &[
                "8:8: `path` is \"/a*\": a path holds no wildcards; `path` matches everything \
                 below as it is: write \"/a\"",
                "9:14: a route has one of `path`, `path_exact`, `path_start`, `path_start_first` \
                 and `path_regex`; keep one, or write two routes",
                "9:14: `path_exact` is \"api\": a path begins with `/`; did you mean \"/api\"?",
            ],
        ),
        (
            "upstream = \"app\"\npath = \"/a b\"",
            &["8:8: `path` is \"/a b\": blanks and characters beyond ASCII are sent \
               percent-encoded; did you mean \"/a%20b\"?"],
        ),
        (
            "upstream = \"app\"\npath = \"/a?b=c\"",
            &["8:8: `path` is \"/a?b=c\": a route's path has no query or fragment; leave it out"],
        ),
        (
            "upstream = \"app\"\npath_regex = \"^/(a\"",
            &["8:14: `path_regex` is \"^/(a\": bad regular expression: unclosed group; see \
               https://docs.rs/regex for the syntax"],
        ),
        (
            "upstream = \"app\"\n[[route]]\nhost = \"*\"\nupstream = \"app\"\n[[route]]\n\
             host = [\"a.com\", \"A.com.\"]\npath = \"/x/../api\"\nupstream = \"app\"",
            &[
                "9:8: there is already a route for any host and `/`; this one could never answer: \
                 remove one of them",
                "12:18: there is already a route for a.com and `/api`; this one could never \
                 answer: remove one of them",
            ],
        ),
    ]);
}

#[test]
fn actions() {
    check_routes(&[
        ("upstream = \"apq\"", &["7:12: there is no upstream `apq`; did you mean `app`?"]),
        (
            "path = \"/\"",
            &["6:1: the route does not say what answers; add `upstream`, `respond`, `redirect` \
                 or `files`"],
        ),
        (
            "upstream = \"app\"\nrespond = { status = 204, body = \"x\" }",
            &[
                "8:11: a route has one of `upstream`, `respond`, `redirect` and `files`; keep one, \
                 or write two routes",
                "8:34: a response with status 204 has no body; remove `body` or use status 200",
            ],
        ),
        (
            "respond = { statu = 100, content_type = \"é\" }",
            &[
                "7:11: `respond` has no `status`; add status = 200",
                "7:13: unknown key `statu` in `respond`; did you mean `status`?",
                "7:41: the value of `content_type` holds characters that a head cannot; use \
                 visible ASCII characters and blanks only",
            ],
        ),
        (
            "redirect = { to = \"https://$hots\", status = 200 }",
            &[
                "7:19: there is no variable `$hots`; did you mean `host`?",
                "7:45: status 200 is not a redirect; write 301, 302, 303, 307 or 308",
            ],
        ),
        (
            "redirect = { to = \"example.com\" }",
            &["7:19: `to` is \"example.com\", which no browser would understand; begin with \
               \"https://\", \"http://\" or \"/\""],
        ),
        (
            "redirect = { to = \"/$uri\" }",
            &["7:19: `to` is \"/$uri\", which begins with two slashes; paths begin with a \
                 slash \
               of their own: leave out the first one"],
        ),
        (
            "redirect = { to = \"https://${host\" }",
            &["7:19: `to` is \"https://${host\": a `${` is not closed; write `${host}`"],
        ),
        (
            "redirect = { to = \"https://$host{uri}\" }",
            &["7:19: `to` is \"https://$host{uri}\": `{uri}` is no variable; write \
               `$request_uri`"],
        ),
        (
            "respond = { status = 200, body = \"5 $\" }",
            &["7:34: `body` is \"5 $\": a `$` has no name behind it; write the name of a \
               variable, such as `$host`, or `$$` for a dollar"],
        ),
        (
            "upstream = \"app\"\nlimits = { header_bytes = \"2KiB\" }\n\
             timeouts = { connect = \"1s\" }",
            &[
                "8:12: `header_bytes` cannot be set in `limits` of a route; set it in [limits]",
                "9:14: `connect` cannot be set in `timeouts` of a route; set it in [timeouts]",
            ],
        ),
    ]);
}

#[test]
fn field_edits() {
    check_routes(&[
        (
            "upstream = \"app\"\nrequest_fields.set = { Content-Length = \"3\", \"x y\" = \"1\", \
             X-A = \"1\", x-a = \"2\",\nB = \" x\", C = \"a\\nb\" }",
            &[
                "8:24: `Content-Length` is not a route's to change; the proxy sets it as each \
                 connection needs it; remove it",
                "8:46: `x y` is not a field name; use letters, digits and hyphens, as in \
                 \"X-Request-Id\"",
                "8:70: `x-a` is there twice, in different letters; field names ignore case: keep \
                 one",
                "9:5: the value of `B` begins or ends with a blank; remove it: blanks around \
                 a value are not part of it",
                "9:15: the value of `C` holds characters that a head cannot; use visible ASCII \
                 characters and blanks only",
            ],
        ),
        (
            "upstream = \"app\"\nrequest_fields = { add = { Host = \"x\" }, remove = \
             [\"Connection\", \"Host\", 3], sett = {} }",
            &[
                "8:28: a request has exactly one `Host`; use `set` to replace it",
                "8:52: `Connection` is not a route's to change; the proxy sets it as each \
                 connection needs it; remove it",
                "8:66: a request has exactly one `Host`; use `set` to replace it",
                "8:74: an item of `remove` is a whole number; write a string in quotes",
                "8:78: unknown key `sett` in `request_fields`; did you mean `set`?",
            ],
        ),
        (
            "upstream = \"app\"\nresponse_fields = { set = { Host = \"a\" } }",
            &["8:29: a response has no `Host`; remove it"],
        ),
    ]);
}

proptest! {
    /// Whatever stands in a file, reading it ends in a plan or in complaints that point into it.
    #[test]
    fn damaged_files_never_panic(
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), 0usize..30, "[\\[\\]{}=\"'a-z0-9.,\n#é-]{0,6}"),
            1..4,
        ),
    ) {
        let shipped = shipped();
        let mut lines: Vec<String> =
            shipped.lines().map(|line| line.trim_start_matches("#: ").to_owned()).collect();
        lines.retain(|line| !line.is_empty() && !line.starts_with('#'));
        let mut text: Vec<char> = lines.join("\n").chars().collect();
        for (index, length, insert) in &edits {
            let start = index.index(text.len().max(1)).min(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, insert.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(complaints) = from_text(&text, "f", &machine()) {
            prop_assert!(!complaints.is_empty());
            for complaint in complaints {
                prop_assert!((1..=text.lines().count() + 1).contains(&complaint.line));
                prop_assert!(!complaint.what.contains('\n') && !complaint.remedy.contains('\n'));
            }
        }
    }
}
