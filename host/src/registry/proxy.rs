//! Which proxy a request goes through, by the variables that all tools of the web share.
//!
//! Owns the meaning of `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, which is that of
//! curl and of the tools for containers. This machine is never asked through a proxy, and a
//! variable is only read for a request that it is for.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;
use url::Host;

use super::realm;

/// A variable that does not name a proxy. Its value may have a password, and is not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is not the address of a proxy: {reason}")]
pub struct ProxyError {
    /// The variable, as the user has spelt it.
    pub variable: String,
    reason: &'static str,
}

/// A proxy, and who named it. Shows no password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProxyServer {
    url: Url,
    variable: String,
}

/// The proxies of this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    http: Option<Variable>,
    https: Option<Variable>,
    exceptions: Vec<Exception>,
}

/// A variable of the environment that names a proxy, not read yet.
#[derive(Clone)]
struct Variable {
    name: String,
    value: String,
}

/// What is asked directly.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Everything,
    /// A domain and those below it, on one port or on all.
    Domain(String, Option<u16>),
    /// A network, by the bits that its addresses have in common.
    Network(IpAddr, u8, Option<u16>),
}

impl ProxyServer {
    /// Returns the variable that names it, as the user has spelt it: `https_proxy`.
    pub fn variable(&self) -> &str {
        &self.variable
    }

    /// Returns its address, a password in it included.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

impl fmt::Display for ProxyServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        write!(formatter, "{}://{host}", self.url.scheme())?;
        match self.url.port() {
            Some(port) => write!(formatter, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ProxyServer({self}, {})", self.variable)
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl Proxies {
    pub(super) fn from_env() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let find = |names: &[&str]| {
            names
                .iter()
                .flat_map(|name| [(*name).to_owned(), name.to_ascii_lowercase()])
                .find_map(|name| {
                    let value = variable(&name)?.trim().to_owned();
                    (!value.is_empty()).then_some(Variable { name, value })
                })
        };
        let exceptions = find(&["NO_PROXY"]).map_or_else(String::new, |found| found.value);
        Self {
            http: find(&["HTTP_PROXY", "ALL_PROXY"]),
            https: find(&["HTTPS_PROXY", "ALL_PROXY"]),
            exceptions: exceptions.split(',').filter_map(Exception::of).collect(),
        }
    }

    /// Returns the proxy for an address; `None` where it is asked directly.
    ///
    /// # Errors
    /// [`ProxyError`] when the variable for the address does not name a proxy.
    pub(super) fn find(&self, url: &Url) -> Result<Option<ProxyServer>, ProxyError> {
        let is_direct = realm::is_loopback(url)
            || self
                .exceptions
                .iter()
                .any(|exception| exception.covers(url));
        let variable = match url.scheme() {
            "https" => self.https.as_ref(),
            _ => self.http.as_ref(),
        };
        variable
            .filter(|_| !is_direct)
            .map(Variable::read)
            .transpose()
    }
}

impl Variable {
    fn read(&self) -> Result<ProxyServer, ProxyError> {
        let error = |reason| ProxyError {
            variable: self.name.clone(),
            reason,
        };
        let (scheme, rest) = match self.value.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None => ("http".to_owned(), self.value.as_str()),
        };
        let scheme = match scheme.as_str() {
            "http" | "https" | "socks4" | "socks4a" | "socks5h" => scheme.as_str(),
            // Names are looked up by the proxy, as the tools for containers have it.
            "socks" | "socks5" => "socks5h",
            _ => {
                return Err(error(
                    "the scheme is none of http, https, socks5, socks5h, socks4 and socks4a",
                ));
            }
        };
        let url: Url = format!("{scheme}://{rest}")
            .parse()
            .map_err(|_| error("it is not `scheme://host:port`"))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(error("it names no host"));
        }
        Ok(ProxyServer {
            url,
            variable: self.name.clone(),
        })
    }
}

impl Exception {
    fn of(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        match text.as_str() {
            "" => return None,
            "*" => return Some(Self::Everything),
            _ => {}
        }
        if let Some(network) = network(&text) {
            return Some(network);
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text.as_str(), None),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        Some(if let Ok(address) = bare.parse::<IpAddr>() {
            Self::Network(address, bits(address), port)
        } else {
            let domain = host.trim_start_matches("*.").trim_start_matches('.');
            Self::Domain(domain.to_owned(), port)
        })
    }

    fn covers(&self, url: &Url) -> bool {
        let is_port = |port: Option<u16>| port.is_none() || port == url.port_or_known_default();
        match (self, url.host()) {
            (Self::Everything, _) => true,
            (Self::Domain(domain, port), Some(Host::Domain(host))) => {
                let below = host.strip_suffix(domain.as_str());
                is_port(*port) && below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (Self::Network(network, bits, port), Some(Host::Ipv4(address))) => {
                is_port(*port) && is_within(IpAddr::V4(address), *network, *bits)
            }
            (Self::Network(network, bits, port), Some(Host::Ipv6(address))) => {
                is_port(*port) && is_within(IpAddr::V6(address), *network, *bits)
            }
            _ => false,
        }
    }
}

/// Reads an address, or one with the number of its bits after it.
fn network(text: &str) -> Option<Exception> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let bits = match length {
        Some(length) => length
            .parse()
            .ok()
            .filter(|length| *length <= bits(address))?,
        None => bits(address),
    };
    Some(Exception::Network(address, bits, None))
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let bits = u32::from(bits);
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= bits
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= bits
        }
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
