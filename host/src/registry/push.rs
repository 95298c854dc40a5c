//! Writing to a registry: blobs in one piece, then the manifest that names them.
//!
//! Only the registry itself is written to, never a mirror. Source: OCI distribution-spec, "Push".

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};

use super::endpoint::Endpoint;
use super::exchange::{EndpointRequest, RequestContext, Upload};
use super::operation::RegistryOperation;
use super::repository::no_endpoint;
use super::{RegistryError, Repository, Retry, redirect};
use crate::cancel::Cancel;
use crate::digest::Digest;

impl Repository {
    /// Uploads a blob, unless the registry has it already. Returns whether it was sent.
    ///
    /// # Errors
    /// What the registry says.
    pub fn push_blob(
        &self,
        bytes: &Bytes,
        on_retry: &(dyn Fn(&Retry<'_>) + Sync),
        cancel: &Cancel,
    ) -> Result<bool, RegistryError> {
        let digest = Digest::of(bytes);
        let what = RegistryOperation::PushBlob(digest.clone());
        self.written(&what, on_retry, cancel, |endpoint, context| {
            let request = |method, path: String, url, body: &Bytes| EndpointRequest {
                path,
                headers: octets(),
                what: &what,
                upload: Some(Upload {
                    method,
                    url,
                    body: body.clone(),
                }),
            };
            let none = Bytes::new();
            let here = request(Method::HEAD, format!("blobs/{digest}"), None, &none);
            match endpoint.send(context, &here) {
                Ok(_) => return Ok(false),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
            let begin = request(Method::POST, "blobs/uploads/".to_owned(), None, &none);
            let response = endpoint.send(context, &begin)?;
            let mut target: Url = redirect::named(response.url(), response.headers())
                .ok_or_else(|| endpoint.malformed(&what, &"it names no place to upload to"))?;
            if response.url().scheme() == "https" && target.scheme() != "https" {
                let reason = "the place to upload to is one of plain HTTP";
                return Err(endpoint.malformed(&what, &reason));
            }
            target
                .query_pairs_mut()
                .append_pair("digest", &digest.to_string());
            let put = request(Method::PUT, String::new(), Some(target), bytes);
            endpoint.send(context, &put)?;
            Ok(true)
        })
    }

    /// Uploads a manifest under a tag or, where none is given, under its digest alone.
    ///
    /// # Errors
    /// What the registry says.
    pub fn push_manifest(
        &self,
        tag: Option<&str>,
        media_type: &'static str,
        bytes: &Bytes,
        on_retry: &(dyn Fn(&Retry<'_>) + Sync),
        cancel: &Cancel,
    ) -> Result<Digest, RegistryError> {
        let digest = Digest::of(bytes);
        let selector = tag.map_or_else(|| digest.to_string(), str::to_owned);
        let what = RegistryOperation::PushManifest(selector.clone());
        self.written(&what, on_retry, cancel, |endpoint, context| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            let request = EndpointRequest {
                path: format!("manifests/{selector}"),
                headers,
                what: &what,
                upload: Some(Upload {
                    method: Method::PUT,
                    url: None,
                    body: bytes.clone(),
                }),
            };
            endpoint.send(context, &request)?;
            Ok(digest.clone())
        })
    }

    /// Writes to the registry itself, as often as it deserves.
    fn written<T>(
        &self,
        what: &RegistryOperation,
        on_retry: &(dyn Fn(&Retry<'_>) + Sync),
        cancel: &Cancel,
        write: impl Fn(&Endpoint, RequestContext<'_>) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let endpoint = self.endpoints.last();
        let endpoint = endpoint.ok_or_else(|| no_endpoint(what.clone()))?;
        let mut attempts = self.attempts(endpoint, Duration::ZERO);
        loop {
            let context = self.context(&attempts.patience, attempts.number(), cancel);
            match write(endpoint, context) {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    if !self.wait_for_another(endpoint, &mut attempts, &error, on_retry, cancel)? {
                        return Err(error);
                    }
                }
            }
        }
    }
}

fn octets() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let octets = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, octets);
    headers
}
