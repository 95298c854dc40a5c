//! Reading a blob as one stream, over as many connections and endpoints as it takes.
//!
//! Owns going on where a connection broke off: with a range where the registry knows ranges, else
//! by skipping what came already. Who reads sees only bytes, and an error at the end of all
//! patience. The digest is the reader's to check.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};

use super::encoding::{self, Encoding};
use super::exchange::{Endpoint, EndpointRequest};
use super::incoming::{Incoming, Unread};
use super::operation::RegistryOperation;
use super::repository::no_endpoint;
use super::retry::Attempts;
use super::{RegistryError, RegistryErrorKind, Repository, Retry, body, page};
use crate::cancel::Cancel;
use crate::digest::Digest;

/// Bytes that are taken at once of what has an encoding.
const DECODED: usize = 64 << 10;

/// What is read of a repository.
#[derive(Clone, Debug)]
pub struct BlobRequest<'a> {
    /// The digest of the blob.
    pub digest: &'a Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Where it can be had when no endpoint has it: the `urls` of its descriptor.
    pub urls: &'a [String],
    /// The byte to begin with.
    pub offset: u64,
    /// How many endpoints to skip, because what they gave was wrong. The last one always stays.
    pub passed_endpoints: usize,
}

/// The bytes of a blob.
pub struct BlobReader<'a> {
    repository: &'a Repository,
    request: BlobRequest<'a>,
    on_retry: Box<dyn Fn(&Retry<'_>) + Send + Sync + 'a>,
    cancel: &'a Cancel,
    what: RegistryOperation,
    source: Source,
    attempts: Attempts,
    offset: u64,
    body: Option<Body<'a>>,
    /// The server that the bytes come from, where the registry has referred to one.
    elsewhere: Option<String>,
    /// Bytes of the response that came before.
    known: u64,
    /// The place refuses to send a part of the blob.
    wants_all: bool,
    chunk: Bytes,
}

/// Bytes on their way.
enum Body<'a> {
    /// They are those of the blob.
    Plain(Box<Incoming<'a>>),
    /// They were encoded on the way.
    Encoded(Box<dyn Read + Send + 'a>),
}

/// Where the bytes come from.
#[derive(Clone, Copy, Debug)]
enum Source {
    Endpoint(usize),
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
        let last = self.endpoints.len().saturating_sub(1);
        let first = self.next_endpoint(request.passed_endpoints.min(last));
        let attempts = match self.endpoints.get(first) {
            Some(endpoint) => self.attempts(endpoint, Duration::ZERO),
            None => Attempts::new(self.client().policy, &self.client().health.traffic),
        };
        BlobReader {
            repository: self,
            what: RegistryOperation::FetchLayer(request.digest.to_string()),
            source: Source::Endpoint(first),
            attempts,
            offset: request.offset,
            body: None,
            elsewhere: None,
            known: 0,
            wants_all: false,
            chunk: Bytes::new(),
            request,
            on_retry,
            cancel,
        }
    }

    /// Asks how long a blob is, for a descriptor that does not say it.
    ///
    /// # Errors
    /// What the last endpoint says, which is the registry itself.
    pub fn blob_length(
        &self,
        digest: &Digest,
        on_retry: &(dyn Fn(&Retry<'_>) + Sync),
        cancel: &Cancel,
    ) -> Result<u64, RegistryError> {
        self.at_each_endpoint(true, on_retry, cancel, |endpoint, context| {
            let what = RegistryOperation::MeasureLayer(digest.clone());
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            headers.insert(RANGE, HeaderValue::from_static("bytes=0-0"));
            let request = EndpointRequest {
                path: format!("blobs/{digest}"),
                headers,
                what: &what,
                upload: None,
            };
            let response = endpoint.send(context, &request)?;
            let length = if response.status() == StatusCode::PARTIAL_CONTENT {
                let range = response.headers().get(CONTENT_RANGE);
                range.and_then(|range| range.to_str().ok()?.rsplit_once('/')?.1.parse().ok())
            } else {
                response.content_length()
            };
            let unsaid = "neither the manifest nor the registry says it";
            length.ok_or_else(|| endpoint.malformed(&what, &unsaid))
        })
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

impl<'a> BlobReader<'a> {
    /// Returns the next bytes; none at the end of the blob.
    fn next(&mut self) -> Result<Bytes, RegistryError> {
        while self.offset < self.request.size {
            let outcome = match self.body {
                None => self.open().map(|body| {
                    self.body = Some(body);
                    None
                }),
                Some(_) => self.receive(),
            };
            match outcome {
                Ok(Some(bytes)) if !bytes.is_empty() => return Ok(bytes),
                Ok(_) => {}
                Err(error) => {
                    self.body = None;
                    self.go_on_after(error)?;
                }
            }
        }
        Ok(Bytes::new())
    }

    /// Returns what comes next of a response, without what is known.
    fn receive(&mut self) -> Result<Option<Bytes>, RegistryError> {
        let received = match self.body.as_mut() {
            None => return Ok(None),
            Some(Body::Plain(incoming)) => incoming.chunk(),
            Some(Body::Encoded(reader)) => match decoded(reader.as_mut()) {
                Ok(bytes) => Ok(bytes),
                Err(error) => match error.downcast::<Unread>() {
                    Ok(unread) => Err(unread),
                    Err(error) => return Err(self.garbled(&error)),
                },
            },
        };
        let mut bytes = match received {
            Ok(Some(bytes)) => bytes,
            Ok(None) if matches!(self.body, Some(Body::Encoded(_))) => {
                return Err(self.size_error(self.offset));
            }
            Ok(None) => return Err(self.unread(Unread::Broken(None))),
            Err(unread) => return Err(self.unread(unread)),
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
    fn open(&mut self) -> Result<Body<'a>, RegistryError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if self.offset > 0
            && !self.wants_all
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
        if is_part {
            let range = response.headers().get(CONTENT_RANGE);
            let begin = range.and_then(|value| begin(value.to_str().ok()?));
            if begin != Some(self.offset) {
                let reason = "the range is not the one that was asked for";
                return Err(endpoint.malformed(&self.what, &reason));
            }
        }
        let begin = if is_part { self.offset } else { 0 };
        let length = response.content_length();
        let total = length.map(|length| begin.saturating_add(length));
        self.elsewhere = endpoint.elsewhere(response.url());
        let host = self.elsewhere.clone().unwrap_or_else(|| self.host());
        let waiter = repository.waiter(self.cancel);
        let mut incoming = Incoming::new(waiter, patience, response, &host, &self.what);
        self.known = self.offset - begin;
        // What is as long as the blob is the blob, whatever else is said of it.
        if total == Some(self.request.size) {
            return Ok(Body::Plain(Box::new(incoming)));
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
            (Ok(Some(_)), _) if is_part && !self.wants_all => {
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

    /// Waits for another attempt or turns to the next endpoint. When there is neither, that is the
    /// end.
    fn go_on_after(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        if !error.is_of_the_place() {
            return Err(error);
        }
        // No error of the blob: the same endpoint may still have it as a whole.
        if error.refuses_range() && self.offset > 0 && !self.wants_all {
            self.wants_all = true;
            return Ok(());
        }
        let repository = self.repository;
        // A server that a manifest names gives no new address when one asks again.
        let is_final = matches!(self.source, Source::Url(_)) && error.is_refusal_elsewhere();
        if !is_final
            && repository.wait_for_another(
                self.endpoint()?,
                &mut self.attempts,
                &error,
                &self.on_retry,
                self.cancel,
            )?
        {
            return Ok(());
        }
        repository.give_up(self.endpoint()?, &error);
        let next = match self.source {
            Source::Endpoint(number) if number + 1 < repository.endpoints.len() => {
                Source::Endpoint(repository.next_endpoint(number + 1))
            }
            Source::Endpoint(_) if error.is_not_found() => Source::Url(0),
            Source::Endpoint(_) => return Err(error),
            Source::Url(number) => Source::Url(number + 1),
        };
        if matches!(next, Source::Url(number) if number >= self.request.urls.len()) {
            return Err(error);
        }
        self.source = next;
        self.wants_all = false;
        let silence = self.attempts.patience.silent();
        self.attempts = repository.attempts(self.endpoint()?, silence);
        Ok(())
    }

    fn endpoint(&self) -> Result<&'a Endpoint, RegistryError> {
        let repository = self.repository;
        let number = match self.source {
            Source::Endpoint(number) => number,
            Source::Url(_) => repository.endpoints.len().saturating_sub(1),
        };
        let endpoint = repository.endpoints.get(number);
        endpoint.ok_or_else(|| no_endpoint(self.what.clone()))
    }

    fn host(&self) -> String {
        let endpoint = self.endpoint().ok();
        endpoint.map_or_else(String::new, |endpoint| endpoint.config.host.clone())
    }

    fn unread(&self, unread: Unread) -> RegistryError {
        match self.endpoint() {
            Ok(endpoint) => endpoint.unread(unread, self.elsewhere.clone(), &self.what),
            Err(error) => error,
        }
    }

    fn error(&self, kind: RegistryErrorKind) -> RegistryError {
        RegistryError::new(self.host(), self.what.clone(), kind)
    }

    fn garbled(&self, error: &io::Error) -> RegistryError {
        self.error(RegistryErrorKind::Garbled {
            reason: format!("its encoding cannot be undone: {error}"),
        })
    }

    fn size_error(&self, actual: u64) -> RegistryError {
        self.error(RegistryErrorKind::Size {
            stated: self.request.size,
            actual,
        })
    }
}

/// Returns the next bytes of what was encoded.
fn decoded(reader: &mut (dyn Read + Send)) -> io::Result<Option<Bytes>> {
    let mut bytes = vec![0; DECODED];
    let count = reader.read(&mut bytes)?;
    bytes.truncate(count);
    Ok((count > 0).then(|| bytes.into()))
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
