//! `msb registry`: credentials for registries, kept, forgotten and listed.

pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod logout;
mod terminal_prompt;

use msb_host::auth::{ProviderAttempt, ProviderReply};

use crate::args::RegistryCommand;
use crate::error::CommandError;
use crate::ui::Ui;

/// Runs a command.
pub(crate) fn run(ui: Ui, command: RegistryCommand) -> Result<(), CommandError> {
    match command {
        RegistryCommand::Login(args) => login::run(ui, &args),
        RegistryCommand::Logout(args) => logout::run(ui, &args),
        RegistryCommand::List(args) => list::run(ui, &args),
    }
}

/// Returns what a provider has, for a sentence: "`docker-config` has a password of me from …".
fn has(attempt: &ProviderAttempt) -> String {
    match &attempt.reply {
        said @ ProviderReply::Answer { .. } => format!("`{}` has {said}", attempt.provider),
        said => format!("`{}`: {said}", attempt.provider),
    }
}
