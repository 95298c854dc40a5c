//! `msb plugin verify`

use std::time::Duration;

use crate::commands;
use crate::error::CommandError;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::ui::Ui;

/// Compare the files of all installed plugins with plugins.lock, and check their signatures.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(ui: Ui, _: &Args) -> Result<(), CommandError> {
    let msb = commands::open()?;
    msb.settings()?;
    let interrupt = Interrupt::watch();
    let verified = progress::during(ui, Work::Verify, |progress| {
        msb.edit_plugins(&interrupt.context(progress), |editor| editor.verify())
    });
    let verified = interrupt.settle(verified)?;
    let mut damaged = 0;
    for plugin in &verified {
        match &plugin.problem {
            None => ui.success("Verified", &plugin.name, "", Duration::ZERO),
            Some(problem) => {
                damaged += 1;
                ui.failure("Verifying", &plugin.name);
                ui.note(problem);
            }
        }
    }
    match damaged {
        0 if verified.is_empty() => {
            ui.status("Only the plugins that ship with msb are installed.");
            Ok(())
        }
        0 => Ok(()),
        _ => Err(CommandError::new(format!(
            "{damaged} of {} plugins are damaged",
            verified.len()
        ))
        .hint("`msb plugin install --locked` fetches them again")),
    }
}
