//! Where the files of other tools are that msb reads.

use std::env;
use std::path::{Component, Path, PathBuf};

/// The directories and variables that decide which files are read.
#[derive(Clone, Debug)]
pub struct ConfigPaths {
    /// The home of the user.
    pub home: Option<PathBuf>,
    /// `/etc`.
    pub etc: PathBuf,
    /// The `registries.conf` that is read in place of all others.
    pub registries_conf: Option<PathBuf>,
}

impl ConfigPaths {
    /// Returns the paths of this process: by `HOME` and `CONTAINERS_REGISTRIES_CONF`.
    pub fn from_env() -> Self {
        let variable = |name| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        Self {
            home: variable("HOME"),
            etc: PathBuf::from("/etc"),
            registries_conf: variable("CONTAINERS_REGISTRIES_CONF"),
        }
    }

    /// Returns the directories that may have certificates for a host, the best first. A host may be
    /// a text that a registry refers to: none for one that would lead elsewhere, such as `..`.
    pub(super) fn certs_d(&self, host: &str) -> Vec<PathBuf> {
        let mut parts = Path::new(host).components();
        if parts.next() != Some(Component::Normal(host.as_ref())) {
            return Vec::new();
        }
        let user = self.user().map(|user| user.join("certs.d"));
        user.into_iter()
            .chain([
                self.etc.join("containers/certs.d"),
                self.etc.join("docker/certs.d"),
            ])
            .map(|directory| directory.join(host))
            .collect()
    }

    /// Returns the directory of the user's settings for container tools.
    pub(super) fn user(&self) -> Option<PathBuf> {
        self.home
            .as_deref()
            .map(|home: &Path| home.join(".config/containers"))
    }

    /// Returns the directory of the system's settings for container tools.
    pub(super) fn system(&self) -> PathBuf {
        self.etc.join("containers")
    }
}
