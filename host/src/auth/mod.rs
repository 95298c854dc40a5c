//! Who the user is to a registry: credential providers, the order in which they are asked, and what
//! `msb registry` keeps and forgets.

mod answers;
mod chain;
mod error;
#[cfg(test)]
mod fake;
mod lookup;
mod pattern;
mod provider;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
mod trace;

pub use chain::{Chain, Finding, KEYCHAIN, Link, Question, Source, Tier};
pub use error::AuthError;
pub use lookup::Lookup;
pub use pattern::matches as pattern_matches;
pub use provider::{
    Action, Answer, Cache, Entry, Extent, Operations, Outcome, Problem, Provider, ProviderError,
    Request, Surroundings,
};
pub use trace::{Said, Step};
