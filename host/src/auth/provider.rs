//! A credential provider, as the chain asks it: the interface `credentials` of the contract in
//! terms of the host.
//!
//! Owns answers. Knows nothing of WebAssembly and nothing of the order of
//! providers.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::prompt::LoginPrompt;
use crate::context::Context;
use crate::credential::{AuthSourceKind, CredentialRequest, Outcome, RegistryAuth, Tier};

/// Finds the user's credentials for some registries.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Returns its name, which messages and settings call it by.
    fn name(&self) -> &str;

    /// Returns what it calls itself. One that takes the place of another has the other's name here, and
    /// is found by it as well.
    fn provides(&self) -> &str {
        self.name()
    }

    /// Returns why it is asked.
    fn tier(&self) -> Tier {
        Tier::Installed
    }

    /// Returns the source of `registries.auth` that it reads. The one that reads the keyring is where
    /// `--store keyring` puts logins.
    fn reads(&self) -> Option<AuthSourceKind> {
        None
    }

    /// Returns where it looks, in a few words, for messages. Untrusted text.
    fn title(&self) -> &str;

    /// Returns what it can do besides `get`.
    fn operations(&self) -> Operations;

    /// Returns the patterns of the registries that it may be asked about.
    fn registries(&self) -> &[String];

    /// Returns the credentials for a request.
    fn get(&self, request: &CredentialRequest, context: &Context) -> Result<Answer, ProviderError>;

    /// Logs the user in for the registry of a request, by talking to them, and returns their credentials.
    fn log_in(
        &self,
        request: &CredentialRequest,
        prompt: &Arc<dyn LoginPrompt>,
        context: &Context,
    ) -> Result<Answer, ProviderError> {
        let _ = (request, prompt, context);
        Err(ProviderError::Unsupported)
    }

    /// Stores credentials for the registry of a request.
    fn store(
        &self,
        request: &CredentialRequest,
        credential: &RegistryAuth,
        context: &Context,
    ) -> Result<(), ProviderError>;

    /// Forgets the registry of a request.
    fn erase(&self, request: &CredentialRequest, context: &Context) -> Result<(), ProviderError>;

    /// Forgets the answers for the registry of a request that were kept for it, such as one that the
    /// registry has refused.
    fn forget(&self, request: &CredentialRequest, context: &Context) {
        let _ = (request, context);
    }

    /// Returns what it has.
    fn list(&self, context: &Context) -> Result<Vec<CredentialEntry>, ProviderError>;

    /// Tells it what became of its answer to a request.
    fn report(
        &self,
        request: &CredentialRequest,
        outcome: Outcome,
        context: &Context,
    ) -> Result<(), ProviderError>;
}

/// What a provider can do besides `get`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an operation of its own"
)]
pub struct Operations {
    /// It keeps what it is given.
    pub store: bool,
    /// It forgets.
    pub erase: bool,
    /// It can say what it has.
    pub list: bool,
    /// It wants to hear whether an answer was of use.
    pub report: bool,
    /// It logs the user in by talking to them.
    pub login: bool,
}

/// A provider's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The credentials. `Anonymous` is deliberate: no other provider is asked.
    pub credential: RegistryAuth,
    /// How long it may be used without asking again.
    pub cache: Cache,
    /// Which requests it may be used for.
    pub extent: CredentialExtent,
    /// Where it was found. Untrusted text.
    pub source: Option<String>,
}

/// How long an answer may be used without asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Not at all.
    Never,
    /// As long as this process runs.
    Session,
    /// Until then, and a minute less.
    Until(SystemTime),
}

/// What an answer is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialExtent {
    /// The repository of the request.
    Repository,
    /// The whole registry.
    Registry,
}

/// What a provider has for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialEntry {
    /// The registry; untrusted text.
    pub registry: String,
    /// The name; untrusted text.
    pub username: Option<String>,
    /// Where it is kept; untrusted text.
    pub source: Option<String>,
    /// When it ends.
    pub expires: Option<SystemTime>,
}

/// What is wrong, and what to do about it. Untrusted text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Why a provider has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// Not a registry of this provider.
    #[error("it does not know this registry")]
    NotMine,
    /// It has nothing for this registry.
    #[error("it has nothing for this registry")]
    NotFound,
    /// It does not do this.
    #[error("it does not do this")]
    Unsupported,
    /// What it would ask cannot be asked now.
    #[error("{0}")]
    Unavailable(Problem),
    /// The user may not have credentials for this.
    #[error("{0}")]
    Denied(Problem),
    /// What the user has configured makes no sense.
    #[error("{0}")]
    Misconfigured(Problem),
    /// Anything else it says.
    #[error("{0}")]
    Failed(Problem),
    /// It crashed, was stopped at a limit, or its answer was not valid.
    #[error(transparent)]
    Broken(Box<dyn Error + Send + Sync>),
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] crate::cancel::Cancelled),
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}
