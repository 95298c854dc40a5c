//! Where registries are, and how they are to be spoken to, as the user has configured it.
//!
//! Owns the precedence: the command line, then our settings, then the files that other tools share
//! with us. Sends no requests; what cannot be used is an error before the first request.

mod candidate;
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
use std::path::PathBuf;

use certs_d::HostCertificates;
use pem::Roots;
use registries_conf::RegistriesConf;
use reqwest::Url;

pub use configured::{ClientFiles, HostSettings, MirrorSettings, RetryPolicy};
pub use endpoint::{EndpointConfig, MirrorUsage, Plain, TlsSettings};
pub use error::{HostsError, NotToml};
pub use location::{Location, LocationError, Scheme};
pub use paths::ConfigPaths;
pub use pem::{ClientIdentity, ClientKey, NamedBy, NamedFile, PemError};
pub use registries_conf::TableProblem;
pub use sections::PemDamage;

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

fn read_roots(files: &[NamedFile]) -> Result<Roots, HostsError> {
    let mut roots = Roots::default();
    for file in files {
        roots.extend(pem::read_roots(file)?);
    }
    Ok(roots)
}
