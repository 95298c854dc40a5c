//! Asking servers for tokens. See `wit/exchange.wit`. Needs `http=<scope>`.

use super::host::System;
use super::secret::Handle;
use super::{Refusal, Secret};
use crate::credential_bindings::msb::plugin::exchange as bindings;

pub use bindings::Form;

/// Servers that take secrets and give some.
pub trait Exchange {
    /// Sends a request and waits for the answer, whatever its status. Redirects are not followed.
    fn exchange(&self, taking: Taking<'_>) -> Result<Exchanged, Refusal>;
}

/// The value of a header, or a body.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// Text.
    Text(&'a str),
    /// A secret.
    Secret(&'a Secret),
}

impl<'a> From<&'a str> for Content<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Content<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Secret> for Content<'a> {
    fn from(secret: &'a Secret) -> Self {
        Self::Secret(secret)
    }
}

/// A request, and what is taken out of its answer.
#[derive(Debug)]
pub struct Taking<'a> {
    /// `GET`, `POST`, …
    pub method: String,
    /// An absolute URL.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, Content<'a>)>,
    /// What is sent.
    pub body: Option<Content<'a>>,
    /// JSON pointers of members of the answer, and their form.
    pub take: Vec<(String, Form)>,
}

impl<'a> Taking<'a> {
    /// Returns a request without headers and body, of whose answer nothing is taken.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
            take: Vec::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Content<'a>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Content<'a>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Takes the text of a member out of the answer, as a secret.
    #[must_use]
    pub fn take(self, pointer: impl Into<String>) -> Self {
        self.take_as(pointer, Form::Text)
    }

    /// Takes a member in a form out of the answer.
    #[must_use]
    pub fn take_as(mut self, pointer: impl Into<String>, form: Form) -> Self {
        self.take.push((pointer.into(), form));
        self
    }
}

/// An answer.
#[derive(Debug)]
pub struct Exchanged {
    /// 200, 404, …
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// What was received, with `***` for every secret.
    pub body: Vec<u8>,
    /// What was taken, in the order of the request.
    pub taken: Vec<Option<Secret>>,
}

impl Exchanged {
    /// Returns what was taken first.
    pub fn secret(self) -> Option<Secret> {
        self.taken.into_iter().next().flatten()
    }
}

impl Exchange for System {
    fn exchange(&self, taking: Taking<'_>) -> Result<Exchanged, Refusal> {
        let handles: Vec<_> = taking.headers.iter().map(|(_, it)| handle(*it)).collect();
        let of_body = taking.body.and_then(handle);
        let headers = taking.headers.iter().zip(&handles);
        let headers: Vec<_> = headers
            .map(|((name, it), handle)| (name.clone(), written(*it, handle.as_ref())))
            .collect();
        let answer = bindings::send(&bindings::Request {
            method: taking.method,
            url: taking.url,
            headers,
            body: taking.body.map(|it| written(it, of_body.as_ref())),
            take: taking
                .take
                .into_iter()
                .map(|(pointer, form)| bindings::Field { pointer, form })
                .collect(),
        })?;
        let taken = answer.taken.into_iter();
        Ok(Exchanged {
            status: answer.status,
            headers: answer.headers,
            body: answer.body,
            taken: taken.map(|it| it.map(Secret::from_handle)).collect(),
        })
    }
}

fn handle(content: Content<'_>) -> Option<Handle<'_>> {
    match content {
        Content::Text(_) => None,
        Content::Secret(secret) => Some(secret.handle()),
    }
}

/// Puts a content into the words of the contract; a secret has a handle.
fn written<'a>(content: Content<'a>, handle: Option<&'a Handle<'_>>) -> bindings::Content<'a> {
    match (content, handle) {
        (_, Some(handle)) => bindings::Content::Secret(handle.get()),
        (Content::Text(text), None) => bindings::Content::Text(text.to_owned()),
        (Content::Secret(_), None) => bindings::Content::Text(String::new()),
    }
}
