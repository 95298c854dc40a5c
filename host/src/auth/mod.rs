//! Who the user is to a registry: credential providers, the order in which they are asked, and what
//! `msb registry` keeps and forgets.

mod answers;
mod chain;
mod error;
#[cfg(test)]
mod fake;
mod finding;
mod keeping;
mod link;
mod list;
mod login;
mod logout;
mod lookup;
mod pattern;
mod provider;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
mod trace;

pub use chain::{Chain, Question};
pub use error::{AuthError, Named};
pub use finding::{Finding, Source};
pub use keeping::Keeping;
pub use link::{KEYCHAIN, Link, Tier};
pub use list::{Registered, list};
pub use login::{KeepError, LoggedIn, Login, MAX_PASSWORD, Store, password_typed, registry_named};
pub use logout::{LoggedOut, logout};
pub use lookup::Lookup;
pub use pattern::matches as pattern_matches;
pub use provider::{
    Action, Answer, Cache, Entry, Extent, Operations, Outcome, Problem, Provider, ProviderError,
    Request, Surroundings,
};
pub use trace::{Said, Step};
