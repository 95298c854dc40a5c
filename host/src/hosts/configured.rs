//! What can be set for hosts.

use std::time::Duration;

use super::{Location, NamedFile};

/// What is known of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// Whether it speaks plain HTTP only; `None` where nothing is said.
    pub insecure: Option<bool>,
    /// Whether its certificate is checked; `None` where nothing is said.
    pub tls_verify: Option<bool>,
    /// CA certificates for this host alone.
    pub ca_certs: Vec<NamedFile>,
    /// What we show to it.
    pub client: Option<ClientFiles>,
    /// Where it is asked for first; `None` where nothing is said.
    pub mirrors: Option<Vec<MirrorSettings>>,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    /// The file with the certificates.
    pub cert: NamedFile,
    /// The file with the key; without one the key is with the certificates.
    pub key: Option<NamedFile>,
}

/// A place that stands in for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorSettings {
    /// Where it is.
    pub location: Location,
    /// Whether it speaks plain HTTP only; `None` where nothing is said.
    pub insecure: Option<bool>,
    /// It is asked only for what is named by digest.
    pub by_digest_only: bool,
}

/// How patient we are with a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts without progress.
    pub attempts: u32,
    /// The time before the second attempt; it doubles from there on.
    pub delay: Duration,
    /// How long a registry may send nothing before the attempt is given up.
    pub stall_timeout: Duration,
    /// How long it may send nothing of one thing over all attempts before it is given up. Waits
    /// that it asks for itself do not count.
    pub give_up_after: Duration,
    /// The fewest bytes per second that have to come, over the same time; 0 for any.
    pub least_rate: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            delay: Duration::from_millis(500),
            stall_timeout: Duration::from_secs(30),
            give_up_after: Duration::from_mins(1),
            least_rate: 1536,
        }
    }
}
