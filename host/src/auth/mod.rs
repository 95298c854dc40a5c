//! Credentials: their providers, the order in which these are asked, and what
//! `msb registry` keeps and forgets.

mod attempt;
mod chain;
mod credential_cache;
mod error;
#[cfg(test)]
mod fake;
mod interactive_login;
mod link;
mod list;
mod login;
mod login_error;
mod login_input;
mod login_store;
mod logout;
mod lookup;
mod pattern;
mod prompt;
mod provider;
mod resolution;
mod rules;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;

pub use attempt::{ProviderAttempt, ProviderReply};
pub use chain::Chain;
pub use error::{AuthError, Named};
pub use interactive_login::InteractiveLogin;
pub use link::Link;
pub use list::{Registered, list};
pub use login::{LoggedIn, Login, PasswordStore};
pub use login_error::LoginError;
pub use login_input::{MAX_PASSWORD, password_typed, registry_named};
pub use login_store::LoginStore;
pub use logout::{LoggedOut, logout};
pub use lookup::Lookup;
pub use pattern::matches as pattern_matches;
pub use prompt::{LoginInstruction, LoginPrompt, LoginQuestion, PromptError};
pub use provider::{
    Answer, Cache, CredentialEntry, CredentialExtent, Operations, Problem, Provider, ProviderError,
};
pub use resolution::Resolution;
pub use secrecy::SecretString;
