//! What can go wrong with a registry: where, during what, and what it was.

mod kind;
mod sentence;

use std::error::Error;

pub use self::kind::{DeniedIdentity, RegistryErrorKind, ServerMessage};
pub(super) use self::sentence::through;
use super::operation::RegistryOperation;
use crate::cancel::Cancelled;
use crate::credential::CredentialError;

/// Something that was wanted of a registry and could not be had.
#[derive(Debug)]
#[non_exhaustive]
pub struct RegistryError {
    /// The registry or mirror. Where a connection is not trusted, or could not be set up, it is the
    /// server that the connection was to: the registry, or one that it refers to.
    pub host: String,
    /// What was being done.
    pub what: Box<RegistryOperation>,
    /// What went wrong.
    pub kind: RegistryErrorKind,
}

impl RegistryError {
    /// Returns the error of an operation on a registry.
    pub fn new(
        host: impl Into<String>,
        what: RegistryOperation,
        kind: impl Into<RegistryErrorKind>,
    ) -> Self {
        Self {
            host: host.into(),
            what: Box::new(what),
            kind: kind.into(),
        }
    }
}

impl Error for RegistryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

impl From<CredentialError> for RegistryErrorKind {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Failed(source) => Self::Auth(source),
            CredentialError::Cancelled(cancelled) => cancelled.into(),
        }
    }
}

impl From<Cancelled> for RegistryErrorKind {
    fn from(cancelled: Cancelled) -> Self {
        Self::Cancelled(cancelled)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_error_names_the_registry_the_operation_and_what_went_wrong() {
        let what = RegistryOperation::FetchManifest("library/python:3".to_owned());
        let said = ServerMessage("no such tag".to_owned());
        let error = RegistryError::new(
            "quay.io",
            what.clone(),
            RegistryErrorKind::NotFound {
                message: Some(said),
            },
        );
        let expected = "manifest library/python:3 was not found on registry quay.io";
        assert_eq!(error.to_string(), expected);
        let source = error.source().map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("the registry says: no such tag"));

        let token = RegistryOperation::FetchToken(Some(Box::new(what)));
        let status = RegistryErrorKind::Status {
            status: 503,
            retry_after: Some(Duration::from_mins(20)),
            message: None,
        };
        assert_eq!(
            RegistryError::new("quay.io", token, status).to_string(),
            "registry quay.io answered 503 to the request for a token for manifest \
             library/python:3: it wants us to wait for 20 min"
        );
    }

    #[test]
    fn a_cancelled_operation_says_no_more_than_that() {
        let error = RegistryError::new("quay.io", RegistryOperation::Prepare, Cancelled);
        assert_eq!(error.to_string(), Cancelled.to_string());
        assert!(error.source().is_none());
    }
}
