//! Files by their address: a plain HTTPS server instead of a registry.
//!
//! The same certificates, proxies and patience as for registries; no credentials are shown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT_ENCODING, HeaderValue};
use reqwest::{Response, Url};

use super::body;
use super::hosts::HostsError;
use super::incoming::{Incoming, Unread, Waiter};
use super::log::Entry;
use super::patience::Patience;
use super::retry::Attempts;
use super::runtime::NoAnswer;
use super::transport::Transport;
use super::{Client, log, realm, redirect};
use crate::cancel::{Cancel, Cancelled};
use crate::progress::{LogLevel, Progress};

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 10;

/// A file that could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The connection could not be made, or broke off.
    #[error("could not fetch `{url}`")]
    Failed {
        /// The address.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// Nothing came for too long.
    #[error("could not fetch `{url}`: nothing came for too long")]
    Stalled {
        /// The address.
        url: String,
    },
    /// It came too slowly.
    #[error("could not fetch `{url}`: only {bytes} bytes came in {} s", during.as_secs())]
    Slow {
        /// The address.
        url: String,
        /// How many bytes came.
        bytes: u64,
        /// In which time.
        during: Duration,
    },
    /// The server did not give the file.
    #[error("could not fetch `{url}`: the server answered {status}")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The address, or one that the server refers to, is not fetched from.
    #[error("could not fetch `{url}`: {reason}")]
    Refused {
        /// The address.
        url: String,
        /// Why not.
        reason: String,
    },
    /// There are more bytes than anybody wants.
    #[error("`{url}` is larger than {limit} bytes")]
    TooLarge {
        /// The address.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The connection could not be set up.
    #[error("could not set up the connection for `{url}`: {reason}")]
    Setup {
        /// The address.
        url: String,
        /// Why.
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
        url: &str,
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
            let error = match self.download_once(url, limit, waiter, &attempts.patience) {
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
        url: &str,
        limit: u64,
        waiter: Waiter<'_>,
        patience: &Arc<Patience>,
    ) -> Result<Vec<u8>, DownloadError> {
        let name = || url.to_owned();
        let refused = |reason: &str| DownloadError::Refused {
            url: name(),
            reason: reason.to_owned(),
        };
        let mut next: Url = url
            .parse()
            .map_err(|error| refused(&format!("it is not an address: {error}")))?;
        let near = realm::is_loopback(&next);
        for _ in 0..=MAX_REDIRECTS {
            let plain = next.scheme() == "http" && near && realm::is_loopback(&next);
            if next.scheme() != "https" && !plain {
                return Err(refused(
                    "only HTTPS keeps others from changing what is fetched",
                ));
            }
            if !next.username().is_empty() || next.password().is_some() {
                return Err(refused("credentials do not belong in an address"));
            }
            let response = self.ask(&next, url, waiter, patience)?;
            let status = response.status().as_u16();
            if let Some(location) = redirect::location(&response) {
                next = redirect::target(&next, location)
                    .ok_or_else(|| refused("the server refers to something that is no address"))?;
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
            let mut incoming = Incoming::new(waiter, patience, response, host, "a file");
            let body = body::read(&mut incoming, limit);
            let content = body.and_then(|body| body.content(limit));
            return content.map_err(|unread| failed(url, unread, limit));
        }
        Err(refused(&format!(
            "the server redirects more than {MAX_REDIRECTS} times"
        )))
    }

    fn ask(
        &self,
        at: &Url,
        url: &str,
        waiter: Waiter<'_>,
        patience: &Arc<Patience>,
    ) -> Result<Response, DownloadError> {
        let setup = |reason: String| DownloadError::Setup {
            url: url.to_owned(),
            reason,
        };
        let name = at.host_str().unwrap_or_default();
        let host = match at.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        };
        let tls = self.hosts.tls(&host);
        let transport = Transport::new(&tls).map_err(|error| setup(error.to_string()))?;
        let identity = HeaderValue::from_static("identity");
        let request = transport
            .inside
            .get(at.clone())
            .header(ACCEPT_ENCODING, identity);
        let (http, request) = request.build_split();
        let request = request.map_err(|error| setup(error.without_url().to_string()))?;
        let entry = Entry::new(&request, false);
        let limit = self.policy.stall_timeout.min(patience.left());
        let begun = Instant::now();
        let outcome = waiter.wait(limit, &host, "a file", http.execute(request));
        let took = begun.elapsed();
        patience.spend(took);
        match outcome {
            Ok(Ok(response)) => {
                waiter.log(LogLevel::Debug, &entry.answered(&response, took));
                Ok(response)
            }
            Ok(Err(source)) => {
                let source = source.without_url();
                waiter.log(LogLevel::Debug, &entry.failed(&log::causes(&source), took));
                Err(DownloadError::Failed {
                    url: url.to_owned(),
                    source,
                })
            }
            Err(NoAnswer::Late) => {
                waiter.log(LogLevel::Debug, &entry.failed("no answer", took));
                Err(DownloadError::Stalled {
                    url: url.to_owned(),
                })
            }
            Err(NoAnswer::Cancelled(cancelled)) => Err(cancelled.into()),
        }
    }
}

/// Returns the error for a file that could not be read whole.
fn failed(url: &str, unread: Unread, limit: u64) -> DownloadError {
    let url = url.to_owned();
    match unread {
        Unread::Broken(Some(source)) => DownloadError::Failed { url, source },
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
