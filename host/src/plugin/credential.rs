//! Credential providers: the world `credential` as the chain of providers sees it.
//!
//! Owns the calls into a provider and the checks of its answers. Knows nothing of the order of
//! providers.

use std::sync::Arc;

use super::package::{CredentialDescription, Kind, Package};
use super::runtime::Runtime;
use crate::auth::{
    Answer, Entry, Operations, Outcome, Provider, ProviderError, Request, Surroundings,
};
use crate::registry::RegistryAuth;
use crate::store::Home;

/// A plugin that knows credentials.
#[derive(Debug)]
struct CredentialPlugin {
    _runtime: Runtime,
    _home: Home,
    package: Package,
    description: CredentialDescription,
}

/// Returns the providers among some plugins, in the order of the plugins.
pub(super) fn providers(
    runtime: &Runtime,
    home: &Home,
    packages: &[Package],
) -> Vec<Arc<dyn Provider>> {
    packages
        .iter()
        .filter_map(|package| {
            let Kind::Credential(description) = &package.kind else {
                return None;
            };
            Some(Arc::new(CredentialPlugin {
                _runtime: runtime.clone(),
                _home: home.clone(),
                package: package.clone(),
                description: description.clone(),
            }) as Arc<dyn Provider>)
        })
        .collect()
}

impl Provider for CredentialPlugin {
    fn name(&self) -> &str {
        &self.package.name
    }

    fn title(&self) -> &str {
        &self.description.title
    }

    fn operations(&self) -> Operations {
        self.description.operations
    }

    fn registries(&self) -> &[String] {
        &self.description.registries
    }

    fn get(&self, _: &Request, _: &Surroundings<'_>) -> Result<Answer, ProviderError> {
        Err(ProviderError::Unsupported)
    }

    fn store(
        &self,
        _: &Request,
        _: &RegistryAuth,
        _: &Surroundings<'_>,
    ) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported)
    }

    fn erase(&self, _: &Request, _: &Surroundings<'_>) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported)
    }

    fn list(&self, _: &Surroundings<'_>) -> Result<Vec<Entry>, ProviderError> {
        Err(ProviderError::Unsupported)
    }

    fn report(&self, _: &Request, _: Outcome, _: &Surroundings<'_>) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported)
    }
}
