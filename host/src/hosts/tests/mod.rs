#![allow(clippy::unwrap_used, reason = "tests")]

mod registries_conf;
mod settings;

use std::path::PathBuf;

use super::{ConfigPaths, EndpointConfig, HostOverrides, Hosts, HostsError};
use crate::settings::Settings;

/// A machine with files of its own.
struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn with(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn paths(&self) -> ConfigPaths {
        ConfigPaths {
            home: Some(self.path("home")),
            etc: self.path("etc"),
            registries_conf: None,
        }
    }

    fn hosts_with(&self, overrides: &HostOverrides) -> Result<Hosts, HostsError> {
        let settings = Settings::read_from(&self.path("config.json")).unwrap();
        settings.hosts_at(overrides, self.paths())
    }

    fn hosts(&self) -> Result<Hosts, HostsError> {
        self.hosts_with(&HostOverrides::default())
    }

    fn endpoints(&self, reference: &str) -> Vec<EndpointConfig> {
        endpoints(&self.hosts().unwrap(), reference)
    }

    /// Returns the endpoints as `host/repository`, mirrors first.
    fn repositories(&self, reference: &str) -> Vec<String> {
        let endpoints = self.endpoints(reference);
        endpoints
            .iter()
            .map(|endpoint| format!("{}/{}", endpoint.host, endpoint.repository))
            .collect()
    }
}

fn endpoints(hosts: &Hosts, reference: &str) -> Vec<EndpointConfig> {
    hosts.endpoints(&reference.parse().unwrap()).unwrap()
}
