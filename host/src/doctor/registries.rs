//! Whether a registry can be reached, and speaks the protocol.

use std::sync::Arc;

use super::{Check, Problem, Subject};
use crate::Error;
use crate::auth::Lookup;
use crate::context::Context;
use crate::credential::Action;
use crate::reference::Reference;
use crate::registry::RegistryErrorKind;

/// A repository that hardly any registry has. That it is denied, or not there, is an answer.
const PROBE: &str = "msb-doctor/probe:latest";

/// Asks a registry for something that it does not have, with the credentials of the user.
pub(super) fn reach(msb: &impl Subject, registry: &str, context: &Context) -> Check {
    const AREA: &str = "registry";
    let asked = || -> Result<(), Error> {
        let reference: Reference = format!("{registry}/{PROBE}").parse()?;
        let credentials = Lookup::new(msb.credentials()?, Arc::clone(&context.progress));
        let repository = msb
            .client()?
            .repository(&reference, Action::Pull, Arc::new(credentials))?
            .telling(Arc::clone(&context.progress));
        match repository.digest_of_tag("latest", &|_| {}, &context.cancel) {
            Ok(_) => Ok(()),
            Err(error)
                if matches!(
                    error.kind,
                    RegistryErrorKind::NotFound { .. } | RegistryErrorKind::Denied { .. }
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    };
    match asked() {
        Ok(()) => Check::good(AREA, format!("{registry} can be reached")),
        Err(error @ Error::Registry(_)) => Check::bad(
            AREA,
            Problem::Unreachable {
                registry: registry.to_owned(),
                error: Box::new(error),
            },
        ),
        Err(error) => Check::bad(AREA, error),
    }
}
