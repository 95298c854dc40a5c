//! One file per command: its arguments, and one function that calls the host and shows the answer.

pub(crate) mod connection;
pub(crate) mod images;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod plugin;
pub(crate) mod prune;
pub(crate) mod pull;
pub(crate) mod registry;
pub(crate) mod rmi;
pub(crate) mod save;
pub(crate) mod verify;

use clap::ValueEnum;
use msb_host::{Digest, Reference};

use crate::args::{Command, ImageCommand};
use crate::error::CommandError;
use crate::ui::Ui;

/// How data is printed, other than for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataFormat {
    /// JSON, for programs.
    Json,
}

/// Runs a command.
pub(crate) fn run(ui: Ui, command: Command) -> Result<(), CommandError> {
    match command {
        Command::Pull(args) | Command::Image(ImageCommand::Pull(args)) => pull::run(ui, &args),
        Command::Load(args) | Command::Image(ImageCommand::Load(args)) => load::run(ui, args),
        Command::Save(args) | Command::Image(ImageCommand::Save(args)) => save::run(ui, args),
        Command::Images(args) | Command::Image(ImageCommand::Ls(args)) => images::run(ui, &args),
        Command::Rmi(args) | Command::Image(ImageCommand::Rm(args)) => rmi::run(ui, &args),
        Command::Image(ImageCommand::Inspect(args)) => inspect::run(ui, &args),
        Command::Image(ImageCommand::Prune(args)) => prune::run(ui, &args),
        Command::Image(ImageCommand::Verify(args)) => verify::run(ui, &args),
        Command::Registry(command) => registry::run(ui, command),
        Command::Plugin(command) => plugin::run(ui, command),
    }
}

/// Returns what people call an image: its references, or its short ID where it has none.
fn names(references: &[Reference], config: &Digest) -> Vec<String> {
    if references.is_empty() {
        vec![config.short().to_owned()]
    } else {
        references.iter().map(Reference::familiar).collect()
    }
}

/// Returns a digest as people read it: the algorithm and the first twelve digits.
fn short_digest(digest: &Digest) -> String {
    format!("{}:{}", digest.algorithm().name(), digest.short())
}
