//! What is refused, where, and what it says to do.

use super::{accept, refuse};
use crate::nginx::directive::{self, CONTEXTS, Fate};

/// Each line of nginx.conf in a server, and the one complaint about it, from its column on.
#[test]
fn complaints_have_a_place_and_a_remedy() {
    let table = [
        ("prox_pass x;", "1: unknown directive `prox_pass`; did you mean `proxy_pass`?"),
        (
            "zzz on;",
            "1: unknown directive `zzz`; it is not known here: remove it, and do \
            without its module",
        ),
        (
            "worker_processes 2;",
            "1: `worker_processes` may not stand in server; move it to the \
            main file, outside of all blocks",
        ),
        (
            "proxy_pass http://a;",
            "1: `proxy_pass` may not stand in server; move it to `location` \
            or `if in a location` or `limit_except`",
        ),
        ("root;", "1: `root` has 0 arguments, and takes 1; a forgotten `;` joins two lines"),
        ("autoindex yes;", "11: `autoindex` is `yes`; write `on` or `off`"),
        ("location / ;", "1: `location` has no block; add `{ … }` in place of the `;`"),
        (
            "root /a { }",
            "1: `root` has no block, but a `{` follows; end it with a `;`; an \
            expression with braces needs quotes",
        ),
        (
            "listen 81 ssl;",
            "11: `listen … ssl`: TLS is not spoken yet; listen on a plain port, and \
            let what is before this proxy speak TLS",
        ),
        (
            "listen 81 http2;",
            "11: `listen … http2`: only HTTP/1.1 is spoken; remove it: clients \
            use HTTP/1.1 then",
        ),
        (
            "listen 81 nonsense;",
            "11: unknown parameter `nonsense` of `listen`; see nginx's manual \
            for those that there are",
        ),
        (
            "location / { proxy_pass https://a; }",
            "25: `https://a`: TLS to servers is not spoken \
            yet; name a port of theirs that speaks plain HTTP",
        ),
        (
            "location / { proxy_pass a:80; }",
            "25: `a:80` is not a URL of a server; begin with \
            `http://`",
        ),
        (
            "location / { proxy_pass http://$host; }",
            "25: `http://$host`: the server is only known \
            when a request comes; name an upstream; where there are several, choose by a `map` \
            or by `set` in the server",
        ),
        (
            "location ~ x { proxy_pass http://a/b; }",
            "16: `proxy_pass http://a/b` is not honoured: \
            this location has no path that its URI could replace; leave out what follows the \
            server's name",
        ),
        (
            "location / { fastcgi_pass a; }",
            "14: `fastcgi_pass` is not honoured: FastCGI is not \
            spoken; let the application speak HTTP, on a port or a Unix socket, and use \
            proxy_pass",
        ),
        (
            "location x { }",
            "10: the location `x` matches nothing: paths begin with `/`; did you \
            mean `/x`?",
        ),
        ("location !~ /x { }", "10: `!~` is no modifier of a location; there are =, ^~, ~ and ~*"),
        ("location / { } location / { }", "16: there is already a location `/`; keep one"),
        (
            "location ~ a(?!b) { }",
            "12: the expression `a(?!b)`: looking ahead or behind is not \
            honoured; leave it out, and let the exception come first: \
             `location ^~ /.well-known/ { … }`, or a line before in a `map`",
        ),
        (
            "return 700;",
            "8: `return 700` is no status that an answer can have; write one from 200 \
            to 599",
        ),
        ("return 301 $nothing;", "12: unknown variable `$nothing`; add `set $nothing …;`"),
        ("return 301 $hosst;", "12: unknown variable `$hosst`; did you mean `$host`?"),
        (
            "return 200 $upstream_addr;",
            "12: the variable `$upstream_addr` is not honoured; remove \
            it, or let the application find out",
        ),
        (
            "return 200 a$;",
            "12: a `$` has no name behind it; name a variable; a dollar alone \
            cannot be written",
        ),
        ("set x y;", "5: `x` is no variable; did you mean `$x`?"),
        (
            "set $host y;",
            "1: `set $host y` is not honoured: this variable says what the request \
            is; set a variable with another name",
        ),
        (
            "if ($http_x ! a) { return 403; }",
            "1: `!` is no comparison; write `$x`, `$x = text`, \
            `$x ~ expression`, or `-f path`, and the like with !",
        ),
        (
            "if $http_x { return 403; }",
            "1: the condition of an `if` stands in brackets; write such \
            as `if ($request_method = POST) { … }`",
        ),
        (
            "location / { if ($http_x) { proxy_pass http://a/b; } }",
            "29: `proxy_pass http://a/b` is not honoured: an `if` has no path that its URI could \
             replace; leave out what follows the server's name",
        ),
        (
            "location / { set $a b; if ($http_x) { set $a c; } proxy_pass http://$a; }",
            "51: `proxy_pass http://$a` is not honoured: its variable gets one of several values \
             in the same location; set it in the server, or by a `map`",
        ),
        (
            "rewrite ^/a /b sometimes;",
            "1: `sometimes` is not known to `rewrite`; there are last, \
            break, redirect and permanent",
        ),
        ("client_max_body_size 1x;", "22: `1x` is no size; write such as `512`, `8k` or `1m`"),
        (
            "allow 10.0.0.0/33;",
            "7: `10.0.0.0/33` is neither an address nor a network; write such \
            as `10.0.0.0/8`, `2001:db8::1`, `unix:` or `all`",
        ),
        (
            "limit_req zone=none;",
            "1: there is no zone `none`; add `limit_req_zone \
            $binary_remote_addr zone=NAME:10m rate=10r/s;`",
        ),
        (
            "error_page 404 @none;",
            "16: the server has no location `@none`; add `location @none { … \
            }`",
        ),
        (
            "root /r; try_files $uri index.html =404;",
            "25: `index.html` in `try_files` would be glued to the root's name; did you mean \
             `/index.html`?",
        ),
        (
            "root /r; try_files $uri @a;",
            "25: the server has no location `@a`; add `location @a { … }`",
        ),
        (
            "if (-f $request_filename) { return 403; }",
            "8: `$request_filename` is not honoured here; say `root` in this block or around it",
        ),
        (
            "proxy_cache zone;",
            "1: `proxy_cache zone` is not honoured: responses are not cached; \
            remove it, or put a cache between this proxy and the servers",
        ),
        (
            "merge_slashes off;",
            "1: `merge_slashes off` is not honoured: `//` in a path is always \
            `/`; remove it",
        ),
        (
            "access_log /a if=$x;",
            "15: `if` of `access_log` is not honoured; write `access_log \
            off;` in the locations that are not to be logged",
        ),
        (
            "auth_basic x;",
            "1: `auth_basic` has no `auth_basic_user_file`; add it, or write \
            `auth_basic off;`",
        ),
        ("root /a; root /b;", "10: `root` is there twice in the same block; keep one"),
        ("alias /a;", "1: `alias` may not stand in server; move it to `location`"),
    ];
    for (line, expected) in table {
        let errors = refuse(&format!("server {{ listen 80; location /own {{ }}\n{line}\n}}"));
        assert_eq!(errors, [format!("nginx.conf:4:{expected}")], "{line}");
    }
}

#[test]
fn complaints_about_upstreams() {
    let table = [
        ("", "1: the upstream `u` has no servers; add such as `server 127.0.0.1:3000;`"),
        ("server a:0;", "21: `a:0` is no server; write a name or an address, and a port"),
        ("server a weight=0;", "23: a weight of 0; write 1 or more, or `down`"),
        ("server a weight=x;", "23: `weight=x` is no number; write one up to 1000000"),
        (
            "server a slow_start=1s;",
            "23: `slow_start` of a server is of nginx plus; see \
            config.toml for what Corelane has of it",
        ),
        (
            "server a; hash $host;",
            "24: `hash $host` is not honoured; hash by $remote_addr, $uri, \
            $http_NAME or $cookie_NAME",
        ),
        (
            "server a; ip_hash; least_conn;",
            "33: `least_conn` says again how servers are chosen; \
            keep one",
        ),
    ];
    for (line, expected) in table {
        let errors = refuse(&format!("upstream u {{ {line} }}\nserver {{ return 204; }}"));
        let expected = expected.split_once(": ").map(|(column, rest)| match column {
            "1" => format!("nginx.conf:3:1: {rest}"),
            column => {
                let column: usize = column.parse().unwrap();
                format!("nginx.conf:3:{}: {rest}", column - "upstream u { ".len() + 6)
            }
        });
        let found: Vec<&str> = errors.iter().map(|e| e.split_once(": ").unwrap().1).collect();
        let wanted = expected.unwrap();
        assert_eq!(found, [wanted.split_once(": ").unwrap().1], "{line}");
    }
}

#[test]
fn all_complaints_are_told_at_once() {
    let errors = refuse("server { listen 80 ssl; nonsense; return 200 $x; }\nsendfile maybe;");
    assert_eq!(errors.len(), 4, "{errors:#?}");
    assert!(errors.is_sorted(), "{errors:#?}");
}

#[test]
fn what_is_not_needed_is_listed_with_its_reason() {
    let text = accept("sendfile on;\ntcp_nopush on;\nserver { listen 80 reuseport; return 204; }");
    for note in [
        "#   nginx.conf:3: `sendfile` is not needed: files and bodies are moved in the kernel",
        "#   nginx.conf:4: `tcp_nopush` is not needed: ",
        "#   nginx.conf:5: `reuseport` of `listen` is not needed: each shard has a socket",
    ] {
        assert!(text.contains(note), "{note}\n{text}");
    }
}

#[test]
fn the_table_of_directives_is_in_order() {
    let all: Vec<_> = directive::all().collect();
    for (at, known) in all.iter().enumerate() {
        let twice = all[..at].iter().any(|other| other.name == known.name);
        assert!(!twice, "{} is there twice", known.name);
        let somewhere = CONTEXTS.iter().any(|(context, _)| known.contexts & context != 0);
        assert!(somewhere, "{} may stand nowhere", known.name);
        if let Fate::NotNeeded(why) | Fate::Refused(why, _) = known.fate {
            assert!(!why.is_empty() && !why.ends_with('.'), "{}: {why}", known.name);
        }
    }
    assert!(all.len() > 250, "{}", all.len());
}
