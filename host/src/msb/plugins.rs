//! Fetching plugins, by [`Msb`].

use std::sync::Arc;

use super::Msb;
use crate::Error;
use crate::auth::{Chain, Lookup};
use crate::context::Context;
use crate::installed::Installed;
use crate::installed::{Installer, LockEditor, Network};
use crate::registry::Client;
use crate::settings::Settings;

/// What plugins are installed, updated and pushed with. All providers are asked for credentials; while
/// plugins are fetched, an installed one that is missing or broken does not matter, since it may be what
/// is to be fetched.
#[derive(Clone, Debug)]
pub struct PluginSources {
    msb: Msb,
    settings: Arc<Settings>,
    installed: Arc<Installed>,
    client: Arc<Client>,
    to_fetch: Arc<Chain>,
    to_push: Arc<Chain>,
}

impl Msb {
    /// Returns what plugins are installed, updated and pushed with.
    ///
    /// # Errors
    /// When the settings, the files that they name, or the list of installed plugins cannot be used.
    pub fn plugin_sources(&self) -> Result<PluginSources, Error> {
        let settings = self.settings()?;
        let client = self.client()?;
        let installed = self.plugins()?;
        Ok(PluginSources {
            msb: self.clone(),
            to_fetch: Arc::new(installed.chain_to_fetch(&settings.registries.auth)),
            to_push: self.credentials()?,
            settings,
            installed,
            client,
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
            locked: false,
        });
        self.shared.installed.close();
        self.shared.chain.close();
        Ok(changed?)
    }
}

impl PluginSources {
    /// Returns the plugins that there are.
    pub fn installed(&self) -> &Installed {
        &self.installed
    }

    /// Returns how servers are asked for plugins.
    pub fn network(&self, context: &Context) -> Network {
        self.network_with(&self.to_fetch, context)
    }

    /// Returns how plugins are pushed.
    pub fn network_to_push(&self, context: &Context) -> Network {
        self.network_with(&self.to_push, context)
    }

    fn network_with(&self, chain: &Arc<Chain>, context: &Context) -> Network {
        // A key that is misspelled may be that of a policy.
        self.msb.tell(&self.settings, context);
        let progress = &context.progress;
        Network {
            client: Arc::clone(&self.client),
            credentials: Arc::new(Lookup::new(Arc::clone(chain), Arc::clone(progress))),
            progress: Arc::clone(progress),
        }
    }

    /// Returns what installs plugins.
    pub fn installer<'a>(&'a self, network: &'a Network, context: &'a Context) -> Installer<'a> {
        Installer {
            home: self.msb.home(),
            settings: &self.settings,
            runtime: self.installed.runtime(),
            network,
            progress: &context.progress,
            cancel: &context.cancel,
        }
    }
}
