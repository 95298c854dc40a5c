//! What a search for credentials ends with.

use super::attempt::ProviderAttempt;
use crate::registry::RegistryAuth;
use crate::settings::{AuthSourceKind, Tier};

/// What the chain found.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// The credentials.
    pub credential: RegistryAuth,
    /// The provider that answered; `None` when none had any.
    pub from: Option<ProviderSource>,
    /// What each provider said, in their order.
    pub attempts: Vec<ProviderAttempt>,
}

/// The provider that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSource {
    /// The provider's name.
    pub provider: String,
    /// Where it found them. Untrusted text.
    pub source: Option<String>,
    /// The provider's position in the chain.
    pub tier: Tier,
    /// The source of the settings that the provider reads.
    pub reads: Option<AuthSourceKind>,
    /// Asked once more, the provider may have another answer.
    pub renewable: bool,
}
