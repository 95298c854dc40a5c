//! A repository at all the places that have it: mirrors first, the registry last.
//!
//! Owns the order of places, trying again, and the checking of digests of what is read whole.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Response, StatusCode};
use serde::de::IgnoredAny;

use super::body::{self, Body};
use super::client::Client;
use super::credentials::{Access, Credentials};
use super::encoding::NotUndone;
use super::error::Extent;
use super::exchange::{Asking, Place, Request};
use super::hosts::{Endpoint, MirrorUsage};
use super::incoming::{Unread, Waiter};
use super::manifest::{self, Fetched, Which};
use super::patience::Patience;
use super::retry::{Attempts, Retry};
use super::{RegistryError, RetryPolicy};
use crate::cancel::Cancel;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::progress::{Progress, Silent};

/// Attempts at a mirror: there is always another place.
const MIRROR_ATTEMPTS: u32 = 2;
/// Attempts at a place that cannot be connected to: most likely there is none.
const CONNECT_ATTEMPTS: u32 = 2;
/// How long a mirror may make us wait, where another place can be asked at once.
const MIRROR_WAIT: Duration = Duration::from_secs(5);

/// A repository of images.
pub struct Repository {
    client: Arc<Client>,
    pub(super) places: Vec<Place>,
    access: Access,
    credentials: Arc<dyn Credentials>,
    progress: Arc<dyn Progress>,
}

/// What was wanted of a place, with the words for it.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    place: &'a Place,
    what: &'a str,
    /// The most bytes, and the setting that says so.
    limit: (u64, &'static str),
}

/// Who is told of attempts that failed.
pub(super) type OnRetry<'a> = &'a (dyn Fn(&Retry<'_>) + Sync);

impl Repository {
    pub(super) fn new(
        client: Arc<Client>,
        endpoints: Vec<Endpoint>,
        access: Access,
        credentials: Arc<dyn Credentials>,
    ) -> Self {
        Self {
            client,
            places: endpoints.into_iter().map(Place::new).collect(),
            access,
            credentials,
            progress: Arc::new(Silent),
        }
    }

    /// Tells of requests, and of waiting for answers, while they go on. Without this nobody hears
    /// of them.
    #[must_use]
    pub fn telling(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress, ..self }
    }

    /// Fetches a manifest or index and checks its digest.
    ///
    /// # Errors
    /// What the last place says, which is the registry itself.
    pub fn manifest(
        &self,
        which: Which<'_>,
        limit: u64,
        on_retry: &(dyn Fn(&Retry<'_>) + Sync),
        cancel: &Cancel,
    ) -> Result<Fetched, RegistryError> {
        let selector = match which {
            Which::Tag(tag) => tag.to_owned(),
            Which::Digest(digest) => digest.to_string(),
        };
        let is_digest = matches!(which, Which::Digest(_));
        self.at_each_place(is_digest, on_retry, cancel, |place, asking| {
            let mark = if is_digest { '@' } else { ':' };
            let what = format!("manifest {}{mark}{selector}", place.endpoint.repository);
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(manifest::ACCEPT));
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            let request = Request {
                path: format!("manifests/{selector}"),
                headers,
                what: &what,
                upload: None,
            };
            let response = place.send(asking, &request)?;
            let header = response.headers().get("docker-content-digest");
            let stated = header.and_then(|value| value.to_str().ok()?.parse().ok());
            let content_type = body::content_type(&response)
                .and_then(|text| Some(text.split(';').next()?.trim().to_ascii_lowercase()));
            let stated = match which {
                Which::Digest(digest) => Some(digest.clone()),
                Which::Tag(_) => stated,
            };
            let wanted = Wanted {
                place,
                what: &what,
                limit: (limit, "manifest_bytes"),
            };
            let (bytes, digest) = wanted.read(asking, response, stated, None)?;
            Ok(Fetched {
                bytes,
                digest,
                host: place.endpoint.host.clone(),
                content_type,
            })
        })
    }

    /// Fetches a blob that is small enough to be read whole, and checks its digest, and its length
    /// where that is known.
    ///
    /// # Errors
    /// What the last place says, which is the registry itself.
    pub fn small_blob(
        &self,
        digest: &Digest,
        size: Option<u64>,
        limit: u64,
        on_retry: &(dyn Fn(&Retry<'_>) + Sync),
        cancel: &Cancel,
    ) -> Result<Vec<u8>, RegistryError> {
        self.at_each_place(true, on_retry, cancel, |place, asking| {
            let what = format!("configuration {digest} of {}", place.endpoint.repository);
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            let request = Request {
                path: format!("blobs/{digest}"),
                headers,
                what: &what,
                upload: None,
            };
            let wanted = Wanted {
                place,
                what: &what,
                limit: (limit, "config_bytes"),
            };
            if size.is_some_and(|size| size > limit) {
                return Err(wanted.too_large());
            }
            let response = place.send(asking, &request)?;
            let (bytes, _) = wanted.read(asking, response, Some(digest.clone()), size)?;
            Ok(bytes)
        })
    }

    /// Asks how long a blob is, for a descriptor that does not say it.
    ///
    /// # Errors
    /// What the last place says, which is the registry itself.
    pub fn blob_length(
        &self,
        digest: &Digest,
        on_retry: &(dyn Fn(&Retry<'_>) + Sync),
        cancel: &Cancel,
    ) -> Result<u64, RegistryError> {
        self.at_each_place(true, on_retry, cancel, |place, asking| {
            let what = format!("length of layer {digest}");
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            headers.insert(RANGE, HeaderValue::from_static("bytes=0-0"));
            let request = Request {
                path: format!("blobs/{digest}"),
                headers,
                what: &what,
                upload: None,
            };
            let response = place.send(asking, &request)?;
            let length = if response.status() == StatusCode::PARTIAL_CONTENT {
                let range = response.headers().get(CONTENT_RANGE);
                range.and_then(|range| range.to_str().ok()?.rsplit_once('/')?.1.parse().ok())
            } else {
                response.content_length()
            };
            let unsaid = "neither the manifest nor the registry says it";
            length.ok_or_else(|| place.malformed(&what, &unsaid))
        })
    }

    /// Returns what registries want users to know; untrusted text.
    pub fn notices(&self) -> Vec<String> {
        self.client.notices()
    }

    pub(super) fn asking<'a>(
        &'a self,
        patience: &'a Arc<Patience>,
        attempt: u32,
        cancel: &'a Cancel,
    ) -> Asking<'a> {
        Asking {
            client: &self.client,
            credentials: self.credentials.as_ref(),
            access: self.access,
            cancel,
            progress: self.progress.as_ref(),
            patience,
            attempt,
        }
    }

    pub(super) fn waiter<'a>(&'a self, cancel: &'a Cancel) -> Waiter<'a> {
        Waiter {
            client: &self.client,
            cancel,
            progress: self.progress.as_ref(),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns how patient we are with a place, after so much silence of others at the same thing.
    /// A mirror has half of all patience, and so has what has failed before in the same operation.
    pub(super) fn attempts(&self, place: &Place, silence_before: Duration) -> Attempts {
        let policy = self.client.policy;
        let endpoint = &place.endpoint;
        let half = policy.give_up_after / 2;
        let rest = policy.give_up_after.saturating_sub(silence_before);
        let (attempts, give_up_after) = if endpoint.is_mirror {
            (policy.attempts.min(MIRROR_ATTEMPTS), half)
        } else if self.client.health.has_failed(&endpoint.host) {
            (1, half)
        } else {
            (policy.attempts, rest.max(half))
        };
        let policy = RetryPolicy {
            attempts,
            give_up_after,
            ..policy
        };
        Attempts::new(policy, &self.client.health.traffic)
    }

    /// Returns the first place from a number on that is worth asking; the last one always is.
    pub(super) fn next_place(&self, from: usize) -> usize {
        let last = self.places.len().saturating_sub(1);
        let places = self.places.iter().enumerate().skip(from);
        let mut worth = places.filter(|(_, place)| !self.is_passed_over(place));
        worth.next().map_or(last, |(number, _)| number.min(last))
    }

    fn is_passed_over(&self, place: &Place) -> bool {
        place.endpoint.is_mirror
            && (place.is_passed_over.load(Ordering::Relaxed)
                || self.client.health.has_failed(&place.endpoint.host))
    }

    /// Waits before another attempt, if there shall be one, and returns whether there shall.
    pub(super) fn wait_for_another(
        &self,
        place: &Place,
        attempts: &mut Attempts,
        error: &RegistryError,
        on_retry: OnRetry<'_>,
        cancel: &Cancel,
    ) -> Result<bool, RegistryError> {
        let is_mirror = place.endpoint.is_mirror;
        if is_mirror && error.is_out_of_reach() {
            return Ok(false);
        }
        let Some(after) = attempts.after(error) else {
            return Ok(false);
        };
        if is_mirror && after > MIRROR_WAIT {
            return Ok(false);
        }
        let hopeless = matches!(error, RegistryError::Connect { .. })
            && attempts.failed() >= CONNECT_ATTEMPTS
            && !attempts.had_progress();
        if hopeless {
            return Ok(false);
        }
        on_retry(&Retry { error, after });
        self.waiter(cancel).sleep(after)?;
        Ok(true)
    }

    /// Asks place after place, each as often as it deserves.
    fn at_each_place<T>(
        &self,
        by_digest: bool,
        on_retry: OnRetry<'_>,
        cancel: &Cancel,
        ask: impl Fn(&Place, Asking<'_>) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut last = None;
        let mut silence = Duration::ZERO;
        for place in &self.places {
            let is_of_no_use = !by_digest && place.endpoint.usage == MirrorUsage::DigestOnly;
            if is_of_no_use || self.is_passed_over(place) {
                continue;
            }
            let mut attempts = self.attempts(place, silence);
            let error = loop {
                let asking = self.asking(&attempts.patience, attempts.number(), cancel);
                match ask(place, asking) {
                    Ok(answer) => {
                        self.answered(place);
                        return Ok(answer);
                    }
                    Err(error) if !error.is_of_the_place() => return Err(error),
                    Err(error) => {
                        if !self.wait_for_another(place, &mut attempts, &error, on_retry, cancel)? {
                            break error;
                        }
                    }
                }
            };
            silence += attempts.patience.silent();
            self.give_up(place, &error);
            last = Some(error);
        }
        Err(last.unwrap_or_else(|| RegistryError::Setup {
            host: "none".to_owned(),
            source: "no place is configured for the repository".into(),
        }))
    }

    /// Takes note of a registry that answers. A mirror that has failed is not asked again, whatever
    /// else was on its way from it.
    pub(super) fn answered(&self, place: &Place) {
        if !place.endpoint.is_mirror {
            self.client.health.recover(&place.endpoint.host);
        }
    }

    /// Takes note of a place that has failed. The user hears once of a mirror that does not work,
    /// and then it is asked no more; that it has not everything is no news.
    pub(super) fn give_up(&self, place: &Place, error: &RegistryError) {
        let host = &place.endpoint.host;
        if !place.endpoint.is_mirror {
            if error.is_out_of_reach() {
                self.client.health.fail(host);
            }
            return;
        }
        let (is_news, how_long) = match error.extent() {
            Extent::Host => (self.client.health.fail(host), " from here on"),
            Extent::Repository => {
                let before = place.is_passed_over.swap(true, Ordering::Relaxed);
                (!before, " for this image")
            }
            Extent::Content => (!matches!(error, RegistryError::NotFound { .. }), ""),
        };
        if is_news {
            let text = format!("mirror passed over{how_long}: {error}");
            self.client.notices.add(text);
        }
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Repository")
            .field("places", &self.places)
            .field("access", &self.access)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

impl Wanted<'_> {
    /// Reads an answer whole, and checks its digest, and its length where that is known.
    fn read(
        self,
        asking: Asking<'_>,
        response: Response,
        stated: Option<Digest>,
        size: Option<u64>,
    ) -> Result<(Vec<u8>, Digest), RegistryError> {
        let url = response.url().clone();
        let mut incoming = self.place.incoming(asking, response, self.what);
        let body = body::read(&mut incoming, self.limit.0).map_err(|unread| match unread {
            Unread::TooLong => self.too_large(),
            unread => self
                .place
                .unread(unread, self.place.elsewhere(&url), self.what),
        })?;
        let content_type = body.content_type.clone();
        let (bytes, digest) = self.settled(body, stated.as_ref())?;
        if stated.as_ref().is_some_and(|stated| *stated == digest)
            && size.is_none_or(|size| size == bytes.len() as u64)
        {
            return Ok((bytes, digest));
        }
        let page = self
            .place
            .page(&url, content_type.as_deref(), &bytes, self.what);
        if let Some(page) = page {
            return Err(page);
        }
        let host = self.place.endpoint.host.clone();
        let what = self.what.to_owned();
        match (size, stated) {
            (Some(size), _) if size != bytes.len() as u64 => Err(RegistryError::Size {
                host,
                what,
                stated: size,
                actual: bytes.len() as u64,
            }),
            (_, Some(stated)) => Err(RegistryError::Digest {
                host,
                what,
                stated,
                actual: digest,
            }),
            // Nothing else tells that a document was cut off.
            (_, None) => match serde_json::from_slice::<IgnoredAny>(&bytes) {
                Ok(_) => Ok((bytes, digest)),
                Err(error) => Err(self.garbled(&error)),
            },
        }
    }

    /// Returns the bytes that have the digest, or those that were meant: as they came, or with the
    /// encoding undone that something on the way has given them.
    fn settled(
        self,
        body: Body,
        stated: Option<&Digest>,
    ) -> Result<(Vec<u8>, Digest), RegistryError> {
        let algorithm = stated.map_or(Algorithm::Sha256, Digest::algorithm);
        let digest_of = |bytes: &[u8]| {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(bytes);
            hasher.finish()
        };
        let digest = digest_of(&body.bytes);
        if stated == Some(&digest) {
            return Ok((body.bytes, digest));
        }
        let encoding = match body.encoding {
            Ok(None) => return Ok((body.bytes, digest)),
            Ok(Some(encoding)) => encoding,
            Err(name) => {
                return Err(self.place.malformed(
                    self.what,
                    &format!("it is encoded in a way that msb has not asked for: {name}"),
                ));
            }
        };
        match encoding.undo(&body.bytes, self.limit.0) {
            Ok(content) => {
                let digest = digest_of(&content);
                Ok((content, digest))
            }
            Err(NotUndone::TooLong) => Err(self.too_large()),
            // It may be what it is all the same.
            Err(NotUndone::Damaged(_))
                if stated.is_none()
                    && serde_json::from_slice::<IgnoredAny>(&body.bytes).is_ok() =>
            {
                Ok((body.bytes, digest))
            }
            Err(NotUndone::Damaged(error)) => {
                Err(self.garbled(&format!("its encoding cannot be undone: {error}")))
            }
        }
    }

    fn garbled(self, reason: &impl ToString) -> RegistryError {
        RegistryError::Garbled {
            host: self.place.endpoint.host.clone(),
            what: self.what.to_owned(),
            reason: reason.to_string(),
        }
    }

    fn too_large(self) -> RegistryError {
        RegistryError::TooLarge {
            host: self.place.endpoint.host.clone(),
            what: self.what.to_owned(),
            limit: self.limit.0,
            setting: self.limit.1,
        }
    }
}
