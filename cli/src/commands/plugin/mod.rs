//! `msb plugin`: what is installed, and what it may do.

pub(crate) mod change;
mod consent;
pub(crate) mod explain;
pub(crate) mod inspect;
pub(crate) mod install;
pub(crate) mod list;
pub(crate) mod new;
pub(crate) mod push;
pub(crate) mod search;
pub(crate) mod shared_lock;
mod signer;
pub(crate) mod test;
pub(crate) mod tier;
pub(crate) mod update;
pub(crate) mod verify;

use clap::Subcommand;

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
    Tier(tier::Args),
    Verify(verify::Args),
    Search(search::Args),
    Lock(shared_lock::Args),
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
        PluginCommand::Tier(args) => tier::run(ui, &args),
        PluginCommand::Search(args) => search::run(ui, &args),
        PluginCommand::Verify(args) => verify::run(ui, &args),
        PluginCommand::Lock(args) => shared_lock::run(ui, &args),
        PluginCommand::ExplainAuth(args) => explain::run(ui, &args),
        PluginCommand::Push(args) => push::run(ui, &args),
        PluginCommand::New(args) => new::run(ui, &args),
        PluginCommand::Test(args) => test::run(ui, args),
    }
}
