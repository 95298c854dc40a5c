//! `logout`: what a login has kept is forgotten, as far as it can be reached.

use std::path::PathBuf;

use super::attempt::ProviderAttempt;
use super::chain::Chain;
use super::login::{login_request, providers};
use super::login_error::LoginError;
use super::login_store::{LoginStore, file_name, places, strs};
use super::pattern;
use super::provider::ProviderError;
use crate::context::Context;
use crate::credential::AuthSourceKind;
use crate::settings::edit::Edit;
use crate::settings::{AuthSettings, AuthSource};

/// What was forgotten, and what was not.
#[derive(Debug, Default)]
pub struct LoggedOut {
    /// The credential store has forgotten the registry.
    pub keychain: bool,
    /// Other providers that have forgotten it.
    pub erased: Vec<String>,
    /// Other providers that could not, and why.
    pub not_erased: Vec<(String, ProviderError)>,
    /// The settings have: the keys that were removed.
    pub settings: Vec<String>,
    /// The file with the password, which was removed.
    pub file: Option<PathBuf>,
    /// What the settings named, which is the user's and is still there: `password_env` and the
    /// name of the variable.
    pub left: Option<(&'static str, String)>,
    /// The error of a credential store that could not be asked.
    pub problem: Option<ProviderError>,
    /// The settings said that the credential store had the password.
    pub in_keychain: bool,
    /// The providers that still have credentials for the registry.
    pub remaining: Vec<ProviderAttempt>,
}

impl LoggedOut {
    /// Returns whether there was nothing to forget.
    pub fn is_nothing(&self) -> bool {
        !self.keychain && self.erased.is_empty() && self.settings.is_empty() && self.file.is_none()
    }
}

/// Forgets what a login has kept for a registry in its canonical form.
pub fn logout(
    logins: &LoginStore<'_>,
    registry: &str,
    context: &Context,
) -> Result<LoggedOut, LoginError> {
    let mut done = LoggedOut::default();
    forget(logins.chain, registry, &mut done, context)?;
    let mut settings = logins.chain.settings().clone();
    let entry = settings.remove(registry);
    let source = entry.and_then(|entry| entry.content.ok());
    let is_keyring = |source: &AuthSettings| source.source == AuthSource::Keyring;
    done.in_keychain = source.as_ref().is_some_and(is_keyring);
    let mut edit = None;
    if logins.settings.exists() {
        edit = Some(Edit::open(&logins.settings, &context.cancel)?);
    }
    logins.tidy();
    done.left = source.as_ref().and_then(|source| named(source, registry));
    let file = logins.set_aside(registry)?;
    done.file = file.is_some().then(|| logins.file(registry));
    let mut written = None;
    if let Some(edit) = &mut edit {
        for keys in places(edit, registry) {
            if edit.remove(&strs(&keys)) {
                done.settings.push(keys.join("."));
            }
        }
        if !done.settings.is_empty() {
            if let Err(error) = edit.save() {
                return Err(logins.undone(registry, file, None, error.into()));
            }
            written = Some(&*edit);
        }
    }
    if let Err(error) = logins.remove(registry, file.as_ref()) {
        return Err(logins.undone(registry, file, written, error));
    }
    drop(edit);
    let chain = Chain::new(providers(logins.chain), &settings);
    if let Ok(attempts) = chain.explain(&login_request(registry), context) {
        done.remaining = attempts
            .into_iter()
            .filter(|attempt| attempt.reply.is_answer())
            .collect();
    }
    Ok(done)
}

/// Has every provider forget a registry that can.
fn forget(
    chain: &Chain,
    registry: &str,
    done: &mut LoggedOut,
    context: &Context,
) -> Result<(), LoginError> {
    let keyring = chain.reader(AuthSourceKind::Keyring);
    let keyring = keyring.map(|keyring| keyring.name().to_owned());
    for link in chain.links() {
        let name = link.provider.name();
        let mut patterns = link.provider.registries().iter();
        let is_its = patterns.any(|pattern| pattern::matches(pattern, registry));
        if !is_its {
            continue;
        }
        link.provider.forget(&login_request(registry), context);
        if !link.provider.operations().erase {
            continue;
        }
        let is_keyring = keyring.as_deref() == Some(name);
        match link.provider.erase(&login_request(registry), context) {
            Ok(()) if is_keyring => done.keychain = true,
            Ok(()) => done.erased.push(name.to_owned()),
            Err(ProviderError::NotFound) => {}
            Err(ProviderError::Cancelled(cancelled)) => return Err(cancelled.into()),
            Err(error) if is_keyring => done.problem = Some(error),
            // One without its settings has nothing either.
            Err(
                ProviderError::NotMine
                | ProviderError::Unsupported
                | ProviderError::Misconfigured(_),
            ) => {}
            Err(error) => done.not_erased.push((name.to_owned(), error)),
        }
    }
    Ok(())
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
