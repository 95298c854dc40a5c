//! Reading a blob as one stream, over as many connections and places as it takes.
//!
//! Owns going on where a connection broke off: with a range where the registry knows ranges, else
//! by passing over what came already. Who reads sees only bytes, and an error at the end of all
//! patience. The digest is the reader's to check.

use std::fmt;
use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Response, StatusCode};

use super::exchange::{Place, Request};
use super::retry::Attempts;
use super::runtime::NoAnswer;
use super::{RegistryError, Repository, Retry};
use crate::cancel::Cancel;
use crate::digest::Digest;

/// What is read of a repository.
#[derive(Clone, Debug)]
pub struct BlobRequest<'a> {
    /// The digest of the blob.
    pub digest: &'a Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Where it can be had when no place has it: the `urls` of its descriptor.
    pub urls: &'a [String],
    /// The byte to begin with.
    pub offset: u64,
    /// How many places to pass over, because what they gave was wrong. The last one always stays.
    pub passed_places: usize,
}

/// The bytes of a blob.
pub struct BlobReader<'a> {
    repository: &'a Repository,
    request: BlobRequest<'a>,
    on_retry: Box<dyn Fn(&Retry<'_>) + Send + Sync + 'a>,
    cancel: &'a Cancel,
    what: String,
    source: Source,
    attempts: Attempts,
    offset: u64,
    response: Option<Response>,
    /// Bytes of the response that came before.
    known: u64,
    /// The place refuses to send a part of the blob.
    wants_all: bool,
    chunk: Bytes,
}

/// Where the bytes come from.
#[derive(Clone, Copy, Debug)]
enum Source {
    Place(usize),
    Url(usize),
}

impl Repository {
    /// Returns the bytes of a blob. Nothing is asked before the first is read.
    pub fn blob<'a>(
        &'a self,
        request: BlobRequest<'a>,
        on_retry: Box<dyn Fn(&Retry<'_>) + Send + Sync + 'a>,
        cancel: &'a Cancel,
    ) -> BlobReader<'a> {
        let first = request
            .passed_places
            .min(self.places.len().saturating_sub(1));
        let attempts = match self.places.get(first) {
            Some(place) => self.attempts(place),
            None => Attempts::new(self.client().policy),
        };
        BlobReader {
            repository: self,
            what: format!("layer {}", request.digest),
            source: Source::Place(first),
            attempts,
            offset: request.offset,
            response: None,
            known: 0,
            wants_all: false,
            chunk: Bytes::new(),
            request,
            on_retry,
            cancel,
        }
    }
}

impl fmt::Debug for BlobReader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BlobReader")
            .field("request", &self.request)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() && !buffer.is_empty() {
            self.chunk = self.next().map_err(io::Error::other)?;
        }
        let count = self.chunk.len().min(buffer.len());
        if let (Some(target), Some(source)) = (buffer.get_mut(..count), self.chunk.get(..count)) {
            target.copy_from_slice(source);
        }
        self.chunk.advance(count);
        Ok(count)
    }
}

impl BlobReader<'_> {
    /// Returns the next bytes; none at the end of the blob.
    fn next(&mut self) -> Result<Bytes, RegistryError> {
        while self.offset < self.request.size {
            let outcome = match self.response.as_mut() {
                None => self.open().map(|response| {
                    self.response = Some(response);
                    None
                }),
                Some(_) => self.receive(),
            };
            match outcome {
                Ok(Some(bytes)) if !bytes.is_empty() => return Ok(bytes),
                Ok(_) => {}
                Err(error) => {
                    self.response = None;
                    self.go_on_after(error)?;
                }
            }
        }
        Ok(Bytes::new())
    }

    /// Returns what comes next of a response, without what is known.
    fn receive(&mut self) -> Result<Option<Bytes>, RegistryError> {
        let Some(response) = self.response.as_mut() else {
            return Ok(None);
        };
        let client = self.repository.client();
        let stall = client.policy.stall_timeout;
        let received = client.runtime.wait(stall, self.cancel, response.chunk());
        let broken = |source: Option<reqwest::Error>| RegistryError::Broken {
            host: self.host(),
            what: self.what.clone(),
            source: source.map(reqwest::Error::without_url),
        };
        let mut bytes = match received {
            Ok(Ok(Some(bytes))) => bytes,
            Ok(Ok(None)) => return Err(broken(None)),
            Ok(Err(error)) => return Err(broken(Some(error))),
            Err(NoAnswer::Cancelled(cancelled)) => return Err(cancelled.into()),
            Err(NoAnswer::Late) => {
                return Err(RegistryError::Stalled {
                    host: self.host(),
                    what: self.what.clone(),
                    after: stall,
                });
            }
        };
        let known = self.known.min(bytes.len() as u64);
        self.known -= known;
        bytes.advance(usize::try_from(known).unwrap_or(bytes.len()));
        let count = bytes.len() as u64;
        if count > self.request.size - self.offset {
            return Err(self.size_error(self.offset.saturating_add(count)));
        }
        self.offset += count;
        self.attempts.progress(count);
        Ok(Some(bytes))
    }

    /// Asks for the rest.
    fn open(&mut self) -> Result<Response, RegistryError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if self.offset > 0
            && !self.wants_all
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.offset))
        {
            headers.insert(RANGE, range);
        }
        let request = Request {
            path: format!("blobs/{}", self.request.digest),
            headers,
            what: &self.what,
            upload: None,
        };
        let asking = self.repository.asking(self.cancel);
        let place = self.place()?;
        let response = match self.source {
            Source::Place(_) => place.send(asking, &request)?,
            Source::Url(number) => {
                let url = self.request.urls.get(number).map_or("", String::as_str);
                place.send_elsewhere(asking, url, &request)?
            }
        };
        let begin = match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = response.headers().get(CONTENT_RANGE);
                let begin = range.and_then(|value| begin(value.to_str().ok()?));
                if begin != Some(self.offset) {
                    let reason = "the range is not the one that was asked for";
                    return Err(place.malformed(&self.what, &reason));
                }
                self.offset
            }
            _ => 0,
        };
        if let Some(length) = response.content_length()
            && begin.saturating_add(length) != self.request.size
        {
            return Err(self.size_error(begin.saturating_add(length)));
        }
        self.known = self.offset - begin;
        Ok(response)
    }

    /// Waits for another attempt or turns to the next place. When there is neither, that is the
    /// end.
    fn go_on_after(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        if !error.is_of_the_place() {
            return Err(error);
        }
        // No error of the blob: the same place may still have it as a whole.
        if error.refuses_range() && self.offset > 0 && !self.wants_all {
            self.wants_all = true;
            return Ok(());
        }
        let repository = self.repository;
        // A server that a manifest names gives no new address when one asks again.
        let is_final = matches!(self.source, Source::Url(_)) && error.is_refusal_elsewhere();
        if !is_final
            && repository.wait_for_another(
                &mut self.attempts,
                &error,
                &self.on_retry,
                self.cancel,
            )?
        {
            return Ok(());
        }
        let next = match self.source {
            Source::Place(number) if number + 1 < repository.places.len() => {
                repository.pass_over(self.place()?, &error);
                Source::Place(number + 1)
            }
            Source::Place(_) if matches!(error, RegistryError::NotFound { .. }) => Source::Url(0),
            Source::Place(_) => return Err(error),
            Source::Url(number) => Source::Url(number + 1),
        };
        if matches!(next, Source::Url(number) if number >= self.request.urls.len()) {
            return Err(error);
        }
        self.source = next;
        self.wants_all = false;
        self.attempts = repository.attempts(self.place()?);
        Ok(())
    }

    fn place(&self) -> Result<&Place, RegistryError> {
        let number = match self.source {
            Source::Place(number) => number,
            Source::Url(_) => self.repository.places.len().saturating_sub(1),
        };
        let place = self.repository.places.get(number);
        place.ok_or_else(|| RegistryError::Setup {
            host: "none".to_owned(),
            source: "no place is configured for the repository".into(),
        })
    }

    fn host(&self) -> String {
        let place = self.place().ok();
        place.map_or_else(String::new, |place| place.endpoint.host.clone())
    }

    fn size_error(&self, actual: u64) -> RegistryError {
        RegistryError::Size {
            host: self.host(),
            what: self.what.clone(),
            stated: self.request.size,
            actual,
        }
    }
}

/// Returns the first byte of `bytes 5-9/10`. Source: RFC 9110 section 14.4.
fn begin(range: &str) -> Option<u64> {
    let (begin, _) = range.trim().strip_prefix("bytes ")?.split_once('-')?;
    begin.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_range_is_read() {
        assert_eq!(begin("bytes 5-9/10"), Some(5));
        assert_eq!(begin("bytes 0-0/*"), Some(0));
        for text in ["bytes */10", "5-9/10", "bytes", "items 5-9/10", ""] {
            assert_eq!(begin(text), None, "{text}");
        }
    }
}
