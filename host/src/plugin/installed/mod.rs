//! The plugins that there are: those that ship with msb, and those that the user has installed.
//!
//! Owns their order and what each may do. Runs nothing.

use std::sync::Arc;

use super::formats::Formats;
use super::package::Package;
use super::runtime::Runtime;
use crate::auth::Provider;
use crate::settings::Settings;
use crate::store::Home;

/// The plugins of a home.
#[derive(Debug)]
pub struct Installed {
    runtime: Runtime,
    packages: Vec<Package>,
}

/// Why the installed plugins are not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstalledError {
    /// The list of plugins could not be read.
    #[error("could not read `{}`", path.display())]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Installed {
    /// Reads what is installed. Starts no engine and opens no component.
    ///
    /// # Errors
    /// When the list of plugins cannot be read.
    pub fn open(home: &Home, settings: &Settings) -> Result<Self, InstalledError> {
        Ok(Self {
            runtime: Runtime::with_settings(home, settings),
            packages: super::builtin::packages(),
        })
    }

    /// Returns the archive formats, in the order in which they are asked.
    pub fn formats(&self) -> Formats {
        Formats::of(&self.runtime, &self.packages)
    }

    /// Returns the credential providers, in the order in which they are asked.
    pub fn providers(&self) -> Vec<Arc<dyn Provider>> {
        super::credential::providers(&self.runtime, &self.packages)
    }

    /// Returns all of them, in their order.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// Returns what runs them.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}
