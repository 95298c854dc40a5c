//! What an answer means, or a connection that failed.

use std::time::SystemTime;

use reqwest::{Response, StatusCode, Url};

use super::authorize::{Authorization, Identity};
use super::certificate::CertificateProblem;
use super::endpoint::Endpoint;
use super::exchange::{EndpointRequest, Followed, RequestContext};
use super::incoming::Unread;
use super::network::ForbiddenAddress;
use super::retry::retry_after;
use super::transport::{
    Connection, cause, has_nothing_in_common, speaks_no_tls, wants_certificate,
};
use super::{RegistryError, RegistryErrorKind, RegistryOperation, ServerMessage, body, page};

impl Endpoint {
    /// Returns the error of an operation.
    pub(super) fn error(
        &self,
        what: &RegistryOperation,
        kind: impl Into<RegistryErrorKind>,
    ) -> RegistryError {
        RegistryError::new(self.config.host.clone(), what.clone(), kind)
    }

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
        let error = |kind| Err(self.error(request.what, kind));
        let retry_after = retry_after(response.headers(), SystemTime::now());
        if status == StatusCode::NETWORK_AUTHENTICATION_REQUIRED {
            let elsewhere = self.elsewhere(response.url());
            let message = body::server_message(context.waiter(), &mut response);
            return error(RegistryErrorKind::WebPage {
                elsewhere,
                title: message.map_or_else(String::new, |message| message.0),
            });
        }
        if status.is_redirection() {
            return error(RegistryErrorKind::Redirect {
                reason: format!("it answers {} and names no new address", status.as_u16()),
            });
        }
        if let Some(elsewhere) = followed.elsewhere {
            return error(RegistryErrorKind::Elsewhere {
                elsewhere,
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
        error(match status.as_u16() {
            404 => RegistryErrorKind::NotFound { message },
            _ if is_unknown => RegistryErrorKind::Credentials {
                source: identity.source,
                message,
            },
            401 | 403 => RegistryErrorKind::Denied {
                identity: Box::new(identity.into()),
                message,
            },
            429 => RegistryErrorKind::RateLimited {
                retry_after,
                message,
            },
            status => RegistryErrorKind::Status {
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
        what: &RegistryOperation,
    ) -> RegistryError {
        // What is wrong with a certificate is so with that of the server that showed it.
        let peer = elsewhere.as_ref().unwrap_or(&self.config.host).clone();
        // The address may be signed.
        let source = error.without_url();
        if let Some(forbidden) = cause::<ForbiddenAddress>(&source) {
            let reason = format!("to `{peer}`, but {forbidden}");
            return self.error(what, RegistryErrorKind::Redirect { reason });
        }
        let problem = cause::<rustls::Error>(&source).and_then(CertificateProblem::of);
        let kind = if let Some(problem) = problem {
            RegistryErrorKind::Certificate(problem)
        } else if wants_certificate(&source) {
            RegistryErrorKind::ClientCertificate(source)
        } else if has_nothing_in_common(&source) {
            RegistryErrorKind::Handshake(source)
        } else if speaks_no_tls(&source) {
            RegistryErrorKind::PlainHttp
        } else if source.is_connect() {
            let kind = RegistryErrorKind::Connect {
                elsewhere,
                proxy: connection.proxy.clone().map(Box::new),
                source,
            };
            return self.error(what, kind);
        } else {
            return self.unread(Unread::Broken(Some(source)), elsewhere, what);
        };
        RegistryError::new(peer, what.clone(), kind)
    }

    /// Returns the error for an answer that could not be read whole.
    pub(super) fn unread(
        &self,
        unread: Unread,
        elsewhere: Option<String>,
        what: &RegistryOperation,
    ) -> RegistryError {
        let kind = match unread {
            Unread::Broken(source) => RegistryErrorKind::Broken { elsewhere, source },
            Unread::Stalled(after) => RegistryErrorKind::Stalled { elsewhere, after },
            Unread::TooSlow(slow) => RegistryErrorKind::Slow {
                elsewhere,
                bytes: slow.bytes,
                during: slow.during,
            },
            Unread::TooLong => return self.malformed(what, &"it is too long"),
            Unread::Cancelled(cancelled) => cancelled.into(),
        };
        self.error(what, kind)
    }

    /// Returns the error for a page where something else was wanted, if there is one.
    pub(super) fn page(
        &self,
        url: &Url,
        content_type: Option<&str>,
        bytes: &[u8],
        what: &RegistryOperation,
    ) -> Option<RegistryError> {
        let title = page::title(content_type, bytes)?;
        let elsewhere = self.elsewhere(url);
        Some(self.error(what, RegistryErrorKind::WebPage { elsewhere, title }))
    }

    pub(super) fn malformed(
        &self,
        what: &RegistryOperation,
        reason: &impl ToString,
    ) -> RegistryError {
        let reason = reason.to_string();
        self.error(what, RegistryErrorKind::Malformed { reason })
    }
}
