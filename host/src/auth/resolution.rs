//! What a search for credentials ends with.

use super::attempt::ProviderAttempt;
use crate::credential::{CredentialSource, RegistryAuth};

/// What the chain found.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// The credentials.
    pub credential: RegistryAuth,
    /// The provider that answered; `None` when none had any.
    pub from: Option<CredentialSource>,
    /// What each provider said, in their order.
    pub attempts: Vec<ProviderAttempt>,
}
