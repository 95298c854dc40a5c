//! `login`: credentials are tried, kept, and written down without the password; all of it or
//! nothing.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::attempt::ProviderAttempt;
use super::chain::Chain;
use super::login_error::LoginError;
use super::login_input::{check_length, registry_named};
use super::login_store::{LoginStore, failed, file_name, write_down};
use super::lookup::Lookup;
use super::provider::{Provider, ProviderError};
use crate::context::Context;
use crate::credential::{Action, AuthSourceKind, CredentialRequest, RegistryAuth};
use crate::progress::Event;
use crate::registry::{Client, LoginCheck, VerifyError};
use crate::settings::edit::Edit;
use crate::settings::{AuthSource, Settings};

/// Where a password is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PasswordStore {
    /// In the credential store of the operating system.
    #[default]
    Keyring,
    /// In a file that only the user may read, as plain text.
    File,
    /// With the credential provider of this name, which from then on is asked alone.
    Provider(String),
}

impl PasswordStore {
    /// Returns the store of a name: `keyring`, `file`, or that of a credential provider.
    pub fn named(name: &str) -> Self {
        match name {
            "keyring" => Self::Keyring,
            "file" => Self::File,
            provider => Self::Provider(provider.to_owned()),
        }
    }
}

/// A login to be checked and stored.
#[derive(Clone, Debug)]
pub struct Login {
    /// The registry in its canonical form.
    pub registry: String,
    /// The name.
    pub username: String,
    /// The password, or a token that stands for one.
    pub password: SecretString,
    /// Where it is kept.
    pub store: PasswordStore,
}

/// A login that was kept.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// What the registry said of the credentials; `None` when it was not asked.
    pub welcome: Option<LoginCheck>,
    /// What the settings named before: `password_env`, `secret_name`.
    pub replaced: Option<&'static str>,
    /// The provider that answers before the stored login, if one does.
    pub shadowed_by: Option<ProviderAttempt>,
    /// The file with the password, where it is in one.
    pub file: Option<PathBuf>,
    /// The provider that has logged the user in by talking to them.
    pub provider: Option<String>,
}

impl Login {
    /// Checks a login without sending or storing it.
    ///
    /// # Errors
    /// [`LoginError::NotARegistry`], [`LoginError::Path`], [`LoginError::Username`] and those of
    /// [`password_typed`](super::password_typed).
    pub fn new(
        registry: &str,
        username: &str,
        password: SecretString,
        store: PasswordStore,
    ) -> Result<Self, LoginError> {
        let wrong = |what| Err(LoginError::Username(what));
        if username.is_empty() {
            return wrong("is empty");
        }
        if username.contains(':') {
            return wrong("has a colon, which no registry could tell from the password");
        }
        if username.chars().any(char::is_control) {
            return wrong("has control characters");
        }
        check_length(password.expose_secret().as_bytes())?;
        Ok(Self {
            registry: registry_named(registry)?,
            username: username.to_owned(),
            password,
            store,
        })
    }

    /// Tries the credentials at the registry, if there is a client to ask with, and keeps them.
    pub fn keep(
        &self,
        logins: &LoginStore<'_>,
        client: Option<&Client>,
        context: &Context,
    ) -> Result<LoggedIn, LoginError> {
        let auth = RegistryAuth::basic(&self.username, self.password.expose_secret());
        let welcome = client
            .map(|client| check(client, &self.registry, &self.username, &auth, context))
            .transpose()?;
        context.cancel.check()?;
        let replaced = replaced(logins, &self.registry, |source| self.is_own(source));
        match &self.store {
            PasswordStore::Keyring => {
                let keyring = logins
                    .chain
                    .reader(AuthSourceKind::Keyring)
                    .filter(|keyring| keyring.operations().store)
                    .ok_or_else(|| LoginError::NoKeyring {
                        offered: offered(logins.chain),
                    })?;
                self.keep_with(keyring, ("store", "keyring"), logins, &auth, context)?;
            }
            PasswordStore::File => self.keep_in_file(logins, context)?,
            PasswordStore::Provider(name) => {
                let provider = storing(logins.chain, name)?;
                self.keep_with(provider, ("provider", name), logins, &auth, context)?;
                // What an earlier login has stored there is not used any more.
                erase_from_keyring(logins, &self.registry, Some(provider.name()), context);
            }
        }
        Ok(LoggedIn {
            welcome,
            replaced,
            shadowed_by: self.shadowed_by(logins, context),
            file: (self.store == PasswordStore::File).then(|| logins.file(&self.registry)),
            provider: None,
        })
    }

    fn is_own(&self, source: &AuthSource) -> bool {
        match source {
            AuthSource::SecretName(name) => *name == file_name(&self.registry),
            AuthSource::Provider(name) => self.store == PasswordStore::Provider(name.clone()),
            _ => false,
        }
    }

    /// Stores the credentials with a provider, whose name the settings get as `source`.
    fn keep_with(
        &self,
        provider: &Arc<dyn Provider>,
        source: (&str, &str),
        logins: &LoginStore<'_>,
        auth: &RegistryAuth,
        context: &Context,
    ) -> Result<(), LoginError> {
        let request = login_request(&self.registry);
        let before = provider.get(&request, context);
        let mut edit = Edit::open(&logins.settings, &context.cancel)?;
        logins.tidy();
        let old = logins.set_aside(&self.registry)?;
        // Settings come first: a password that they do not name would stay unnoticed.
        if let Err(error) = write_down(&mut edit, &self.registry, Some(&self.username), source) {
            return Err(logins.undone(&self.registry, old, None, error));
        }
        let stored = provider.store(&request, auth, context);
        let is_stored = stored.is_ok();
        let done = stored
            .map_err(|source| LoginError::Store {
                registry: self.registry.clone(),
                source,
            })
            .and_then(|()| logins.remove(&self.registry, old.as_ref()));
        if let Err(error) = done {
            // What is not written down is not kept, and what was there before is.
            let _ = match before {
                Ok(before) => provider.store(&request, &before.credential, context),
                Err(ProviderError::NotFound) => provider.erase(&request, context),
                Err(_) if is_stored => provider.erase(&request, context),
                Err(_) => Ok(()),
            };
            return Err(logins.undone(&self.registry, old, Some(&edit), error));
        }
        Ok(())
    }

    fn keep_in_file(&self, logins: &LoginStore<'_>, context: &Context) -> Result<(), LoginError> {
        let mut edit = Edit::open(&logins.settings, &context.cancel)?;
        logins.tidy();
        let file = logins.prepare_file(&self.registry, &self.password)?;
        let name = file_name(&self.registry);
        let source = ("secret_name", name.as_str());
        // Settings come first: a password that they do not name would stay unnoticed.
        write_down(&mut edit, &self.registry, Some(&self.username), source)?;
        let path = logins.file(&self.registry);
        let is_new = !path.exists();
        if let Err(error) = file.put_in_place() {
            // It may have its name, and not be known to last. If this fails as well, the next login
            // mends it.
            if is_new {
                let _ = crate::fs::remove_file(&path);
            }
            let error = failed("write", &path)(error);
            return Err(logins.undone(&self.registry, None, Some(&edit), error));
        }
        drop(edit);
        // What an earlier login has kept would answer first.
        erase_from_keyring(logins, &self.registry, None, context);
        Ok(())
    }

    /// Returns the provider that answers before the stored login.
    fn shadowed_by(&self, logins: &LoginStore<'_>, context: &Context) -> Option<ProviderAttempt> {
        let settings = Settings::read_from(&logins.settings).ok()?;
        let links = logins.chain.links().iter();
        let chain = Chain::new(
            links.map(|link| Arc::clone(&link.provider)),
            &settings.registries.auth,
        );
        let own = match &self.store {
            PasswordStore::Keyring => chain.reader(AuthSourceKind::Keyring),
            PasswordStore::File => chain.reader(AuthSourceKind::SecretName),
            PasswordStore::Provider(name) => chain.provider(name),
        };
        let attempts = chain
            .explain(&login_request(&self.registry), context)
            .ok()?;
        let first = attempts
            .into_iter()
            .find(|attempt| attempt.reply.is_answer())?;
        let is_own = own.is_some_and(|own| own.name() == first.provider);
        (!is_own).then_some(first)
    }
}

/// Tries credentials at a registry.
pub(super) fn check(
    client: &Client,
    registry: &str,
    who: &str,
    auth: &RegistryAuth,
    context: &Context,
) -> Result<LoginCheck, VerifyError> {
    let progress = Arc::clone(&context.progress);
    let credentials =
        Lookup::new(Arc::new(Chain::default()), progress).with(registry, auth.clone());
    let (progress, cancel) = (context.progress.as_ref(), &context.cancel);
    let welcome = client.verify(registry, who, &credentials, progress, cancel);
    for notice in client.notices() {
        context.progress.report(Event::Notice(&notice));
    }
    welcome
}

/// Returns the key of what the settings name for a registry, unless a login has put it there or puts it
/// there again.
pub(super) fn replaced(
    logins: &LoginStore<'_>,
    registry: &str,
    is_own: impl FnOnce(&AuthSource) -> bool,
) -> Option<&'static str> {
    let entry = logins.chain.settings().get(registry)?;
    let settings = entry.content.as_ref().ok()?;
    let is_kept = settings.source == AuthSource::Keyring || is_own(&settings.source);
    (!is_kept).then(|| settings.source_key())
}

/// Erases what an earlier login has put into the keyring, unless this provider reads that.
pub(super) fn erase_from_keyring(
    logins: &LoginStore<'_>,
    registry: &str,
    but: Option<&str>,
    context: &Context,
) {
    let keyring = logins.chain.reader(AuthSourceKind::Keyring);
    if let Some(keyring) = keyring.filter(|keyring| Some(keyring.name()) != but) {
        let _ = keyring.erase(&login_request(registry), context);
    }
}

/// Returns a provider that stores credentials.
fn storing<'a>(chain: &'a Chain, name: &str) -> Result<&'a Arc<dyn Provider>, LoginError> {
    let name = name.to_owned();
    match chain.provider(&name) {
        Some(provider) if provider.operations().store => Ok(provider),
        Some(_) => Err(LoginError::CannotStore {
            name,
            offered: offered(chain),
        }),
        None => Err(LoginError::NoProvider {
            name,
            offered: offered(chain),
        }),
    }
}

/// Returns the names of the providers that store credentials.
fn offered(chain: &Chain) -> Vec<String> {
    let links = chain.links().iter();
    let able = links.filter(|link| link.provider.operations().store);
    able.map(|link| link.provider.name().to_owned()).collect()
}

pub(super) fn login_request(registry: &str) -> CredentialRequest {
    CredentialRequest::new(registry, Action::Login)
}

/// Returns the providers of a chain.
pub(super) fn providers(chain: &Chain) -> impl Iterator<Item = Arc<dyn Provider>> {
    chain.links().iter().map(|link| Arc::clone(&link.provider))
}
