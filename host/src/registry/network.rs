//! In which network an address is, and who may lead there.
//!
//! Owns the classes of addresses, and looking up names so that the addresses that are connected to
//! are those that were judged. Sources: RFC 1918, 3927, 4193, 4291, 6052, 6598, 6890, 8215.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// The Internet.
    Public,
    /// A network of a house, a company or a carrier.
    Private,
    /// This machine.
    Loopback,
    /// A single link, or an address with a meaning of its own; clouds keep the secrets of a
    /// machine there.
    Special,
}

/// Where a registry was reached, shared by all who must know. `None` before the first connection
/// and where a proxy stands in between.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer(Arc<Mutex<Option<IpAddr>>>);

/// A name that leads to an address to which the registry may not refer.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` has the address {address}, {}", Network::of(*.address).words())]
pub(super) struct ForbiddenAddress {
    name: String,
    address: IpAddr,
}

/// Looks up names for a registry that refers to other servers.
#[derive(Debug)]
pub(super) struct Lookup {
    /// Where the registry is.
    pub(super) peer: Peer,
    /// The registry's own name, which may lead wherever it does.
    pub(super) registry: String,
}

impl Network {
    /// Returns the network that an address is in, whatever its form.
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => match embedded(address) {
                Some(address) => Self::of_v4(address),
                None => Self::of_v6(address),
            },
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            [127, ..] => Self::Loopback,
            // The last of these are a carrier's own, where some clouds keep secrets.
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Self::Private,
            // 0.0.0.0 is this machine as well, but nothing that has a name.
            [0 | 224.., ..] | [169, 254, ..] | [192, 0, 0, _] => Self::Special,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if address.is_loopback() {
            Self::Loopback
        } else if address.is_unique_local() {
            Self::Private
        } else if address.is_unspecified()
            || address.is_multicast()
            || address.is_unicast_link_local()
            // Site-local, which is not used any more.
            || address.segments()[0] & 0xffc0 == 0xfec0
        {
            Self::Special
        } else {
            Self::Public
        }
    }

    /// Returns whether a registry at `from` may refer to `to`: to the Internet, and within the
    /// network that it is in itself.
    pub(super) fn may_lead(from: Option<IpAddr>, to: IpAddr) -> bool {
        let to_network = Self::of(to);
        to_network == Self::Public
            || from.is_some_and(|from| {
                plain(from) == plain(to)
                    || to_network != Self::Special && Self::of(from) == to_network
            })
    }

    /// Returns what an address is to a registry elsewhere.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Public => "an address of the Internet",
            Self::Private => "an address of a private network, and the registry is not there",
            Self::Loopback => "an address of this machine, and the registry is not there",
            Self::Special => "an address that only means something to this machine itself",
        }
    }
}

impl Peer {
    /// Takes note of where the registry was reached.
    pub(super) fn set(&self, address: Option<IpAddr>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }

    pub(super) fn get(&self) -> Option<IpAddr> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let from = self.peer.get();
        let is_registry = name.as_str().eq_ignore_ascii_case(&self.registry);
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let may = |address: &IpAddr| is_registry || Network::may_lead(from, *address);
            let allowed: Vec<_> = found
                .iter()
                .copied()
                .filter(|found| may(&found.ip()))
                .collect();
            match (allowed.is_empty(), found.first()) {
                (true, Some(first)) => Err(io::Error::other(ForbiddenAddress {
                    name: name.as_str().to_owned(),
                    address: first.ip(),
                })
                .into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// Returns the IPv4 address that an IPv6 address leads to, if it leads to one.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // Compatible, mapped, and translated; 6to4.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        // A translator of the local network leads into it.
        [0x64, 0xff9b, 1, ..] => Some(Ipv4Addr::new(10, 0, 0, 0)),
        _ => None,
    }
}

/// Returns an address in its shortest form.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => embedded(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_of_an_address_is_in_the_network_that_it_leads_to() {
        for (address, network) in [
            ("93.184.216.34", Network::Public),
            ("198.18.0.5", Network::Public),
            ("172.32.0.1", Network::Public),
            ("2001:db8::1", Network::Public),
            ("10.1.2.3", Network::Private),
            ("172.31.0.1", Network::Private),
            ("192.168.0.1", Network::Private),
            ("100.100.100.200", Network::Private),
            ("fd00:ec2::254", Network::Private),
            ("127.0.0.2", Network::Loopback),
            ("::1", Network::Loopback),
            ("0.0.0.0", Network::Special),
            ("169.254.169.254", Network::Special),
            ("192.0.0.192", Network::Special),
            ("255.255.255.255", Network::Special),
            ("224.0.0.1", Network::Special),
            ("::", Network::Special),
            ("fe80::1", Network::Special),
            ("ff02::1", Network::Special),
            ("fec0::1", Network::Special),
            ("::ffff:169.254.169.254", Network::Special),
            ("::169.254.169.254", Network::Special),
            ("64:ff9b::a00:1", Network::Private),
            ("64:ff9b:1::a00:1", Network::Private),
            ("2002:7f00:1::", Network::Loopback),
            ("::ffff:8.8.8.8", Network::Public),
        ] {
            assert_eq!(Network::of(ip(address)), network, "{address}");
        }
    }

    #[test]
    fn a_name_is_judged_by_where_it_leads() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let look_up = |registry: &str, from: Option<&str>| {
            let peer = Peer::default();
            peer.set(from.map(ip));
            let lookup = Lookup {
                peer,
                registry: registry.to_owned(),
            };
            let found = runtime.block_on(lookup.resolve("localhost".parse().unwrap()));
            found.map(|found| found.map(|it| it.ip()).collect::<Vec<_>>())
        };
        for from in [None, Some("1.1.1.1"), Some("10.0.0.5")] {
            let error = look_up("r.example", from).unwrap_err();
            let error = error.downcast::<io::Error>().unwrap();
            let words = error.to_string();
            assert!(words.contains("`localhost` has the address "), "{words}");
            assert!(words.contains("an address of this machine"), "{words}");
        }
        let found = look_up("r.example", Some("127.0.0.1")).unwrap();
        assert!(found.iter().all(IpAddr::is_loopback));
        // A registry is where it is.
        assert!(!look_up("localhost", None).unwrap().is_empty());
    }

    #[test]
    fn a_registry_leads_to_the_internet_and_within_its_own_network() {
        let may = |from: Option<&str>, to: &str| Network::may_lead(from.map(ip), ip(to));
        for from in [None, Some("8.8.8.8"), Some("10.0.0.5"), Some("127.0.0.1")] {
            assert!(may(from, "1.1.1.1"));
            assert!(!may(from, "169.254.169.254"), "{from:?}");
        }
        assert!(may(Some("10.0.0.5"), "192.168.3.4"));
        assert!(may(Some("127.0.0.1"), "::1"));
        assert!(may(Some("169.254.3.4"), "169.254.3.4"));
        assert!(may(Some("169.254.3.4"), "::ffff:169.254.3.4"));
        assert!(!may(Some("169.254.3.4"), "169.254.169.254"));
        for (from, to) in [
            (None, "10.0.0.1"),
            (Some("8.8.8.8"), "10.0.0.1"),
            (Some("8.8.8.8"), "127.0.0.1"),
            (Some("10.0.0.5"), "127.0.0.1"),
            (Some("127.0.0.1"), "10.0.0.5"),
        ] {
            assert!(!may(from, to), "{from:?} {to}");
        }
    }
}
