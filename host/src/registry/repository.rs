//! A repository at all the places that have it: mirrors first, the registry last.
//!
//! Owns the order of places, trying again, and the checking of digests of what is read whole.

use std::sync::Arc;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::body::{self, Unread};
use super::client::Client;
use super::credentials::{Access, Credentials};
use super::exchange::{Asking, Place, Request};
use super::hosts::{Endpoint, MirrorUsage};
use super::manifest::{self, Fetched, Which};
use super::retry::{Attempts, Retry};
use super::runtime::NoAnswer;
use super::{RegistryError, RetryPolicy};
use crate::cancel::Cancel;
use crate::digest::{Algorithm, Digest, Hasher};

/// Attempts at a mirror: there is always another place.
const MIRROR_ATTEMPTS: u32 = 2;
/// Attempts at a place that cannot be connected to: most likely there is none.
const CONNECT_ATTEMPTS: u32 = 2;

/// A repository of images.
#[derive(Debug)]
pub struct Repository {
    client: Arc<Client>,
    pub(super) places: Vec<Place>,
    access: Access,
    credentials: Arc<dyn Credentials>,
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
        }
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
        self.at_each_place(is_digest, on_retry, cancel, |place| {
            let mark = if is_digest { '@' } else { ':' };
            let what = format!("manifest {}{mark}{selector}", place.endpoint.repository);
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(manifest::ACCEPT));
            let request = Request {
                path: format!("manifests/{selector}"),
                headers,
                what: &what,
                upload: None,
            };
            let mut response = place.send(self.asking(cancel), &request)?;
            let header = |name: &str| {
                let value = response.headers().get(name)?.to_str().ok()?;
                Some(value.to_owned())
            };
            let stated = header("docker-content-digest").and_then(|text| text.parse().ok());
            let content_type = header(CONTENT_TYPE.as_str())
                .and_then(|text| Some(text.split(';').next()?.trim().to_ascii_lowercase()));
            let limit = (limit, "manifest_bytes");
            let bytes = self.read(place, &mut response, &what, limit, cancel)?;
            let stated = match which {
                Which::Digest(digest) => Some(digest.clone()),
                Which::Tag(_) => stated,
            };
            let digest = checked(place, &what, &bytes, stated)?;
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
        self.at_each_place(true, on_retry, cancel, |place| {
            let what = format!("configuration {digest} of {}", place.endpoint.repository);
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            let request = Request {
                path: format!("blobs/{digest}"),
                headers,
                what: &what,
                upload: None,
            };
            let limit = (limit, "config_bytes");
            if size.is_some_and(|size| size > limit.0) {
                return Err(too_large(place, &what, limit));
            }
            let mut response = place.send(self.asking(cancel), &request)?;
            let bytes = self.read(place, &mut response, &what, limit, cancel)?;
            if let Some(size) = size
                && bytes.len() as u64 != size
            {
                return Err(RegistryError::Size {
                    host: place.endpoint.host.clone(),
                    what,
                    stated: size,
                    actual: bytes.len() as u64,
                });
            }
            checked(place, &what, &bytes, Some(digest.clone()))?;
            Ok(bytes)
        })
    }

    /// Returns what registries want users to know; untrusted text.
    pub fn notices(&self) -> Vec<String> {
        self.client.notices()
    }

    pub(super) fn asking<'a>(&'a self, cancel: &'a Cancel) -> Asking<'a> {
        Asking {
            client: &self.client,
            credentials: self.credentials.as_ref(),
            access: self.access,
            cancel,
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns how patient we are with a place.
    pub(super) fn attempts(&self, place: &Place) -> Attempts {
        let policy = self.client.policy;
        Attempts::new(if place.endpoint.is_mirror {
            RetryPolicy {
                attempts: policy.attempts.min(MIRROR_ATTEMPTS),
                ..policy
            }
        } else {
            policy
        })
    }

    /// Waits before another attempt, if there shall be one, and returns whether there shall.
    pub(super) fn wait_for_another(
        &self,
        attempts: &mut Attempts,
        error: &RegistryError,
        on_retry: OnRetry<'_>,
        cancel: &Cancel,
    ) -> Result<bool, RegistryError> {
        let Some(after) = attempts.after(error) else {
            return Ok(false);
        };
        let hopeless = matches!(error, RegistryError::Connect { .. })
            && attempts.failed() >= CONNECT_ATTEMPTS
            && !attempts.had_progress();
        if hopeless {
            return Ok(false);
        }
        on_retry(&Retry { error, after });
        let never = std::future::pending::<()>();
        match self.client.runtime.wait(after, cancel, never) {
            Err(NoAnswer::Cancelled(cancelled)) => Err(cancelled.into()),
            _ => Ok(true),
        }
    }

    /// Asks place after place, each as often as it deserves.
    fn at_each_place<T>(
        &self,
        by_digest: bool,
        on_retry: OnRetry<'_>,
        cancel: &Cancel,
        ask: impl Fn(&Place) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut last = None;
        for place in &self.places {
            if !by_digest && place.endpoint.usage == MirrorUsage::DigestOnly {
                continue;
            }
            let mut attempts = self.attempts(place);
            let error = loop {
                match ask(place) {
                    Ok(answer) => return Ok(answer),
                    Err(error) if !error.is_of_the_place() => return Err(error),
                    Err(error) => {
                        if !self.wait_for_another(&mut attempts, &error, on_retry, cancel)? {
                            break error;
                        }
                    }
                }
            };
            self.pass_over(place, &error);
            last = Some(error);
        }
        Err(last.unwrap_or_else(|| RegistryError::Setup {
            host: "none".to_owned(),
            source: "no place is configured for the repository".into(),
        }))
    }

    /// Lets the user know of a mirror that does not work. That it has not everything is no news.
    pub(super) fn pass_over(&self, place: &Place, error: &RegistryError) {
        if place.endpoint.is_mirror && !matches!(error, RegistryError::NotFound { .. }) {
            let text = format!("mirror passed over: {error}");
            self.client.notices.add(text);
        }
    }

    fn read(
        &self,
        place: &Place,
        response: &mut reqwest::Response,
        what: &str,
        limit: (u64, &'static str),
        cancel: &Cancel,
    ) -> Result<Vec<u8>, RegistryError> {
        let stall = self.client.policy.stall_timeout;
        body::read(&self.client.runtime, response, limit.0, stall, cancel).map_err(|unread| {
            match unread {
                Unread::Broken(error) => RegistryError::Broken {
                    host: place.endpoint.host.clone(),
                    what: what.to_owned(),
                    source: Some(error),
                },
                Unread::Stalled => place.stalled(self.asking(cancel), what),
                Unread::TooLong => too_large(place, what, limit),
                Unread::Cancelled(cancelled) => cancelled.into(),
            }
        })
    }
}

fn too_large(place: &Place, what: &str, (limit, setting): (u64, &'static str)) -> RegistryError {
    RegistryError::TooLarge {
        host: place.endpoint.host.clone(),
        what: what.to_owned(),
        limit,
        setting,
    }
}

/// Returns the digest of bytes, which is the stated one where there is one.
fn checked(
    place: &Place,
    what: &str,
    bytes: &[u8],
    stated: Option<Digest>,
) -> Result<Digest, RegistryError> {
    let algorithm = stated.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    let actual = hasher.finish();
    match stated {
        Some(stated) if stated != actual => Err(RegistryError::Digest {
            host: place.endpoint.host.clone(),
            what: what.to_owned(),
            stated,
            actual,
        }),
        _ => Ok(actual),
    }
}
