//! What a credential provider is written against. See `wit/credentials.wit`.
//!
//! A provider names the capabilities it uses as bounds of its `impl`, and ends with
//! [`export_provider!`](crate::export_provider):
//!
//! ```
//! use msb_plugin::credential::{Answer, Credential, Description, Error, Provider, Request};
//! use msb_plugin::fake::FakeSystem;
//! use msb_plugin::system::{Env, Need};
//!
//! /// Who the user is on one registry is in two variables.
//! #[derive(Debug)]
//! struct Variables;
//!
//! impl<S: Env> Provider<S> for Variables {
//!     fn describe() -> Description {
//!         Description::new("variables", "variables of the environment")
//!             .registry("registry.example.com")
//!             .need("env", Some("EXAMPLE_TOKEN"), "the token of registry.example.com")
//!     }
//!
//!     fn get(system: &S, _: &Request) -> Result<Answer, Error> {
//!         match system.variable("EXAMPLE_TOKEN")? {
//!             Some(token) => Ok(Answer::new(Credential::Basic("token".to_owned(), token))
//!                 .source("$EXAMPLE_TOKEN")),
//!             None => Err(Error::NotFound),
//!         }
//!     }
//! }
//!
//! msb_plugin::export_provider!(Variables);
//!
//! # fn main() {
//! let system = FakeSystem::new().variable("EXAMPLE_TOKEN", "opensesame");
//! let answer = Variables::get(&system, &Request::pull("registry.example.com")).unwrap();
//! assert_eq!(answer.source.as_deref(), Some("$EXAMPLE_TOKEN"));
//! # }
//! ```

mod answer;
mod error;
mod export;
mod request;

pub use crate::credential_bindings::exports::msb::plugin::credentials::{
    Action, Cache, Description, Entry, Error, Extent, Operations, Outcome, Problem, Request,
};
pub use answer::{Answer, Credential};
#[doc(hidden)]
pub use export::Exported;

/// A credential provider that uses the capabilities of `S`. The functions mean what their
/// namesakes in `wit/credentials.wit` mean; those that have a body here are optional, and
/// [`Description::operations`] says which of them do something.
pub trait Provider<S> {
    /// Describes the provider. Must return the same each time.
    fn describe() -> Description;

    /// Returns who the user is for a request.
    fn get(system: &S, request: &Request) -> Result<Answer, Error>;

    /// Keeps credentials for the registry of the request.
    fn store(_system: &S, _request: &Request, _credential: Credential) -> Result<(), Error> {
        Err(Error::Unsupported)
    }

    /// Forgets the registry of the request. `not-found` where there is nothing to forget.
    fn erase(_system: &S, _request: &Request) -> Result<(), Error> {
        Err(Error::Unsupported)
    }

    /// Returns what the provider has.
    fn list(_system: &S) -> Result<Vec<Entry>, Error> {
        Err(Error::Unsupported)
    }

    /// Hears what became of the answer to a request.
    fn report(_system: &S, _request: &Request, _outcome: Outcome) -> Result<(), Error> {
        Err(Error::Unsupported)
    }
}
