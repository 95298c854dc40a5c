//! Where registries are, and how they are to be spoken to, as the user has configured it.
//!
//! Owns the precedence: the command line, then our settings, then the files that other tools share
//! with us. Sends no requests; what cannot be used is an error before the first request.

mod certs_d;
mod configured;
mod endpoint;
mod error;
#[cfg(test)]
pub(crate) mod fixtures;
mod location;
mod paths;
mod pem;
mod registries_conf;
mod sections;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use certs_d::HostCertificates;
use pem::Roots;
use registries_conf::RegistriesConf;
use reqwest::Url;

use crate::reference::Reference;

pub use configured::{ClientFiles, HostSettings, MirrorSettings, RetryPolicy};
pub use endpoint::{EndpointConfig, MirrorUsage, Plain, TlsSettings};
pub use error::{HostsError, NotToml};
pub use location::{Location, LocationError, Scheme};
pub use paths::ConfigPaths;
pub use pem::{ClientIdentity, ClientKey, NamedBy, NamedFile, PemError};
pub use registries_conf::TableProblem;
pub use sections::PemDamage;

/// The host that serves what is named after Docker Hub.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// What is given up where certificates are not checked, for people.
const NOT_CHECKED: &str = "its certificate is not checked: who is on the way can read passwords \
                           and change what is fetched by tag";

/// Everything that decides where and how registries are asked.
#[derive(Clone, Debug)]
pub struct Hosts {
    insecure: bool,
    tls_verify: Option<bool>,
    roots: Roots,
    by_name: BTreeMap<String, Host>,
    conf: RegistriesConf,
    paths: ConfigPaths,
}

/// What the command line or an API caller says for one operation.
#[derive(Clone, Debug, Default)]
pub struct HostOverrides {
    /// Speak plain HTTP to the registries of the references, and to nothing that they refer to.
    /// Docker Hub is never spoken to like that.
    pub insecure: bool,
    /// `Some(false)`: do not check the certificates of the registries of the references and of the servers
    /// that plugins are fetched from, and speak plain HTTP to registries where HTTPS is not answered. `Some(true)`: check them, and speak HTTPS alone.
    pub tls_verify: Option<bool>,
    /// Files with more CA certificates.
    pub ca_certs: Vec<PathBuf>,
}

/// What our settings say of a host, its files read.
#[derive(Clone, Debug, Default)]
struct Host {
    insecure: Option<bool>,
    tls_verify: Option<bool>,
    roots: Roots,
    identity: Option<ClientIdentity>,
    mirrors: Option<Vec<MirrorSettings>>,
}

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
    /// Reads the configuration, and all files that it names. The certificates that other tools
    /// keep for a host are read when that host is asked for.
    /// `ca_certs` are trusted by all hosts, and `paths` say where other tools keep their files.
    pub fn read(
        ca_certs: &[NamedFile],
        by_name: &BTreeMap<String, HostSettings>,
        overrides: &HostOverrides,
        paths: ConfigPaths,
    ) -> Result<Self, HostsError> {
        let of_command_line = overrides.ca_certs.iter().map(|path| NamedFile {
            path: path.clone(),
            named_by: NamedBy::CommandLine,
        });
        let shared: Vec<NamedFile> = of_command_line.chain(ca_certs.iter().cloned()).collect();
        let by_name = by_name
            .iter()
            .map(|(name, host)| Ok((name.clone(), Host::read(host)?)))
            .collect::<Result<_, HostsError>>()?;
        Ok(Self {
            insecure: overrides.insecure,
            tls_verify: overrides.tls_verify,
            roots: read_roots(&shared)?,
            by_name,
            conf: RegistriesConf::read(&paths)?,
            paths,
        })
    }

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

    /// Returns whether the user has said that plain HTTP may be spoken to the host of an address,
    /// for good and not for the registries of one command.
    pub(super) fn is_plain(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else {
            return false;
        };
        let default = url.port_or_known_default();
        let names = [
            default.map(|port| format!("{host}:{port}")),
            matches!(default, Some(80 | 443)).then(|| host.to_owned()),
        ];
        names.into_iter().flatten().any(|name| {
            let own = self.by_name.get(&name);
            own.and_then(|own| own.insecure)
                .or_else(|| Some(!own?.tls_verify?))
                .unwrap_or_else(|| self.conf.is_insecure(&name))
        })
    }

    /// Returns what the command line says of plain HTTP to a registry. That of Docker Hub, whose
    /// password may be at stake in the same command, speaks HTTPS.
    fn of_command(&self, host: &str) -> Option<bool> {
        (self.insecure && host != DOCKER_HUB.0).then_some(true)
    }

    /// Returns whether the user has set anything for a host: here, or where other tools keep it.
    pub(super) fn has_settings(&self, host: &str) -> bool {
        self.by_name.contains_key(host) || certs_d::has_directory(&self.paths, host)
    }

    /// Returns how a host that need not be a registry proves who it is, and how we do.
    ///
    /// # Errors
    /// [`HostsError`] when the certificates that other tools keep for it cannot be used.
    pub(super) fn tls(&self, host: &str) -> Result<TlsSettings, HostsError> {
        self.tls_with(host, None)
    }

    /// Returns the same of a host that the user has named in this command, which `--tls-verify` is for.
    ///
    /// # Errors
    /// As [`tls`](Self::tls).
    pub(super) fn tls_of_named(&self, host: &str) -> Result<TlsSettings, HostsError> {
        self.tls_with(host, self.tls_verify)
    }

    fn tls_with(&self, host: &str, verify: Option<bool>) -> Result<TlsSettings, HostsError> {
        let none = Host::default();
        let own = self.by_name.get(host).unwrap_or(&none);
        let shared = certs_d::read(&self.paths, host)?;
        let verify = verify.or(own.tls_verify).unwrap_or(true);
        let mut tls = self.tls_settings(own, shared, verify);
        if !verify {
            tls.notices
                .push(format!("server {host} is not verified: {NOT_CHECKED}"));
        }
        Ok(tls)
    }

    fn tls_settings(&self, own: &Host, shared: HostCertificates, verify: bool) -> TlsSettings {
        let mut roots = self.roots.clone();
        roots.extend(own.roots.clone());
        roots.extend(shared.roots);
        TlsSettings {
            roots: roots.certificates,
            notices: roots.skipped,
            identity: own.identity.clone().or(shared.identity),
            verify,
        }
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

impl Host {
    fn read(settings: &HostSettings) -> Result<Self, HostsError> {
        let client = settings.client.as_ref();
        Ok(Self {
            insecure: settings.insecure,
            tls_verify: settings.tls_verify,
            roots: read_roots(&settings.ca_certs)?,
            identity: client
                .map(|client| pem::read_identity(&client.cert, client.key.as_ref()))
                .transpose()?,
            mirrors: settings.mirrors.clone(),
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

fn read_roots(files: &[NamedFile]) -> Result<Roots, HostsError> {
    let mut roots = Roots::default();
    for file in files {
        roots.extend(pem::read_roots(file)?);
    }
    Ok(roots)
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
