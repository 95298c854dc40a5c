//! Manifests, indexes and configurations: what is read whole and checked by its digest.
//!
//! What they mean is decided elsewhere.

use bytes::Bytes;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Method, Response};
use serde::de::IgnoredAny;

use super::body::{self, Body};
use super::encoding::NotUndone;
use super::endpoint::Endpoint;
use super::exchange::{EndpointRequest, RequestContext, Upload};
use super::incoming::Unread;
use super::operation::RegistryOperation;
use super::{RegistryError, RegistryErrorKind, Repository, Retry};
use crate::cancel::Cancel;
use crate::digest::{Algorithm, Digest, Hasher};

/// Everything that a manifest may be, for the `Accept` header.
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";

/// The header in which registries say the digest of a manifest.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// How a manifest is named: by tag or by digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestRef<'a> {
    /// The one that a tag names now.
    Tag(&'a str),
    /// The one of a digest.
    Digest(&'a Digest),
}

/// A manifest or index as a registry gave it. Its digest was checked.
#[derive(Clone, Debug)]
pub struct FetchedManifest {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
    /// The registry or mirror that gave it.
    pub host: String,
    /// What the registry calls it.
    pub content_type: Option<String>,
}

/// A request for a manifest or configuration, with the words for messages.
#[derive(Clone, Copy)]
struct DocumentRequest<'a> {
    endpoint: &'a Endpoint,
    what: &'a RegistryOperation,
    /// The most bytes, and the setting that says so.
    limit: (u64, &'static str),
}

impl Repository {
    /// Fetches a manifest or index and checks its digest.
    ///
    /// # Errors
    /// What the last endpoint says, which is the registry itself.
    pub fn manifest(
        &self,
        which: ManifestRef<'_>,
        limit: u64,
        on_retry: &(dyn Fn(&Retry<'_>) + Sync),
        cancel: &Cancel,
    ) -> Result<FetchedManifest, RegistryError> {
        let selector = match which {
            ManifestRef::Tag(tag) => tag.to_owned(),
            ManifestRef::Digest(digest) => digest.to_string(),
        };
        let is_digest = matches!(which, ManifestRef::Digest(_));
        self.at_each_endpoint(is_digest, on_retry, cancel, |endpoint, context| {
            let mark = if is_digest { '@' } else { ':' };
            let name = format!("{}{mark}{selector}", endpoint.config.repository);
            let what = RegistryOperation::FetchManifest(name);
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            let request = EndpointRequest {
                path: format!("manifests/{selector}"),
                headers,
                what: &what,
                upload: None,
            };
            let response = endpoint.send(context, &request)?;
            let header = response.headers().get(CONTENT_DIGEST);
            let stated = header.and_then(|value| value.to_str().ok()?.parse().ok());
            let content_type = body::content_type(&response)
                .and_then(|text| Some(text.split(';').next()?.trim().to_ascii_lowercase()));
            let stated = match which {
                ManifestRef::Digest(digest) => Some(digest.clone()),
                ManifestRef::Tag(_) => stated,
            };
            let wanted = DocumentRequest {
                endpoint,
                what: &what,
                limit: (limit, "manifest_bytes"),
            };
            let (bytes, digest) = wanted.read(context, response, stated, None)?;
            Ok(FetchedManifest {
                bytes,
                digest,
                host: endpoint.config.host.clone(),
                content_type,
            })
        })
    }

    /// Asks which manifest or index a tag names now, and fetches nothing. `None` where the registry does not
    /// say, or does not know the question.
    ///
    /// # Errors
    /// What the last endpoint says, which is the registry itself.
    pub fn digest_of_tag(
        &self,
        tag: &str,
        on_retry: &(dyn Fn(&Retry<'_>) + Sync),
        cancel: &Cancel,
    ) -> Result<Option<Digest>, RegistryError> {
        self.at_each_endpoint(false, on_retry, cancel, |endpoint, context| {
            let what =
                RegistryOperation::FetchManifest(format!("{}:{tag}", endpoint.config.repository));
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
            let request = EndpointRequest {
                path: format!("manifests/{tag}"),
                headers,
                what: &what,
                upload: Some(Upload {
                    method: Method::HEAD,
                    url: None,
                    body: Bytes::new(),
                }),
            };
            match endpoint.send(context, &request) {
                Ok(response) => {
                    let stated = response.headers().get(CONTENT_DIGEST);
                    Ok(stated.and_then(|value| value.to_str().ok()?.parse().ok()))
                }
                Err(error) if error.is_method_unknown() => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    /// Fetches a blob that is small enough to be read whole, and checks its digest, and its length
    /// where that is known.
    ///
    /// # Errors
    /// What the last endpoint says, which is the registry itself.
    pub fn small_blob(
        &self,
        digest: &Digest,
        size: Option<u64>,
        limit: u64,
        on_retry: &(dyn Fn(&Retry<'_>) + Sync),
        cancel: &Cancel,
    ) -> Result<Vec<u8>, RegistryError> {
        self.at_each_endpoint(true, on_retry, cancel, |endpoint, context| {
            let what = RegistryOperation::FetchConfig {
                digest: Box::new(digest.clone()),
                repository: endpoint.config.repository.clone(),
            };
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            let request = EndpointRequest {
                path: format!("blobs/{digest}"),
                headers,
                what: &what,
                upload: None,
            };
            let wanted = DocumentRequest {
                endpoint,
                what: &what,
                limit: (limit, "config_bytes"),
            };
            if size.is_some_and(|size| size > limit) {
                return Err(wanted.too_large());
            }
            let response = endpoint.send(context, &request)?;
            let (bytes, _) = wanted.read(context, response, Some(digest.clone()), size)?;
            Ok(bytes)
        })
    }
}

impl DocumentRequest<'_> {
    /// Reads an answer whole, and checks its digest, and its length where that is known.
    fn read(
        self,
        context: RequestContext<'_>,
        response: Response,
        stated: Option<Digest>,
        size: Option<u64>,
    ) -> Result<(Vec<u8>, Digest), RegistryError> {
        let url = response.url().clone();
        let mut incoming = self.endpoint.incoming(context, response, self.what);
        let body = body::read(&mut incoming, self.limit.0).map_err(|unread| match unread {
            Unread::TooLong => self.too_large(),
            unread => self
                .endpoint
                .unread(unread, self.endpoint.elsewhere(&url), self.what),
        })?;
        let content_type = body.content_type.clone();
        let (bytes, digest) = self.settled(body, stated.as_ref())?;
        if stated.as_ref().is_some_and(|stated| *stated == digest)
            && size.is_none_or(|size| size == bytes.len() as u64)
        {
            return Ok((bytes, digest));
        }
        let page = self
            .endpoint
            .page(&url, content_type.as_deref(), &bytes, self.what);
        if let Some(page) = page {
            return Err(page);
        }
        match (size, stated) {
            (Some(size), _) if size != bytes.len() as u64 => {
                Err(self.error(RegistryErrorKind::Size {
                    stated: size,
                    actual: bytes.len() as u64,
                }))
            }
            (_, Some(stated)) => Err(self.error(RegistryErrorKind::Digest {
                stated,
                actual: digest,
            })),
            (_, None) if bytes.is_empty() => Err(self.garbled(&"it is empty")),
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
                return Err(self.endpoint.malformed(
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

    fn error(self, kind: RegistryErrorKind) -> RegistryError {
        self.endpoint.error(self.what, kind)
    }

    fn garbled(self, reason: &impl ToString) -> RegistryError {
        self.error(RegistryErrorKind::Garbled {
            reason: reason.to_string(),
        })
    }

    fn too_large(self) -> RegistryError {
        self.error(RegistryErrorKind::TooLarge {
            limit: self.limit.0,
            setting: self.limit.1,
        })
    }
}
