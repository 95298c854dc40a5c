//! Asking servers for tokens: secrets in requests, and secrets taken out of answers.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value as Json;
use wasmtime::component::Resource;
use zeroize::Zeroizing;

use super::derive::text_at;
use super::http::{Received, Sending, not_a_field, send};
use super::scrub::SCRUBBED;
use super::secret::{self, MAX_SECRET, Value};
use crate::plugin::bindings::msb::plugin::exchange::{
    self, Content, Field, Form, Request, Response,
};
use crate::plugin::bindings::msb::plugin::types::Refusal;
use crate::plugin::guest::Guest;

/// Members that are taken out of one answer.
const MAX_TAKEN: usize = 16;

/// A secret in the body of a request.
struct Body(secret::Bytes);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl exchange::Host for Guest {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Refusal>> {
        self.host_waits(async |guest| {
            if request.take.len() > MAX_TAKEN {
                return Ok(Err(Refusal::TooLarge(format!(
                    "at most {MAX_TAKEN} members are taken out of an answer"
                ))));
            }
            let sending = match guest.sending(&request)? {
                Ok(sending) => sending,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let deadline = guest.meter.deadline();
            let (plugin, access) = (Arc::clone(&guest.plugin), guest.access.clone());
            let progress = Arc::clone(&guest.progress);
            match send(plugin, access, deadline, progress, sending).await {
                Ok(received) => guest.taken(&received, &request.take),
                Err(refusal) => Ok(Err(refusal)),
            }
        })
        .await?
    }
}

impl Guest {
    /// Puts the secrets into a request.
    fn sending(&mut self, request: &Request) -> wasmtime::Result<Result<Sending, Refusal>> {
        let mut headers = HeaderMap::new();
        for (name, content) in &request.headers {
            let value = match content {
                Content::Text(text) => HeaderValue::from_str(text),
                Content::Secret(secret) => {
                    let value = self.table.get(secret)?;
                    if let Err(refusal) = self.sent.note(value) {
                        return Ok(Err(refusal));
                    }
                    HeaderValue::from_bytes(value.bytes()).map(|mut value| {
                        value.set_sensitive(true);
                        value
                    })
                }
            };
            let (Ok(field), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), value) else {
                return Ok(Err(not_a_field(name)));
            };
            headers.append(field, value);
        }
        let body = match &request.body {
            None => Bytes::new(),
            Some(Content::Text(text)) => Bytes::copy_from_slice(text.as_bytes()),
            Some(Content::Secret(secret)) => {
                let value = self.table.get(secret)?;
                if let Err(refusal) = self.sent.note(value) {
                    return Ok(Err(refusal));
                }
                Bytes::from_owner(Body(value.shared()))
            }
        };
        Ok(Ok(Sending {
            method: request.method.clone(),
            url: request.url.clone(),
            headers,
            body,
        }))
    }

    /// Takes secrets out of an answer, and gives the guest the rest.
    fn taken(
        &mut self,
        received: &Received,
        fields: &[Field],
    ) -> wasmtime::Result<Result<Response, Refusal>> {
        let mut body = received.body.clone();
        let mut taken = Vec::new();
        let mut secrets = Vec::new();
        let json = serde_json::from_slice::<Json>(&received.body).ok();
        let json = json.filter(|_| !fields.is_empty() && (200..300).contains(&received.status));
        if let Some(mut json) = json {
            for field in fields {
                let value = text(&json, field).filter(|bytes| bytes.len() <= MAX_SECRET);
                taken.push(value.map(Value::taken));
            }
            // Only now: the same member may be taken twice.
            for field in fields {
                if let Some(member) = json.pointer_mut(&field.pointer) {
                    if let Json::String(text) = member {
                        secrets.push(Arc::new(Zeroizing::new(text.clone().into_bytes())));
                    }
                    *member = Json::String(SCRUBBED.to_owned());
                }
            }
            secrets.extend(taken.iter().flatten().map(Value::shared));
            body = serde_json::to_vec(&json).unwrap_or_default().into();
        } else {
            taken.resize_with(fields.len(), || None);
        }
        let scrubber = match self.sent.scrubber(&secrets) {
            Ok(scrubber) => scrubber,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let keep = |value: Option<Value>| value.map(|value| self.keep(value)).transpose();
        let taken: Vec<Option<Resource<Value>>> =
            taken.into_iter().map(keep).collect::<Result<_, _>>()?;
        Ok(Ok(Response {
            status: received.status,
            headers: scrubber.clean_headers(&received.headers),
            body: scrubber.clean(&body),
            taken,
        }))
    }
}

/// Returns what a member holds, in the form that is wanted.
fn text(json: &Json, field: &Field) -> Option<Vec<u8>> {
    let text = text_at(json, &field.pointer)?;
    match field.form {
        Form::Text => Some(text),
        Form::BasicPassword => {
            let login = Zeroizing::new(STANDARD.decode(&text).ok()?);
            let colon = login.iter().position(|&byte| byte == b':')?;
            Some(login[colon + 1..].to_vec())
        }
    }
}
