//! One file per command: its arguments, and one function that calls the host and shows the answer.

pub(crate) mod adopt;
pub(crate) mod cat;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod df;
pub(crate) mod diff;
pub(crate) mod disk;
pub(crate) mod doctor;
pub(crate) mod exists;
pub(crate) mod export;
pub(crate) mod history;
pub(crate) mod images;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod ls;
pub(crate) mod mount;
pub(crate) mod plugin;
pub(crate) mod prune;
pub(crate) mod pull;
pub(crate) mod registry;
pub(crate) mod rmi;
pub(crate) mod save;
pub(crate) mod store;
pub(crate) mod tag;
pub(crate) mod verify;
pub(crate) mod version;

use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use msb_host::{Digest, Msb, MsbBuilder, Operation, Reference};

use crate::args::{Command, ImageCommand};
use crate::error::{CommandError, Exit};
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
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
        Command::Images(args) => images::run(ui, &args),
        Command::Image(ImageCommand::Ls(args)) => ls::run(ui, args),
        Command::Image(ImageCommand::Cat(args)) => cat::run(ui, &args),
        Command::Image(ImageCommand::Diff(args)) => diff::run(ui, args),
        Command::Image(ImageCommand::Export(args)) => export::run(ui, args),
        Command::Image(ImageCommand::Mount(args)) => mount::mount(ui, args),
        Command::Image(ImageCommand::Umount(args)) => mount::umount(ui, args),
        Command::Rmi(args) | Command::Image(ImageCommand::Rm(args)) => rmi::run(ui, &args),
        Command::Image(ImageCommand::Disk(args)) => disk::run(ui, &args),
        Command::Image(ImageCommand::Adopt(args)) => adopt::run(ui, args),
        Command::Image(ImageCommand::Inspect(args)) => inspect::run(ui, &args),
        Command::Image(ImageCommand::Tag(args)) => tag::tag(ui, &args),
        Command::Image(ImageCommand::Untag(args)) => tag::untag(ui, &args),
        Command::Image(ImageCommand::History(args)) => history::run(ui, &args),
        Command::Image(ImageCommand::Exists(args)) => exists::run(ui, &args),
        Command::Image(ImageCommand::Prune(args)) => prune::run(ui, &args),
        Command::Image(ImageCommand::Verify(args)) => verify::run(ui, &args),
        Command::Df(args) => df::run(ui, &args),
        Command::Doctor(args) => doctor::run(ui, &args),
        Command::Config(args) => config::run(ui, &args),
        Command::Completion(args) => completion::completion(ui, &args),
        Command::Man(args) => completion::man(ui, &args),
        Command::Version(args) => version::run(ui, &args),
        // The arguments are refused before.
        Command::Habit(_) => Ok(()),
        Command::Registry(command) => registry::run(ui, command),
        Command::Store(command) => store::run(ui, command),
        Command::Plugin(command) => plugin::run(ui, command),
    }
}

/// Returns a builder of what all commands work with.
fn builder() -> MsbBuilder {
    match compiler() {
        Some(executable) => Msb::builder().compiler(executable),
        None => Msb::builder(),
    }
}

/// Opens the store that the environment names.
pub(crate) fn open() -> Result<Msb, CommandError> {
    Ok(builder().open()?)
}

/// Does what a command is for, and shows how it goes. Ctrl-C stops it.
fn perform<W: msb_host::work::Work>(
    ui: Ui,
    work: Work,
    operation: Operation<W>,
) -> Result<W::Output, CommandError> {
    let interrupt = Interrupt::watch();
    let result = progress::during(ui, work, |progress| {
        operation
            .progress(Arc::clone(progress))
            .cancel(interrupt.cancel())
            .run()
    });
    interrupt.settle(result)
}

/// Returns the executable that compiles plugins: this one, whatever has become of its file.
fn compiler() -> Option<&'static Path> {
    let own = Path::new("/proc/self/exe");
    own.exists().then_some(own)
}

/// Does something with each image. One that fails does not keep the others: its error is shown, or is
/// the error of the command where it is the only one.
fn each(
    ui: Ui,
    failure: &str,
    selectors: &[String],
    mut work: impl FnMut(&str) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let mut failed = Vec::new();
    for selector in selectors {
        if let Err(error) = work(selector) {
            if selectors.len() == 1 || matches!(error, CommandError::OutputClosed) {
                return Err(error);
            }
            failed.push(error.exit());
            ui.error(&error);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let error = CommandError::new(format!("{} of {} {failure}", failed.len(), selectors.len()));
    Err(error.exiting(Exit::together(&failed)))
}

/// Returns what may have been meant by the name of an image that is not there.
pub(crate) fn similar(name: &str) -> Vec<String> {
    let similar = open().and_then(|msb| Ok(msb.similar(name).run()?));
    let names = similar.unwrap_or_default();
    names.iter().map(Reference::familiar).collect()
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
