//! `msb`: the command line over the host library. This file holds the policy of exit codes.

mod args;
mod commands;
mod error;
mod escape;
mod hints;
mod interrupt;
mod progress;
mod size;
mod table;
mod ui;

use std::process::ExitCode;

use clap::Parser as _;

use args::Args;
use error::Exit;
use ui::Ui;

fn main() -> ExitCode {
    let args = Args::parse();
    let ui = Ui::new(args.verbosity());
    match commands::run(args.command, ui) {
        Ok(()) => Exit::Success.into(),
        Err(error) => {
            let exit = error.exit();
            ui.error(&error);
            exit.into()
        }
    }
}
