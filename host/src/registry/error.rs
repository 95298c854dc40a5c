//! What can go wrong with a registry.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::authorize::Identity;
use super::certificate::CertificateProblem;
use super::credentials::{CredentialSource, TriedProvider};
use super::proxy::{ProxyError, ProxyServer};
use crate::address;
use crate::cancel::Cancelled;
use crate::digest::Digest;
use crate::platform::Platform;

/// Something that was wanted of a registry and could not be had. `what` names it with its
/// repository: `manifest library/python:3`, `blob sha256:…`. Texts of registries are untrusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The connection could not be made.
    #[error(
        "could not connect to {} for {what}{}",
        peer(.host, .elsewhere.as_deref()),
        through(.proxy.as_deref())
    )]
    Connect {
        /// The registry or mirror, or the server that it refers to.
        host: String,
        /// The other server, where the registry has referred to one.
        elsewhere: Option<String>,
        /// What was wanted.
        what: String,
        /// The proxy in between.
        proxy: Option<Box<ProxyServer>>,
        /// The error of the HTTP client.
        #[source]
        source: reqwest::Error,
    },
    /// The registry proves its identity with a certificate that no trusted authority has signed, or not
    /// at all.
    #[error("no trusted connection to registry {host}")]
    Certificate {
        /// The registry or mirror, or the server that it refers to.
        host: String,
        /// What is wrong with the certificate.
        #[source]
        source: CertificateProblem,
    },
    /// The registry requires a client certificate: none was sent, or the wrong one.
    #[error("registry {host} requires a client certificate (none, or the wrong one, was sent)")]
    ClientCertificate {
        /// The registry or mirror.
        host: String,
        /// The error of the HTTP client.
        #[source]
        source: reqwest::Error,
    },
    /// The registry and this machine have no way of speaking TLS in common, or it wants a
    /// certificate and does not say so.
    #[error(
        "registry {host} ended the TLS handshake: there is no version, cipher or kind of certificate that both take"
    )]
    Handshake {
        /// The registry or mirror, or the server that it refers to.
        host: String,
        /// The error of the HTTP client.
        #[source]
        source: reqwest::Error,
    },
    /// The registry answers in plain HTTP.
    #[error("registry {host} does not speak HTTPS")]
    PlainHttp {
        /// The registry or mirror.
        host: String,
    },
    /// The registry is asked in plain HTTP and speaks HTTPS.
    #[error("registry {host} speaks HTTPS, and was asked in plain HTTP")]
    SpeaksHttps {
        /// The registry or mirror.
        host: String,
    },
    /// A variable does not name the proxy that it should name.
    #[error("could not find the proxy for registry {host}")]
    Proxy {
        /// The registry or mirror, or the server that it refers to.
        host: String,
        /// What is wrong with the variable.
        #[source]
        source: ProxyError,
    },
    /// The connection broke off.
    #[error("the connection to {} broke off during {what}", peer(.host, .elsewhere.as_deref()))]
    Broken {
        /// The registry or mirror.
        host: String,
        /// The other server, where the registry has referred to one.
        elsewhere: Option<String>,
        /// What was being fetched.
        what: String,
        /// The error of the HTTP client.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// Nothing came for too long.
    #[error(
        "{} sent nothing for {} s during {what} (settings `registries.stall_timeout_secs` and \
         `registries.give_up_after_secs`)",
        peer(.host, .elsewhere.as_deref()),
        after.as_secs()
    )]
    Stalled {
        /// The registry or mirror.
        host: String,
        /// The other server, where the registry has referred to one.
        elsewhere: Option<String>,
        /// What was being fetched.
        what: String,
        /// How long, over all attempts.
        after: Duration,
    },
    /// What is wanted came too slowly.
    #[error(
        "{} sent only {} of {what} in {} s (setting `registries.least_bytes_per_sec`)",
        peer(.host, .elsewhere.as_deref()),
        amount(*.bytes),
        during.as_secs()
    )]
    Slow {
        /// The registry or mirror.
        host: String,
        /// The other server, where the registry has referred to one.
        elsewhere: Option<String>,
        /// What was being fetched.
        what: String,
        /// How many bytes came.
        bytes: u64,
        /// In which time.
        during: Duration,
    },
    /// A page for people came instead of what was wanted.
    #[error(
        "{} answered the request for {what} with a web page{} (captive portal or proxy login?)",
        peer(.host, .elsewhere.as_deref()),
        titled(.title)
    )]
    WebPage {
        /// The registry or mirror.
        host: String,
        /// The other server, where the registry has referred to one.
        elsewhere: Option<String>,
        /// What was wanted.
        what: String,
        /// What the page is called, or its first words; may be empty.
        title: String,
    },
    /// It is not there.
    #[error("{what} was not found on registry {host}")]
    NotFound {
        /// The registry or mirror.
        host: String,
        /// What was wanted.
        what: String,
        /// What the registry says.
        #[source]
        message: Option<ServerMessage>,
    },
    /// The registry denies access. Many answer the same for what does not exist.
    #[error("{what} on registry {host}: not found, or no access{identity}")]
    Denied {
        /// The registry or mirror.
        host: String,
        /// What was wanted.
        what: String,
        /// The identity that was denied.
        identity: Box<DeniedIdentity>,
        /// What the registry says.
        #[source]
        message: Option<ServerMessage>,
    },
    /// The registry does not accept the credentials.
    #[error("registry {host} does not accept the credentials{} for {what}", of(.origin.as_deref()))]
    Credentials {
        /// The registry or mirror.
        host: String,
        /// What was wanted.
        what: String,
        /// Where they came from; `None` when the caller gave them.
        origin: Option<Arc<CredentialSource>>,
        /// What the registry says.
        #[source]
        message: Option<ServerMessage>,
    },
    /// The credentials could not be found out.
    #[error("could not get credentials for registry {host}")]
    Auth {
        /// The registry or mirror.
        host: String,
        /// The error of the search for credentials.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The registry wants fewer requests.
    #[error("registry {host} limits the rate of requests{}", wait(*.retry_after))]
    RateLimited {
        /// The registry or mirror.
        host: String,
        /// How long it asks to wait, where it says so.
        retry_after: Option<Duration>,
        /// What the registry says.
        #[source]
        message: Option<ServerMessage>,
    },
    /// Another answer than one to go on with.
    #[error("registry {host} answered {status} to the request for {what}{}", wait(*.retry_after))]
    Status {
        /// The registry or mirror.
        host: String,
        /// What was wanted.
        what: String,
        /// The HTTP status.
        status: u16,
        /// How long it asks to wait, where it says so.
        retry_after: Option<Duration>,
        /// What the registry says.
        #[source]
        message: Option<ServerMessage>,
    },
    /// The server that the registry sent us to did not give what was wanted.
    #[error("{elsewhere}, to which registry {host} refers for {what}, answered {status}{}", wait(*.retry_after))]
    Elsewhere {
        /// The registry or mirror.
        host: String,
        /// Where it sent us.
        elsewhere: String,
        /// What was wanted.
        what: String,
        /// The HTTP status.
        status: u16,
        /// How long it asks to wait, where it says so.
        retry_after: Option<Duration>,
    },
    /// A redirect that is not followed.
    #[error("registry {host} redirects the request for {what}: {reason}")]
    Redirect {
        /// The registry or mirror.
        host: String,
        /// What was wanted.
        what: String,
        /// Why it is not followed.
        reason: String,
    },
    /// The registry wants us to ask for a token where we do not.
    #[error("registry {host} asks for a token from `{}`, which is not asked: {reason}", address::shown(.realm))]
    Realm {
        /// The registry or mirror.
        host: String,
        /// The address.
        realm: String,
        /// The reason, for a sentence.
        reason: String,
        /// It would be asked if the user named its host as one of plain HTTP.
        is_plain: bool,
    },
    /// The token server did not give a token.
    #[error("no token for registry {host} from {server}: {reason}")]
    Token {
        /// The registry or mirror.
        host: String,
        /// The token server.
        server: String,
        /// The reason, for a sentence.
        reason: String,
    },
    /// An answer is longer than the limit.
    #[error("{what} from registry {host} is more than {limit} bytes long (limit `{setting}`)")]
    TooLarge {
        /// The registry or mirror.
        host: String,
        /// What was wanted.
        what: String,
        /// The limit.
        limit: u64,
        /// The limit's name.
        setting: &'static str,
    },
    /// The bytes are not those of the digest.
    #[error(
        "{what} from registry {host} does not match its digest: {stated} is stated, {actual} is there"
    )]
    Digest {
        /// The registry or mirror.
        host: String,
        /// What was wanted.
        what: String,
        /// The digest that was asked for, or that the registry states.
        stated: Digest,
        /// The digest of the bytes.
        actual: Digest,
    },
    /// There are more or fewer bytes than the descriptor says.
    #[error("{what} from registry {host} is {actual} bytes long, its descriptor says {stated}")]
    Size {
        /// The registry or mirror.
        host: String,
        /// What was wanted.
        what: String,
        /// The length in the descriptor.
        stated: u64,
        /// The length that it has.
        actual: u64,
    },
    /// An answer that seems to be damaged or cut off.
    #[error("registry {host} gave {what} that cannot be read: {reason}")]
    Garbled {
        /// The registry or mirror.
        host: String,
        /// What was wanted.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// An answer that breaks the protocol or a format.
    #[error("registry {host} gave {what} that cannot be used: {reason}")]
    Malformed {
        /// The registry or mirror.
        host: String,
        /// What was wanted.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// It is no image, or none that can be kept.
    #[error("{what} on registry {host} cannot be kept as an image: {reason}")]
    NoImage {
        /// The registry or mirror.
        host: String,
        /// What was wanted.
        what: String,
        /// What it is instead.
        reason: String,
    },
    /// There is no image for the platform.
    #[error("{what} on registry {host} has no image for platform {wanted}: there is {}", list(.offered))]
    Platform {
        /// The registry or mirror.
        host: String,
        /// What was wanted.
        what: String,
        /// The platform.
        wanted: Box<Platform>,
        /// The platforms that there are.
        offered: Vec<Platform>,
    },
    /// The HTTP client could not be set up.
    #[error("could not set up the connection to registry {host}")]
    Setup {
        /// The registry or mirror.
        host: String,
        /// The underlying error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// The identity that a registry denied access.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeniedIdentity {
    /// Credentials were sent, and the registry accepted them as such.
    pub with_credentials: bool,
    /// Where they came from; `None` when the caller gave them.
    pub origin: Option<Arc<CredentialSource>>,
    /// Providers that were asked and had none.
    pub tried: Arc<[TriedProvider]>,
}

impl fmt::Display for DeniedIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(formatter, " with the credentials of {origin}"),
            None => Ok(()),
        }
    }
}

impl From<Identity> for DeniedIdentity {
    fn from(identity: Identity) -> Self {
        Self {
            with_credentials: identity.known,
            origin: identity.origin.filter(|_| identity.known),
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
    pub(super) fn is_about_credentials(&self) -> bool {
        let text = self.0.to_ascii_lowercase();
        ["expired", "credential", "authenticat"]
            .iter()
            .any(|word| text.contains(word))
    }
}

/// Returns who failed: the registry, or a server that it refers to.
fn peer(host: &str, elsewhere: Option<&str>) -> String {
    match elsewhere {
        None => format!("registry {host}"),
        Some(elsewhere) => format!("{elsewhere}, to which registry {host} refers,"),
    }
}

fn titled(title: &str) -> String {
    match title {
        "" => String::new(),
        title => format!(" \u{201c}{title}\u{201d}"),
    }
}

fn amount(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        _ => format!("{} KiB", bytes / 1024),
    }
}

fn of(origin: Option<&CredentialSource>) -> String {
    origin.map_or_else(String::new, |origin| format!(" of {origin}"))
}

/// Returns the proxy of a connection, for a sentence.
pub(super) fn through(proxy: Option<&ProxyServer>) -> String {
    proxy.map_or_else(String::new, |proxy| {
        format!(
            " through the proxy {proxy} (variable `{}`)",
            proxy.variable()
        )
    })
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |after| {
        format!(": it wants us to wait for {}", span(after.as_secs()))
    })
}

/// Returns a time in the unit that people would say it in.
fn span(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    const YEAR: u64 = 365 * DAY;
    match seconds {
        0..=600 => format!("{seconds} s"),
        601..=7200 => format!("{} min", seconds.div_ceil(MINUTE)),
        7201..=172_800 => format!("{} h", seconds.div_ceil(HOUR)),
        172_801..=63_072_000 => format!("{} days", seconds.div_ceil(DAY)),
        _ => format!("{} years", seconds / YEAR),
    }
}

fn list(platforms: &[Platform]) -> String {
    let mut names: Vec<String> = platforms.iter().map(Platform::to_string).collect();
    names.dedup();
    match names.len() {
        0 => "none".to_owned(),
        _ => names.join(", "),
    }
}
