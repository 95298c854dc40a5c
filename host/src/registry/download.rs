//! Files by their address: a plain HTTPS server instead of a registry.
//!
//! The same certificates, proxies and patience as for registries; no credentials are shown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT_ENCODING, HeaderValue};
use reqwest::{Response, Url};

use super::Client;
use super::body;
use super::certificate::CertificateProblem;
use super::error::through;
use super::incoming::{Incoming, Unread, Waiter};
use super::log::{self, Entry};
use super::network::ForbiddenAddress;
use super::patience::Patience;
use super::proxy::{ProxyError, ProxyServer};
use super::realm::{self, Referrer};
use super::redirect;
use super::retry::Attempts;
use super::transport::{Side, Transport, TransportError, authority, cause, transport_for_named};
use crate::address::Address;
use crate::cancel::{Cancel, Cancelled};
use crate::hosts::HostsError;
use crate::progress::{LogLevel, Progress};
use crate::reactor::NoAnswer;

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 10;

/// A file that could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The connection could not be made, or broke off.
    #[error("could not fetch `{url}`{}", through(.proxy.as_deref()))]
    Failed {
        /// The address.
        url: Address,
        /// The proxy in between.
        proxy: Option<Box<ProxyServer>>,
        /// The error of the HTTP client.
        #[source]
        source: reqwest::Error,
    },
    /// The server proves its identity with a certificate that is not trusted, or not at all.
    #[error("no trusted connection to {host} for `{url}`")]
    Certificate {
        /// The address.
        url: Address,
        /// The server.
        host: String,
        /// What is wrong with the certificate.
        #[source]
        source: Box<CertificateProblem>,
    },
    /// A variable does not name the proxy that it should name.
    #[error("could not find the proxy for `{url}`")]
    Proxy {
        /// The address.
        url: Address,
        /// What is wrong with the variable.
        #[source]
        source: ProxyError,
    },
    /// Nothing came for too long.
    #[error("could not fetch `{url}`: nothing came for too long")]
    Stalled {
        /// The address.
        url: Address,
    },
    /// It came too slowly.
    #[error("could not fetch `{url}`: only {bytes} bytes came in {} s", during.as_secs())]
    Slow {
        /// The address.
        url: Address,
        /// How many bytes came.
        bytes: u64,
        /// In which time.
        during: Duration,
    },
    /// The server did not give the file.
    #[error("could not fetch `{url}`: the server answered {status}")]
    Status {
        /// The address.
        url: Address,
        /// The HTTP status.
        status: u16,
    },
    /// The address, or one that the server refers to, is not fetched from.
    #[error("could not fetch `{url}`: {reason}")]
    Refused {
        /// The address.
        url: Address,
        /// The reason, for a sentence.
        reason: String,
    },
    /// What is secret in the address was left out where it was kept.
    #[error("could not fetch `{url}`: what `***` stands for is secret, and was not kept")]
    Incomplete {
        /// The address.
        url: Address,
    },
    /// There are more bytes than anybody wants.
    #[error("`{url}` is larger than {limit} bytes")]
    TooLarge {
        /// The address.
        url: Address,
        /// The limit in bytes.
        limit: u64,
    },
    /// The connection could not be set up.
    #[error("could not set up the connection for `{url}`: {reason}")]
    Setup {
        /// The address.
        url: Address,
        /// The reason, for a sentence.
        reason: String,
    },
    /// What is configured of the server cannot be used.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl DownloadError {
    /// Returns whether the server says that there is no such file.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { status, .. } if matches!(status, 403 | 404 | 410))
    }

    /// Returns whether the next attempt may go better.
    fn is_transient(&self) -> bool {
        match self {
            Self::Failed { .. } | Self::Stalled { .. } | Self::Slow { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500 | 502..=504),
            _ => false,
        }
    }
}

impl Client {
    /// Fetches a file of at most `limit` bytes, and tries again what may come right by itself, from
    /// the beginning. Plain HTTP is spoken to this machine only.
    pub fn download(
        &self,
        address: &Address,
        limit: u64,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Vec<u8>, DownloadError> {
        let mut attempts = Attempts::new(self.policy, &self.health.traffic);
        let waiter = Waiter {
            client: self,
            cancel,
            progress,
        };
        loop {
            let error = match self.download_once(address, limit, waiter, &attempts.patience) {
                Err(error) if error.is_transient() => error,
                done => return done,
            };
            let Some(delay) = attempts.after_fault() else {
                return Err(error);
            };
            waiter.sleep(delay)?;
        }
    }

    fn download_once(
        &self,
        address: &Address,
        limit: u64,
        waiter: Waiter<'_>,
        patience: &Arc<Patience>,
    ) -> Result<Vec<u8>, DownloadError> {
        let name = || address.clone();
        let refused = |reason: &str| DownloadError::Refused {
            url: name(),
            reason: reason.to_owned(),
        };
        let base = address.expose();
        if address.lacks_secret() {
            return Err(DownloadError::Incomplete { url: name() });
        }
        let transport = transport_for_named(&self.hosts, base)?;
        let near = realm::is_loopback(base);
        let mut next = base.clone();
        for _ in 0..=MAX_REDIRECTS {
            let plain = next.scheme() == "http" && near && realm::is_loopback(&next);
            if next.scheme() != "https" && !plain {
                return Err(refused(
                    "only HTTPS keeps others from changing what is fetched",
                ));
            }
            let referrer = Referrer {
                base,
                peer: transport.peer.get(),
                hosts: &self.hosts,
            };
            referrer.check(&next).map_err(|reason| {
                refused(&format!("`{}` is not asked: {reason}", authority(&next)))
            })?;
            let side = if next.origin() == base.origin() {
                Side::Registry
            } else {
                Side::Elsewhere
            };
            let at = (&next, side);
            let response = self.ask(&transport, at, address, waiter, patience)?;
            let status = response.status().as_u16();
            if let Some(location) = redirect::location(&response) {
                next = redirect::target(&next, location).ok_or_else(|| {
                    refused("the server refers to something that is not an address")
                })?;
                continue;
            }
            if status != 200 {
                return Err(DownloadError::Status {
                    url: name(),
                    status,
                });
            }
            let host = next.host_str().unwrap_or_default();
            let patience = Arc::clone(patience);
            let mut incoming = Incoming::new(waiter, patience, response, host, &"a file");
            let body = body::read(&mut incoming, limit);
            let content = body.and_then(|body| body.content(limit));
            return content.map_err(|unread| failed(address, unread, limit));
        }
        Err(refused(&format!(
            "the server redirects more than {MAX_REDIRECTS} times"
        )))
    }

    fn ask(
        &self,
        transport: &Transport,
        (at, side): (&Url, Side),
        address: &Address,
        waiter: Waiter<'_>,
        patience: &Arc<Patience>,
    ) -> Result<Response, DownloadError> {
        let url = address.clone();
        let setup = |reason: String| DownloadError::Setup {
            url: address.clone(),
            reason,
        };
        let connection = match transport.connection(at, side) {
            Ok(connection) => connection,
            Err(TransportError::Proxy(source)) => {
                return Err(DownloadError::Proxy { url, source });
            }
            Err(TransportError::Hosts(error)) => return Err(error.into()),
            Err(error) => return Err(setup(error.to_string())),
        };
        for notice in connection.notices.iter() {
            self.notices.add(notice.clone());
        }
        let host = authority(at);
        let identity = HeaderValue::from_static("identity");
        let request = connection
            .client
            .get(at.clone())
            .header(ACCEPT_ENCODING, identity);
        let (http, request) = request.build_split();
        let request = request.map_err(|error| setup(error.without_url().to_string()))?;
        let mut entry = Entry::new(&request, false);
        if let Some(proxy) = &connection.proxy {
            entry.note(format!("through proxy {proxy}"));
        }
        let limit = self.policy.stall_timeout.min(patience.left());
        let begun = Instant::now();
        let outcome = waiter.wait(limit, &host, &"a file", http.execute(request));
        let took = begun.elapsed();
        patience.spend(took);
        match outcome {
            Ok(Ok(response)) => {
                waiter.log(LogLevel::Debug, &entry.answered(&response, took));
                if side == Side::Registry && connection.proxy.is_none() {
                    let peer = response.remote_addr().map(|address| address.ip());
                    transport.peer.set(peer);
                }
                Ok(response)
            }
            Ok(Err(source)) => {
                let source = source.without_url();
                waiter.log(LogLevel::Debug, &entry.failed(&log::causes(&source), took));
                if let Some(forbidden) = cause::<ForbiddenAddress>(&source) {
                    let reason = format!("`{host}` is not asked: {forbidden}");
                    return Err(DownloadError::Refused { url, reason });
                }
                let problem = cause::<rustls::Error>(&source).and_then(CertificateProblem::of);
                Err(match problem {
                    Some(source) => DownloadError::Certificate {
                        url,
                        host,
                        source: Box::new(source),
                    },
                    None => DownloadError::Failed {
                        url,
                        proxy: connection.proxy.map(Box::new),
                        source,
                    },
                })
            }
            Err(NoAnswer::Late) => {
                waiter.log(LogLevel::Debug, &entry.failed("no answer", took));
                Err(DownloadError::Stalled { url })
            }
            Err(NoAnswer::Cancelled(cancelled)) => Err(cancelled.into()),
        }
    }
}

/// Returns the error for a file that could not be read whole.
fn failed(address: &Address, unread: Unread, limit: u64) -> DownloadError {
    let url = address.clone();
    match unread {
        Unread::Broken(Some(source)) => DownloadError::Failed {
            url,
            proxy: None,
            source,
        },
        // An answer that ends before it is whole is an error with its cause.
        Unread::Broken(None) | Unread::Stalled(_) => DownloadError::Stalled { url },
        Unread::TooSlow(slow) => DownloadError::Slow {
            url,
            bytes: slow.bytes,
            during: slow.during,
        },
        Unread::TooLong => DownloadError::TooLarge { url, limit },
        Unread::Cancelled(cancelled) => cancelled.into(),
    }
}
