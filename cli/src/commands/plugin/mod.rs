//! `msb plugin`: what is installed, and what it may do.

pub(crate) mod change;
pub(crate) mod explain;
pub(crate) mod inspect;
pub(crate) mod install;
pub(crate) mod list;
pub(crate) mod new;
pub(crate) mod push;
pub(crate) mod test;
pub(crate) mod update;
pub(crate) mod verify;

use std::sync::Arc;

use clap::Subcommand;
use msb_host::auth::{Chain, Lookup};
use msb_host::cancel::Cancel;
use msb_host::plugin::Installed;
use msb_host::plugin::installed::{Installer, Network};
use msb_host::progress::Progress;
use msb_host::registry::Client;
use msb_host::registry::hosts::Hosts;
use msb_host::settings::Settings;
use msb_host::store::Home;

use crate::commands::connection::Connection;
use crate::error::CommandError;
use crate::ui::Ui;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    Install(install::Args),
    #[command(visible_alias = "list")]
    Ls(list::Args),
    Inspect(inspect::Args),
    #[command(visible_alias = "remove")]
    Rm(change::RemoveArgs),
    Update(update::Args),
    Enable(change::EnableArgs),
    Disable(change::DisableArgs),
    Grant(change::GrantArgs),
    Revoke(change::RevokeArgs),
    Order(change::OrderArgs),
    Verify(verify::Args),
    ExplainAuth(explain::Args),
    Push(push::Args),
    New(new::Args),
    Test(test::Args),
}

/// Runs a command.
pub(crate) fn run(ui: Ui, command: PluginCommand) -> Result<(), CommandError> {
    match command {
        PluginCommand::Install(args) => install::run(ui, &args),
        PluginCommand::Ls(args) => list::run(ui, &args),
        PluginCommand::Inspect(args) => inspect::run(ui, &args),
        PluginCommand::Rm(args) => change::remove(ui, &args),
        PluginCommand::Update(args) => update::run(ui, &args),
        PluginCommand::Enable(args) => change::enable(ui, &args),
        PluginCommand::Disable(args) => change::disable(ui, &args),
        PluginCommand::Grant(args) => change::grant(ui, &args),
        PluginCommand::Revoke(args) => change::revoke(ui, &args),
        PluginCommand::Order(args) => change::order(ui, &args),
        PluginCommand::Verify(args) => verify::run(ui, &args),
        PluginCommand::ExplainAuth(args) => explain::run(ui, &args),
        PluginCommand::Push(args) => push::run(ui, &args),
        PluginCommand::New(args) => new::run(ui, &args),
        PluginCommand::Test(args) => test::run(ui, args),
    }
}

/// What commands that fetch plugins work with.
struct PluginContext {
    home: Home,
    settings: Settings,
    /// The plugins of msb alone: others do not see what plugins are fetched with.
    builtin: Installed,
    client: Arc<Client>,
    chain: Arc<Chain>,
}

impl PluginContext {
    fn open(connection: &Connection) -> Result<Self, CommandError> {
        let home = Home::resolve()?;
        let settings = Settings::read(&home)?;
        let hosts = Hosts::read(&settings, &connection.overrides())?;
        let builtin = Installed::builtin(&home, &settings)?;
        let chain = Chain::new(builtin.providers(), &settings.registries.auth);
        let client = Arc::new(Client::new(hosts, settings.registries.retry)?);
        Ok(Self {
            chain: Arc::new(chain),
            home,
            settings,
            builtin,
            client,
        })
    }

    fn network(&self, progress: &Arc<dyn Progress>) -> Network {
        Network {
            client: Arc::clone(&self.client),
            credentials: Arc::new(Lookup::new(Arc::clone(&self.chain), Arc::clone(progress))),
            progress: Arc::clone(progress),
        }
    }

    fn installer<'a>(
        &'a self,
        network: &'a Network,
        progress: &'a Arc<dyn Progress>,
        cancel: &'a Cancel,
    ) -> Installer<'a> {
        Installer {
            home: &self.home,
            settings: &self.settings,
            runtime: self.builtin.runtime(),
            network,
            progress,
            cancel,
        }
    }
}
