//! `msb store`

pub(crate) mod containerd;
pub(crate) mod microsandbox;

use clap::Subcommand;

use crate::error::CommandError;
use crate::ui::Ui;

/// What can be done with the store as a whole.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Let another program use the layers of the store.
    #[command(subcommand)]
    Serve(ServeCommand),
}

/// The programs that can be served.
#[derive(Debug, Subcommand)]
pub(crate) enum ServeCommand {
    Containerd(containerd::Args),
    Microsandbox(microsandbox::Args),
}

/// Runs a command.
pub(crate) fn run(ui: Ui, command: StoreCommand) -> Result<(), CommandError> {
    match command {
        StoreCommand::Serve(ServeCommand::Containerd(args)) => containerd::run(ui, args),
        StoreCommand::Serve(ServeCommand::Microsandbox(args)) => microsandbox::run(ui, args),
    }
}
