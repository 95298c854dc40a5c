//! One file per command: its arguments, and a call into the host.

pub(crate) mod images;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod prune;
pub(crate) mod rmi;
pub(crate) mod save;

use clap::ValueEnum;
use msb_host::store::{Home, Store};

use crate::args::{Command, ImageCommand};
use crate::error::CommandError;
use crate::ui::Ui;

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataFormat {
    /// JSON, for programs.
    Json,
}

pub(crate) fn run(command: Command, ui: Ui) -> Result<(), CommandError> {
    match command {
        Command::Load(args) | Command::Image(ImageCommand::Load(args)) => load::run(args, ui),
        Command::Save(args) | Command::Image(ImageCommand::Save(args)) => save::run(args, ui),
        Command::Images(args) | Command::Image(ImageCommand::Ls(args)) => images::run(&args, ui),
        Command::Rmi(args) | Command::Image(ImageCommand::Rm(args)) => rmi::run(&args, ui),
        Command::Image(ImageCommand::Inspect(args)) => inspect::run(&args, ui),
        Command::Image(ImageCommand::Prune(args)) => prune::run(&args, ui),
    }
}

fn open_store() -> Result<(Home, Store), CommandError> {
    let home = Home::resolve()?;
    let store = Store::open(&home)?;
    Ok((home, store))
}
