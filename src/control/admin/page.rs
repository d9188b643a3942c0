//! The page of the admin address: one document with all that it needs in it.

use std::sync::LazyLock;

use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = concat!(
    include_str!("page/charts.js"),
    include_str!("page/servers.js"),
    include_str!("page/page.js")
);
const DOCUMENT: &str = concat!(
    "<!doctype html>\n<html lang=\"en\">\n<head>\n",
    include_str!("page/head.html"),
    "<style>",
    include_str!("page/page.css"),
    "</style>\n</head>\n<body>\n",
    include_str!("page/body.html"),
    "<script>",
    include_str!("page/charts.js"),
    include_str!("page/servers.js"),
    include_str!("page/page.js"),
    "</script>\n</body>\n</html>\n",
);

/// What the document may load: nothing. What it may run: what is in it (CSP Level 3, section
/// 2.3.1).
static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    HeaderValue::try_from(policy).ok()
});

/// The page. Without a policy there is none.
pub fn page() -> Option<Response> {
    let mut response = DOCUMENT.into_response();
    let fields = response.headers_mut();
    fields.insert(CONTENT_SECURITY_POLICY, POLICY.clone()?);
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_fetches_nothing_from_elsewhere_and_its_policy_is_of_what_is_in_it() {
        let between = |open: &str, close: &str| {
            let (_, rest) = DOCUMENT.split_once(open).expect(open);
            rest.split_once(close).expect(close).0
        };
        assert_eq!(between("<style>", "</style>"), STYLE);
        assert_eq!(between("<script>", "</script>"), SCRIPT);
        for outside in ["src=", "@import", "url(", "http://", "https://", " style=", " onclick="] {
            let found = DOCUMENT.match_indices(outside).map(|(at, _)| &DOCUMENT[at..]);
            // The name of a language is no address.
            let found = found.map(|rest| rest.lines().next().unwrap_or_default());
            let found: Vec<&str> =
                found.filter(|line| !line.starts_with("http://www.w3.org/2000/svg")).collect();
            assert!(found.is_empty(), "{outside}: {found:?}");
        }
        let response = page().expect("a page");
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().expect("plain");
        assert!(policy.contains("default-src 'none'") && !policy.contains("-inline"), "{policy}");
    }
}
