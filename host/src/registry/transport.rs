//! HTTP connections to one place: TLS, proxies, limits of time.

use std::error::Error;
use std::sync::Once;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity};

use super::hosts::{ClientIdentity, Hosts, TlsSettings};
use super::proxy::Proxies;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Two clients: one for the registry itself, one for wherever it sends us.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    /// For the registry.
    pub(super) inside: reqwest::Client,
    /// For other hosts. It shows no certificate of ours, and always looks at theirs.
    pub(super) outside: reqwest::Client,
}

impl Transport {
    pub(super) fn new(tls: &TlsSettings) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self {
            inside: client(tls, tls.identity.as_ref(), tls.verify)?,
            outside: client(tls, None, true)?,
        })
    }
}

/// Returns a client for a server that need not be a registry: with the certificates that are set
/// for its host, and without redirects.
pub(crate) fn client_for(
    hosts: &Hosts,
    url: &reqwest::Url,
) -> Result<reqwest::Client, Box<dyn Error + Send + Sync>> {
    let host = url.host_str().unwrap_or_default();
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let tls = hosts.tls(&authority);
    client(&tls, tls.identity.as_ref(), true)
}

/// Returns a client for a server of this process: no proxy, no redirects.
pub(crate) fn client_for_loopback() -> reqwest::Result<reqwest::Client> {
    builder().no_proxy().build()
}

fn builder() -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Fails only where the program has one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
        .user_agent(concat!("msb/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
}

fn client(
    tls: &TlsSettings,
    identity: Option<&ClientIdentity>,
    verify: bool,
) -> Result<reqwest::Client, Box<dyn Error + Send + Sync>> {
    let roots = tls
        .roots
        .iter()
        .map(|root| Certificate::from_der(root))
        .collect::<Result<Vec<_>, _>>()?;
    let mut builder = builder()
        // Its own look at the environment is another one than ours.
        .no_proxy()
        .proxy(Proxies::from_env()?.into_proxy())
        // Streams of one connection would share its window; each layer has a connection instead.
        .http1_only()
        .tls_certs_merge(roots)
        .tls_danger_accept_invalid_certs(!verify)
        .tls_danger_accept_invalid_hostnames(!verify);
    if let Some(identity) = identity {
        builder = builder.identity(Identity::from_pem(pem(identity).as_bytes())?);
    }
    Ok(builder.build()?)
}

/// Returns certificates and key as the client reads them. Source: RFC 7468.
fn pem(identity: &ClientIdentity) -> zeroize::Zeroizing<String> {
    let block = |label: &str, der: &[u8]| {
        let body = zeroize::Zeroizing::new(STANDARD.encode(der));
        format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            *body
        )
    };
    let mut text = zeroize::Zeroizing::new(block(identity.key.label(), identity.key.as_ref()));
    for certificate in &identity.certificates {
        text.push_str(&block("CERTIFICATE", certificate));
    }
    text
}

/// Returns whether a connection failed for what the certificate of the other side says.
pub(super) fn is_certificate_problem(error: &reqwest::Error) -> bool {
    matches!(
        rustls_error(error),
        Some(
            rustls::Error::InvalidCertificate(_)
                | rustls::Error::NoCertificatesPresented
                | rustls::Error::UnsupportedNameType
        )
    )
}

/// Returns whether the other side has ended a connection because of our certificate, or for want
/// of one.
pub(super) fn wants_certificate(error: &reqwest::Error) -> bool {
    matches!(
        rustls_error(error),
        Some(rustls::Error::AlertReceived(
            rustls::AlertDescription::CertificateRequired
                | rustls::AlertDescription::BadCertificate
                | rustls::AlertDescription::UnknownCA
                | rustls::AlertDescription::CertificateUnknown
                | rustls::AlertDescription::CertificateExpired
                | rustls::AlertDescription::AccessDenied
                | rustls::AlertDescription::HandshakeFailure
        ))
    )
}

fn rustls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An I/O error hides what it wraps from the chain.
        let inside = error
            .downcast_ref::<std::io::Error>()
            .and_then(|error| error.get_ref());
        next = match inside {
            Some(inside) => Some(inside as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// Returns whether the other side answered in something else than TLS.
pub(super) fn speaks_no_tls(error: &reqwest::Error) -> bool {
    matches!(rustls_error(error), Some(rustls::Error::InvalidMessage(_)))
}
