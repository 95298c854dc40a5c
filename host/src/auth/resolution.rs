//! What a search for credentials ends with.

use super::attempt::ProviderAttempt;
use super::link::Tier;
use crate::registry::RegistryAuth;

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
    /// Asked once more, the provider may have another answer.
    pub renewable: bool,
}
