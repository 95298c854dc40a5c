//! What the user sets under `plugins.settings.device-login`.

use std::collections::BTreeMap;

use msb_plugin::credential::Error;
use msb_plugin::system::Settings;
use serde::Deserialize;

/// The settings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Configured {
    /// Who gives out tokens for each registry.
    registries: BTreeMap<String, Server>,
}

/// Who gives out tokens for a registry.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// Where codes are given out.
    pub(crate) device_endpoint: String,
    /// Where tokens are given out.
    pub(crate) token_endpoint: String,
    /// What msb is called there.
    pub(crate) client_id: String,
    /// What the token is for.
    pub(crate) scope: Option<String>,
    /// The name that goes with the token as a password.
    pub(crate) username: Option<String>,
}

impl Configured {
    /// Returns who gives out tokens for a registry.
    pub(crate) fn server(system: &impl Settings, registry: &str) -> Result<Server, Error> {
        let configured: Self = system.plugin_as()?.unwrap_or_default();
        let mut registries = configured.registries;
        registries.remove(registry).ok_or(Error::NotMine)
    }
}

impl Server {
    /// Returns what the token for the registry is kept under. Other settings have other tokens.
    pub(crate) fn access_key(&self) -> String {
        format!("access {}", self.key())
    }

    /// Returns what the token is kept under that others are given for.
    pub(crate) fn refresh_key(&self) -> String {
        format!("refresh {}", self.key())
    }

    fn key(&self) -> String {
        let scope = self.scope.as_deref().unwrap_or_default();
        format!("{} {} {scope}", self.token_endpoint, self.client_id)
    }
}
