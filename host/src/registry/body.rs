//! Reading short answers whole: documents, tokens and what registries say about errors.

use std::time::{Duration, Instant};

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;

use super::encoding::{Encoding, NotUndone};
use super::error::ServerMessage;
use super::incoming::{Incoming, Unread, Waiter};
use super::page;

/// Bytes that are read of an answer that is an error.
const ERROR_BYTES: u64 = 8 << 10;
/// Characters that are shown of it.
const SAID: usize = 300;
/// The longest time that is waited for it: the error is known without.
const ERROR_TIME: Duration = Duration::from_secs(3);

/// An answer that was read whole.
#[derive(Debug)]
pub(super) struct Body {
    /// Its bytes as they came.
    pub(super) bytes: Vec<u8>,
    /// What was done to them on the way; the name of what msb cannot undo.
    pub(super) encoding: Result<Option<Encoding>, String>,
    /// What the answer says that they are.
    pub(super) content_type: Option<String>,
}

/// Reads an answer of limited length.
pub(super) fn read(incoming: &mut Incoming<'_>, limit: u64) -> Result<Body, Unread> {
    let length = incoming.response().content_length();
    if length.is_some_and(|length| length > limit) {
        return Err(Unread::TooLong);
    }
    let encoding = Encoding::of(incoming.response().headers());
    let content_type = content_type(incoming.response());
    let mut bytes = Vec::new();
    while let Some(chunk) = incoming.chunk()? {
        if bytes.len() as u64 + chunk.len() as u64 > limit {
            return Err(Unread::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body {
        bytes,
        encoding,
        content_type,
    })
}

impl Body {
    /// Returns the content: without its encoding, or as it came where it has none after all.
    pub(super) fn content(self, limit: u64) -> Result<Vec<u8>, Unread> {
        match self.encoding.as_ref().map(|encoding| encoding.as_ref()) {
            Ok(Some(encoding)) => match encoding.undo(&self.bytes, limit) {
                Ok(content) => Ok(content),
                Err(NotUndone::TooLong) => Err(Unread::TooLong),
                Err(NotUndone::Damaged(_)) => Ok(self.bytes),
            },
            _ => Ok(self.bytes),
        }
    }
}

/// Returns what an answer says that it is.
pub(super) fn content_type(response: &Response) -> Option<String> {
    let value = response.headers().get(CONTENT_TYPE)?;
    Some(value.to_str().ok()?.to_owned())
}

/// Returns what a registry says about an error, if it says it in a form for people.
pub(super) fn server_message(waiter: Waiter<'_>, response: &mut Response) -> Option<ServerMessage> {
    let content_type = content_type(response);
    let encoding = Encoding::of(response.headers()).ok()?;
    let mut bytes = beginning(waiter, response);
    if let Some(encoding) = encoding {
        let content = encoding.undo_beginning(&bytes, ERROR_BYTES);
        if !content.is_empty() {
            bytes = content;
        }
    }
    if let Some(title) = page::title(content_type.as_deref(), &bytes) {
        return (!title.is_empty()).then(|| ServerMessage(format!("(a web page) {title}")));
    }
    errors(&bytes).or_else(|| {
        let text = String::from_utf8_lossy(&bytes);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
        // What is for programs tells people nothing here.
        (!line.starts_with(['<', '{', '['])).then(|| ServerMessage(shortened(line, SAID)))
    })
}

/// Returns as much as comes of an answer in a short time.
fn beginning(waiter: Waiter<'_>, response: &mut Response) -> Vec<u8> {
    let until = Instant::now() + ERROR_TIME;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < ERROR_BYTES {
        let left = until.saturating_duration_since(Instant::now());
        let reactor = &waiter.client.reactor;
        let Ok(Ok(Some(chunk))) = reactor.wait(left, waiter.cancel, response.chunk()) else {
            break;
        };
        bytes.extend_from_slice(&chunk);
    }
    bytes
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
fn errors(bytes: &[u8]) -> Option<ServerMessage> {
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
    (!texts.is_empty()).then(|| ServerMessage(shortened(&texts.join("; "), SAID)))
}

/// Returns the beginning of a text, of so many characters at most.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let start: String = text.chars().take(most).collect();
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
