//! A provider at its position in the chain, which decides what its errors mean.

use std::sync::Arc;

use super::attempt::{ProviderAttempt, ProviderReply};
use super::provider::{Provider, ProviderError};

/// The provider of the credential store of the operating system.
pub const KEYCHAIN: &str = "keychain";
/// The providers of what the settings name.
const CONFIGURED: [&str; 2] = ["env", "secret-file"];
/// The provider of what other tools have kept.
const DOCKER: &str = "docker-config";

/// Why a provider is in the chain, which decides what its errors mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// It is there anyway: a fault of it is a warning, and the next one is asked.
    Ambient,
    /// The settings name it for the registry: it answers, or the search ends.
    Configured,
    /// The user has installed it: it may have nothing, but a fault ends the search.
    Installed,
}

/// A provider at its position in the chain.
#[derive(Clone, Debug)]
pub struct Link {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// What its errors mean.
    pub tier: Tier,
}

impl Link {
    /// Puts a provider in the tier that is meant for it.
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        let tier = match provider.name() {
            KEYCHAIN | DOCKER => Tier::Ambient,
            name if CONFIGURED.contains(&name) => Tier::Configured,
            _ => Tier::Installed,
        };
        Self { provider, tier }
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
