//! What the log says of requests: everything that helps to find a fault, and no secret.
//!
//! Addresses are signed, proxies have passwords, headers have tokens. Owns what of them is shown.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, RANGE};
use reqwest::{Request, Response, Url};

use super::redirect;

/// Fields of a query that are not secret.
const PUBLIC_FIELDS: [&str; 6] = ["service", "scope", "client_id", "digest", "mount", "from"];
/// Headers of answers that help and are not secret.
const PUBLIC_HEADERS: [&str; 13] = [
    "accept-ranges",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "docker-content-digest",
    "docker-distribution-api-version",
    "ratelimit-limit",
    "ratelimit-remaining",
    "retry-after",
    "server",
    "via",
    "www-authenticate",
];
/// The longest part of a path on another server that is shown, unless it is a digest.
const MAX_SEGMENT: usize = 40;

/// A request that is on its way, for the log.
pub(super) struct Entry {
    /// Method, address and circumstances.
    request: String,
    circumstances: Vec<String>,
}

impl Entry {
    /// Takes note of a request. `is_own`: it goes to the registry itself.
    pub(super) fn new(request: &Request, is_own: bool) -> Self {
        let mut circumstances = Vec::new();
        let header = |name| {
            let value = request.headers().get(name)?;
            value.to_str().ok()
        };
        if let Some(range) = header(RANGE).and_then(|range| range.strip_prefix("bytes=")) {
            let begin = range.trim_end_matches('-');
            circumstances.push(format!("from byte {begin}"));
        }
        match header(AUTHORIZATION).and_then(|value| value.split(' ').next()) {
            Some("Bearer") => circumstances.push("with a token".to_owned()),
            Some("Basic") => circumstances.push("with a password".to_owned()),
            Some(_) => circumstances.push("with credentials".to_owned()),
            None => {}
        }
        Self {
            request: format!("{} {}", request.method(), address(request.url(), is_own)),
            circumstances,
        }
    }

    /// Adds a circumstance.
    pub(super) fn note(&mut self, text: String) {
        self.circumstances.push(text);
    }

    /// Returns the line for an answer.
    pub(super) fn answered(&self, response: &Response, took: Duration) -> String {
        let mut text = format!("{}: {}", self.request, response.status().as_u16());
        if let Some(location) = redirect::location(response) {
            let target = redirect::target(response.url(), location);
            let target = target.map_or_else(
                || "something that is not an address".to_owned(),
                |target| address(&target, target.origin() == response.url().origin()),
            );
            _ = write!(text, " to {target}");
        }
        if let Some(length) = response.content_length() {
            _ = write!(text, ", {length} bytes");
        }
        self.finished(text, took)
    }

    /// Returns the line for a request that has no answer.
    pub(super) fn failed(&self, reason: &str, took: Duration) -> String {
        self.finished(format!("{}: {reason}", self.request), took)
    }

    fn finished(&self, mut text: String, took: Duration) -> String {
        _ = write!(text, ", {} ms", took.as_millis());
        if !self.circumstances.is_empty() {
            _ = write!(text, " ({})", self.circumstances.join(", "));
        }
        text
    }
}

/// Returns the line for the body of an answer.
pub(super) fn received(host: &str, what: &str, bytes: u64, took: Duration) -> String {
    format!(
        "received {bytes} bytes of {what} from {host} in {} ms",
        took.as_millis()
    )
}

/// Returns the headers of an answer that may be shown.
pub(super) fn headers(headers: &HeaderMap) -> String {
    let lines: Vec<String> = headers
        .iter()
        .filter(|(name, _)| PUBLIC_HEADERS.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    lines.join("; ")
}

/// Returns an error with its causes. The address was taken out of it.
pub(super) fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}

/// Returns an address without user, password, and what a signature may be in.
pub(super) fn address(url: &Url, is_own: bool) -> String {
    let mut text = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
    if let Some(port) = url.port() {
        _ = write!(text, ":{port}");
    }
    if is_own {
        text.push_str(url.path());
    } else {
        for segment in url.path().split('/').skip(1) {
            text.push('/');
            text.push_str(if is_public(segment) { segment } else { "…" });
        }
    }
    let mut shown = Vec::new();
    let mut hides = false;
    for (name, value) in url.query_pairs() {
        if PUBLIC_FIELDS.contains(&name.as_ref()) {
            shown.push(format!("{name}={value}"));
        } else {
            hides = true;
        }
    }
    if hides {
        shown.push("…".to_owned());
    }
    if !shown.is_empty() {
        _ = write!(text, "?{}", shown.join("&"));
    }
    text
}

fn is_public(segment: &str) -> bool {
    let hex = segment.rsplit(':').next().unwrap_or_default();
    segment.len() <= MAX_SEGMENT || hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_secrets() {
        let digest = "a".repeat(64);
        let token = "eyJhbGciOiJIUzI1NiJ9.secret-secret-secret-secret";
        for (url, is_own, expected) in [
            (
                "https://u:secret@r.example:5000/v2/a/manifests/1#secret",
                true,
                "https://r.example:5000/v2/a/manifests/1".to_owned(),
            ),
            (
                "https://a.example/token?account=secret&service=s&scope=repository:a:pull",
                false,
                "https://a.example/token?service=s&scope=repository:a:pull&…".to_owned(),
            ),
            (
                &format!("https://cdn.example/{token}/{digest}?X-Sig=secret"),
                false,
                format!("https://cdn.example/…/{digest}?…"),
            ),
            (
                &format!("https://cdn.example/sha256:{digest}?secret"),
                false,
                format!("https://cdn.example/sha256:{digest}?…"),
            ),
            ("http://[::1]:5000/", true, "http://[::1]:5000/".to_owned()),
        ] {
            let shown = address(&url.parse().unwrap(), is_own);
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn a_request_is_told_without_what_it_proves_itself_with() {
        let url = "https://r.example/v2/a/blobs/x".parse().unwrap();
        let mut request = Request::new(reqwest::Method::GET, url);
        for (name, value) in [(AUTHORIZATION, "Bearer secret"), (RANGE, "bytes=500-")] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let mut entry = Entry::new(&request, true);
        entry.note("attempt 2".to_owned());
        let line = entry.failed("connection refused", Duration::from_millis(7));
        assert_eq!(
            line,
            "GET https://r.example/v2/a/blobs/x: connection refused, 7 ms (from byte 500, with a \
             token, attempt 2)"
        );
    }

    #[test]
    fn headers_with_secrets_are_left_out() {
        let mut all = HeaderMap::new();
        for (name, value) in [
            ("content-type", "text/html"),
            ("set-cookie", "secret"),
            ("location", "https://h/?secret"),
            ("x-token", "secret"),
        ] {
            all.insert(name, value.parse().unwrap());
        }
        assert_eq!(headers(&all), "content-type: text/html");
    }
}
