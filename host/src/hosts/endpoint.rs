//! How one endpoint is spoken to: what [`Hosts`](super::Hosts) decides, and the protocol does.

use std::sync::Arc;

use super::ClientIdentity;

/// How one endpoint of a repository is reached.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// The host for messages and credentials.
    pub host: String,
    /// The host and port to connect to.
    pub authority: String,
    /// The repository on that endpoint.
    pub repository: String,
    /// Whether plain HTTP is used.
    pub plain: Plain,
    /// What it is asked for.
    pub usage: MirrorUsage,
    /// It stands in for the registry itself.
    pub is_mirror: bool,
    /// What the user has given up by saying that certificates are not checked, for people.
    pub unverified: Option<&'static str>,
    /// How it proves who it is.
    pub tls: Arc<TlsSettings>,
}

/// Whether plain HTTP is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// Never.
    Never,
    /// Where HTTPS is not answered.
    Fallback,
    /// Always.
    Only,
}

/// What a mirror is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorUsage {
    /// Everything.
    Any,
    /// What is named by digest.
    DigestOnly,
    /// What is named by tag.
    TagOnly,
}

/// How an endpoint proves who it is, and how we do.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// Certificates in addition to the system's, DER.
    pub roots: Vec<Vec<u8>>,
    /// What the user should know of this: certificates that were skipped, and what is given up.
    pub notices: Vec<String>,
    /// What we show.
    pub identity: Option<ClientIdentity>,
    /// Whether certificates are checked.
    pub verify: bool,
}

impl Default for TlsSettings {
    /// What holds for a host for which nothing is set.
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            notices: Vec::new(),
            identity: None,
            verify: true,
        }
    }
}
