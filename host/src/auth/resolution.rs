//! What a search for credentials ends with.

use super::link::Tier;
use super::trace::Step;
use crate::registry::RegistryAuth;

/// What the chain found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Who the user is.
    pub credential: RegistryAuth,
    /// Whose answer it is; nobody's where all had nothing.
    pub from: Option<Source>,
    /// What everybody said.
    pub steps: Vec<Step>,
}

/// Whose answer it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The provider's name.
    pub provider: String,
    /// Where it found them. Untrusted text.
    pub source: Option<String>,
    /// The provider's place.
    pub tier: Tier,
    /// Asked once more, the provider may have another answer.
    pub renewable: bool,
}
