//! One request to one endpoint: its connection, credentials and redirects.
//!
//! Which scheme the endpoint speaks, and what an answer means, are in modules of their own.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Method, Response, StatusCode, Url};

use super::authorize::{Authorization, Challenges};
use super::client::Client;
use super::endpoint::Endpoint;
use super::incoming::{Unread, Waiter};
use super::log::{self, Entry};
use super::operation::RegistryOperation;
use super::patience::Patience;
use super::transport::{Connection, Side, authority};
use super::{RegistryError, RegistryErrorKind, realm, redirect};
use crate::cancel::Cancel;
use crate::credential::{Action, Credentials};
use crate::progress::{LogLevel, Progress};
use crate::reactor::NoAnswer;

/// Redirects that are followed for one request.
const MAX_REDIRECTS: usize = 10;

/// One request to an endpoint, without its address and credentials.
#[derive(Clone, Debug)]
pub(super) struct EndpointRequest<'a> {
    /// The path after `/v2/<repository>/`; one that begins with a slash is the whole path.
    pub(super) path: String,
    /// Headers in addition to those of the connection.
    pub(super) headers: HeaderMap,
    /// What is requested, for messages.
    pub(super) what: &'a RegistryOperation,
    /// What is sent; `None` for a `GET`.
    pub(super) upload: Option<Upload>,
}

/// What is sent to a registry.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    /// `POST`, `PUT`, or `HEAD` with no bytes.
    pub(super) method: Method,
    /// Where to, when the registry has said so; else the path of the request.
    pub(super) url: Option<Url>,
    /// The bytes.
    pub(super) body: Bytes,
}

/// What all requests of one operation share.
#[derive(Clone, Copy)]
pub(super) struct RequestContext<'a> {
    pub(super) client: &'a Client,
    pub(super) credentials: &'a dyn Credentials,
    pub(super) action: Action,
    pub(super) cancel: &'a Cancel,
    pub(super) progress: &'a dyn Progress,
    /// How much silence is left before the endpoint is given up.
    pub(super) patience: &'a Arc<Patience>,
    /// The number of the attempt, from 1.
    pub(super) attempt: u32,
}

/// An answer, and whether it came from somewhere else than the registry.
pub(super) struct Followed {
    pub(super) response: Response,
    pub(super) elsewhere: Option<String>,
}

impl<'a> RequestContext<'a> {
    pub(super) fn waiter(self) -> Waiter<'a> {
        Waiter {
            client: self.client,
            cancel: self.cancel,
            progress: self.progress,
        }
    }
}

impl Endpoint {
    /// Sends a request, and repeats it with credentials when it is challenged. Every answer but
    /// success is an error.
    pub(super) fn send(
        &self,
        context: RequestContext<'_>,
        request: &EndpointRequest<'_>,
    ) -> Result<Response, RegistryError> {
        let base = self.base(context, request.what)?;
        let path = match self.config.repository.as_str() {
            _ if request.path.starts_with('/') => request.path.clone(),
            "" => format!("/v2/{}", request.path),
            repository => format!("/v2/{repository}/{}", request.path),
        };
        let named = request
            .upload
            .as_ref()
            .and_then(|upload| upload.url.clone());
        let url = match named {
            Some(url) => url,
            None => base
                .join(&path)
                .map_err(|error| self.malformed(request.what, &error))?,
        };
        loop {
            let error = match self.send_once(context, &base, &url, request) {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if self.speaks_https(context, &base, &error) {
                return Err(self.error(request.what, RegistryErrorKind::SpeaksHttps));
            }
            if !self.reconsider(context, &error) {
                return Err(self.first_refusal(error));
            }
        }
    }

    /// Sends a request, and repeats it with credentials when it is challenged.
    fn send_once(
        &self,
        context: RequestContext<'_>,
        base: &Url,
        url: &Url,
        request: &EndpointRequest<'_>,
    ) -> Result<Response, RegistryError> {
        let inside = url.origin() == base.origin();
        let mut renewals = 0;
        loop {
            let shown = self.shown(context.client);
            let origin = inside.then(|| url.origin());
            let trusted = (base, origin.as_ref());
            let followed = self.follow(context, url.clone(), request, shown.as_ref(), trusted)?;
            if followed.elsewhere.is_none()
                && followed.response.status() == StatusCode::UNAUTHORIZED
                && renewals < 2
            {
                let mut challenges = Challenges::of(followed.response.headers());
                if let (None, Some(schemes)) = (&shown, challenges.only_unknown()) {
                    let schemes = schemes.to_vec();
                    return Err(self.error(request.what, RegistryErrorKind::Schemes { schemes }));
                }
                if challenges.parsed.is_empty() && renewals == 0 {
                    // Some registries send their challenge on `/v2/` alone.
                    challenges = Challenges::of(self.ping(context, base, request.what)?.headers());
                }
                if (renewals == 0 || challenges.is_insufficient())
                    && self.authorize(context, base, &challenges, shown.as_ref(), request.what)?
                {
                    renewals += 1;
                    continue;
                }
            }
            let judged = self.judge(context, followed, request, shown.as_ref());
            if let (Ok(_), Some(shown)) = (&judged, &shown) {
                self.accepted(context, shown);
            }
            return judged;
        }
    }

    /// Sends a request without credentials to a server that a manifest names.
    pub(super) fn send_elsewhere(
        &self,
        context: RequestContext<'_>,
        url: &str,
        request: &EndpointRequest<'_>,
    ) -> Result<Response, RegistryError> {
        let base = self.base(context, request.what)?;
        let url: Url = url
            .parse()
            .map_err(|error| self.malformed(request.what, &error))?;
        let is_near = realm::is_loopback(&url) && realm::is_loopback(&base);
        if url.scheme() != "https" && !(url.scheme() == "http" && is_near) {
            let reason = "the address of a foreign layer is not one of HTTPS";
            return Err(self.malformed(request.what, &reason));
        }
        let followed = self.follow(context, url, request, None, (&base, None))?;
        self.judge(context, followed, request, None)
    }

    /// Sends a request and follows where it leads. Credentials stay with the registry: they go to `origin`
    /// alone, and only if the request begins there.
    fn follow(
        &self,
        context: RequestContext<'_>,
        mut url: Url,
        request: &EndpointRequest<'_>,
        shown: Option<&Authorization>,
        (base, origin): (&Url, Option<&url::Origin>),
    ) -> Result<Followed, RegistryError> {
        let refused =
            |reason: String| self.error(request.what, RegistryErrorKind::Redirect { reason });
        for _ in 0..=MAX_REDIRECTS {
            let inside = origin == Some(&url.origin());
            if !inside {
                let checked = self.referrer(context, base).check(&url);
                checked.map_err(|reason| refused(format!("to `{}`, but {reason}", at(&url))))?;
            }
            let side = if inside {
                Side::Registry
            } else {
                Side::Elsewhere
            };
            let connection = self.connection(&url, side, request.what)?;
            let http = &connection.client;
            let mut builder = match &request.upload {
                None => http.get(url.clone()),
                Some(Upload { method, body, .. }) => {
                    http.request(method.clone(), url.clone()).body(body.clone())
                }
            };
            builder = builder.headers(request.headers.clone());
            if let Some(shown) = shown.filter(|_| inside) {
                builder = builder.header(AUTHORIZATION, shown.header.clone());
            }
            let response = self.answer(context, &connection, builder, request.what)?;
            if inside {
                let host = &self.config.host;
                let notices = &context.client.notices;
                notices.take(host, response.headers());
                if let Some(limit) = notices.limit(host, response.headers()) {
                    context.waiter().log(LogLevel::Info, &limit);
                }
            }
            let Some(location) = redirect::location(&response) else {
                let elsewhere = (!inside).then(|| url.host_str().unwrap_or("?").to_owned());
                return Ok(Followed {
                    response,
                    elsewhere,
                });
            };
            let next = redirect::target(&url, location)
                .ok_or_else(|| refused("the new address is not an address".to_owned()))?;
            match (url.scheme(), next.scheme()) {
                (_, "https") | ("http", "http") => {}
                ("https", "http") => {
                    let host = next.host_str().unwrap_or("?");
                    return Err(refused(format!("from HTTPS to plain HTTP at {host}")));
                }
                _ => return Err(refused("to neither HTTPS nor HTTP".to_owned())),
            }
            url = next;
        }
        Err(refused(format!("more than {MAX_REDIRECTS} times")))
    }

    /// Sends a request, and waits for the head of the answer.
    pub(super) fn answer(
        &self,
        context: RequestContext<'_>,
        connection: &Connection,
        builder: reqwest::RequestBuilder,
        what: &RegistryOperation,
    ) -> Result<Response, RegistryError> {
        for notice in connection.notices.iter() {
            context.client.notices.add(notice.clone());
        }
        let (http, request) = builder.build_split();
        let request = request.map_err(|error| self.failed(error, connection, None, what))?;
        let elsewhere = self.elsewhere(request.url());
        let mut entry = Entry::new(&request, elsewhere.is_none());
        entry.note(match &elsewhere {
            None if self.config.is_mirror => "a mirror".to_owned(),
            None => "the registry".to_owned(),
            Some(_) => format!("for {}", self.config.host),
        });
        if context.attempt > 1 {
            entry.note(format!("attempt {}", context.attempt));
        }
        if let Some(proxy) = &connection.proxy {
            entry.note(format!("through proxy {proxy}"));
        }
        let waiter = context.waiter();
        let host = elsewhere.as_deref().unwrap_or(&self.config.host);
        let limit = context.client.policy.stall_timeout;
        let limit = limit.min(context.patience.left());
        let begun = Instant::now();
        let outcome = waiter.wait(limit, host, what, http.execute(request));
        let took = begun.elapsed();
        context.patience.spend(took);
        match outcome {
            Ok(Ok(response)) => {
                waiter.log(LogLevel::Debug, &entry.answered(&response, took));
                waiter.log(LogLevel::Trace, &log::headers(response.headers()));
                if connection.side == Side::Registry && connection.proxy.is_none() {
                    let peer = response.remote_addr().map(|address| address.ip());
                    self.transport.peer.set(peer);
                }
                Ok(response)
            }
            Ok(Err(error)) => {
                let error = error.without_url();
                waiter.log(LogLevel::Debug, &entry.failed(&log::causes(&error), took));
                Err(self.failed(error, connection, elsewhere, what))
            }
            Err(NoAnswer::Cancelled(cancelled)) => Err(self.error(what, cancelled)),
            Err(NoAnswer::Late) => {
                waiter.log(LogLevel::Debug, &entry.failed("no answer", took));
                let stalled = Unread::Stalled(context.patience.silent());
                Err(self.unread(stalled, elsewhere, what))
            }
        }
    }
}

/// Returns the server of an address, for people.
fn at(url: &Url) -> String {
    match url.host_str() {
        Some(_) => authority(url),
        None => format!("{}:", url.scheme()),
    }
}
