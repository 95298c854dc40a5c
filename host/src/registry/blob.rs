//! Reading a blob as one stream, over as many connections and endpoints as it takes.
//!
//! Owns going on where a connection broke off: with a range where the registry knows ranges, else
//! by skipping what came already. The reader sees only bytes, and an error once all patience is spent.
//! The caller checks the digest. What one answer holds is in [`response`].

mod response;

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};

use self::response::{Body, decoded};
use super::endpoint::Endpoint;
use super::exchange::EndpointRequest;
use super::incoming::Unread;
use super::operation::RegistryOperation;
use super::repository::no_endpoint;
use super::retry::Attempts;
use super::{RegistryError, RegistryErrorKind, Repository, Retry};
use crate::cancel::Cancel;
use crate::digest::Digest;

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
    /// The server that the bytes come from, if the registry referred to one.
    elsewhere: Option<String>,
    /// Bytes of the response that came before.
    known: u64,
    /// The endpoint does not send the part of the blob that it is asked for.
    wants_all: bool,
    /// Where the response ends, if it is less than what was asked for.
    part_end: Option<u64>,
    chunk: Bytes,
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
            part_end: None,
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
            // The rest is asked for next.
            Ok(None) if self.part_end == Some(self.offset) => {
                self.body = None;
                return Ok(None);
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

    /// Waits for another attempt or turns to the next endpoint. When there is neither, that is the
    /// end.
    fn go_on_after(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        if !error.is_of_the_place() {
            return Err(error);
        }
        // The same endpoint may still have the blob as a whole: servers and proxies that do not know
        // ranges say so in many ways.
        if error.may_refuse_range() && self.asks_for_part() {
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

    /// Returns whether the rest of the blob is asked for, and not all of it.
    fn asks_for_part(&self) -> bool {
        self.offset > 0 && !self.wants_all
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
