//! Reading short answers whole: documents, tokens and what registries say about errors.

use std::time::{Duration, Instant};

use reqwest::Response;
use serde::Deserialize;

use super::error::Said;
use super::runtime::{NoAnswer, Runtime};
use crate::cancel::{Cancel, Cancelled};

/// Bytes that are read of an answer that is an error.
const ERROR_BYTES: u64 = 8 << 10;
/// Characters that are shown of it.
const SAID: usize = 300;
/// The longest time that a short answer may take, whatever comes of it.
const WHOLE: Duration = Duration::from_mins(2);

/// Why an answer could not be read whole.
#[derive(Debug)]
pub(super) enum Unread {
    Broken(reqwest::Error),
    Stalled,
    TooLong,
    Cancelled(Cancelled),
}

/// Reads an answer of limited length.
pub(super) fn read(
    runtime: &Runtime,
    response: &mut Response,
    limit: u64,
    stall: Duration,
    cancel: &Cancel,
) -> Result<Vec<u8>, Unread> {
    if response
        .content_length()
        .is_some_and(|length| length > limit)
    {
        return Err(Unread::TooLong);
    }
    let started = Instant::now();
    let mut bytes = Vec::new();
    loop {
        let chunk = runtime
            .wait(stall, cancel, response.chunk())
            .map_err(|none| match none {
                NoAnswer::Cancelled(cancelled) => Unread::Cancelled(cancelled),
                NoAnswer::Late => Unread::Stalled,
            })?
            .map_err(|error| Unread::Broken(error.without_url()))?;
        let Some(chunk) = chunk else {
            return Ok(bytes);
        };
        if bytes.len() as u64 + chunk.len() as u64 > limit {
            return Err(Unread::TooLong);
        }
        bytes.extend_from_slice(&chunk);
        if started.elapsed() > WHOLE {
            return Err(Unread::Stalled);
        }
    }
}

/// Returns what a registry says about an error, if it says it in a form for people.
pub(super) fn said(
    runtime: &Runtime,
    response: &mut Response,
    stall: Duration,
    cancel: &Cancel,
) -> Option<Said> {
    let is_html = response
        .headers()
        .get(reqwest::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|text| text.contains("html"));
    let bytes = read(runtime, response, ERROR_BYTES, stall, cancel).ok()?;
    errors(&bytes).or_else(|| {
        let text = String::from_utf8_lossy(&bytes);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
        // A page for a browser tells nobody anything here.
        (!is_html && !line.starts_with(['<', '{', '['])).then(|| Said(shortened(line)))
    })
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Reads errors as registries write them. Source: OCI distribution-spec, "Error Codes".
fn errors(bytes: &[u8]) -> Option<Said> {
    let Errors { errors } = serde_json::from_slice(bytes).ok()?;
    let texts: Vec<String> = errors
        .into_iter()
        .take(3)
        .map(
            |line| match (line.code.is_empty(), line.message.is_empty()) {
                (false, false) => format!("{} ({})", line.message, line.code),
                (false, true) => line.code,
                _ => line.message,
            },
        )
        .filter(|text| !text.is_empty())
        .collect();
    (!texts.is_empty()).then(|| Said(shortened(&texts.join("; "))))
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= SAID {
        return text.to_owned();
    }
    let start: String = text.chars().take(SAID).collect();
    format!("{start}…")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn errors_of_registries_are_read_and_shortened() {
        let text = br#"{"errors":[{"code":"DENIED","message":"no","detail":{}},{"code":"X"}]}"#;
        assert_eq!(errors(text).unwrap().0, "no (DENIED); X");
        for text in ["{}", "[]", "", r#"{"errors":[]}"#, r#"{"errors":[{}]}"#] {
            assert!(errors(text.as_bytes()).is_none(), "{text}");
        }
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(1000));
        assert_eq!(errors(long.as_bytes()).unwrap().0.chars().count(), SAID + 1);
    }
}
