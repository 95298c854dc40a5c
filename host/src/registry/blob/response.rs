//! One answer with bytes of a blob.
//!
//! Owns which part is asked for, and whether what comes is the blob, a part of it, an encoding of it or
//! a page for people. What happens when it breaks off is the reader's to decide.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};

use super::{BlobReader, Source};
use crate::registry::RegistryError;
use crate::registry::encoding::{self, Encoding};
use crate::registry::exchange::EndpointRequest;
use crate::registry::incoming::{Incoming, Unread};
use crate::registry::{body, page};

/// Bytes that are taken at once of what has an encoding.
const DECODED: usize = 64 << 10;
/// Bytes that an answer to a request for the rest of a blob has at least, unless it has all of them: with
/// less in each, a server could ask for any number of requests.
const LEAST_PIECE: u64 = 64 << 10;

/// Bytes on their way.
pub(super) enum Body<'a> {
    /// They are those of the blob.
    Plain(Box<Incoming<'a>>),
    /// They were encoded on the way.
    Encoded(Box<dyn Read + Send + 'a>),
}

impl<'a> BlobReader<'a> {
    /// Asks for the rest.
    pub(super) fn open(&mut self) -> Result<Body<'a>, RegistryError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if self.asks_for_part()
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.offset))
        {
            headers.insert(RANGE, range);
        }
        let request = EndpointRequest {
            path: format!("blobs/{}", self.request.digest),
            headers,
            what: &self.what,
            upload: None,
        };
        let repository = self.repository;
        let patience = Arc::clone(&self.attempts.patience);
        let context = repository.context(&patience, self.attempts.number(), self.cancel);
        let endpoint = self.endpoint()?;
        let response = match self.source {
            Source::Endpoint(_) => endpoint.send(context, &request)?,
            Source::Url(number) => {
                let url = self.request.urls.get(number).map_or("", String::as_str);
                endpoint.send_elsewhere(context, url, &request)?
            }
        };
        repository.answered(endpoint);
        let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
        let length = response.content_length();
        let range = is_part.then(|| self.range(response.headers(), length));
        let range = match range {
            None => Range::default(),
            Some(Some(range)) => range,
            // Nothing says what bytes these are.
            Some(None) if self.asks_for_part() => {
                drop(response);
                self.wants_all = true;
                return self.open();
            }
            Some(None) => {
                let reason = "the range is not the one that was asked for";
                return Err(endpoint.malformed(&self.what, &reason));
            }
        };
        let begin = range.begin;
        let total = length.map(|length| begin.saturating_add(length));
        self.elsewhere = endpoint.elsewhere(response.url());
        let host = self.elsewhere.clone().unwrap_or_else(|| self.host());
        let waiter = repository.waiter(self.cancel);
        let mut incoming = Incoming::new(waiter, patience, response, &host, &self.what);
        self.known = self.offset - begin;
        self.part_end = None;
        // What is as long as the blob is the blob, whatever else is said of it.
        if total == Some(self.request.size) {
            return Ok(Body::Plain(Box::new(incoming)));
        }
        // A server may send less than it was asked for. Source: RFC 9110 section 15.3.7.
        if let Some(end) = total.filter(|end| begin > 0 && *end < self.request.size) {
            if end - self.offset >= LEAST_PIECE {
                self.part_end = Some(end);
                return Ok(Body::Plain(Box::new(incoming)));
            }
            if self.asks_for_part() {
                drop(incoming);
                self.wants_all = true;
                return self.open();
            }
        }
        self.refuse_page(&mut incoming)?;
        let encoding = Encoding::of(incoming.response().headers());
        match (encoding, total) {
            (Ok(None), Some(total)) => Err(self.size_error(total)),
            (Ok(None) | Err(_), None) => Ok(Body::Plain(Box::new(incoming))),
            (Err(name), Some(_)) => Err(self.endpoint()?.malformed(
                &self.what,
                &format!("it is encoded in a way that msb has not asked for: {name}"),
            )),
            // A part of what is encoded is of no use.
            (Ok(Some(_)), _) if is_part && self.asks_for_part() => {
                drop(incoming);
                self.wants_all = true;
                self.open()
            }
            (Ok(Some(encoding)), _) => {
                let is_encoded = total.is_some() || self.is_encoded(&mut incoming, &encoding)?;
                if !is_encoded {
                    return Ok(Body::Plain(Box::new(incoming)));
                }
                let reader = encoding.undone(incoming);
                let reader = reader.map_err(|error| match error.downcast::<Unread>() {
                    Ok(unread) => self.unread(unread),
                    Err(error) => self.garbled(&error),
                })?;
                Ok(Body::Encoded(reader))
            }
        }
    }

    /// Returns which bytes a partial answer holds, if the blob can go on with them.
    fn range(&self, headers: &HeaderMap, length: Option<u64>) -> Option<Range> {
        let size = self.request.size;
        let whole = !self.asks_for_part() && length == Some(size);
        let unsaid = whole.then(Range::default);
        let stated = headers
            .get(CONTENT_RANGE)
            .and_then(|value| Range::parse(value.to_str().ok()?));
        stated
            .filter(|range| range.goes_on_at(self.offset, length, size))
            .or(unsaid)
    }

    /// Refuses a page for people, whatever it is called where its length is not that of the blob.
    fn refuse_page(&self, incoming: &mut Incoming<'_>) -> Result<(), RegistryError> {
        let content_type = body::content_type(incoming.response());
        let is_other = incoming.response().status() == StatusCode::OK
            && incoming.response().content_length().is_some();
        if !is_other && !content_type.as_deref().is_some_and(page::is_html) {
            return Ok(());
        }
        let url = incoming.response().url().clone();
        let bytes = incoming.peek().map_err(|unread| self.unread(unread))?;
        let found = self
            .endpoint()?
            .page(&url, content_type.as_deref(), bytes, &self.what);
        found.map_or(Ok(()), Err)
    }

    /// Returns whether the bytes of a blob of unknown length are really encoded: many servers say
    /// so of a blob that is compressed by itself.
    fn is_encoded(
        &self,
        incoming: &mut Incoming<'_>,
        encoding: &Encoding,
    ) -> Result<bool, RegistryError> {
        let bytes = incoming.peek().map_err(|unread| self.unread(unread))?;
        let content = encoding.undo_beginning(bytes, 512);
        if content.is_empty() || encoding::is_compressed(&content) {
            return Ok(!content.is_empty());
        }
        // It is a tar, or a compressed tar that is called encoded. The digest would tell, and does
        // the next time.
        let is_tar = self.request.size.is_multiple_of(512);
        let was_wrong = self.request.passed_endpoints % 2 == 1;
        Ok(is_tar != was_wrong)
    }
}

/// Returns the next bytes of what was encoded.
pub(super) fn decoded(reader: &mut (dyn Read + Send)) -> io::Result<Option<Bytes>> {
    let mut bytes = vec![0; DECODED];
    let count = reader.read(&mut bytes)?;
    bytes.truncate(count);
    Ok((count > 0).then(|| bytes.into()))
}

/// Which bytes of a blob an answer holds. Source: RFC 9110 section 14.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Range {
    begin: u64,
    /// How long the whole is; none where the server does not say it.
    whole: Option<u64>,
}

impl Range {
    /// Reads `bytes 5-9/10`.
    fn parse(text: &str) -> Option<Self> {
        let (begin, rest) = text.trim().strip_prefix("bytes ")?.split_once('-')?;
        let whole = rest.split_once('/').map(|(_, whole)| whole.trim());
        Some(Self {
            begin: begin.trim().parse().ok()?,
            whole: whole.and_then(|whole| whole.parse().ok()),
        })
    }

    /// Returns whether an answer of `length` bytes is of a blob of `size` bytes, and goes on where
    /// `offset` bytes of it are there.
    fn goes_on_at(self, offset: u64, length: Option<u64>, size: u64) -> bool {
        let adds_something = length.is_none_or(|length| self.begin.saturating_add(length) > offset);
        self.begin <= offset && adds_something && self.whole.is_none_or(|whole| whole == size)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_an_answer_is_read() {
        let range = |begin, whole| Some(Range { begin, whole });
        assert_eq!(Range::parse("bytes 5-9/10"), range(5, Some(10)));
        assert_eq!(Range::parse("bytes 0-0/*"), range(0, None));
        assert_eq!(Range::parse("bytes 7-"), range(7, None));
        for text in ["bytes */10", "5-9/10", "bytes", "items 5-9/10", ""] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_range_is_used_that_goes_on_where_the_blob_ended() {
        let usable = |text, length| Range::parse(text).unwrap().goes_on_at(5, length, 10);
        assert!(usable("bytes 5-9/10", Some(5)));
        assert!(usable("bytes 5-6/*", Some(2)));
        assert!(usable("bytes 0-9/10", Some(10)));
        assert!(usable("bytes 5-9/10", None));
        assert!(!usable("bytes 6-9/10", Some(4)), "a byte is missing");
        assert!(!usable("bytes 0-4/10", Some(5)), "nothing is new");
        assert!(!usable("bytes 5-9/11", Some(5)), "it is of something else");
    }
}
