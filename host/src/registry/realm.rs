//! Which servers are asked because a registry says so: token servers, and those that it redirects
//! to.
//!
//! A registry names the server itself, and anyone who can answer for a registry could make us ask
//! anything within reach, or send a password in clear to a server of theirs. Owns the rules for
//! that. What a name leads to is judged when it is looked up (`network`).

use std::net::IpAddr;

use reqwest::Url;
use url::Host;

use super::network::Network;
use crate::hosts::Hosts;

/// Why a token server of plain HTTP is not asked.
pub(super) const PLAIN: &str = "credentials would go over plain HTTP to a server that you have not \
                                named as one of plain HTTP";

/// A registry that refers to other servers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Referrer<'a> {
    /// Its address.
    pub(super) base: &'a Url,
    /// Where it was reached, if that is known.
    pub(super) peer: Option<IpAddr>,
    /// Which hosts the user has said to speak plain HTTP.
    pub(super) hosts: &'a Hosts,
}

impl Referrer<'_> {
    /// Returns the address of a token server. `has_secret` where it is shown credentials.
    ///
    /// # Errors
    /// Why it is not asked.
    pub(super) fn token_server(self, realm: &str, has_secret: bool) -> Result<Url, String> {
        let url = self
            .base
            .join(realm)
            .map_err(|_| "it is not an address".to_owned())?;
        self.check_token_server(&url, has_secret)?;
        Ok(url)
    }

    /// Refuses a token server that the registry has no business to send us to.
    pub(super) fn check_token_server(self, url: &Url, has_secret: bool) -> Result<(), String> {
        if url.scheme() == "http" && !self.may_be_plain(url, has_secret) {
            return Err(PLAIN.to_owned());
        }
        self.check(url)
    }

    /// Refuses an address that the registry has no business to send us to, whatever for.
    pub(super) fn check(self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it is neither HTTPS nor HTTP".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it has credentials of its own".to_owned());
        }
        if url.host() == self.base.host() || (is_loopback(url) && is_loopback(self.base)) {
            return Ok(());
        }
        let from = self.peer.or_else(|| address(self.base));
        match address(url) {
            Some(address) if !Network::may_lead(from, address) => {
                Err(format!("it is {}", Network::of(address).words()))
            }
            None if is_loopback(url) => Err(format!("it is {}", Network::Loopback.words())),
            _ => Ok(()),
        }
    }

    /// Returns whether plain HTTP may be spoken to a token server: to this machine, to a host that
    /// is spoken to like that already or that the user has named so, and to every one where
    /// nothing is secret and the registry itself is asked like that.
    fn may_be_plain(self, url: &Url, has_secret: bool) -> bool {
        let is_plain = self.base.scheme() == "http";
        is_loopback(url) && is_loopback(self.base)
            || is_plain && url.host() == self.base.host()
            || is_plain && !has_secret
            || self.hosts.is_plain(url)
    }
}

/// Returns whether an address is on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        _ => address(url).is_some_and(|address| Network::of(address) == Network::Loopback),
    }
}

/// Returns the address that is written down; `None` for a name.
fn address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::hosts::{ConfigPaths, HostOverrides};
    use crate::settings::Settings;

    fn hosts(insecure: &[&str]) -> Hosts {
        let mut settings = Settings::default();
        for host in insecure {
            let host = (*host).to_owned();
            let entry = settings.registries.hosts.entry(host).or_default();
            entry.insecure = Some(true);
        }
        let nowhere = ConfigPaths {
            home: None,
            etc: "/nowhere".into(),
            registries_conf: None,
        };
        settings
            .hosts_at(&HostOverrides::default(), nowhere)
            .unwrap()
    }

    fn ask(realm: &str, registry: &str) -> Result<Url, String> {
        asked(realm, registry, None, true)
    }

    fn asked(
        realm: &str,
        registry: &str,
        peer: Option<&str>,
        has_secret: bool,
    ) -> Result<Url, String> {
        Referrer {
            base: &registry.parse().unwrap(),
            peer: peer.map(|peer| peer.parse().unwrap()),
            hosts: &hosts(&["plain.example:5001", "other.example"]),
        }
        .token_server(realm, has_secret)
    }

    #[test]
    fn token_servers_elsewhere_are_asked_over_https() {
        for realm in [
            "https://auth.docker.io/token",
            "https://[2001:db8::1]/t",
            "/token",
        ] {
            ask(realm, "https://registry-1.docker.io").unwrap();
        }
        assert!(ask("http://auth.example/token", "https://r.example").is_err());
    }

    #[test]
    fn a_password_goes_over_plain_http_only_where_the_user_has_said_so() {
        for (realm, registry) in [
            ("http://evil.example/t", "http://r.example:5000"),
            ("http://evil.example/t", "http://127.0.0.1:5000"),
            ("http://evil.example/t", "http://localhost:5000"),
            ("http://r.example/t", "https://r.example"),
            ("http://plain.example/t", "http://r.example"),
            ("http://127.0.0.1/t", "http://r.example"),
        ] {
            assert!(ask(realm, registry).is_err(), "{realm} {registry}");
        }
        for (realm, registry) in [
            ("http://r.example:5001/t", "http://r.example:5000"),
            ("http://127.0.0.1:5001/t", "http://localhost:5000"),
            ("http://plain.example:5001/t", "http://r.example"),
            ("http://plain.example:5001/t", "https://r.example"),
            ("http://other.example/t", "http://r.example"),
            ("http://other.example:80/t", "http://r.example"),
            ("https://evil.example/t", "http://r.example"),
        ] {
            ask(realm, registry).unwrap();
        }
        // Anonymous requests carry nothing to steal.
        asked("http://auth.example/t", "http://r.example", None, false).unwrap();
        assert!(asked("http://auth.example/t", "https://r.example", None, false).is_err());
    }

    #[test]
    fn addresses_within_the_network_are_not_asked_for_a_registry_outside() {
        for realm in [
            "https://10.0.0.1/t",
            "https://192.168.1.1/t",
            "https://169.254.169.254/latest/meta-data",
            "https://127.0.0.1/t",
            "https://localhost/t",
            "https://0.0.0.0/t",
            "https://[::1]/t",
            "https://[fe80::1]/t",
            "https://[fd00::1]/t",
            "https://[::ffff:10.0.0.1]/t",
            "https://[64:ff9b::169.254.169.254]/t",
            "https://100.100.100.200/latest/meta-data",
            "https://2130706433/t",
            "https://0x7f.1/t",
        ] {
            assert!(ask(realm, "https://r.example").is_err(), "{realm}");
        }
    }

    #[test]
    fn a_registry_within_the_network_may_have_its_token_server_beside_it() {
        ask("http://127.0.0.1:5001/t", "http://127.0.0.1:5000").unwrap();
        ask("http://localhost:5001/t", "http://127.0.0.1:5000").unwrap();
        ask("https://10.0.0.5:5001/t", "https://10.0.0.5:5000").unwrap();
        ask("https://10.0.0.6/t", "https://10.0.0.5:5000").unwrap();
        asked(
            "https://10.0.0.6/t",
            "https://r.example",
            Some("10.0.0.5"),
            true,
        )
        .unwrap();
        assert!(
            asked(
                "https://10.0.0.6/t",
                "https://r.example",
                Some("1.1.1.1"),
                true
            )
            .is_err()
        );
        assert!(ask("http://169.254.169.254/t", "http://127.0.0.1:5000").is_err());
        assert!(ask("http://10.0.0.6/t", "http://127.0.0.1:5000").is_err());
    }

    #[test]
    fn what_is_no_address_of_the_web_is_not_asked() {
        for realm in [
            "file:///etc/passwd",
            "gopher://x/",
            "https://",
            "https://u:p@a.example/t",
        ] {
            assert!(ask(realm, "https://r.example").is_err(), "{realm}");
        }
    }
}
