//! The chain as the registry client asks it, with what the caller has given in front of it.

use std::sync::Arc;

use super::attempt::ProviderReply;
use super::chain::Chain;
use super::error::AuthError;
use super::resolution::Resolution;
use crate::cancel::Cancel;
use crate::context::Context;
use crate::credential::{
    CredentialError, CredentialRequest, CredentialSource, Credentials, Outcome, RegistryAuth,
    ResolvedCredential, TriedProvider,
};
use crate::progress::Progress;

/// Finds credentials for one operation.
#[derive(Clone)]
pub struct Lookup {
    chain: Arc<Chain>,
    given: Option<(String, RegistryAuth)>,
    progress: Arc<dyn Progress>,
}

impl Lookup {
    /// Returns a lookup that asks a chain.
    pub fn new(chain: Arc<Chain>, progress: Arc<dyn Progress>) -> Self {
        Self {
            chain,
            given: None,
            progress,
        }
    }

    /// Uses these credentials, which may be none on purpose, for a registry before all others.
    #[must_use]
    pub fn with(self, registry: impl Into<String>, auth: RegistryAuth) -> Self {
        Self {
            given: Some((registry.into(), auth)),
            ..self
        }
    }

    fn context<'a>(&'a self, cancel: &'a Cancel) -> Context {
        Context {
            progress: Arc::clone(&self.progress),
            cancel: cancel.clone(),
        }
    }
}

impl Credentials for Lookup {
    fn find(
        &self,
        request: &CredentialRequest,
        cancel: &Cancel,
    ) -> Result<ResolvedCredential, CredentialError> {
        if let Some((registry, auth)) = &self.given
            && *registry == request.registry
        {
            return Ok(ResolvedCredential::from(auth.clone()));
        }
        match self.chain.ask(request, &self.context(cancel)) {
            Ok(resolution) => Ok(resolved(&resolution)),
            Err(AuthError::Cancelled(cancelled)) => Err(cancelled.into()),
            Err(error) => Err(CredentialError::Failed(Box::new(error))),
        }
    }

    fn report(
        &self,
        request: &CredentialRequest,
        source: &CredentialSource,
        outcome: Outcome,
        cancel: &Cancel,
    ) {
        let context = self.context(cancel);
        self.chain.report(request, source, outcome, &context);
    }
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Lookup")
            .field("chain", &self.chain)
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}

fn resolved(resolution: &Resolution) -> ResolvedCredential {
    let tried = resolution
        .attempts
        .iter()
        .filter_map(|attempt| match &attempt.reply {
            ProviderReply::Nothing(reply) => Some(TriedProvider {
                provider: attempt.provider.clone(),
                message: (*reply).to_owned(),
                failed: false,
            }),
            ProviderReply::Failed {
                message, is_news, ..
            } => Some(TriedProvider {
                provider: attempt.provider.clone(),
                message: message.clone(),
                failed: *is_news,
            }),
            _ => None,
        });
    ResolvedCredential {
        auth: resolution.credential.clone(),
        source: resolution.from.clone().map(Arc::new),
        tried: tried.collect(),
    }
}
