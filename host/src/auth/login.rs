//! `login`: credentials are tried, kept, and written down without the password; all of it or
//! nothing.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::chain::{Chain, Question};
use super::keeping::{Keeping, failed, file_name, write_down};
use super::link::{KEYCHAIN, Tier};
use super::lookup::Lookup;
use super::provider::{Action, Provider, ProviderError, Request, Surroundings};
use super::trace::Step;
use crate::address;
use crate::cancel::Cancelled;
use crate::progress::Event;
use crate::reference::canonical_host;
use crate::registry::{Client, LoginCheck, RegistryAuth, VerifyError};
use crate::settings::edit::Edit;
use crate::settings::{AuthSource, Settings, SettingsError};

/// The most bytes of a password or token: more than the largest key that stands for one, and about
/// what servers take in the head of a request.
pub const MAX_PASSWORD: usize = 256 << 10;

/// Where a password is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// In the credential store of the operating system.
    #[default]
    Keyring,
    /// In a file that only the user may read, as plain text.
    File,
}

/// Who logs in where.
#[derive(Clone, Debug)]
pub struct Login {
    /// The registry in its one spelling.
    pub registry: String,
    /// The name.
    pub username: String,
    /// The password, or a token that stands for one.
    pub password: SecretString,
    /// Where it is kept.
    pub store: Store,
}

/// A login that was kept.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// What the registry said, if it was asked.
    pub welcome: Option<LoginCheck>,
    /// What the settings named before: `password_env`, `secret_name`.
    pub replaced: Option<&'static str>,
    /// Who will answer in place of what was kept, if somebody will.
    pub shadowed_by: Option<Step>,
    /// The file with the password, where it is in one.
    pub file: Option<PathBuf>,
}

/// Credentials that could not be kept or forgotten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// A text is no registry.
    #[error("`{}` is not a registry: a host name, with a port or without", address::shown_as_registry(.0))]
    NotARegistry(String),
    /// A text is more than a registry.
    #[error(
        "credentials are stored per registry; use `{registry}` instead of `{}`",
        address::shown_as_registry(text)
    )]
    Path {
        /// The text.
        text: String,
        /// The registry that it begins with.
        registry: String,
    },
    /// A name is none.
    #[error("the user name {0}")]
    Username(&'static str),
    /// A password is none.
    #[error("the password {0}")]
    Password(&'static str),
    /// A password is longer than any that a registry takes.
    #[error("the password is longer than {} KiB", limit >> 10)]
    LongPassword {
        /// The limit in bytes.
        limit: usize,
    },
    /// The registry does not know the user, or could not be asked.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The store of credentials did not take them.
    #[error("no secure store of credentials for {registry}")]
    Store {
        /// The registry.
        registry: String,
        /// Why.
        #[source]
        source: ProviderError,
    },
    /// There is no provider for the store of credentials.
    #[error("there is no provider `{KEYCHAIN}`, which would keep credentials")]
    NoKeychain,
    /// The file with a password could not be changed.
    #[error("could not {operation} `{}`", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The settings could not be changed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A file that was changed before an error did not become what it was.
    #[error("could not restore `{}` ({reason}) after an error", path.display())]
    NotRestored {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
        /// The error.
        #[source]
        first: Box<Self>,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Login {
    /// Checks what the user has typed.
    ///
    /// # Errors
    /// [`KeepError::NotARegistry`], [`KeepError::Path`] and [`KeepError::Username`].
    pub fn new(
        registry: &str,
        username: &str,
        password: SecretString,
        store: Store,
    ) -> Result<Self, KeepError> {
        let wrong = |what| Err(KeepError::Username(what));
        if username.is_empty() {
            return wrong("is empty");
        }
        if username.contains(':') {
            return wrong("has a colon, which no registry could tell from the password");
        }
        if username.chars().any(char::is_control) {
            return wrong("has control characters");
        }
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
        keeping: &Keeping<'_>,
        client: Option<&Client>,
        around: &Surroundings<'_>,
    ) -> Result<LoggedIn, KeepError> {
        let auth = RegistryAuth::basic(&self.username, self.password.expose_secret());
        let welcome = client
            .map(|client| {
                let progress = Arc::clone(around.progress);
                let credentials = Lookup::new(Arc::new(Chain::default()), progress)
                    .with(&self.registry, auth.clone());
                let welcome = client.verify(
                    &self.registry,
                    &self.username,
                    &credentials,
                    around.progress.as_ref(),
                    around.cancel,
                );
                for notice in client.notices() {
                    around.progress.report(Event::Notice(&notice));
                }
                welcome
            })
            .transpose()?;
        around.cancel.check()?;
        let replaced = keeping
            .chain
            .settings()
            .get(&self.registry)
            .and_then(|entry| {
                let settings = entry.content.as_ref().ok()?;
                (settings.source != AuthSource::Keyring && !self.is_own(&settings.source))
                    .then(|| settings.source_key())
            });
        match self.store {
            Store::Keyring => self.keep_in_keychain(keeping, &auth, around)?,
            Store::File => self.keep_in_file(keeping, around)?,
        }
        Ok(LoggedIn {
            welcome,
            replaced,
            shadowed_by: self.shadowed_by(keeping, around),
            file: (self.store == Store::File).then(|| keeping.file(&self.registry)),
        })
    }

    fn is_own(&self, source: &AuthSource) -> bool {
        matches!(source, AuthSource::SecretName(name) if *name == file_name(&self.registry))
    }

    fn keep_in_keychain(
        &self,
        keeping: &Keeping<'_>,
        auth: &RegistryAuth,
        around: &Surroundings<'_>,
    ) -> Result<(), KeepError> {
        let keychain = keeping
            .chain
            .provider(KEYCHAIN)
            .ok_or(KeepError::NoKeychain)?;
        let request = login_request(&self.registry);
        let before = keychain.get(&request, around);
        let mut edit = Edit::open(&keeping.settings, around.cancel)?;
        keeping.tidy();
        let old = keeping.set_aside(&self.registry)?;
        let source = ("store", "keyring");
        // Settings come first: a password that they do not name would stay unnoticed.
        if let Err(error) = write_down(&mut edit, &self.registry, &self.username, source) {
            return Err(keeping.undone(&self.registry, old, None, error));
        }
        let stored = keychain.store(&request, auth, around);
        let is_stored = stored.is_ok();
        let done = stored
            .map_err(|source| KeepError::Store {
                registry: self.registry.clone(),
                source,
            })
            .and_then(|()| keeping.remove(&self.registry, old.as_ref()));
        if let Err(error) = done {
            // What is not written down is not kept, and what was there before is.
            let _ = match before {
                Ok(before) => keychain.store(&request, &before.credential, around),
                Err(ProviderError::NotFound) => keychain.erase(&request, around),
                Err(_) if is_stored => keychain.erase(&request, around),
                Err(_) => Ok(()),
            };
            return Err(keeping.undone(&self.registry, old, Some(&edit), error));
        }
        Ok(())
    }

    fn keep_in_file(
        &self,
        keeping: &Keeping<'_>,
        around: &Surroundings<'_>,
    ) -> Result<(), KeepError> {
        let mut edit = Edit::open(&keeping.settings, around.cancel)?;
        keeping.tidy();
        let file = keeping.prepare_file(&self.registry, &self.password)?;
        let name = file_name(&self.registry);
        let source = ("secret_name", name.as_str());
        // Settings come first: a password that they do not name would stay unnoticed.
        write_down(&mut edit, &self.registry, &self.username, source)?;
        let path = keeping.file(&self.registry);
        let is_new = !path.exists();
        if let Err(error) = file.put_in_place() {
            // It may have its name, and not be known to last. If this fails as well, the next login
            // mends it.
            if is_new {
                let _ = std::fs::remove_file(&path);
            }
            let error = failed("write", &path)(error);
            return Err(keeping.undone(&self.registry, None, Some(&edit), error));
        }
        drop(edit);
        // What an earlier login has kept would answer first.
        if let Some(keychain) = keeping.chain.provider(KEYCHAIN) {
            let _ = keychain.erase(&login_request(&self.registry), around);
        }
        Ok(())
    }

    /// Returns who will answer before what was kept.
    fn shadowed_by(&self, keeping: &Keeping<'_>, around: &Surroundings<'_>) -> Option<Step> {
        let settings = Settings::read_from(&keeping.settings).ok()?;
        let links = keeping.chain.links().iter();
        let chain = Chain::new(
            links.map(|link| Arc::clone(&link.provider)),
            &settings.registries.auth,
        );
        let own = match self.store {
            Store::Keyring => |step: &Step| step.provider == KEYCHAIN,
            Store::File => |step: &Step| step.tier == Tier::Configured,
        };
        let steps = chain.explain(&question(&self.registry), around).ok()?;
        let first = steps.into_iter().find(|step| step.said.is_answer())?;
        (!own(&first)).then_some(first)
    }
}

/// Returns the one spelling of a registry that the user has typed.
pub fn registry_named(text: &str) -> Result<String, KeepError> {
    if let Some(registry) = canonical_host(text) {
        return Ok(registry);
    }
    // Before an `@` stands a password as often as a registry: `me:123/x@h`.
    if address::shown_as_registry(text) != text {
        return Err(KeepError::NotARegistry(text.to_owned()));
    }
    let path = text.trim();
    let (scheme, rest) = match path.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), path),
    };
    let host = rest.split('/').next().unwrap_or_default();
    match canonical_host(&format!("{scheme}{host}")) {
        Some(registry) => Err(KeepError::Path {
            text: text.to_owned(),
            registry,
        }),
        None => Err(KeepError::NotARegistry(text.to_owned())),
    }
}

/// Returns the password in what a program or a person has typed: all of it but the line ends after
/// it, however many there are. Docker removes one alone, which leaves a part of `\n\n` in the
/// password. A password may have several lines, as the key of a service account has, and any
/// character: RFC 7617 forbids control characters, but they travel in base64, and registries take
/// them.
///
/// # Errors
/// [`KeepError::Password`] for one that is empty, longer than [`MAX_PASSWORD`] or not UTF-8.
pub fn password_typed(bytes: &[u8]) -> Result<SecretString, KeepError> {
    if bytes.len() > MAX_PASSWORD {
        return Err(KeepError::LongPassword {
            limit: MAX_PASSWORD,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| KeepError::Password("is not UTF-8 text"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(KeepError::Password("is empty"));
    }
    Ok(SecretString::from(text))
}

pub(super) fn question(registry: &str) -> Question<'_> {
    Question {
        registry,
        repository: None,
        action: Action::Login,
        challenges: &[],
        attempt: 1,
    }
}

pub(super) fn login_request(registry: &str) -> Request {
    Request {
        registry: registry.to_owned(),
        repository: None,
        action: Action::Login,
        challenges: Vec::new(),
        username: None,
        attempt: 1,
        settings: None,
    }
}

/// Returns the providers of a chain.
pub(super) fn providers(chain: &Chain) -> impl Iterator<Item = Arc<dyn Provider>> {
    chain.links().iter().map(|link| Arc::clone(&link.provider))
}
