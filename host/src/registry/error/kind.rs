//! The kinds of errors of registries, and what belongs to them. Texts of registries are untrusted.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cancel::Cancelled;
use crate::credential::{CredentialSource, TriedProvider};
use crate::digest::Digest;
use crate::platform::Platform;
use crate::registry::authorize::Identity;
use crate::registry::certificate::CertificateProblem;
use crate::registry::proxy::{ProxyError, ProxyServer};

/// What went wrong during an operation on a registry.
#[derive(Debug)]
#[non_exhaustive]
pub enum RegistryErrorKind {
    /// The connection could not be made.
    Connect {
        /// The other server, where the registry has referred to one.
        elsewhere: Option<String>,
        /// The proxy in between.
        proxy: Option<Box<ProxyServer>>,
        /// The error of the HTTP client.
        source: reqwest::Error,
    },
    /// The registry proves its identity with a certificate that no trusted authority has signed, or not
    /// at all.
    Certificate(CertificateProblem),
    /// The registry requires a client certificate: none was sent, or the wrong one.
    ClientCertificate(reqwest::Error),
    /// The registry and this machine have no way of speaking TLS in common, or it wants a
    /// certificate and does not say so.
    Handshake(reqwest::Error),
    /// The registry answers in plain HTTP.
    PlainHttp,
    /// The registry is asked in plain HTTP and speaks HTTPS.
    SpeaksHttps,
    /// A variable does not name the proxy that it should name.
    Proxy(ProxyError),
    /// The connection broke off.
    Broken {
        /// The other server, where the registry has referred to one.
        elsewhere: Option<String>,
        /// The error of the HTTP client.
        source: Option<reqwest::Error>,
    },
    /// Nothing came for too long.
    Stalled {
        /// The other server, where the registry has referred to one.
        elsewhere: Option<String>,
        /// How long, over all attempts.
        after: Duration,
    },
    /// What is wanted came too slowly.
    Slow {
        /// The other server, where the registry has referred to one.
        elsewhere: Option<String>,
        /// How many bytes came.
        bytes: u64,
        /// In which time.
        during: Duration,
    },
    /// A page for people came instead of what was wanted.
    WebPage {
        /// The other server, where the registry has referred to one.
        elsewhere: Option<String>,
        /// What the page is called, or its first words; may be empty.
        title: String,
    },
    /// It is not there.
    NotFound {
        /// What the registry says.
        message: Option<ServerMessage>,
    },
    /// The registry denies access. Many answer the same for what does not exist.
    Denied {
        /// The identity that was denied.
        identity: Box<DeniedIdentity>,
        /// What the registry says.
        message: Option<ServerMessage>,
    },
    /// The registry does not accept the credentials.
    Credentials {
        /// Where they came from; `None` when the caller gave them.
        source: Option<Arc<CredentialSource>>,
        /// What the registry says.
        message: Option<ServerMessage>,
    },
    /// The registry wants credentials in ways that are not known.
    Schemes {
        /// The schemes that it names; untrusted text.
        schemes: Vec<String>,
    },
    /// The search for credentials failed.
    Auth(Box<dyn Error + Send + Sync>),
    /// The registry wants fewer requests.
    RateLimited {
        /// How long it asks to wait, where it says so.
        retry_after: Option<Duration>,
        /// What the registry says.
        message: Option<ServerMessage>,
    },
    /// Another answer than one to go on with.
    Status {
        /// The HTTP status.
        status: u16,
        /// How long it asks to wait, where it says so.
        retry_after: Option<Duration>,
        /// What the registry says.
        message: Option<ServerMessage>,
    },
    /// The server that the registry sent us to did not give what was wanted.
    Elsewhere {
        /// Where it sent us.
        elsewhere: String,
        /// The HTTP status.
        status: u16,
        /// How long it asks to wait, where it says so.
        retry_after: Option<Duration>,
    },
    /// A redirect that is not followed.
    Redirect {
        /// Why it is not followed.
        reason: String,
    },
    /// The registry wants us to ask for a token where we do not.
    Realm {
        /// The address.
        realm: String,
        /// The reason, for a sentence.
        reason: String,
        /// It would be asked if the user named its host as one of plain HTTP.
        is_plain: bool,
    },
    /// The token server did not give a token.
    Token {
        /// The token server.
        server: String,
        /// The reason, for a sentence.
        reason: String,
    },
    /// An answer is longer than the limit.
    TooLarge {
        /// The limit.
        limit: u64,
        /// The limit's name.
        setting: &'static str,
    },
    /// The bytes are not those of the digest.
    Digest {
        /// The digest that was asked for, or that the registry states.
        stated: Digest,
        /// The digest of the bytes.
        actual: Digest,
    },
    /// There are more or fewer bytes than the descriptor says.
    Size {
        /// The length in the descriptor.
        stated: u64,
        /// The length that it has.
        actual: u64,
    },
    /// An answer that seems to be damaged or cut off.
    Garbled {
        /// What is wrong.
        reason: String,
    },
    /// An answer that breaks the protocol or a format.
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// It is not an image, or not one that can be kept.
    NoImage {
        /// What it is instead.
        reason: String,
    },
    /// There is no image for the platform.
    Platform {
        /// The platform.
        wanted: Box<Platform>,
        /// The platforms that there are.
        offered: Vec<Platform>,
    },
    /// The HTTP client could not be set up.
    Setup(Box<dyn Error + Send + Sync>),
    /// The user asked to stop.
    Cancelled(Cancelled),
}

impl RegistryErrorKind {
    /// Returns the error that led to it.
    pub(super) fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect { source, .. }
            | Self::Broken {
                source: Some(source),
                ..
            }
            | Self::ClientCertificate(source)
            | Self::Handshake(source) => Some(source),
            Self::Certificate(source) => Some(source),
            Self::Proxy(source) => Some(source),
            Self::Auth(source) | Self::Setup(source) => Some(&**source),
            Self::NotFound { message }
            | Self::Denied { message, .. }
            | Self::Credentials { message, .. }
            | Self::RateLimited { message, .. }
            | Self::Status { message, .. } => message
                .as_ref()
                .map(|message| message as &(dyn Error + 'static)),
            Self::PlainHttp
            | Self::SpeaksHttps
            | Self::Broken { source: None, .. }
            | Self::Stalled { .. }
            | Self::Slow { .. }
            | Self::WebPage { .. }
            | Self::Schemes { .. }
            | Self::Elsewhere { .. }
            | Self::Redirect { .. }
            | Self::Realm { .. }
            | Self::Token { .. }
            | Self::TooLarge { .. }
            | Self::Digest { .. }
            | Self::Size { .. }
            | Self::Garbled { .. }
            | Self::Malformed { .. }
            | Self::NoImage { .. }
            | Self::Platform { .. }
            | Self::Cancelled(_) => None,
        }
    }
}

/// The identity that a registry denied access.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeniedIdentity {
    /// Credentials were sent, and the registry accepted them as such.
    pub with_credentials: bool,
    /// Where they came from; `None` when the caller gave them.
    pub source: Option<Arc<CredentialSource>>,
    /// Providers that were asked and had none.
    pub tried: Arc<[TriedProvider]>,
}

impl fmt::Display for DeniedIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(formatter, " with the credentials of {source}"),
            None => Ok(()),
        }
    }
}

impl From<Identity> for DeniedIdentity {
    fn from(identity: Identity) -> Self {
        Self {
            with_credentials: identity.known,
            source: identity.source.filter(|_| identity.known),
            tried: identity.tried,
        }
    }
}

/// What a registry says in the body of an error; untrusted text.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the registry says: {0}")]
pub struct ServerMessage(pub String);

impl ServerMessage {
    /// Returns whether it is the credentials that are at fault, and not what was asked for.
    pub(in crate::registry) fn is_about_credentials(&self) -> bool {
        let text = self.0.to_ascii_lowercase();
        ["expired", "credential", "authenticat"]
            .iter()
            .any(|word| text.contains(word))
    }
}
