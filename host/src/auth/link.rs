//! A provider at its position in the chain, which decides what its errors mean.

use std::sync::Arc;

use super::attempt::{ProviderAttempt, ProviderReply};
use super::provider::{Provider, ProviderError};
use crate::credential::{AuthSourceKind, Tier};

/// A provider at its position in the chain.
#[derive(Clone, Debug)]
pub struct Link {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// What its errors mean.
    pub tier: Tier,
    /// No fault of it ends the search, not even where the settings name it.
    pub(super) is_forgiven: bool,
}

impl Link {
    /// Puts a provider in its tier.
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self {
            tier: provider.tier(),
            provider,
            is_forgiven: false,
        }
    }

    /// Returns whether a provider reads a source of the settings.
    pub(super) fn reads(&self, source: AuthSourceKind) -> bool {
        self.provider.reads() == Some(source)
    }

    pub(super) fn attempt(&self, reply: ProviderReply) -> ProviderAttempt {
        ProviderAttempt {
            provider: self.provider.name().to_owned(),
            tier: self.tier,
            reply,
        }
    }

    /// Returns whether an error ends the search.
    pub(super) fn stops_at(&self, error: &ProviderError) -> bool {
        match (self.tier, error) {
            (_, ProviderError::NotMine | ProviderError::NotFound | ProviderError::Unsupported)
            | (Tier::Ambient, _)
            | (Tier::Installed, ProviderError::Unavailable(_)) => false,
            (Tier::Configured | Tier::Installed, _) => true,
        }
    }
}
