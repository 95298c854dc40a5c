//! What an answer means, or a connection that failed.

use std::time::SystemTime;

use reqwest::{Response, StatusCode, Url};

use super::authorize::{Authorization, Identity};
use super::certificate::CertificateProblem;
use super::exchange::{Endpoint, EndpointRequest, Followed, RequestContext};
use super::incoming::Unread;
use super::network::ForbiddenAddress;
use super::retry::retry_after;
use super::transport::{
    Connection, cause, has_nothing_in_common, speaks_no_tls, wants_certificate,
};
use super::{RegistryError, ServerMessage, body, page};

impl Endpoint {
    /// Tells what an answer means.
    pub(super) fn judge(
        &self,
        context: RequestContext<'_>,
        followed: Followed,
        request: &EndpointRequest<'_>,
        shown: Option<&Authorization>,
    ) -> Result<Response, RegistryError> {
        let mut response = followed.response;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let host = self.config.host.clone();
        let what = request.what.to_owned();
        let retry_after = retry_after(response.headers(), SystemTime::now());
        if status == StatusCode::NETWORK_AUTHENTICATION_REQUIRED {
            let elsewhere = self.elsewhere(response.url());
            let message = body::server_message(context.waiter(), &mut response);
            return Err(RegistryError::WebPage {
                host,
                elsewhere,
                what,
                title: message.map_or_else(String::new, |message| message.0),
            });
        }
        if status.is_redirection() {
            return Err(RegistryError::Redirect {
                host,
                what,
                reason: format!("it answers {} and names no new address", status.as_u16()),
            });
        }
        if let Some(elsewhere) = followed.elsewhere {
            return Err(RegistryError::Elsewhere {
                host,
                elsewhere,
                what,
                status: status.as_u16(),
                retry_after,
            });
        }
        let message = body::server_message(context.waiter(), &mut response);
        let identity = shown.map_or_else(
            || Identity {
                tried: self.tried(),
                ..Identity::default()
            },
            |shown| shown.identity.clone(),
        );
        // With a token in between, it is the token server that does not know us.
        let is_unknown = match status.as_u16() {
            401 => identity.known,
            403 => {
                identity.direct
                    && message
                        .as_ref()
                        .is_some_and(ServerMessage::is_about_credentials)
            }
            _ => false,
        };
        Err(match status.as_u16() {
            404 => RegistryError::NotFound {
                host,
                what,
                message,
            },
            _ if is_unknown => RegistryError::Credentials {
                host,
                what,
                origin: identity.origin,
                message,
            },
            401 | 403 => RegistryError::Denied {
                host,
                what,
                identity: Box::new(identity.into()),
                message,
            },
            429 => RegistryError::RateLimited {
                host,
                retry_after,
                message,
            },
            status => RegistryError::Status {
                host,
                what,
                status,
                retry_after,
                message,
            },
        })
    }

    /// Returns the error for a connection that failed, to a server elsewhere where one is named.
    pub(super) fn failed(
        &self,
        error: reqwest::Error,
        connection: &Connection,
        elsewhere: Option<String>,
        what: &str,
    ) -> RegistryError {
        // What is wrong with a certificate is so with that of the server that showed it.
        let peer = elsewhere.as_ref().unwrap_or(&self.config.host).clone();
        // The address may be signed.
        let source = error.without_url();
        if let Some(forbidden) = cause::<ForbiddenAddress>(&source) {
            return RegistryError::Redirect {
                host: self.config.host.clone(),
                what: what.to_owned(),
                reason: format!("to `{peer}`, but {forbidden}"),
            };
        }
        let problem = cause::<rustls::Error>(&source).and_then(CertificateProblem::of);
        if let Some(source) = problem {
            RegistryError::Certificate { host: peer, source }
        } else if wants_certificate(&source) {
            RegistryError::ClientCertificate { host: peer, source }
        } else if has_nothing_in_common(&source) {
            RegistryError::Handshake { host: peer, source }
        } else if speaks_no_tls(&source) {
            RegistryError::PlainHttp { host: peer }
        } else if source.is_connect() {
            RegistryError::Connect {
                host: self.config.host.clone(),
                elsewhere,
                what: what.to_owned(),
                proxy: connection.proxy.clone().map(Box::new),
                source,
            }
        } else {
            self.unread(Unread::Broken(Some(source)), elsewhere, what)
        }
    }

    /// Returns the error for an answer that could not be read whole.
    pub(super) fn unread(
        &self,
        unread: Unread,
        elsewhere: Option<String>,
        what: &str,
    ) -> RegistryError {
        let host = self.config.host.clone();
        let what = what.to_owned();
        match unread {
            Unread::Broken(source) => RegistryError::Broken {
                host,
                elsewhere,
                what,
                source,
            },
            Unread::Stalled(after) => RegistryError::Stalled {
                host,
                elsewhere,
                what,
                after,
            },
            Unread::TooSlow(slow) => RegistryError::Slow {
                host,
                elsewhere,
                what,
                bytes: slow.bytes,
                during: slow.during,
            },
            Unread::TooLong => self.malformed(&what, &"it is too long"),
            Unread::Cancelled(cancelled) => cancelled.into(),
        }
    }

    /// Returns the error for a page where something else was wanted, if there is one.
    pub(super) fn page(
        &self,
        url: &Url,
        content_type: Option<&str>,
        bytes: &[u8],
        what: &str,
    ) -> Option<RegistryError> {
        page::title(content_type, bytes).map(|title| RegistryError::WebPage {
            host: self.config.host.clone(),
            elsewhere: self.elsewhere(url),
            what: what.to_owned(),
            title,
        })
    }

    pub(super) fn malformed(&self, what: &str, reason: &impl ToString) -> RegistryError {
        RegistryError::Malformed {
            host: self.config.host.clone(),
            what: what.to_owned(),
            reason: reason.to_string(),
        }
    }
}
