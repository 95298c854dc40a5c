//! What a failure says of an endpoint: whether to try again, and whether another endpoint may do
//! better.

use std::time::Duration;

use super::{RegistryError, RegistryErrorKind as Kind};

/// What failed, when a mirror has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of the host: it cannot be reached, or gives nothing of use.
    Host,
    /// What it has of one repository.
    Repository,
    /// What was asked for, and nothing else.
    Content,
}

impl RegistryError {
    /// Returns how much of an endpoint has failed, once its attempts are used up.
    pub(super) fn extent(&self) -> Extent {
        match &self.kind {
            Kind::Connect { .. }
            | Kind::Certificate(_)
            | Kind::ClientCertificate(_)
            | Kind::Handshake(_)
            | Kind::PlainHttp
            | Kind::Broken { .. }
            | Kind::Stalled { .. }
            | Kind::Slow { .. }
            | Kind::WebPage { .. }
            | Kind::RateLimited { .. }
            | Kind::Setup(_)
            | Kind::Status { status: 500.., .. }
            | Kind::Elsewhere { status: 500.., .. } => Extent::Host,
            Kind::Denied { .. }
            | Kind::Credentials { .. }
            | Kind::Auth(_)
            | Kind::Realm { .. }
            | Kind::Token { .. } => Extent::Repository,
            _ => Extent::Content,
        }
    }

    /// Returns whether the endpoint could not be reached, or does not answer.
    pub(super) fn is_out_of_reach(&self) -> bool {
        matches!(
            self.kind,
            Kind::Connect { .. } | Kind::Stalled { .. } | Kind::Slow { .. }
        )
    }

    /// Returns whether it is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self.kind, Kind::NotFound { .. })
    }

    /// Returns whether the registry does not know this kind of request.
    pub(super) fn is_method_unknown(&self) -> bool {
        matches!(
            self.kind,
            Kind::Status {
                status: 405 | 501,
                ..
            }
        )
    }

    /// Returns whether the registry speaks HTTPS, and no trusted connection came of it.
    pub(super) fn is_of_tls(&self) -> bool {
        matches!(
            self.kind,
            Kind::Certificate(_) | Kind::ClientCertificate(_) | Kind::Handshake(_)
        )
    }

    /// Returns whether something else came than what was asked for, as happens on the way.
    pub(super) fn is_wrong_answer(&self) -> bool {
        matches!(
            self.kind,
            Kind::Digest { .. } | Kind::Size { .. } | Kind::Garbled { .. }
        )
    }

    /// Returns how long the other side wants us to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match &self.kind {
            Kind::RateLimited { retry_after, .. }
            | Kind::Status { retry_after, .. }
            | Kind::Elsewhere { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Returns whether the same request may succeed a little later.
    pub(super) fn is_transient(&self) -> bool {
        match &self.kind {
            Kind::Connect { .. }
            | Kind::Broken { .. }
            | Kind::Stalled { .. }
            | Kind::Slow { .. }
            | Kind::RateLimited { .. }
            | Kind::Elsewhere { .. } => true,
            Kind::Status { status, .. } => {
                matches!(status, 408 | 425 | 499 | 500 | 502 | 503 | 504 | 520..=524)
            }
            _ => false,
        }
    }

    /// Returns whether a server that was asked for a part of something may only refuse to send parts:
    /// 416 says so, and some say 400, 403 or 501.
    pub(super) fn may_refuse_range(&self) -> bool {
        match self.kind {
            Kind::Denied { .. } => true,
            Kind::Status { status, .. } | Kind::Elsewhere { status, .. } => {
                matches!(status, 400..=499 | 501) && !matches!(status, 408 | 425 | 429 | 499)
            }
            _ => false,
        }
    }

    /// Returns whether another server than the registry says that it will not give something.
    pub(super) fn is_refusal_elsewhere(&self) -> bool {
        matches!(self.kind, Kind::Elsewhere { status: 400..=499, .. } if !self.is_busy())
    }

    fn is_busy(&self) -> bool {
        matches!(
            self.kind,
            Kind::Elsewhere {
                status: 408 | 425 | 429,
                ..
            }
        )
    }

    /// Returns whether another endpoint may have what this one has not.
    pub(super) fn is_of_the_place(&self) -> bool {
        !matches!(
            self.kind,
            Kind::Cancelled(_) | Kind::Platform { .. } | Kind::NoImage { .. }
        )
    }
}
