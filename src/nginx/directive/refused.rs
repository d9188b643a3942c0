//! Directives that ask for something that is not there.

use super::{FLAG, H, HSL, Known, L, LIF, M, NONE, ONE, S, SIF, SOME, TWO, args, block, no};

const HTTP: &str = "let the application speak HTTP, on a port or a Unix socket, and use proxy_pass";
const SERVER_DOES: &str = "let the application do it";
const LUA: &str = "programs in the configuration are not run";
const MODULE: &str = "put nginx with that module behind this proxy for what needs it";
const NO_CACHE: &str = "responses are not cached";
const USE_MAP: &str = "use `map`, or decide in the application";

pub(super) const TABLE: &[Known] = &[
    no("stream", M, block(0, 0), "only HTTP is proxied", "keep nginx or HAProxy for TCP and UDP"),
    no("mail", M, block(0, 0), "only HTTP is proxied", "keep nginx for mail"),
    no("fastcgi_pass", L | LIF, ONE, "FastCGI is not spoken", HTTP),
    no("uwsgi_pass", L | LIF, ONE, "the uwsgi protocol is not spoken", HTTP),
    no("scgi_pass", L | LIF, ONE, "SCGI is not spoken", HTTP),
    no(
        "grpc_pass",
        L | LIF,
        ONE,
        "gRPC needs HTTP/2, which is not spoken",
        "use grpc-web, or \
       keep nginx for it",
    ),
    no("memcached_pass", L | LIF, ONE, "memcached is not spoken", HTTP),
    no("http2", H | S, FLAG, "HTTP/2 is not spoken", "remove it: clients use HTTP/1.1 then"),
    no("http3", H | S, FLAG, "HTTP/3 is not spoken", "remove it: clients use HTTP/1.1 then"),
    no("auth_request", HSL, ONE, "requests are not asked about elsewhere", SERVER_DOES),
    no("auth_request_set", HSL, TWO, "requests are not asked about elsewhere", SERVER_DOES),
    no(
        "auth_delay",
        HSL,
        ONE,
        "wrong passwords are not delayed",
        "remove it, and use `limit_req` \
       against guessing",
    ),
    no("mirror", HSL, ONE, "requests are not sent twice", "remove it"),
    no("mirror_request_body", HSL, FLAG, "requests are not sent twice", "remove it"),
    no("sub_filter", HSL, TWO, "bodies are passed on unread", SERVER_DOES),
    no("sub_filter_once", HSL, FLAG, "bodies are passed on unread", SERVER_DOES),
    no("sub_filter_types", HSL, SOME, "bodies are passed on unread", SERVER_DOES),
    no("sub_filter_last_modified", HSL, FLAG, "bodies are passed on unread", SERVER_DOES),
    no("add_before_body", HSL, ONE, "bodies are passed on unread", SERVER_DOES),
    no("add_after_body", HSL, ONE, "bodies are passed on unread", SERVER_DOES),
    no("add_trailer", HSL | LIF, args(2, 3), "trailers are not made", SERVER_DOES),
    no("addition_types", HSL, SOME, "bodies are passed on unread", SERVER_DOES),
    no("ssi", HSL | LIF, FLAG, "server side includes are not read", SERVER_DOES),
    no("ssi_types", HSL, SOME, "server side includes are not read", SERVER_DOES),
    no("perl", L, ONE, LUA, MODULE),
    no("js_content", L, ONE, LUA, MODULE),
    no("js_import", HSL, SOME, LUA, MODULE),
    no("js_set", HSL, TWO, LUA, MODULE),
    no("image_filter", L, SOME, "bodies are passed on unread", MODULE),
    no("xslt_stylesheet", L, SOME, "bodies are passed on unread", MODULE),
    no(
        "stub_status",
        S | L,
        args(0, 1),
        "there is no such page",
        "use [admin] in the TOML that \
       `corelane import` gives: its address has /metrics and a page",
    ),
    no(
        "status",
        L,
        NONE,
        "there is no such page",
        "use [admin] in the TOML that `corelane \
       import` gives: its address has /metrics and a page",
    ),
    no(
        "geo",
        H,
        block(1, 2),
        "addresses are not looked up",
        "use `allow` and `deny`, or `map` \
       from $remote_addr for single addresses",
    ),
    no("geoip_country", H, args(1, 2), "addresses are not looked up", SERVER_DOES),
    no("geoip_city", H, args(1, 2), "addresses are not looked up", SERVER_DOES),
    no("geoip_org", H, args(1, 2), "addresses are not looked up", SERVER_DOES),
    no(
        "split_clients",
        H,
        block(2, 2),
        "clients are not split by a hash",
        "use `weight` of servers, \
       or sticky sessions in the TOML that `corelane import` gives",
    ),
    no("charset_map", H, block(2, 2), "texts are not converted", "serve them in UTF-8"),
    no("source_charset", HSL | LIF, ONE, "texts are not converted", "serve them in UTF-8"),
    no("charset_types", HSL, SOME, "`charset` is for text types", "remove it"),
    no("override_charset", HSL | LIF, FLAG, "texts are not converted", "remove it"),
    no(
        "limit_rate",
        HSL | LIF,
        ONE,
        "responses are not slowed down",
        "use `limit_req`, or `tc` \
       for the network",
    ),
    no("secure_link", HSL, ONE, "links are not signed", SERVER_DOES),
    no("secure_link_md5", HSL, ONE, "links are not signed", SERVER_DOES),
    no("secure_link_secret", L, ONE, "links are not signed", SERVER_DOES),
    no("valid_referers", S | L, SOME, "$invalid_referer is not known", USE_MAP),
    no(
        "userid",
        HSL,
        ONE,
        "clients are not numbered",
        "use sticky sessions, or let the \
       application set its cookie",
    ),
    no("random_index", L, FLAG, "an index is not drawn by lot", "write `index`"),
    no("empty_gif", L, NONE, "there is no built-in image", "write `return 204;`, or serve a file"),
    no("mp4", L, NONE, "videos are served as files", "remove it: browsers seek by ranges"),
    no("flv", L, NONE, "videos are served as files", "remove it: browsers seek by ranges"),
    no("slice", HSL, ONE, NO_CACHE, "remove it: ranges are passed on as they come"),
    no("dav_methods", HSL, SOME, "files are only read", MODULE),
    no("dav_access", HSL, SOME, "files are only read", MODULE),
    no("create_full_put_path", HSL, FLAG, "files are only read", MODULE),
    no("post_action", HSL | LIF, ONE, "requests are not sent twice", SERVER_DOES),
    no("client_body_in_file_only", HSL, ONE, "bodies are never written to disk", "remove it"),
    no(
        "proxy_bind",
        HSL,
        args(1, 2),
        "the kernel chooses the address towards servers",
        "set a \
       route with `src` (ip route) for them",
    ),
    no("proxy_method", HSL, ONE, "the method is passed on as it came", SERVER_DOES),
    no("proxy_set_body", HSL, ONE, "bodies are passed on unread", SERVER_DOES),
    no("proxy_limit_rate", HSL, ONE, "responses are not slowed down", "use `tc` for the network"),
    no("proxy_cookie_domain", HSL, SOME, "cookies are passed on as they are", SERVER_DOES),
    no("proxy_cookie_path", HSL, SOME, "cookies are passed on as they are", SERVER_DOES),
    no("proxy_cookie_flags", HSL, SOME, "cookies are passed on as they are", SERVER_DOES),
    no("lua_shared_dict", H, TWO, LUA, MODULE),
    no("lua_package_path", H, ONE, LUA, MODULE),
    no("init_by_lua_block", H, block(0, 0), LUA, MODULE),
    no("set_by_lua_block", S | L | SIF | LIF, block(1, 1), LUA, MODULE),
    no("rewrite_by_lua_block", HSL | LIF, block(0, 0), LUA, MODULE),
    no("access_by_lua_block", HSL | LIF, block(0, 0), LUA, MODULE),
    no("content_by_lua_block", L | LIF, block(0, 0), LUA, MODULE),
    no("header_filter_by_lua_block", HSL | LIF, block(0, 0), LUA, MODULE),
    no("body_filter_by_lua_block", HSL | LIF, block(0, 0), LUA, MODULE),
    no("log_by_lua_block", HSL | LIF, block(0, 0), LUA, MODULE),
    no("balancer_by_lua_block", super::U, block(0, 0), LUA, MODULE),
    no(
        "more_set_headers",
        HSL | LIF,
        SOME,
        "it is of a module",
        "use `add_header` and \
       `proxy_hide_header`",
    ),
    no("more_clear_headers", HSL | LIF, SOME, "it is of a module", "use `proxy_hide_header`"),
    no(
        "brotli",
        HSL | LIF,
        FLAG,
        "it is of a module",
        "write [compress] with \"br\" in the TOML \
       that `corelane import` gives",
    ),
    no("brotli_types", HSL, SOME, "it is of a module", "see `brotli`"),
    no("brotli_comp_level", HSL, ONE, "it is of a module", "see `brotli`"),
    no("brotli_static", HSL, ONE, "it is of a module", "see `brotli`"),
];
