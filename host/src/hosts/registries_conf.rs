//! `registries.conf`, where podman and its kin are told of registries and mirrors.
//!
//! Owns which files are read and which of their tables is meant. Version 2 of the format alone; the
//! search for short names is not ours. Source: containers-registries.conf(5).

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::{ConfigPaths, HostsError, Location, LocationError, MirrorUsage};
use crate::fs::{self, FileError, IfThere as _};
use crate::reference::{Reference, canonical_host};

/// All tables of all files.
#[derive(Clone, Debug, Default)]
pub(super) struct RegistriesConf {
    registries: Vec<Registry>,
}

/// What is said of the repositories below a prefix.
#[derive(Clone, Debug)]
pub(super) struct Registry {
    prefix: String,
    /// Where they are; `None` for where their names say.
    pub(super) location: Option<Location>,
    pub(super) insecure: bool,
    pub(super) blocked: bool,
    pub(super) mirrors: Vec<Mirror>,
    /// The file that says so.
    pub(super) file: PathBuf,
}

/// A mirror of a registry.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    pub(super) location: Location,
    pub(super) insecure: bool,
    pub(super) usage: MirrorUsage,
}

/// What is wrong with a table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableProblem {
    /// Something is not where registries can be.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// The prefix does not begin with a host.
    #[error("the prefix does not begin with a host name, nor with `*.` and the end of one")]
    Prefix,
    /// It has no location where it needs one.
    #[error("a registry needs a location, unless its prefix begins with `*.`")]
    NoLocation,
    /// It says in two ways what mirrors are for.
    #[error("`mirror-by-digest-only` and `pull-from-mirror` exclude each other")]
    Contradiction,
}

#[derive(Deserialize)]
struct ConfFile {
    #[serde(default)]
    registry: Vec<Spanned<RegistryTable>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RegistryTable {
    prefix: Option<Spanned<String>>,
    location: Option<Spanned<String>>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<MirrorTable>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MirrorTable {
    location: Spanned<String>,
    #[serde(default)]
    insecure: bool,
    pull_from_mirror: Option<Pull>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Pull {
    #[serde(alias = "")]
    All,
    DigestOnly,
    TagOnly,
}

impl RegistriesConf {
    /// Reads all files. What a later one says of a prefix replaces what an earlier one says.
    pub(super) fn read(paths: &ConfigPaths) -> Result<Self, HostsError> {
        let mut conf = Self::default();
        for file in files(paths)? {
            let text = fs::read_text(&file).map_err(|FileError { path, source, .. }| {
                HostsError::RegistriesConf { path, source }
            })?;
            let registries = parse(&file, &text)?;
            conf.registries
                .retain(|old| registries.iter().all(|new| new.prefix != old.prefix));
            conf.registries.extend(registries);
        }
        Ok(conf)
    }

    /// Returns whether a host as such, without a repository, is insecure.
    pub(super) fn is_insecure(&self, host: &str) -> bool {
        let mut tables = self.registries.iter();
        tables.any(|registry| registry.insecure && registry.prefix == host)
    }

    /// Returns the table of the longest prefix, and what of the name is left after it.
    pub(super) fn find(&self, reference: &Reference) -> Option<(&Registry, String)> {
        let canonical = reference.canonical();
        let (length, registry) = self
            .registries
            .iter()
            // Of equals the last would be taken, and the first shall.
            .rev()
            .filter_map(|registry| Some((registry.matches(&canonical)?, registry)))
            .max_by_key(|(length, registry)| {
                let prefix = &registry.prefix;
                (*length, !prefix.starts_with('*'), prefix.len())
            })?;
        let name = reference.name();
        Some((registry, name.get(length..).unwrap_or_default().to_owned()))
    }
}

impl Registry {
    /// Returns how much of a reference the prefix stands for. `*.` stands for any subdomain, and
    /// a host for itself without a port.
    fn matches(&self, canonical: &str) -> Option<usize> {
        let (prefix_host, path) = split_host(&self.prefix);
        let (host, rest) = split_host(canonical);
        match prefix_host.strip_prefix('*') {
            Some(end) if host.len() > end.len() && host.ends_with(end) => {}
            None if host == prefix_host => {}
            _ => return None,
        }
        let behind = rest.strip_prefix(path)?;
        let is_whole = behind.is_empty()
            || behind.starts_with('/')
            || !path.is_empty() && behind.starts_with([':', '@']);
        is_whole.then_some(host.len() + path.len())
    }
}

/// Splits after the host; the slash stays with the rest.
fn split_host(text: &str) -> (&str, &str) {
    text.split_at(text.find('/').unwrap_or(text.len()))
}

/// Returns the files in the order in which they are read.
fn files(paths: &ConfigPaths) -> Result<Vec<PathBuf>, HostsError> {
    let user = paths.user();
    let of_user = user.as_ref().map(|user| user.join("registries.conf"));
    let drop_ins = |directory: &Path| directory.join("registries.conf.d");
    let mut directories = vec![drop_ins(&paths.system())];
    directories.extend(user.as_deref().map(drop_ins));
    let mut files = match (&paths.registries_conf, of_user) {
        (Some(named), _) => vec![named.clone()],
        // With a file of their own, users have none of the system's.
        (None, Some(of_user)) if of_user.is_file() => {
            directories.remove(0);
            vec![of_user]
        }
        _ => {
            let of_system = paths.system().join("registries.conf");
            Vec::from_iter(of_system.is_file().then_some(of_system))
        }
    };
    for directory in directories {
        files.extend(list(&directory)?);
    }
    Ok(files)
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, HostsError> {
    let entries = fs::entries(directory)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<Result<_, _>>()
        })
        .if_there()
        .map_err(|FileError { path, source, .. }| HostsError::Directory { path, source })?;
    let mut files: Vec<PathBuf> = entries.unwrap_or_default();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "conf")
    });
    files.sort();
    Ok(files)
}

fn parse(file: &Path, text: &str) -> Result<Vec<Registry>, HostsError> {
    let line = |span: Range<usize>| {
        let before = text.get(..span.start).unwrap_or(text);
        before.bytes().filter(|byte| *byte == b'\n').count() + 1
    };
    let parsed: ConfFile = toml::from_str(text).map_err(|source| HostsError::Toml {
        path: file.to_owned(),
        line: source.span().map_or(1, line),
        source: source.into(),
    })?;
    let resolve = |table: Spanned<RegistryTable>| {
        let whole = table.span();
        resolve(table, file).map_err(|(span, source)| HostsError::Table {
            path: file.to_owned(),
            line: line(span.unwrap_or(whole)),
            source,
        })
    };
    parsed.registry.into_iter().map(resolve).collect()
}

type Located = (Option<Range<usize>>, TableProblem);

fn resolve(table: Spanned<RegistryTable>, file: &Path) -> Result<Registry, Located> {
    let table = table.into_inner();
    let location = table.location.as_ref().map(parsed).transpose()?;
    let prefix = match (
        table.prefix.filter(|prefix| !prefix.as_ref().is_empty()),
        &location,
    ) {
        (Some(prefix), location) => {
            let span = Some(prefix.span());
            let prefix =
                normal_prefix(prefix.as_ref()).ok_or((span.clone(), TableProblem::Prefix))?;
            if location.is_none() && !prefix.starts_with('*') {
                return Err((span, TableProblem::NoLocation));
            }
            prefix
        }
        (None, Some(location)) if location.namespace.is_empty() => location.host.clone(),
        (None, Some(location)) => format!("{}/{}", location.host, location.namespace),
        (None, None) => return Err((None, TableProblem::NoLocation)),
    };
    let by_digest_only = table.mirror_by_digest_only;
    let mirror = |mirror: MirrorTable| {
        let usage = match (by_digest_only, mirror.pull_from_mirror) {
            (true, Some(_)) => {
                return Err((Some(mirror.location.span()), TableProblem::Contradiction));
            }
            (true, None) | (false, Some(Pull::DigestOnly)) => MirrorUsage::DigestOnly,
            (false, Some(Pull::TagOnly)) => MirrorUsage::TagOnly,
            (false, Some(Pull::All) | None) => MirrorUsage::Any,
        };
        Ok(Mirror {
            location: parsed(&mirror.location)?,
            insecure: mirror.insecure,
            usage,
        })
    };
    Ok(Registry {
        prefix,
        location,
        insecure: table.insecure,
        blocked: table.blocked,
        mirrors: table
            .mirror
            .into_iter()
            .map(mirror)
            .collect::<Result<_, _>>()?,
        file: file.to_owned(),
    })
}

fn parsed(text: &Spanned<String>) -> Result<Location, Located> {
    text.as_ref()
        .parse()
        .map_err(|source: LocationError| (Some(text.span()), source.into()))
}

fn normal_prefix(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/');
    let (host, path) = split_host(text);
    let host = match host.strip_prefix("*.") {
        Some(end) => format!("*.{}", canonical_host(end)?),
        None => canonical_host(host)?,
    };
    Some(format!("{host}{path}"))
}
