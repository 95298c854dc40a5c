//! Files by their address: a plain HTTPS server instead of a registry.
//!
//! The same certificates, proxies and patience as for registries; no credentials are shown.

use reqwest::header::LOCATION;
use reqwest::{Response, Url};

use super::body::{self, Unread};
use super::hosts::HostsError;
use super::retry::Attempts;
use super::runtime::NoAnswer;
use super::transport::Transport;
use super::{Client, realm};
use crate::cancel::{Cancel, Cancelled};

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
            Self::Failed { .. } | Self::Stalled { .. } => true,
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
        cancel: &Cancel,
    ) -> Result<Vec<u8>, DownloadError> {
        let mut attempts = Attempts::new(self.policy);
        loop {
            let error = match self.download_once(url, limit, cancel) {
                Err(error) if error.is_transient() => error,
                done => return done,
            };
            let Some(delay) = attempts.after_fault() else {
                return Err(error);
            };
            let nothing = std::future::pending::<()>();
            if let Err(NoAnswer::Cancelled(cancelled)) = self.runtime.wait(delay, cancel, nothing) {
                return Err(cancelled.into());
            }
        }
    }

    fn download_once(
        &self,
        url: &str,
        limit: u64,
        cancel: &Cancel,
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
            let mut response = self.ask(&next, url, cancel)?;
            let status = response.status().as_u16();
            let location = response.headers().get(LOCATION);
            if let Some(location) = location.filter(|_| matches!(status, 301..=303 | 307 | 308)) {
                next = location
                    .to_str()
                    .ok()
                    .and_then(|location| next.join(location).ok())
                    .ok_or_else(|| refused("the server refers to something that is no address"))?;
                continue;
            }
            if status != 200 {
                return Err(DownloadError::Status {
                    url: name(),
                    status,
                });
            }
            let stall = self.policy.stall_timeout;
            return body::read(&self.runtime, &mut response, limit, stall, cancel).map_err(
                |unread| match unread {
                    Unread::Broken(source) => DownloadError::Failed {
                        url: name(),
                        source,
                    },
                    Unread::Stalled => DownloadError::Stalled { url: name() },
                    Unread::TooLong => DownloadError::TooLarge { url: name(), limit },
                    Unread::Cancelled(cancelled) => cancelled.into(),
                },
            );
        }
        Err(refused(&format!(
            "the server redirects more than {MAX_REDIRECTS} times"
        )))
    }

    fn ask(&self, at: &Url, url: &str, cancel: &Cancel) -> Result<Response, DownloadError> {
        let setup = |reason: String| DownloadError::Setup {
            url: url.to_owned(),
            reason,
        };
        let host = at.host_str().unwrap_or_default();
        let host = match at.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let tls = self.hosts.tls(&host);
        let transport = Transport::new(&tls).map_err(|error| setup(error.to_string()))?;
        let request = transport.inside.get(at.clone()).send();
        match self
            .runtime
            .wait(self.policy.stall_timeout, cancel, request)
        {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(source)) => Err(DownloadError::Failed {
                url: url.to_owned(),
                source: source.without_url(),
            }),
            Err(NoAnswer::Late) => Err(DownloadError::Stalled {
                url: url.to_owned(),
            }),
            Err(NoAnswer::Cancelled(cancelled)) => Err(cancelled.into()),
        }
    }
}
