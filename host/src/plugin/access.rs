//! What a plugin may reach besides archives, and what a refusal says.
//!
//! Owns the environment of one call: grants, settings, the homes. Knows nothing of how a
//! capability does its work.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use url::Url;
use zeroize::Zeroizing;

use super::bindings::msb::plugin::types::Refusal;
use super::capability::helper_program::HelperOutput;
use super::grant::{Capability, Grant};
use super::grants::Grants;
use super::runtime::Runtime;
use super::servers::Servers;
use super::shell::shell_word;

/// What surrounds msb: variables, files, the credential store, programs, servers, the time.
#[derive(Clone, Debug, Default)]
pub(super) enum Environment {
    /// What surrounds the process.
    #[default]
    Process,
    /// Variables that a test has put together; for the rest, what surrounds the process.
    #[cfg(test)]
    Fixed(std::collections::BTreeMap<String, OsString>),
    /// A made-up one, for tests.
    Fake(Arc<dyn FakeSystem>),
}

/// A made-up environment. Grants are asked before any of it.
pub trait FakeSystem: fmt::Debug + Send + Sync {
    /// Returns the value of a variable.
    fn variable(&self, name: &str) -> Option<OsString>;

    /// Returns the directory that stands for `/`.
    fn root(&self) -> PathBuf;

    /// Takes note of a file that was read.
    fn file_read(&self);

    /// Returns the text of an item of the credential store.
    fn item(&self, service: &str, account: &str) -> Option<Zeroizing<String>>;

    /// Keeps an item, or removes it, and returns whether there was one.
    fn keep_item(&self, service: &str, account: &str, text: Option<Zeroizing<String>>) -> bool;

    /// Says what a credential helper says.
    fn helper(&self, name: &str, operation: &str, input: &[u8]) -> HelperOutput;

    /// Returns where the server of an address really is.
    fn server(&self, url: &Url) -> Url;

    /// Returns the time.
    fn now(&self) -> SystemTime;

    /// Lets time pass, without taking any.
    fn wait(&self, time: Duration);

    /// Returns whether answers outlive a run here.
    fn keeps_answers(&self) -> bool {
        false
    }

    /// Takes note of a use that was not granted.
    fn refused(&self, wish: &str);
}

impl Environment {
    /// Returns the value of a variable.
    pub(super) fn get(&self, name: &str) -> Option<OsString> {
        match self {
            Self::Process => std::env::var_os(name),
            #[cfg(test)]
            Self::Fixed(variables) => variables.get(name).cloned(),
            Self::Fake(fake) => fake.variable(name),
        }
    }

    /// Returns the made-up environment, if it is one.
    pub(super) fn fake(&self) -> Option<&Arc<dyn FakeSystem>> {
        match self {
            Self::Process => None,
            #[cfg(test)]
            Self::Fixed(_) => None,
            Self::Fake(fake) => Some(fake),
        }
    }

    /// Returns what `/` stands for.
    pub(super) fn root(&self) -> PathBuf {
        self.fake()
            .map_or_else(|| PathBuf::from("/"), |fake| fake.root())
    }

    /// Returns the time.
    pub(super) fn now(&self) -> SystemTime {
        self.fake().map_or_else(SystemTime::now, |fake| fake.now())
    }
}

/// What one call may reach besides archives. The default is nothing.
#[derive(Clone, Default)]
pub(super) struct Access {
    /// What the user has granted.
    pub(super) grants: Arc<Grants>,
    /// What the user has set for the plugin, as JSON.
    pub(super) settings: Option<Arc<str>>,
    /// The registry of the request.
    pub(super) registry_name: Option<Arc<str>>,
    /// What the user has set for it.
    pub(super) registry: Option<serde_json::Value>,
    /// The home of msb: the root `msb:`.
    pub(super) msb_home: PathBuf,
    /// How servers are spoken to.
    pub(super) servers: Option<Arc<Servers>>,
    /// The variables that there are.
    pub(super) environment: Environment,
    /// Where what outlives a run is kept.
    pub(super) runtime: Option<Runtime>,
    /// Whether permissions are in force at all: not while a plugin describes itself.
    pub(super) describing: bool,
}

impl Access {
    /// Returns the variable that the user has named for the registry of the request.
    pub(super) fn configured_variable(&self) -> Option<&str> {
        self.registry.as_ref()?.get("password_env")?.as_str()
    }

    /// Returns the refusal of what was not granted, with the command that grants it.
    pub(super) fn denied(
        &self,
        plugin: &str,
        capability: Capability,
        scope: Option<&str>,
    ) -> Refusal {
        let wish = match scope {
            Some(scope) => format!("{capability}={scope}"),
            None => capability.to_string(),
        };
        let note = || {
            if let Some(fake) = self.environment.fake() {
                fake.refused(&wish);
            }
        };
        if self.describing {
            note();
            return Refusal::Denied(format!(
                "no permission is given to a plugin that describes itself, and it used `{wish}`"
            ));
        }
        // An invalid grant cannot be granted: say what is wrong with it instead.
        match Grant::new(capability, scope) {
            Ok(grant) => {
                note();
                Refusal::Denied(format!(
                    "plugin `{plugin}` has no permission `{grant}`; grant it with `msb plugin grant {plugin} {}`",
                    shell_word(&grant.to_string()),
                ))
            }
            Err(error) => Refusal::Invalid(error.to_string()),
        }
    }
}
