//! A registry or mirror: what is configured for it, and what its answers have shown.
//!
//! Owns its connections, and which servers count as this endpoint. Requests are sent in
//! [`exchange`](super::exchange).

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use reqwest::{Response, Url};

use super::authorize::Session;
use super::exchange::RequestContext;
use super::incoming::Incoming;
use super::operation::RegistryOperation;
use super::realm::Referrer;
use super::transport::{Connection, Side, Transport, TransportError, authority};
use super::{RegistryError, RegistryErrorKind};
use crate::hosts::{EndpointConfig, Hosts};

/// A registry or mirror, and what its answers have shown so far.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) config: EndpointConfig,
    pub(super) transport: Transport,
    pub(super) base: Mutex<Option<Url>>,
    /// HTTPS was tried after plain HTTP had failed.
    pub(super) probed: AtomicBool,
    pub(super) session: Mutex<Session>,
    /// It failed in a way that makes it useless for this repository.
    pub(super) is_skipped: AtomicBool,
}

impl Endpoint {
    pub(super) fn new(hosts: &Arc<Hosts>, config: EndpointConfig) -> Self {
        Self {
            transport: Transport::new(hosts, Arc::clone(&config.tls), &config.authority),
            config,
            base: Mutex::default(),
            probed: AtomicBool::new(false),
            session: Mutex::default(),
            is_skipped: AtomicBool::new(false),
        }
    }

    /// Returns the body of an answer, to be read with the same patience.
    pub(super) fn incoming<'a>(
        &self,
        context: RequestContext<'a>,
        response: Response,
        what: &RegistryOperation,
    ) -> Incoming<'a> {
        let elsewhere = self.elsewhere(response.url());
        let host = elsewhere.as_deref().unwrap_or(&self.config.host);
        let patience = Arc::clone(context.patience);
        Incoming::new(context.waiter(), patience, response, host, what)
    }

    /// Returns the host of an address, with its port, where that is not the registry.
    pub(super) fn elsewhere(&self, url: &Url) -> Option<String> {
        let own = Url::parse(&format!("{}://{}/", url.scheme(), self.config.authority));
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
    pub(super) fn referrer<'a>(&self, context: RequestContext<'a>, base: &'a Url) -> Referrer<'a> {
        Referrer {
            base,
            peer: self.transport.peer.get(),
            hosts: &context.client.hosts,
        }
    }

    /// Returns what a request to an address is sent with.
    pub(super) fn connection(
        &self,
        url: &Url,
        side: Side,
        what: &RegistryOperation,
    ) -> Result<Connection, RegistryError> {
        self.transport.connection(url, side).map_err(|error| {
            let host = match side {
                Side::Registry => self.config.host.clone(),
                Side::TokenService | Side::Elsewhere => authority(url),
            };
            let kind = match error {
                TransportError::Proxy(source) => RegistryErrorKind::Proxy(source),
                error => RegistryErrorKind::Setup(error.into()),
            };
            RegistryError::new(host, what.clone(), kind)
        })
    }
}
