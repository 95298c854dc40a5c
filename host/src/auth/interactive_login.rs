//! `login` by a provider that talks to the user: what it answers is tried at the registry, and the
//! settings name the provider from then on.
//!
//! Owns which provider is asked, and that nothing is left of a login that fails.

use std::sync::Arc;

use super::chain::Chain;
use super::login::{LoggedIn, PasswordStore, check, erase_from_keyring, login_request, replaced};
use super::login_error::LoginError;
use super::login_store::{LoginStore, write_down};
use super::pattern;
use super::prompt::LoginPrompt;
use super::provider::{Answer, Problem, Provider, ProviderError};
use crate::context::Context;
use crate::credential::RegistryAuth;
use crate::registry::Client;
use crate::settings::AuthSource;
use crate::settings::edit::Edit;

/// A login in which a provider talks to the user.
#[derive(Clone, Debug)]
pub struct InteractiveLogin {
    /// The registry in its canonical form.
    pub registry: String,
    /// Where the user wants credentials to be kept, if they have said so.
    pub store: Option<PasswordStore>,
    /// How the user is reached.
    pub prompt: Arc<dyn LoginPrompt>,
}

impl InteractiveLogin {
    /// Has the first provider log the user in that does so for the registry, tries its answer if there is
    /// a client to ask with, and names the provider in the settings. `None` where no provider does.
    pub fn keep(
        &self,
        logins: &LoginStore<'_>,
        client: Option<&Client>,
        context: &Context,
    ) -> Result<Option<LoggedIn>, LoginError> {
        let request = logins.chain.request(&login_request(&self.registry));
        for provider in self.providers(logins.chain) {
            context.cancel.check()?;
            match provider.log_in(&request, &self.prompt, context) {
                Ok(answer) => {
                    let kept = self.kept(provider, &answer, logins, client, context);
                    if kept.is_err() && provider.operations().erase {
                        let _ = provider.erase(&request, context);
                    }
                    return kept.map(Some);
                }
                Err(ProviderError::Cancelled(cancelled)) => return Err(cancelled.into()),
                Err(
                    ProviderError::NotMine | ProviderError::NotFound | ProviderError::Unsupported,
                ) if self.store.is_none() => {}
                Err(error) => return Err(self.failed(provider, error)),
            }
        }
        Ok(None)
    }

    /// Returns the providers that may log the user in.
    fn providers<'a>(&self, chain: &'a Chain) -> Vec<&'a Arc<dyn Provider>> {
        let entry = chain.settings().get(&self.registry);
        let settings = entry.and_then(|entry| entry.content.as_ref().ok());
        let named = match &self.store {
            Some(PasswordStore::Provider(name)) => Some(name.as_str()),
            Some(_) => return Vec::new(),
            None => settings.and_then(|settings| settings.provider()),
        };
        let providers: Vec<_> = match named {
            Some(name) => chain.provider(name).into_iter().collect(),
            None => chain.links().iter().map(|link| &link.provider).collect(),
        };
        let mut able = providers;
        able.retain(|provider| {
            let mut patterns = provider.registries().iter();
            provider.operations().login
                && patterns.any(|pattern| pattern::matches(pattern, &self.registry))
        });
        able
    }

    fn kept(
        &self,
        provider: &Arc<dyn Provider>,
        answer: &Answer,
        logins: &LoginStore<'_>,
        client: Option<&Client>,
        context: &Context,
    ) -> Result<LoggedIn, LoginError> {
        let name = provider.name();
        let username = match &answer.credential {
            RegistryAuth::Basic { username, .. } => Some(username.as_str()),
            RegistryAuth::IdentityToken(_) | RegistryAuth::RegistryToken(_) => None,
            RegistryAuth::Anonymous => {
                let problem = Problem {
                    message: "it has logged nobody in".to_owned(),
                    hint: None,
                };
                return Err(self.failed(provider, ProviderError::Failed(problem)));
            }
        };
        let who = username.unwrap_or(name);
        let welcome = client
            .map(|client| check(client, &self.registry, who, &answer.credential, context))
            .transpose()?;
        context.cancel.check()?;
        let is_own = |source: &AuthSource| *source == AuthSource::Provider(name.to_owned());
        let replaced = replaced(logins, &self.registry, is_own);
        let mut edit = Edit::open(&logins.settings, &context.cancel)?;
        logins.tidy();
        let old = logins.set_aside(&self.registry)?;
        let source = ("provider", name);
        if let Err(error) = write_down(&mut edit, &self.registry, username, source) {
            return Err(logins.undone(&self.registry, old, None, error));
        }
        if let Err(error) = logins.remove(&self.registry, old.as_ref()) {
            return Err(logins.undone(&self.registry, old, Some(&edit), error));
        }
        drop(edit);
        // What an earlier login has stored there is not used any more.
        erase_from_keyring(logins, &self.registry, Some(name), context);
        Ok(LoggedIn {
            welcome,
            replaced,
            shadowed_by: None,
            file: None,
            provider: Some(name.to_owned()),
        })
    }

    fn failed(&self, provider: &Arc<dyn Provider>, source: ProviderError) -> LoginError {
        LoginError::Interactive {
            registry: self.registry.clone(),
            provider: provider.name().to_owned(),
            source,
        }
    }
}
