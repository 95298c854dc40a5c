//! Servers that give tokens, natively: those of [`FakeSystem::server`].

use serde_json::Value as Json;

use super::FakeSystem;
use super::system::bytes_of;
use crate::oci::base64;
use crate::system::{
    Content, Exchange, Exchanged, Form, Http as _, Refusal, Request, Secret, Taking, Value,
};

impl Exchange for FakeSystem {
    fn exchange(&self, taking: Taking<'_>) -> Result<Exchanged, Refusal> {
        let bytes = |content: &Content<'_>| match content {
            Content::Text(text) => text.as_bytes().to_vec(),
            Content::Secret(secret) => bytes_of(secret),
        };
        let headers = taking.headers.iter();
        let response = self.send(Request {
            method: taking.method,
            url: taking.url,
            headers: headers
                .map(|(name, content)| (name.clone(), Value::Secret(Secret::new(bytes(content)))))
                .collect(),
            body: taking.body.as_ref().map(bytes),
        })?;
        let mut body = response.body;
        let mut taken = Vec::new();
        taken.resize_with(taking.take.len(), || None);
        let json = serde_json::from_slice::<Json>(&body).ok();
        let is_answer = !taking.take.is_empty() && (200..300).contains(&response.status);
        if let Some(mut json) = json.filter(|_| is_answer) {
            for ((pointer, form), taken) in taking.take.iter().zip(&mut taken) {
                *taken = text_at(&json, pointer).and_then(|text| match form {
                    Form::Text => Some(text),
                    Form::BasicPassword => password(&text),
                });
            }
            for (pointer, _) in &taking.take {
                if let Some(member) = json.pointer_mut(pointer) {
                    *member = Json::from("***");
                }
            }
            body = json.to_string().into_bytes();
        }
        Ok(Exchanged {
            status: response.status,
            headers: response.headers,
            body,
            taken,
        })
    }
}

fn password(login: &Secret) -> Option<Secret> {
    let login = base64::decode(std::str::from_utf8(&bytes_of(login)).ok()?)?;
    let colon = login.iter().position(|&byte| byte == b':')?;
    Some(Secret::new(&login[colon + 1..]))
}

/// Returns the text of a member of a document.
pub(super) fn text_at(json: &Json, pointer: &str) -> Option<Secret> {
    match json.pointer(pointer)? {
        Json::String(text) => Some(Secret::new(text.as_str())),
        Json::Number(number) => Some(Secret::new(number.to_string())),
        _ => None,
    }
}
