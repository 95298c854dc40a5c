//! Asking servers: permission `http`.
//!
//! Owns the limits of a request and its answer. `wasi:http` comes through here as well.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;
use wasmtime::component::Resource;

use crate::address;
use crate::plugin::access::Access;
use crate::plugin::bindings::msb::plugin::http::{self, Request, Response, Value};
use crate::plugin::bindings::msb::plugin::types::Refusal;
use crate::plugin::grant::Capability;
use crate::plugin::guest::Guest;
use crate::progress::Progress;

/// Bytes of an answer.
const MAX_BODY: usize = 4 << 20;
/// How long an exchange may take where the call has no deadline.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long before the call's deadline a server is given up, so that the plugin can say so.
const MARGIN: Duration = Duration::from_millis(500);

/// Fields by which some servers take a request for one with another method or path.
const OVERRIDES: [&str; 5] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// A request that may be sent.
pub(in crate::plugin) struct Sending {
    pub(in crate::plugin) method: String,
    pub(in crate::plugin) url: String,
    pub(in crate::plugin) headers: HeaderMap,
    pub(in crate::plugin) body: Bytes,
}

/// What came back.
pub(in crate::plugin) struct Received {
    pub(in crate::plugin) status: u16,
    pub(in crate::plugin) headers: HeaderMap,
    pub(in crate::plugin) body: Bytes,
}

impl http::Host for Guest {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Refusal>> {
        self.host_waits(async |guest| {
            let headers = match guest.headers(request.headers)? {
                Ok(headers) => headers,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let sending = Sending {
                method: request.method,
                url: request.url,
                headers,
                body: request.body.unwrap_or_default().into(),
            };
            let deadline = guest.meter.deadline();
            let received = send(
                Arc::clone(&guest.plugin),
                guest.access.clone(),
                deadline,
                Arc::clone(&guest.progress),
                sending,
            )
            .await;
            Ok(received.and_then(|received| {
                let scrubber = guest.sent.scrubber(&[])?;
                Ok(Response {
                    status: received.status,
                    headers: scrubber.clean_headers(&received.headers),
                    body: scrubber.clean(&received.body),
                })
            }))
        })
        .await?
    }
}

impl Guest {
    /// Puts the secrets into the fields of a request.
    fn headers(
        &mut self,
        fields: Vec<(String, Value)>,
    ) -> wasmtime::Result<Result<HeaderMap, Refusal>> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let (text, secret) = match value {
                Value::Text(text) => (text, None),
                Value::Secret(secret) => (String::new(), Some(secret)),
                Value::Prefixed((text, secret)) => (text, Some(secret)),
            };
            let mut bytes = zeroize::Zeroizing::new(text.into_bytes());
            let is_secret = secret.is_some();
            if let Some(secret) = secret {
                let value = self.take(Resource::new_own(secret.rep()))?;
                if let Err(refusal) = self.sent.note(&value) {
                    return Ok(Err(refusal));
                }
                bytes.extend_from_slice(value.bytes());
            }
            let (Ok(field), Ok(mut value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_bytes(&bytes),
            ) else {
                return Ok(Err(not_a_field(&name)));
            };
            value.set_sensitive(is_secret);
            headers.append(field, value);
        }
        Ok(Ok(headers))
    }
}

pub(super) fn not_a_field(name: &str) -> Refusal {
    Refusal::Invalid(format!("the field `{name}` is not one of HTTP"))
}

/// Sends a request within the grants, and waits for the whole answer.
pub(in crate::plugin) async fn send(
    plugin: Arc<str>,
    access: Access,
    deadline: Option<Instant>,
    progress: Arc<dyn Progress>,
    sending: Sending,
) -> Result<Received, Refusal> {
    let url: Url = sending.url.parse().map_err(|error| {
        let shown = address::shown(&sending.url);
        Refusal::Invalid(format!("`{shown}` is not an address: {error}"))
    })?;
    let host = url.host_str().unwrap_or_default();
    if !matches!(url.scheme(), "http" | "https") || host.is_empty() {
        return Err(Refusal::Invalid(format!(
            "`{}` is not an address of HTTP",
            address::shown(&sending.url)
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::Invalid(
            "an address carries no password".to_owned(),
        ));
    }
    if !access.grants.allow_http(&sending.method, &url) {
        let scope = format!("{}@{}", sending.method, url.origin().ascii_serialization());
        return Err(access.denied(&plugin, Capability::Http, Some(&scope)));
    }
    for field in [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "proxy-authorization",
    ] {
        if sending.headers.contains_key(field) {
            return Err(Refusal::Invalid(format!(
                "the field `{field}` is set by msb"
            )));
        }
    }
    if let Some(field) = OVERRIDES
        .iter()
        .find(|field| sending.headers.contains_key(**field))
    {
        return Err(Refusal::Invalid(format!(
            "the field `{field}` makes another request of one that was granted"
        )));
    }
    let method = reqwest::Method::from_bytes(sending.method.to_ascii_uppercase().as_bytes())
        .map_err(|_| Refusal::Invalid(format!("`{}` is not a method of HTTP", sending.method)))?;
    let server = url.origin().ascii_serialization();
    let servers = access.servers.unwrap_or_default();
    let fake = access.environment.fake().map(|fake| fake.server(&url));
    let client = match fake {
        Some(_) => servers.nearby_client(),
        None => servers.client(&url, progress.as_ref()),
    }
    .map_err(|error| Refusal::Unavailable(format!("could not prepare for `{server}`: {error}")))?;
    let limit = deadline.map_or(PATIENCE, |deadline| {
        deadline
            .saturating_duration_since(Instant::now())
            .saturating_sub(MARGIN)
    });
    let unavailable = |error: reqwest::Error| {
        let error = error.without_url();
        let cause = std::iter::successors(error.source(), |&cause| cause.source()).last();
        let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
        Refusal::Unavailable(format!("could not ask `{server}`: {error}{cause}"))
    };
    let mut response = client
        .request(method, fake.unwrap_or(url))
        .headers(sending.headers)
        .body(sending.body)
        .timeout(limit)
        .send()
        .await
        .map_err(unavailable)?;
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Refusal::TooLarge(format!(
                "the answer of `{server}` is larger than 4 MiB"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Received {
        status: response.status().as_u16(),
        headers: std::mem::take(response.headers_mut()),
        body: body.freeze(),
    })
}
