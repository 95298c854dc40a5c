//! Fetching plugins, by [`Msb`].

use std::sync::Arc;

use super::Msb;
use crate::Error;
use crate::auth::{Chain, Lookup};
use crate::context::Context;
use crate::plugin::Installed;
use crate::plugin::installed::{Installer, LockEditor, Network};
use crate::registry::Client;
use crate::settings::Settings;

/// What plugins are installed, updated and pushed with: the plugins that ship with msb alone. Others do
/// not see it.
#[derive(Clone, Debug)]
pub struct PluginSources {
    msb: Msb,
    settings: Arc<Settings>,
    builtin: Arc<Installed>,
    client: Arc<Client>,
    chain: Arc<Chain>,
}

impl Msb {
    /// Returns what plugins are installed, updated and pushed with.
    ///
    /// # Errors
    /// When the settings, the files that they name, or the list of installed plugins cannot be used.
    pub fn plugin_sources(&self) -> Result<PluginSources, Error> {
        let settings = self.settings()?;
        let client = self.client()?;
        let builtin = Installed::builtin(self.home(), &settings)?;
        let chain = Chain::new(builtin.providers(), &settings.registries.auth);
        Ok(PluginSources {
            msb: self.clone(),
            settings,
            builtin: Arc::new(builtin),
            client,
            chain: Arc::new(chain),
        })
    }

    /// Changes the list of installed plugins, and has it read again.
    ///
    /// # Errors
    /// When the settings cannot be used, and those of the change.
    pub fn edit_plugins<T, E>(
        &self,
        context: &Context,
        change: impl FnOnce(LockEditor<'_>) -> Result<T, E>,
    ) -> Result<T, Error>
    where
        Error: From<E>,
    {
        let changed = change(LockEditor {
            home: self.home(),
            settings: &*self.settings()?,
            progress: &context.progress,
            cancel: &context.cancel,
        });
        self.shared.installed.close();
        self.shared.chain.close();
        Ok(changed?)
    }
}

impl PluginSources {
    /// Returns the plugins that ship with msb.
    pub fn builtin(&self) -> &Installed {
        &self.builtin
    }

    /// Returns how servers are asked for plugins.
    pub fn network(&self, context: &Context) -> Network {
        let progress = &context.progress;
        Network {
            client: Arc::clone(&self.client),
            credentials: Arc::new(Lookup::new(Arc::clone(&self.chain), Arc::clone(progress))),
            progress: Arc::clone(progress),
        }
    }

    /// Returns what installs plugins.
    pub fn installer<'a>(&'a self, network: &'a Network, context: &'a Context) -> Installer<'a> {
        Installer {
            home: self.msb.home(),
            settings: &self.settings,
            runtime: self.builtin.runtime(),
            network,
            progress: &context.progress,
            cancel: &context.cancel,
        }
    }
}
