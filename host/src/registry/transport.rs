//! HTTP connections for one endpoint: TLS, proxies, names, limits of time.
//!
//! Owns which client a request is sent with. One is made when the first request needs it, so that
//! no setting matters to a request that does not use it.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Proxy, Url};
use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::sign::SingleCertAndKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate::{Trust, Unverified};
use super::network::{Lookup, Peer};
use super::proxy::{Proxies, ProxyError, ProxyServer};
use crate::crypto::{certified, provider};
use crate::hosts::{ClientIdentity, Hosts, HostsError, TlsSettings};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The connections of a registry, and of the servers that it refers to.
#[derive(Debug)]
pub(super) struct Transport {
    tls: Arc<TlsSettings>,
    /// Where the user says how to speak to the other servers.
    hosts: Arc<Hosts>,
    /// The registry's own name.
    registry: String,
    proxies: Proxies,
    pub(super) peer: Peer,
    clients: Mutex<HashMap<Key, Noted>>,
}

/// A client, and what the user should know of it.
pub(crate) type Noted = (reqwest::Client, Arc<[String]>);

/// What tells clients apart: who is asked, by name where the user has set something for another
/// server, and the proxy. So there are no more clients than there are settings, whatever names a
/// registry refers to.
type Key = (Side, Option<String>, Option<ProxyServer>);

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Side {
    /// The registry itself, wherever it is.
    Registry,
    /// The token service that it names. What the user has set for the registry is not for it, but
    /// for the certificates that are trusted; what is set for its own host is. A name of it must not
    /// lead where the registry may not lead.
    TokenService,
    /// Another server that it refers to: the same, but no client certificate is shown. Only the
    /// user, and no registry, decides to whom that is shown.
    Elsewhere,
}

/// What a request is sent with.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) client: reqwest::Client,
    pub(super) side: Side,
    /// What stands in between.
    pub(super) proxy: Option<ProxyServer>,
    /// What the user should know of it.
    pub(super) notices: Arc<[String]>,
}

/// Why there is no connection before anything was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    #[error(transparent)]
    Hosts(#[from] HostsError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

impl Transport {
    /// Returns the connections for the registry of this name, which has a port or not.
    pub(super) fn new(hosts: &Arc<Hosts>, tls: Arc<TlsSettings>, authority: &str) -> Self {
        let registry = match authority.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => authority,
        };
        Self {
            tls,
            hosts: Arc::clone(hosts),
            registry: registry.to_owned(),
            proxies: Proxies::from_env(),
            peer: Peer::default(),
            clients: Mutex::default(),
        }
    }

    /// Returns what a request to an address is sent with.
    pub(super) fn connection(&self, url: &Url, side: Side) -> Result<Connection, TransportError> {
        let proxy = self.proxies.find(url)?;
        let key = match (side, authority(url)) {
            (Side::Registry, _) => (side, None, proxy),
            (_, name) if self.hosts.has_settings(&name) => (side, Some(name), proxy),
            _ => (Side::Elsewhere, None, proxy),
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let (client, notices) = if let Some(known) = clients.get(&key) {
            known.clone()
        } else {
            let tls = self.tls_of(&key)?;
            let client = self.client(key.0, &tls, key.2.as_ref())?;
            let new = (client, tls.notices.as_slice().into());
            clients.insert(key.clone(), new.clone());
            new
        };
        Ok(Connection {
            client,
            side,
            proxy: key.2,
            notices: match url.scheme() {
                "https" => notices,
                _ => [].into(),
            },
        })
    }

    /// Returns how a server proves who it is, and how we do. Another server than the registry is
    /// trusted as the user has set for it, and by what the registry is trusted for.
    fn tls_of(&self, (side, name, _): &Key) -> Result<Arc<TlsSettings>, HostsError> {
        if *side == Side::Registry {
            return Ok(Arc::clone(&self.tls));
        }
        let mut tls = match name {
            Some(name) => self.hosts.tls(name)?,
            None => TlsSettings::default(),
        };
        tls.roots.extend(self.tls.roots.iter().cloned());
        if *side != Side::TokenService {
            tls.identity = None;
        }
        Ok(Arc::new(tls))
    }

    fn client(
        &self,
        side: Side,
        tls: &TlsSettings,
        proxy: Option<&ProxyServer>,
    ) -> Result<reqwest::Client, TransportError> {
        let mut builder = builder()
            // Its own look at the environment is another one than ours.
            .no_proxy()
            // Streams of one connection would share its window; each layer has a connection instead.
            .http1_only()
            .tls_backend_preconfigured(config(tls)?);
        builder = match (proxy, side) {
            (Some(proxy), _) => builder.proxy(Proxy::all(proxy.url().clone())?),
            (None, Side::TokenService | Side::Elsewhere) => builder.dns_resolver(Lookup {
                peer: self.peer.clone(),
                registry: self.registry.clone(),
            }),
            (None, Side::Registry) => builder,
        };
        Ok(builder.build()?)
    }
}

fn config(tls: &TlsSettings) -> Result<ClientConfig, rustls::Error> {
    let provider = provider();
    let verifier: Arc<dyn ServerCertVerifier> = if tls.verify {
        Arc::new(Trust::new(&tls.roots, Arc::clone(&provider))?)
    } else {
        Arc::new(Unverified {
            provider: Arc::clone(&provider),
        })
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &tls.identity {
        Some(identity) => {
            let (certificates, key) = pair(identity)?;
            let resolver = SingleCertAndKey::from(certified(certificates, key)?);
            builder.with_client_cert_resolver(Arc::new(resolver))
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Returns a client for a server that need not be a registry: with the certificates that are set
/// for its host, and without redirects. And what the user should know of the connection.
pub(crate) fn client_for(
    hosts: &Arc<Hosts>,
    url: &Url,
) -> Result<Noted, Box<dyn Error + Send + Sync>> {
    let authority = authority(url);
    let tls = Arc::new(hosts.tls(&authority)?);
    let connection = Transport::new(hosts, tls, &authority).connection(url, Side::Registry)?;
    Ok((connection.client, connection.notices))
}

/// Returns the connections for a server that need not be a registry and that the user has named, and
/// for those that it refers to.
pub(super) fn transport_for_named(hosts: &Arc<Hosts>, url: &Url) -> Result<Transport, HostsError> {
    let authority = authority(url);
    let tls = Arc::new(hosts.tls_of_named(&authority)?);
    Ok(Transport::new(hosts, tls, &authority))
}

/// Returns host and port as the names of registries have them.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
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

/// Returns certificates and key as the TLS library takes them.
fn pair(
    identity: &ClientIdentity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), rustls::Error> {
    let certificates = identity.certificates.iter();
    let key = PrivateKeyDer::try_from(identity.key.as_ref())
        .map_err(|reason| rustls::Error::General(reason.to_owned()))?;
    Ok((
        certificates.map(|der| der.clone().into()).collect(),
        key.clone_key(),
    ))
}

/// Returns whether the other side has ended a connection because of our certificate, or for want
/// of one.
pub(super) fn wants_certificate(error: &reqwest::Error) -> bool {
    matches!(
        cause::<rustls::Error>(error),
        Some(rustls::Error::AlertReceived(
            rustls::AlertDescription::CertificateRequired
                | rustls::AlertDescription::BadCertificate
                | rustls::AlertDescription::UnknownCA
                | rustls::AlertDescription::CertificateUnknown
                | rustls::AlertDescription::CertificateExpired
                | rustls::AlertDescription::AccessDenied
        ))
    )
}

/// Returns whether the two sides have found no way of speaking TLS that both know.
pub(super) fn has_nothing_in_common(error: &reqwest::Error) -> bool {
    matches!(
        cause::<rustls::Error>(error),
        Some(
            rustls::Error::PeerIncompatible(_)
                | rustls::Error::AlertReceived(
                    rustls::AlertDescription::HandshakeFailure
                        | rustls::AlertDescription::ProtocolVersion
                        | rustls::AlertDescription::InsufficientSecurity
                )
        )
    )
}

/// Returns whether the other side answered in something else than TLS.
pub(super) fn speaks_no_tls(error: &reqwest::Error) -> bool {
    matches!(
        cause::<rustls::Error>(error),
        Some(rustls::Error::InvalidMessage(_))
    )
}

/// Returns the first error of a type among the causes of another.
pub(super) fn cause<T: Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
