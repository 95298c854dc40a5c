//! What a registry wants its users to know, said once. Source: OCI distribution-spec, "Warnings".

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use reqwest::header::{HeaderMap, WARNING};

/// The most characters of a warning.
const MAX: usize = 500;
/// With fewer requests left than this the user is told.
const FEW: u64 = 10;

/// What was said by the registries of one operation and not passed on yet.
#[derive(Debug, Default)]
pub(super) struct Notices {
    queue: Mutex<NoticeQueue>,
}

#[derive(Debug, Default)]
struct NoticeQueue {
    known: BTreeSet<String>,
    new: Vec<String>,
}

impl Notices {
    /// Takes note of what the headers of an answer say.
    pub(super) fn take(&self, host: &str, headers: &HeaderMap) {
        for value in headers.get_all(WARNING) {
            if let Some(text) = value.to_str().ok().and_then(warning) {
                self.add(format!("registry {host} says: {text}"));
            }
        }
        let left = quota(headers, "ratelimit-remaining").map(|(left, _)| left);
        if let Some(left) = left.filter(|left| *left < FEW) {
            self.add(format!("registry {host} allows {left} more pulls for now"));
        }
    }

    /// Returns what the headers of an answer say of how much may be pulled, unless it was returned
    /// before.
    pub(super) fn limit(&self, host: &str, headers: &HeaderMap) -> Option<String> {
        let (left, seconds) = quota(headers, "ratelimit-remaining")?;
        let limit = quota(headers, "ratelimit-limit");
        let limit = limit.map_or_else(String::new, |(limit, _)| format!(" of {limit}"));
        let window = match seconds {
            Some(seconds) if seconds >= 3600 => format!(" in {} h", seconds / 3600),
            Some(seconds) => format!(" in {seconds} s"),
            None => String::new(),
        };
        let text = format!("registry {host} allows {left} more pulls{limit}{window}");
        self.lock().known.insert(text.clone()).then_some(text)
    }

    /// Returns what was said since the last time.
    pub(super) fn drain(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().new)
    }

    /// Takes note of something that the user should know.
    pub(super) fn add(&self, text: String) {
        let mut queue = self.lock();
        if queue.known.insert(text.clone()) {
            queue.new.push(text);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, NoticeQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads `100;w=21600`: a number of pulls, and the seconds in which they are allowed. Source: Docker Hub,
/// "Usage and limits".
fn quota(headers: &HeaderMap, name: &str) -> Option<(u64, Option<u64>)> {
    let mut parts = headers.get(name)?.to_str().ok()?.split(';');
    let number = parts.next()?.trim().parse().ok()?;
    let window = parts.find_map(|part| part.trim().strip_prefix("w=")?.parse().ok());
    Some((number, window))
}

/// Reads `299 - "text"`; other warnings are those of caches.
fn warning(text: &str) -> Option<String> {
    let quoted = text.strip_prefix("299 ")?.split_once('"')?.1;
    let mut warning = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return (!warning.is_empty()).then_some(warning),
            '\\' => warning.extend(characters.next()),
            other => warning.push(other),
        }
        if warning.len() > MAX {
            return None;
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_warning_is_passed_on_once() {
        let notices = Notices::default();
        for _ in 0..2 {
            notices.take("h", &headers(&[("warning", r#"299 - "say \"bye\"""#)]));
        }
        assert_eq!(notices.drain(), [r#"registry h says: say "bye""#]);
        notices.take("h", &headers(&[("warning", r#"299 - "say \"bye\"""#)]));
        assert!(notices.drain().is_empty());
    }

    #[test]
    fn other_warnings_are_not_for_people() {
        let notices = Notices::default();
        for text in [
            "110 - \"stale\"",
            "299 - unquoted",
            "299 - \"open",
            "299 - \"\"",
        ] {
            notices.take("h", &headers(&[("warning", text)]));
        }
        assert!(notices.drain().is_empty());
    }

    #[test]
    fn the_last_pulls_of_a_quota_are_counted_aloud() {
        let notices = Notices::default();
        notices.take("h", &headers(&[("ratelimit-remaining", "76;w=21600")]));
        assert!(notices.drain().is_empty());
        notices.take("h", &headers(&[("ratelimit-remaining", "3;w=21600")]));
        assert_eq!(notices.drain(), ["registry h allows 3 more pulls for now"]);
    }

    #[test]
    fn a_quota_is_told_whenever_it_changes() {
        let notices = Notices::default();
        let limit = ("ratelimit-limit", "100;w=21600");
        let all = headers(&[limit, ("ratelimit-remaining", "76;w=21600")]);
        let told = notices.limit("h", &all);
        assert_eq!(
            told.as_deref(),
            Some("registry h allows 76 more pulls of 100 in 6 h")
        );
        assert_eq!(notices.limit("h", &all), None);
        let less = headers(&[("ratelimit-remaining", "75;w=90")]);
        let told = notices.limit("h", &less);
        assert_eq!(
            told.as_deref(),
            Some("registry h allows 75 more pulls in 90 s")
        );
        for other in [
            headers(&[limit]),
            headers(&[("ratelimit-remaining", "many")]),
        ] {
            assert_eq!(notices.limit("h", &other), None);
        }
    }
}
