//! What a failure says of an endpoint: whether to try again, and whether another endpoint may do
//! better.

use std::time::Duration;

use super::RegistryError;

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
        match self {
            Self::Connect { .. }
            | Self::Certificate { .. }
            | Self::ClientCertificate { .. }
            | Self::Handshake { .. }
            | Self::PlainHttp { .. }
            | Self::Broken { .. }
            | Self::Stalled { .. }
            | Self::Slow { .. }
            | Self::WebPage { .. }
            | Self::RateLimited { .. }
            | Self::Setup { .. }
            | Self::Status { status: 500.., .. }
            | Self::Elsewhere { status: 500.., .. } => Extent::Host,
            Self::Denied { .. }
            | Self::Credentials { .. }
            | Self::Auth { .. }
            | Self::Realm { .. }
            | Self::Token { .. } => Extent::Repository,
            _ => Extent::Content,
        }
    }

    /// Returns whether the endpoint could not be reached, or does not answer.
    pub(super) fn is_out_of_reach(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. } | Self::Stalled { .. } | Self::Slow { .. }
        )
    }

    /// Returns whether something else came than what was asked for, as happens on the way.
    pub(super) fn is_wrong_answer(&self) -> bool {
        matches!(
            self,
            Self::Digest { .. } | Self::Size { .. } | Self::Garbled { .. }
        )
    }

    /// Returns how long the other side wants us to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. }
            | Self::Status { retry_after, .. }
            | Self::Elsewhere { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Returns whether the same request may succeed a little later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Broken { .. }
            | Self::Stalled { .. }
            | Self::Slow { .. }
            | Self::RateLimited { .. }
            | Self::Elsewhere { .. } => true,
            Self::Status { status, .. } => {
                matches!(status, 408 | 425 | 499 | 500 | 502 | 503 | 504 | 520..=524)
            }
            _ => false,
        }
    }

    /// Returns whether a server does not send a part of what it was asked for.
    pub(super) fn refuses_range(&self) -> bool {
        let (Self::Status { status, .. } | Self::Elsewhere { status, .. }) = self else {
            return false;
        };
        *status == 416
    }

    /// Returns whether a server beside the registry says that it will not give something.
    pub(super) fn is_refusal_elsewhere(&self) -> bool {
        matches!(self, Self::Elsewhere { status: 400..=499, .. } if !self.is_busy())
    }

    fn is_busy(&self) -> bool {
        matches!(
            self,
            Self::Elsewhere {
                status: 408 | 425 | 429,
                ..
            }
        )
    }

    /// Returns whether another endpoint may have what this one has not.
    pub(super) fn is_of_the_place(&self) -> bool {
        !matches!(
            self,
            Self::Cancelled(_) | Self::Platform { .. } | Self::NoImage { .. }
        )
    }
}
