//! `msb`: the command line over the host library. This file holds the policy of exit codes.

mod args;
mod commands;
mod complete;
mod error;
mod escape;
mod exit;
mod habits;
mod hidden;
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

use clap_complete::env::CompleteEnv;

use error::Exit;
use ui::Ui;

fn main() -> ExitCode {
    if let Some(compiled) = msb_host::plugin::compile_if_asked() {
        return compiled;
    }
    // Ends here when a shell wants a line completed.
    CompleteEnv::with_factory(args::command)
        .var(commands::completion::VARIABLE)
        .complete();
    // Ends here with 2 when the arguments make no sense, with 0 after --help and --version.
    let args = args::parse().unwrap_or_else(|error| error.exit());
    let ui = Ui::new(args.level()).progress(args.progress);
    let exit = match commands::run(ui, args.command) {
        Ok(()) => Exit::Success,
        Err(error) => {
            ui.error(&error);
            error.exit()
        }
    };
    // The thread that asks may be waiting for an answer that is not needed any more.
    hidden::restore_terminal();
    exit.into()
}
