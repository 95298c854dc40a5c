//! A provider as the export of a component.

use std::marker::PhantomData;

use super::{Description, Entry, Error, Outcome, Provider, Request};
use crate::credential_bindings::exports::msb::plugin::credentials as bindings;
use crate::panics;
use crate::system::System;

/// Makes a [`Provider`] the one that this component exports. Used once, at the crate's root.
#[macro_export]
macro_rules! export_provider {
    ($provider:ty) => {
        // Elsewhere, in native tests, the names of the exports are none that a linker takes.
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "the canonical ABI is made of raw pointers")]
        const _: () = {
            type Component = $crate::credential::Exported<$provider>;
            $crate::credential_bindings::export_credentials!(
                Component with_types_in $crate::credential_bindings
            );
            $crate::identify!();
        };
    };
}

/// A [`Provider`] in the shape that the bindings ask for.
#[derive(Debug)]
pub struct Exported<P>(PhantomData<P>);

impl<P: Provider<System>> bindings::Guest for Exported<P> {
    fn describe() -> Description {
        panics::report();
        P::describe()
    }

    fn get(request: Request) -> Result<bindings::Answer, Error> {
        panics::report();
        P::get(&System, &request).map(Into::into)
    }

    fn store(request: Request, credential: bindings::Credential) -> Result<(), Error> {
        panics::report();
        P::store(&System, &request, credential.into())
    }

    fn erase(request: Request) -> Result<(), Error> {
        panics::report();
        P::erase(&System, &request)
    }

    fn list() -> Result<Vec<Entry>, Error> {
        panics::report();
        P::list(&System)
    }

    fn report(request: Request, outcome: Outcome) -> Result<(), Error> {
        panics::report();
        P::report(&System, &request, outcome)
    }
}
