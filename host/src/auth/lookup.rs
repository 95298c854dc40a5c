//! The chain as the registry client asks it, with what the caller has given in front of it.

use std::sync::Arc;

use super::attempt::ProviderReply;
use super::chain::{Chain, CredentialQuery};
use super::provider::{Action, Outcome};
use super::resolution::{ProviderSource, Resolution};
use crate::cancel::Cancel;
use crate::context::Context;
use crate::progress::Progress;
use crate::registry::{
    Access, CredentialRequest, CredentialSource, Credentials, RegistryAuth, RegistryError,
    RegistryErrorKind, RegistryOperation, ResolvedCredential, TriedProvider,
};
use crate::settings::{AuthSourceKind, Tier};

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
        request: &CredentialRequest<'_>,
        cancel: &Cancel,
    ) -> Result<ResolvedCredential, RegistryError> {
        if let Some((registry, auth)) = &self.given
            && registry == request.host
        {
            return Ok(ResolvedCredential::from(auth.clone()));
        }
        let query = query(request);
        let outcome = self.chain.ask(&query, &self.context(cancel));
        outcome
            .map(|resolution| found(&resolution))
            .map_err(|error| {
                let kind = match error {
                    super::AuthError::Cancelled(cancelled) => cancelled.into(),
                    error => RegistryErrorKind::Auth(Box::new(error)),
                };
                RegistryError::new(request.host, RegistryOperation::FindCredentials, kind)
            })
    }

    fn report(
        &self,
        request: &CredentialRequest<'_>,
        origin: &CredentialSource,
        accepted: bool,
        cancel: &Cancel,
    ) {
        let outcome = if accepted {
            Outcome::Accepted
        } else {
            Outcome::Rejected
        };
        let from = ProviderSource {
            provider: origin.provider.clone(),
            source: origin.source.clone(),
            tier: Tier::Ambient,
            reads: None,
            renewable: origin.renewable,
        };
        let context = self.context(cancel);
        self.chain.report(&query(request), &from, outcome, &context);
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

fn query<'a>(request: &CredentialRequest<'a>) -> CredentialQuery<'a> {
    CredentialQuery {
        registry: request.host,
        repository: request.repository,
        action: match request.access {
            Access::Pull => Action::Pull,
            Access::Push => Action::Push,
            Access::Login => Action::Login,
        },
        challenges: request.challenges,
        attempt: request.attempt,
    }
}

fn found(resolution: &Resolution) -> ResolvedCredential {
    let origin = resolution.from.as_ref().map(|from| {
        Arc::new(CredentialSource {
            provider: from.provider.clone(),
            source: from.source.clone(),
            ambient: from.tier == Tier::Ambient,
            setting: from.reads.map(AuthSourceKind::word),
            renewable: from.renewable,
        })
    });
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
        origin,
        tried: tried.collect(),
    }
}
