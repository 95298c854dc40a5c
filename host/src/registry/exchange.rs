//! One request to one place: its connection, credentials and redirects.
//!
//! Which scheme the place speaks, and what an answer means, are in modules of their own.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Method, Response, StatusCode, Url};

use super::authorize::{Asked, Authorization, Session};
use super::client::Client;
use super::credentials::{Access, Credentials};
use super::hosts::{Endpoint, Hosts};
use super::incoming::{Incoming, Unread, Waiter};
use super::log::{self, Entry};
use super::patience::Patience;
use super::realm::{self, Referrer};
use super::runtime::NoAnswer;
use super::transport::{Connection, Side, Transport, TransportError, authority};
use super::{RegistryError, redirect};
use crate::cancel::Cancel;
use crate::progress::{LogLevel, Progress};

/// Redirects that are followed for one request.
const MAX_REDIRECTS: usize = 10;

/// A registry or mirror, and what was learnt of it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) endpoint: Endpoint,
    transport: Transport,
    pub(super) base: Mutex<Option<Url>>,
    /// It was looked whether the registry speaks HTTPS where plain HTTP did not work.
    pub(super) probed: AtomicBool,
    pub(super) session: Mutex<Session>,
    /// It is of no use for this repository.
    pub(super) is_passed_over: AtomicBool,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Request<'a> {
    /// The path behind `/v2/<repository>/`.
    pub(super) path: String,
    /// Headers beside those of the connection.
    pub(super) headers: HeaderMap,
    /// What it is, for people.
    pub(super) what: &'a str,
    /// What is sent, and how; nothing where something is fetched.
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

/// What requests of one operation have in common.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) client: &'a Client,
    pub(super) credentials: &'a dyn Credentials,
    pub(super) access: Access,
    pub(super) cancel: &'a Cancel,
    pub(super) progress: &'a dyn Progress,
    /// How long nothing may come.
    pub(super) patience: &'a Arc<Patience>,
    /// The number of the attempt, from 1.
    pub(super) attempt: u32,
}

/// An answer, and whether it came from somewhere else than the registry.
pub(super) struct Followed {
    pub(super) response: Response,
    pub(super) elsewhere: Option<String>,
}

impl<'a> Asking<'a> {
    pub(super) fn waiter(self) -> Waiter<'a> {
        Waiter {
            client: self.client,
            cancel: self.cancel,
            progress: self.progress,
        }
    }
}

impl Place {
    pub(super) fn new(hosts: &Arc<Hosts>, endpoint: Endpoint) -> Self {
        Self {
            transport: Transport::new(hosts, Arc::clone(&endpoint.tls), &endpoint.authority),
            endpoint,
            base: Mutex::default(),
            probed: AtomicBool::new(false),
            session: Mutex::default(),
            is_passed_over: AtomicBool::new(false),
        }
    }

    /// Asks once, and again where credentials are wanted. Every answer but success is an error.
    pub(super) fn send(
        &self,
        asking: Asking<'_>,
        request: &Request<'_>,
    ) -> Result<Response, RegistryError> {
        let base = self.base(asking, request.what)?;
        let path = match self.endpoint.repository.as_str() {
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
            let error = match self.send_once(asking, &base, &url, request) {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if self.speaks_https(asking, &base, &error) {
                let host = self.endpoint.host.clone();
                return Err(RegistryError::SpeaksHttps { host });
            }
            if !self.reconsider(asking, &error) {
                return Err(self.first_refusal(error));
            }
        }
    }

    /// Asks, and again where credentials are wanted.
    fn send_once(
        &self,
        asking: Asking<'_>,
        base: &Url,
        url: &Url,
        request: &Request<'_>,
    ) -> Result<Response, RegistryError> {
        let inside = url.origin() == base.origin();
        let mut renewals = 0;
        loop {
            let shown = self.shown(asking.client);
            let origin = inside.then(|| url.origin());
            let place = (base, origin.as_ref());
            let followed = self.follow(asking, url.clone(), request, shown.as_ref(), place)?;
            if followed.elsewhere.is_none()
                && followed.response.status() == StatusCode::UNAUTHORIZED
                && renewals < 2
            {
                let mut asked = Asked::of(followed.response.headers());
                if asked.challenges.is_empty() && renewals == 0 {
                    // Some say what they want only where everybody asks first.
                    asked = Asked::of(self.ping(asking, base, request.what)?.headers());
                }
                if (renewals == 0 || asked.is_insufficient())
                    && self.authorize(asking, base, &asked, shown.as_ref(), request.what)?
                {
                    renewals += 1;
                    continue;
                }
            }
            let judged = self.judge(asking, followed, request, shown.as_ref());
            if let (Ok(_), Some(shown)) = (&judged, &shown) {
                self.accepted(asking, shown);
            }
            return judged;
        }
    }

    /// Asks a server that a manifest names, without credentials.
    pub(super) fn send_elsewhere(
        &self,
        asking: Asking<'_>,
        url: &str,
        request: &Request<'_>,
    ) -> Result<Response, RegistryError> {
        let base = self.base(asking, request.what)?;
        let url: Url = url
            .parse()
            .map_err(|error| self.malformed(request.what, &error))?;
        let is_near = realm::is_loopback(&url) && realm::is_loopback(&base);
        if url.scheme() != "https" && !(url.scheme() == "http" && is_near) {
            let reason = "the address of a foreign layer is not one of HTTPS";
            return Err(self.malformed(request.what, &reason));
        }
        let followed = self.follow(asking, url, request, None, (&base, None))?;
        self.judge(asking, followed, request, None)
    }

    /// Sends a request and follows where it leads. Credentials stay with the registry, at the
    /// origin beside its address, if the request begins there.
    fn follow(
        &self,
        asking: Asking<'_>,
        mut url: Url,
        request: &Request<'_>,
        shown: Option<&Authorization>,
        (base, origin): (&Url, Option<&url::Origin>),
    ) -> Result<Followed, RegistryError> {
        let refused = |reason: String| RegistryError::Redirect {
            host: self.endpoint.host.clone(),
            what: request.what.to_owned(),
            reason,
        };
        for _ in 0..=MAX_REDIRECTS {
            let inside = origin == Some(&url.origin());
            if !inside {
                let checked = self.referrer(asking, base).check(&url);
                checked.map_err(|reason| refused(format!("to `{}`, but {reason}", at(&url))))?;
            }
            let side = if inside {
                Side::Registry
            } else {
                Side::Elsewhere
            };
            let connection = self.connection(&url, side)?;
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
            let response = self.answer(asking, &connection, builder, request.what)?;
            if inside {
                let host = &self.endpoint.host;
                asking.client.notices.take(host, response.headers());
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
        asking: Asking<'_>,
        connection: &Connection,
        builder: reqwest::RequestBuilder,
        what: &str,
    ) -> Result<Response, RegistryError> {
        for notice in connection.notices.iter() {
            asking.client.notices.add(notice.clone());
        }
        let (http, request) = builder.build_split();
        let request = request.map_err(|error| self.failed(error, connection, None, what))?;
        let elsewhere = self.elsewhere(request.url());
        let mut entry = Entry::new(&request, elsewhere.is_none());
        entry.note(match &elsewhere {
            None if self.endpoint.is_mirror => "a mirror".to_owned(),
            None => "the registry".to_owned(),
            Some(_) => format!("for {}", self.endpoint.host),
        });
        if asking.attempt > 1 {
            entry.note(format!("attempt {}", asking.attempt));
        }
        if let Some(proxy) = &connection.proxy {
            entry.note(format!("through proxy {proxy}"));
        }
        let waiter = asking.waiter();
        let host = elsewhere.as_deref().unwrap_or(&self.endpoint.host);
        let limit = asking.client.policy.stall_timeout;
        let limit = limit.min(asking.patience.left());
        let begun = Instant::now();
        let outcome = waiter.wait(limit, host, what, http.execute(request));
        let took = begun.elapsed();
        asking.patience.spend(took);
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
            Err(NoAnswer::Cancelled(cancelled)) => Err(cancelled.into()),
            Err(NoAnswer::Late) => {
                waiter.log(LogLevel::Debug, &entry.failed("no answer", took));
                let stalled = Unread::Stalled(asking.patience.silent());
                Err(self.unread(stalled, elsewhere, what))
            }
        }
    }

    /// Returns the body of an answer, to be read with the same patience.
    pub(super) fn incoming<'a>(
        &self,
        asking: Asking<'a>,
        response: Response,
        what: &str,
    ) -> Incoming<'a> {
        let elsewhere = self.elsewhere(response.url());
        let host = elsewhere.as_deref().unwrap_or(&self.endpoint.host);
        let patience = Arc::clone(asking.patience);
        Incoming::new(asking.waiter(), patience, response, host, what)
    }

    /// Returns the host of an address, with its port, where that is not the registry.
    pub(super) fn elsewhere(&self, url: &Url) -> Option<String> {
        let own = Url::parse(&format!("{}://{}/", url.scheme(), self.endpoint.authority));
        if own.is_ok_and(|own| own.origin() == url.origin()) {
            return None;
        }
        let host = url.host_str().unwrap_or("?");
        Some(match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        })
    }

    /// Returns the registry as what refers to other servers.
    pub(super) fn referrer<'a>(&self, asking: Asking<'a>, base: &'a Url) -> Referrer<'a> {
        Referrer {
            base,
            peer: self.transport.peer.get(),
            hosts: &asking.client.hosts,
        }
    }

    /// Returns what a request to an address is sent with.
    pub(super) fn connection(&self, url: &Url, side: Side) -> Result<Connection, RegistryError> {
        self.transport.connection(url, side).map_err(|error| {
            let host = match side {
                Side::Registry => self.endpoint.host.clone(),
                Side::TokenService | Side::Elsewhere => authority(url),
            };
            match error {
                TransportError::Proxy(source) => RegistryError::Proxy { host, source },
                error => RegistryError::Setup {
                    host,
                    source: error.into(),
                },
            }
        })
    }
}

/// Returns the server of an address, for people.
fn at(url: &Url) -> String {
    match url.host_str() {
        Some(_) => authority(url),
        None => format!("{}:", url.scheme()),
    }
}
