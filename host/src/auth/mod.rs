//! Who the user is to a registry: credential providers, and the order in which they are asked.

mod provider;

pub use provider::{
    Action, Answer, Cache, Entry, Extent, Operations, Outcome, Problem, Provider, ProviderError,
    Request, Surroundings,
};
