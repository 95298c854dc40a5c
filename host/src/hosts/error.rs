//! Why the configuration of registries cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use super::{NamedBy, PemError, TableProblem};

/// What is wrong with a text that should be TOML, in one line: where it is is told beside it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotToml(String);

impl From<toml::de::Error> for NotToml {
    fn from(error: toml::de::Error) -> Self {
        let lines: Vec<&str> = error.message().lines().map(str::trim).collect();
        Self(lines.join(", "))
    }
}

/// Returns a file with who named it, for the end of a sentence.
fn named(path: &Path, by: &NamedBy) -> String {
    match by {
        NamedBy::CertsD => format!("`{}` in certs.d", path.display()),
        by => format!("`{}`, which {by} names", path.display()),
    }
}

/// Returns the same, to go on with.
pub(super) fn inserted(path: &Path, by: &NamedBy) -> String {
    let comma = if *by == NamedBy::CertsD { "" } else { "," };
    format!("{}{comma}", named(path, by))
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostsError {
    /// A file of certificates cannot be read.
    #[error("could not read {}", named(path, named_by))]
    Certificates {
        /// The path of the file.
        path: PathBuf,
        /// Who named it.
        named_by: Box<NamedBy>,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A file of certificates has not what it should have.
    #[error("{} cannot be used", inserted(path, named_by))]
    Pem {
        /// The path of the file.
        path: PathBuf,
        /// Who named it.
        named_by: Box<NamedBy>,
        /// What is wrong with the file.
        #[source]
        source: PemError,
    },
    /// A certificate has no key next to it, or a key no certificate.
    #[error("`{}` needs `{}` next to it", path.display(), missing.display())]
    MissingPartner {
        /// The file that is there.
        path: PathBuf,
        /// The file that is not.
        missing: PathBuf,
    },
    /// A directory cannot be read.
    #[error("could not read `{}`", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A `registries.conf` cannot be read.
    #[error("could not read `{}`", path.display())]
    RegistriesConf {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A `registries.conf` is not TOML, or a value is not of its type.
    #[error("line {line} of `{}` is not valid", path.display())]
    Toml {
        /// The path of the file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with the TOML.
        #[source]
        source: NotToml,
    },
    /// A table of a `registries.conf` means nothing.
    #[error("line {line} of `{}` is not valid", path.display())]
    Table {
        /// The path of the file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with the TOML.
        #[source]
        source: TableProblem,
    },
    /// A `registries.conf` forbids the repository.
    #[error("`{name}` is blocked by `{}`", path.display())]
    Blocked {
        /// Registry and repository.
        name: String,
        /// The path of the file.
        path: PathBuf,
    },
    /// A `registries.conf` leads to a host, and to no repository there.
    #[error("`{}` leaves nothing of the name `{name}` at `{host}`", path.display())]
    NoRepository {
        /// Registry and repository.
        name: String,
        /// Where it leads.
        host: String,
        /// The path of the file.
        path: PathBuf,
    },
}
