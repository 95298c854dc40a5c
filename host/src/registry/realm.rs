//! Which token servers are asked.
//!
//! A registry names the server itself, and whoever can answer for a registry could make us ask
//! anything within reach. Owns the rules for that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;
use url::Host;

/// Returns the address of a token server.
///
/// # Errors
/// Why it is not asked.
pub(super) fn checked(realm: &str, registry: &Url) -> Result<Url, &'static str> {
    let url = registry.join(realm).map_err(|_| "it is not an address")?;
    check(&url, registry)?;
    Ok(url)
}

/// Refuses an address that a registry has no business to send us to.
pub(super) fn check(url: &Url, registry: &Url) -> Result<(), &'static str> {
    match (url.scheme(), registry.scheme()) {
        ("https", _) | ("http", "http") => {}
        ("http", _) => return Err("credentials would go over plain HTTP"),
        _ => return Err("it is neither HTTPS nor HTTP"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has credentials of its own");
    }
    if url.host() == registry.host() || (is_loopback(url) && is_loopback(registry)) {
        return Ok(());
    }
    match address(url) {
        Some(address) if is_inner(address) => {
            Err("it is an address within the local network, and not that of the registry")
        }
        _ if is_loopback(url) => Err("it is this machine, and the registry is not"),
        _ => Ok(()),
    }
}

/// Returns whether an address is on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        _ => address(url).is_some_and(|address| address.is_loopback()),
    }
}

fn address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(within(address).map_or(IpAddr::V6(address), IpAddr::V4)),
    }
}

/// Returns the IPv4 address that an IPv6 address leads to. Sources: RFC 4291 section 2.5.5.2;
/// RFC 6052 section 2.1.
fn within(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let translated = match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    };
    address.to_ipv4_mapped().or(translated)
}

fn is_inner(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_private()
                || address.is_link_local()
                || address.is_loopback()
                || address.is_unspecified()
                || address.is_broadcast()
                || is_shared(address)
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || is_link_local(address)
        }
    }
}

/// Returns whether an address is one of a carrier's own, where clouds keep their secrets too.
/// Source: RFC 6598.
fn is_shared(address: Ipv4Addr) -> bool {
    matches!(address.octets(), [100, 64..=127, ..])
}

fn is_link_local(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn ask(realm: &str, registry: &str) -> Result<Url, &'static str> {
        checked(realm, &registry.parse().unwrap())
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
        ask("http://auth.example/token", "http://r.example").unwrap();
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
        assert!(ask("https://10.0.0.6/t", "https://10.0.0.5:5000").is_err());
        assert!(ask("http://169.254.169.254/t", "http://127.0.0.1:5000").is_err());
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
