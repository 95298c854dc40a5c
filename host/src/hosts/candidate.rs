//! The endpoints of a repository, in the order in which they are asked.
//!
//! Owns the choice of mirrors, and for each endpoint what of command line, settings and the files of other
//! tools decides whether plain HTTP is spoken and certificates are checked.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::{
    EndpointConfig, Host, Hosts, HostsError, Location, MirrorSettings, MirrorUsage, NOT_CHECKED,
    Plain, Scheme, certs_d,
};
use crate::reference::Reference;

/// The host that serves what is named after Docker Hub.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// An endpoint before its host's settings are applied.
struct Candidate<'a> {
    host: &'a str,
    repository: String,
    /// What was decided for this endpoint above all settings of its host.
    insecure: Option<bool>,
    /// The same of certificates.
    tls_verify: Option<bool>,
    /// What a `registries.conf` says.
    lenient: bool,
    usage: MirrorUsage,
    is_mirror: bool,
}

impl Hosts {
    /// Returns where a repository is asked for, in order: mirrors, then the registry itself.
    ///
    /// # Errors
    /// [`HostsError::Blocked`] when the repository is forbidden, and others when certificates of
    /// one of the hosts cannot be used.
    pub fn endpoints(&self, reference: &Reference) -> Result<Vec<EndpointConfig>, HostsError> {
        let found = self.conf.find(reference);
        if let Some((registry, _)) = &found
            && registry.blocked
        {
            return Err(HostsError::Blocked {
                name: reference.name(),
                path: registry.file.clone(),
            });
        }
        let own = self.by_name.get(reference.registry());
        let mut candidates = Vec::new();
        if let Some(mirrors) = own.and_then(|host| host.mirrors.as_ref()) {
            candidates.extend(
                mirrors
                    .iter()
                    .map(|mirror| Candidate::own(mirror, reference)),
            );
        } else if let Some((registry, rest)) = &found {
            candidates.extend(registry.mirrors.iter().map(|mirror| Candidate {
                host: &mirror.location.host,
                repository: mirror.location.repository(rest),
                insecure: by_scheme(&mirror.location),
                tls_verify: None,
                lenient: mirror.insecure,
                usage: mirror.usage,
                is_mirror: true,
            }));
        }
        // A digest beside the tag is what counts.
        if reference.digest().is_some() {
            candidates.retain(|candidate| candidate.usage != MirrorUsage::TagOnly);
        }
        let moved = found
            .as_ref()
            .and_then(|(registry, rest)| Some((registry.location.as_ref()?, rest)));
        let host = moved.map_or(reference.registry(), |(location, _)| &location.host);
        candidates.push(Candidate {
            host,
            repository: moved.map_or_else(
                || reference.repository().to_owned(),
                |(location, rest)| location.repository(rest),
            ),
            insecure: self
                .of_command(host)
                .or_else(|| moved.and_then(|(location, _)| by_scheme(location))),
            tls_verify: self.tls_verify,
            lenient: found
                .as_ref()
                .is_some_and(|(registry, _)| registry.insecure),
            usage: MirrorUsage::Any,
            is_mirror: false,
        });
        if let Some((registry, _)) = &found
            && let Some(candidate) = candidates
                .iter()
                .find(|candidate| candidate.repository.is_empty())
        {
            return Err(HostsError::NoRepository {
                name: reference.name(),
                host: candidate.host.to_owned(),
                path: registry.file.clone(),
            });
        }
        candidates
            .into_iter()
            .map(|candidate| self.endpoint(candidate))
            .collect()
    }

    /// Returns where a registry itself is, whatever its repositories are.
    ///
    /// # Errors
    /// [`HostsError`] when its certificates cannot be used.
    pub fn registry(&self, host: &str) -> Result<EndpointConfig, HostsError> {
        self.endpoint(Candidate {
            host,
            repository: String::new(),
            insecure: self.of_command(host),
            tls_verify: self.tls_verify,
            lenient: self.conf.is_insecure(host),
            usage: MirrorUsage::Any,
            is_mirror: false,
        })
    }

    /// Returns what the command line says of plain HTTP to a registry. That of Docker Hub, whose
    /// password may be at stake in the same command, speaks HTTPS.
    fn of_command(&self, host: &str) -> Option<bool> {
        (self.insecure && host != DOCKER_HUB.0).then_some(true)
    }

    fn endpoint(&self, candidate: Candidate<'_>) -> Result<EndpointConfig, HostsError> {
        let none = Host::default();
        let own = self.by_name.get(candidate.host).unwrap_or(&none);
        let insecure = candidate.insecure.or(own.insecure);
        let tls_verify = candidate.tls_verify.or(own.tls_verify);
        let may_fall_back = match tls_verify {
            Some(verify) => !verify && candidate.host != DOCKER_HUB.0,
            None => candidate.lenient || is_loopback(candidate.host),
        };
        let plain = match insecure {
            Some(true) => Plain::Only,
            None if may_fall_back => Plain::Fallback,
            Some(false) | None => Plain::Never,
        };
        let unverified = match (tls_verify, plain) {
            (Some(false), Plain::Fallback) => Some(
                "its certificate is not checked, and plain HTTP is spoken where HTTPS is not \
                 answered: who is on the way can read passwords and change what is fetched by tag",
            ),
            (Some(false), Plain::Never) => Some(NOT_CHECKED),
            _ => None,
        };
        let shared = certs_d::read(&self.paths, candidate.host)?;
        Ok(EndpointConfig {
            host: candidate.host.to_owned(),
            authority: match candidate.host {
                host if host == DOCKER_HUB.0 => DOCKER_HUB.1.to_owned(),
                host => host.to_owned(),
            },
            repository: candidate.repository,
            plain,
            usage: candidate.usage,
            is_mirror: candidate.is_mirror,
            unverified,
            tls: Arc::new(self.tls_settings(
                own,
                shared,
                // Where we were told of plain HTTP or against it, no other file has a say.
                tls_verify.unwrap_or(!candidate.lenient || insecure.is_some()),
            )),
        })
    }
}

impl<'a> Candidate<'a> {
    fn own(mirror: &'a MirrorSettings, reference: &Reference) -> Self {
        Self {
            host: &mirror.location.host,
            repository: mirror.location.repository(reference.repository()),
            insecure: mirror.insecure.or_else(|| by_scheme(&mirror.location)),
            tls_verify: None,
            lenient: false,
            usage: if mirror.by_digest_only {
                MirrorUsage::DigestOnly
            } else {
                MirrorUsage::Any
            },
            is_mirror: true,
        }
    }
}

fn by_scheme(location: &Location) -> Option<bool> {
    location.scheme.map(|scheme| scheme == Scheme::Http)
}

/// Returns whether a host is this machine. A name that only begins like an address is not.
fn is_loopback(host: &str) -> bool {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| address.is_loopback());
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    name == "localhost"
        || name
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}
