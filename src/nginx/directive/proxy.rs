//! Directives of proxying.

use super::{FLAG, HSL, Known, L, LIF, LMT, ONE, SOME, TWO, args, idle, yes};

const STREAMED: &str = "bodies are passed on as they come, in the kernel where they are large";
const CACHED: &str = "nothing is cached";

pub(super) const TABLE: &[Known] = &[
    yes("proxy_pass", L | LIF | LMT, ONE),
    yes("proxy_set_header", HSL, TWO),
    yes("proxy_redirect", HSL, args(1, 2)),
    yes("proxy_connect_timeout", HSL, ONE),
    yes("proxy_read_timeout", HSL, ONE),
    yes("proxy_send_timeout", HSL, ONE),
    yes("proxy_next_upstream", HSL, SOME),
    yes("proxy_next_upstream_tries", HSL, ONE),
    yes("proxy_next_upstream_timeout", HSL, ONE),
    yes("proxy_hide_header", HSL, ONE),
    yes("proxy_pass_header", HSL, ONE),
    yes("proxy_intercept_errors", HSL, FLAG),
    yes("proxy_http_version", HSL, ONE),
    yes("proxy_ignore_client_abort", HSL, FLAG),
    yes("proxy_pass_request_headers", HSL, FLAG),
    yes("proxy_pass_request_body", HSL, FLAG),
    yes("proxy_cache", HSL, ONE),
    yes("proxy_store", HSL, ONE),
    idle("proxy_buffering", HSL, FLAG, STREAMED),
    idle("proxy_request_buffering", HSL, FLAG, STREAMED),
    idle("proxy_buffers", HSL, TWO, STREAMED),
    idle("proxy_buffer_size", HSL, ONE, STREAMED),
    idle("proxy_busy_buffers_size", HSL, ONE, STREAMED),
    idle("proxy_max_temp_file_size", HSL, ONE, STREAMED),
    idle("proxy_temp_file_write_size", HSL, ONE, STREAMED),
    idle("proxy_temp_path", HSL, args(1, 4), STREAMED),
    idle("proxy_store_access", HSL, SOME, "nothing is stored"),
    idle("proxy_send_lowat", HSL, ONE, "Linux knows no such thing"),
    idle("proxy_headers_hash_max_size", HSL, ONE, "tables grow as they need"),
    idle("proxy_headers_hash_bucket_size", HSL, ONE, "tables grow as they need"),
    idle("proxy_socket_keepalive", HSL, FLAG, "a dead server is found by its timeouts"),
    idle("proxy_cache_bypass", HSL, SOME, CACHED),
    idle("proxy_no_cache", HSL, SOME, CACHED),
    idle("proxy_cache_path", super::H, SOME, "nothing is cached; see `proxy_cache`"),
    idle("proxy_force_ranges", HSL, FLAG, CACHED),
    idle("proxy_ignore_headers", HSL, SOME, "fields such as X-Accel-Redirect have no effect"),
];
