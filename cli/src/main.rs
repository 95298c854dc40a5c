//! `msb`: the command line over the host library. This file holds the policy of exit codes.

mod args;
mod commands;
mod error;
mod escape;
mod hints;
mod interrupt;
mod json;
mod listing;
mod page;
mod progress;
mod size;
mod stdout;
mod table;
mod time;
mod ui;

use std::process::ExitCode;

use clap::Parser as _;

use args::Args;
use error::Exit;
use ui::Ui;

fn main() -> ExitCode {
    if let Some(compiled) = msb_host::plugin::compile_if_asked() {
        return compiled;
    }
    // Ends here with 2 when the arguments make no sense, with 0 after --help and --version.
    let args = Args::parse().checked().unwrap_or_else(|error| error.exit());
    let ui = Ui::new(args.level());
    let exit = match commands::run(ui, args.command) {
        Ok(()) => Exit::Success,
        Err(error) => {
            ui.error(&error);
            error.exit()
        }
    };
    exit.into()
}
