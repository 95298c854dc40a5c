//! `msb store`

pub(crate) mod serve;

use clap::Subcommand;

use crate::error::CommandError;
use crate::ui::Ui;

/// What can be done with the store as a whole.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Let another program use the layers of the store.
    #[command(subcommand)]
    Serve(serve::ServeCommand),
}

/// Runs a command.
pub(crate) fn run(ui: Ui, command: StoreCommand) -> Result<(), CommandError> {
    match command {
        StoreCommand::Serve(serve::ServeCommand::Containerd(args)) => serve::run(ui, args),
    }
}
