//! `msb registry`: credentials for registries, kept, forgotten and listed.

pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod logout;

use std::path::PathBuf;
use std::sync::Arc;

use msb_host::auth::{Chain, LoginStore, ProviderAttempt, ProviderReply};
use msb_host::settings::Settings;
use msb_host::store::Home;

use crate::args::RegistryCommand;
use crate::commands::open_chain;
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

/// What every command about credentials works with.
struct RegistryContext {
    home: Home,
    path: PathBuf,
    settings: Settings,
    chain: Arc<Chain>,
}

impl RegistryContext {
    fn open() -> Result<Self, CommandError> {
        let home = Home::resolve()?;
        let settings = Settings::read(&home)?;
        Ok(Self {
            path: Settings::path(&home),
            chain: open_chain(&home, &settings)?,
            settings,
            home,
        })
    }

    fn logins(&self) -> LoginStore<'_> {
        LoginStore {
            home: &self.home,
            settings: self.path.clone(),
            chain: &self.chain,
        }
    }
}

/// Returns what a provider has, for a sentence: "`docker-config` has a password of me from …".
fn has(attempt: &ProviderAttempt) -> String {
    match &attempt.reply {
        said @ ProviderReply::Answer { .. } => format!("`{}` has {said}", attempt.provider),
        said => format!("`{}`: {said}", attempt.provider),
    }
}
