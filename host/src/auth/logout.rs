//! `logout`: what a login has kept is forgotten, as far as it can be reached.

use std::path::PathBuf;

use super::chain::Chain;
use super::keeping::{Keeping, file_name, places, strs};
use super::link::KEYCHAIN;
use super::login::{KeepError, login_request, providers, question};
use super::provider::{ProviderError, Surroundings};
use super::trace::Step;
use crate::settings::edit::Edit;
use crate::settings::{AuthSettings, AuthSource};

/// What was forgotten, and what was not.
#[derive(Debug, Default)]
pub struct LoggedOut {
    /// The credential store has forgotten the registry.
    pub keychain: bool,
    /// The settings have: the keys that were removed.
    pub settings: Vec<String>,
    /// The file with the password, which was removed.
    pub file: Option<PathBuf>,
    /// What the settings named, which is the user's and is still there: `password_env` and the
    /// name of the variable.
    pub left: Option<(&'static str, String)>,
    /// Why the credential store could not be asked.
    pub problem: Option<ProviderError>,
    /// The settings said that the credential store had the password.
    pub in_keychain: bool,
    /// Who still has credentials for the registry.
    pub remaining: Vec<Step>,
}

impl LoggedOut {
    /// Returns whether there was nothing to forget.
    pub fn is_nothing(&self) -> bool {
        !self.keychain && self.settings.is_empty() && self.file.is_none()
    }
}

/// Forgets what a login has kept for a registry in its one spelling.
pub fn logout(
    keeping: &Keeping<'_>,
    registry: &str,
    around: &Surroundings<'_>,
) -> Result<LoggedOut, KeepError> {
    let mut done = LoggedOut::default();
    if let Some(keychain) = keeping.chain.provider(KEYCHAIN) {
        match keychain.erase(&login_request(registry), around) {
            Ok(()) => done.keychain = true,
            Err(ProviderError::NotFound) => {}
            Err(ProviderError::Cancelled(cancelled)) => return Err(cancelled.into()),
            Err(error) => done.problem = Some(error),
        }
    }
    let mut settings = keeping.chain.settings().clone();
    let entry = settings.remove(registry);
    let source = entry.and_then(|entry| entry.content.ok());
    let is_keyring = |source: &AuthSettings| source.source == AuthSource::Keyring;
    done.in_keychain = source.as_ref().is_some_and(is_keyring);
    let mut edit = None;
    if keeping.settings.exists() {
        edit = Some(Edit::open(&keeping.settings, around.cancel)?);
    }
    keeping.tidy();
    done.left = source.as_ref().and_then(|source| named(source, registry));
    let file = keeping.set_aside(registry)?;
    done.file = file.is_some().then(|| keeping.file(registry));
    let mut written = None;
    if let Some(edit) = &mut edit {
        for keys in places(edit, registry) {
            if edit.remove(&strs(&keys)) {
                done.settings.push(keys.join("."));
            }
        }
        if !done.settings.is_empty() {
            if let Err(error) = edit.save() {
                return Err(keeping.undone(registry, file, None, error.into()));
            }
            written = Some(&*edit);
        }
    }
    if let Err(error) = keeping.remove(registry, file.as_ref()) {
        return Err(keeping.undone(registry, file, written, error));
    }
    drop(edit);
    let chain = Chain::new(providers(keeping.chain), &settings);
    if let Ok(steps) = chain.explain(&question(registry), around) {
        done.remaining = steps
            .into_iter()
            .filter(|step| step.said.is_answer())
            .collect();
    }
    Ok(done)
}

/// Returns what the settings named and msb has not made.
fn named(source: &AuthSettings, registry: &str) -> Option<(&'static str, String)> {
    match &source.source {
        AuthSource::PasswordEnv(name) => Some((source.source_key(), name.clone())),
        AuthSource::SecretName(name) if *name != file_name(registry) => {
            Some((source.source_key(), name.clone()))
        }
        _ => None,
    }
}
