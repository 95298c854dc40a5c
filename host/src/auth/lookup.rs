//! The chain as the registry client asks it, with what the caller has given in front of it.

use std::sync::Arc;

use super::chain::{Chain, Question};
use super::finding::{Finding, Source};
use super::link::Tier;
use super::provider::{Action, Outcome, Surroundings};
use super::trace::Said;
use crate::cancel::Cancel;
use crate::progress::Progress;
use crate::registry::{
    Access, CredentialRequest, CredentialSource, Credentials, RegistryAuth, RegistryError,
    ResolvedCredential, TriedProvider,
};

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

    fn around<'a>(&'a self, cancel: &'a Cancel) -> Surroundings<'a> {
        Surroundings {
            progress: &self.progress,
            cancel,
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
        let question = question(request);
        match self.chain.ask(&question, &self.around(cancel)) {
            Ok(finding) => Ok(found(&finding)),
            Err(super::AuthError::Cancelled(cancelled)) => Err(cancelled.into()),
            Err(source) => Err(RegistryError::Auth {
                host: request.host.to_owned(),
                source: Box::new(source),
            }),
        }
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
        let from = Source {
            provider: origin.provider.clone(),
            source: origin.source.clone(),
            tier: Tier::Ambient,
            renewable: origin.renewable,
        };
        let around = self.around(cancel);
        self.chain
            .report(&question(request), &from, outcome, &around);
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

fn question<'a>(request: &CredentialRequest<'a>) -> Question<'a> {
    Question {
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

fn found(finding: &Finding) -> ResolvedCredential {
    let origin = finding.from.as_ref().map(|from| {
        Arc::new(CredentialSource {
            provider: from.provider.clone(),
            source: from.source.clone(),
            ambient: from.tier == Tier::Ambient,
            renewable: from.renewable,
        })
    });
    let tried = finding.steps.iter().filter_map(|step| match &step.said {
        Said::Nothing(said) => Some(TriedProvider {
            provider: step.provider.clone(),
            message: (*said).to_owned(),
            failed: false,
        }),
        Said::Failed {
            message, is_news, ..
        } => Some(TriedProvider {
            provider: step.provider.clone(),
            message: message.clone(),
            failed: *is_news,
        }),
        _ => None,
    });
    ResolvedCredential {
        auth: finding.credential.clone(),
        origin,
        tried: tried.collect(),
    }
}
