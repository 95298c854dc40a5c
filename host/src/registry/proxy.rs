//! Which proxy a request goes through, by the variables that all tools of the web share.
//!
//! Owns the meaning of `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, which is that of
//! curl and of the tools for containers. This machine is never asked through a proxy.

use std::net::IpAddr;

use reqwest::{Proxy, Url};
use url::Host;

use super::realm;

/// A variable that is no address of a proxy. Its value may have a password, and is not shown.
#[derive(Debug, thiserror::Error)]
#[error("{variable} is not the address of a proxy")]
pub(super) struct ProxyError {
    variable: &'static str,
}

/// The proxies of this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    exceptions: Vec<Exception>,
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

impl Proxies {
    pub(super) fn from_env() -> Result<Self, ProxyError> {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let value = |name: &str| {
            [name.to_owned(), name.to_ascii_lowercase()]
                .iter()
                .filter_map(|name| variable(name))
                .map(|value| value.trim().to_owned())
                .find(|value| !value.is_empty())
        };
        let proxy = |names: [&'static str; 2]| {
            let found = names.iter().find_map(|name| Some((*name, value(name)?)));
            found.map(|(name, text)| address(name, &text)).transpose()
        };
        let exceptions = value("NO_PROXY").unwrap_or_default();
        Ok(Self {
            http: proxy(["HTTP_PROXY", "ALL_PROXY"])?,
            https: proxy(["HTTPS_PROXY", "ALL_PROXY"])?,
            exceptions: exceptions.split(',').filter_map(Exception::of).collect(),
        })
    }

    /// Returns this as the HTTP client takes it.
    pub(super) fn into_proxy(self) -> Proxy {
        Proxy::custom(move |url| self.find(url).cloned())
    }

    /// Returns the proxy for an address.
    pub(super) fn find(&self, url: &Url) -> Option<&Url> {
        let proxy = match url.scheme() {
            "https" => self.https.as_ref()?,
            _ => self.http.as_ref()?,
        };
        let is_direct = realm::is_loopback(url)
            || self
                .exceptions
                .iter()
                .any(|exception| exception.covers(url));
        (!is_direct).then_some(proxy)
    }
}

fn address(variable: &'static str, text: &str) -> Result<Url, ProxyError> {
    let parsed = if text.contains("://") {
        text.parse::<Url>()
    } else {
        format!("http://{text}").parse()
    };
    parsed
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or(ProxyError { variable })
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

/// Reads an address, or one with the number of its bits behind it.
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
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        let find = |name: &str| {
            let mut variables = variables.iter();
            let (_, value) = variables.find(|(key, _)| *key == name)?;
            Some((*value).to_owned())
        };
        Proxies::of(find).unwrap()
    }

    fn proxy_of(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let proxies = proxies(variables);
        proxies.find(&url.parse().unwrap()).map(Url::to_string)
    }

    #[test]
    fn each_scheme_has_its_proxy_and_capitals_go_first() {
        let variables = [
            ("http_proxy", "http://small:1"),
            ("HTTP_PROXY", "http://plain:1"),
            ("ALL_PROXY", "any:3128"),
        ];
        let plain = proxy_of(&variables, "http://a.example/");
        assert_eq!(plain.as_deref(), Some("http://plain:1/"));
        let secure = proxy_of(&variables, "https://a.example/");
        assert_eq!(secure.as_deref(), Some("http://any:3128/"));
        assert_eq!(proxy_of(&variables[..2], "https://a.example/"), None);
        assert_eq!(proxy_of(&[("HTTP_PROXY", "  ")], "http://a.example/"), None);
    }

    #[test]
    fn exceptions_are_domains_addresses_and_networks_with_or_without_a_port() {
        for (exceptions, url, is_direct) in [
            ("example.com", "https://example.com/", true),
            ("example.com", "https://r.EXAMPLE.com:5000/", true),
            (".example.com", "https://r.example.com/", true),
            ("*.example.com", "https://r.example.com/", true),
            ("example.com", "https://notexample.com/", false),
            ("example.com:5000", "https://example.com:5000/", true),
            ("example.com:443", "https://example.com/", true),
            ("example.com:5000", "https://example.com/", false),
            ("other.com, 10.0.0.0/8", "http://10.1.2.3:80/", true),
            ("10.0.0.0/8", "http://11.1.2.3/", false),
            ("10.1.2.3:81", "http://10.1.2.3:80/", false),
            ("fd00::/8", "http://[fd12::1]/", true),
            ("[fd12::1]:80", "http://[fd12::1]/", true),
            ("0.0.0.0/0", "http://10.1.2.3/", true),
            ("*", "http://10.1.2.3/", true),
            ("", "http://10.1.2.3/", false),
            ("10.0.0.0/99, :, a:b", "http://10.1.2.3/", false),
        ] {
            let variables = [("ALL_PROXY", "http://proxy:1"), ("no_proxy", exceptions)];
            let found = proxy_of(&variables, url);
            assert_eq!(found.is_none(), is_direct, "{exceptions} {url}");
        }
    }

    #[test]
    fn this_machine_is_asked_directly() {
        for url in [
            "http://localhost:5000",
            "https://127.0.0.1",
            "http://[::1]:5000",
        ] {
            assert_eq!(proxy_of(&[("ALL_PROXY", "http://proxy:1")], url), None);
        }
    }

    #[test]
    fn what_is_no_proxy_is_told_without_its_password() {
        for text in ["http://", "socks5://u:secret@h:1", "http://u:secret@h:x"] {
            let find = |name: &str| (name == "HTTPS_PROXY").then(|| text.to_owned());
            let error = Proxies::of(find).unwrap_err();
            assert_eq!(
                error.to_string(),
                "HTTPS_PROXY is not the address of a proxy"
            );
        }
    }
}
