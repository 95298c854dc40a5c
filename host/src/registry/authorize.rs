//! Answering a challenge: which credentials, and what becomes of those that are refused.
//!
//! Owns what is shown to an endpoint, and the rule that ambient credentials never
//! keep a user from what anyone may read. How a token is requested is up to `token_request`.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};

use super::challenge::{Challenge, challenges, texts, unknown_schemes};
use super::client::Client;
use super::endpoint::Endpoint;
use super::error::ServerMessage;
use super::exchange::RequestContext;
use super::operation::RegistryOperation;
use super::token::TokenKey;
use super::token_request::{BearerChallenge, basic, bearer};
use super::{RegistryError, RegistryErrorKind};
use crate::credential::{
    Account, Action, CredentialRequest, CredentialSource, Outcome, RegistryAuth,
    ResolvedCredential, TriedProvider,
};

/// An `Authorization` header for an endpoint.
#[derive(Clone)]
pub(super) struct Authorization {
    pub(super) header: HeaderValue,
    /// The identity that the header claims.
    pub(super) identity: Identity,
    /// The token that it shows.
    key: Option<TokenKey>,
    number: u64,
}

/// The identity that a request was made with, without its secret.
#[derive(Clone, Debug, Default)]
pub(super) struct Identity {
    /// It is not anonymous.
    pub(super) known: bool,
    /// Which provider the credentials came from.
    pub(super) source: Option<Arc<CredentialSource>>,
    /// Providers that were asked before and had none.
    pub(super) tried: Arc<[TriedProvider]>,
    /// Name and password go to the registry itself, with every request.
    pub(super) direct: bool,
}

/// What was sent to an endpoint as authorization so far.
#[derive(Debug, Default)]
pub(super) struct Session {
    shown: Option<Authorization>,
    count: u64,
    /// Providers that have no credentials for the endpoint.
    tried: Arc<[TriedProvider]>,
    /// Whose credentials were found last.
    account: Option<Account>,
    /// What was refused and may be replaced.
    renewed: Option<RefusedCredential>,
    /// What was refused for good: requests have been anonymous since.
    given_up: Option<RefusedCredential>,
    accepted: bool,
}

/// Credentials that a registry did not accept.
#[derive(Clone, Debug)]
struct RefusedCredential {
    account: Option<Account>,
    source: Arc<CredentialSource>,
    message: Option<ServerMessage>,
}

impl RefusedCredential {
    fn error(&self) -> RegistryErrorKind {
        RegistryErrorKind::Credentials {
            source: Some(Arc::clone(&self.source)),
            message: self.message.clone(),
        }
    }
}

/// The challenges of an answer 401.
#[derive(Debug)]
pub(super) struct Challenges {
    pub(super) parsed: Vec<Challenge>,
    /// The schemes that are not understood.
    unknown: Vec<String>,
    /// The values of `WWW-Authenticate` as they came.
    raw: Vec<String>,
}

impl Challenges {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self {
            parsed: challenges(headers),
            unknown: unknown_schemes(headers),
            raw: texts(headers),
        }
    }

    /// Returns the schemes that are asked for, if none of them is understood.
    pub(super) fn only_unknown(&self) -> Option<&[String]> {
        (self.parsed.is_empty() && !self.unknown.is_empty()).then_some(&self.unknown)
    }

    /// Returns whether the token that was shown was not good for the request.
    pub(super) fn is_insufficient(&self) -> bool {
        self.parsed.iter().any(|challenge| {
            matches!(
                challenge,
                Challenge::Bearer {
                    insufficient_scope: true,
                    ..
                }
            )
        })
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Authorization")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Returns what to show: what was good the last time, unless its time is over.
    pub(super) fn shown(&self, client: &Client) -> Option<Authorization> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = session.shown.clone()?;
        let lives = |key: &TokenKey| client.tokens.get(key, Instant::now()).is_some();
        shown.key.as_ref().is_none_or(lives).then_some(shown)
    }

    /// Answers a challenge, and returns whether there is something new to show. `refused` is what
    /// was shown before. Several threads may come at once; the first one does the work.
    pub(super) fn authorize(
        &self,
        context: RequestContext<'_>,
        base: &Url,
        challenges: &Challenges,
        refused: Option<&Authorization>,
        what: &RegistryOperation,
    ) -> Result<bool, RegistryError> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let refused_number = refused.map_or(0, |refused| refused.number);
        if session.shown.is_some() && session.count > refused_number {
            return Ok(true);
        }
        if challenges.parsed.is_empty() {
            return Ok(false);
        }
        let credential = self.find(context, &session, &challenges.raw, what)?;
        session.tried = Arc::clone(&credential.tried);
        session.account = (!credential.auth.is_anonymous()).then(|| credential.auth.account());
        for challenge in &challenges.parsed {
            let shown = match (challenge, &credential.auth) {
                (Challenge::Basic, RegistryAuth::Basic { username, password }) => {
                    Some((basic(username, password), None))
                }
                (Challenge::Basic, _) => None,
                (Challenge::Bearer { .. }, RegistryAuth::RegistryToken(token)) => {
                    Some((bearer(token), None))
                }
                (
                    Challenge::Bearer {
                        realm,
                        service,
                        scope,
                        ..
                    },
                    _,
                ) => {
                    let wanted = BearerChallenge {
                        realm,
                        service: service.as_deref(),
                        scope: scope.as_deref(),
                    };
                    let is_refused = refused.is_some();
                    let (header, key) =
                        self.token(context, base, &wanted, &credential, is_refused, what)?;
                    Some((header, Some(key)))
                }
            };
            let Some((header, key)) = shown else { continue };
            // The same once more would be refused once more.
            if key.is_none() && refused.is_some() {
                return Ok(false);
            }
            let header = header.ok_or_else(|| {
                self.malformed(&RegistryOperation::FetchToken(None), &"it is not text")
            })?;
            session.count += 1;
            session.shown = Some(Authorization {
                header,
                identity: Identity {
                    direct: key.is_none(),
                    ..Identity::of(&credential)
                },
                key,
                number: session.count,
            });
            return Ok(true);
        }
        Ok(false)
    }

    /// Finds credentials, unless those that there are were refused before.
    fn find(
        &self,
        context: RequestContext<'_>,
        session: &Session,
        challenges: &[String],
        what: &RegistryOperation,
    ) -> Result<ResolvedCredential, RegistryError> {
        if session.given_up.is_some() {
            return Ok(ResolvedCredential {
                tried: Arc::clone(&session.tried),
                ..ResolvedCredential::default()
            });
        }
        let request = CredentialRequest {
            attempt: 1 + u32::from(session.renewed.is_some()),
            challenges: challenges.to_vec(),
            ..self.request(context)
        };
        let credential = context.credentials.find(&request, context.cancel);
        let credential =
            credential.map_err(|error| self.error(what, RegistryErrorKind::from(error)))?;
        match &session.renewed {
            Some(old) if old.account == Some(credential.auth.account()) => {
                Err(self.error(what, old.error()))
            }
            _ => Ok(credential),
        }
    }

    /// Returns whether a request may be repeated after credentials were refused: with others of
    /// the same provider, or, where only reading is wanted and the user has not asked for the
    /// provider, anonymously.
    pub(super) fn reconsider(&self, context: RequestContext<'_>, error: &RegistryError) -> bool {
        let RegistryErrorKind::Credentials {
            source: Some(source),
            message,
        } = &error.kind
        else {
            return false;
        };
        let request = self.request(context);
        let report = || {
            context
                .credentials
                .report(&request, source, Outcome::Rejected, context.cancel);
        };
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if session.given_up.is_some() {
            return true;
        }
        session.shown = None;
        let refused = RefusedCredential {
            account: session.account,
            source: Arc::clone(source),
            message: message.clone(),
        };
        if source.renewable && session.renewed.is_none() {
            report();
            session.renewed = Some(refused);
            return true;
        }
        if session.renewed.is_none() {
            report();
        }
        if !source.is_ambient() || context.action != Action::Pull {
            return false;
        }
        let host = &self.config.host;
        context.client.notices.add(format!(
            "registry {host} does not accept the credentials of {source}; going on without any \
             (log in again with `msb registry login {host}`)"
        ));
        session.given_up = Some(refused);
        true
    }

    /// Returns the error for the user: if anonymous access was denied after credentials were, the first
    /// refusal says more.
    pub(super) fn first_refusal(&self, error: RegistryError) -> RegistryError {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        match (&error.kind, &session.given_up) {
            (
                RegistryErrorKind::Denied { .. }
                | RegistryErrorKind::Credentials { .. }
                | RegistryErrorKind::NotFound { .. },
                Some(refused),
            ) => RegistryError {
                kind: refused.error(),
                ..error
            },
            _ => error,
        }
    }

    /// Takes note of an answer that shows that we were let in.
    pub(super) fn accepted(&self, context: RequestContext<'_>, shown: &Authorization) {
        let Some(source) = &shown.identity.source else {
            return;
        };
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut session.accepted, true) {
            return;
        }
        drop(session);
        let request = self.request(context);
        context
            .credentials
            .report(&request, source, Outcome::Accepted, context.cancel);
    }

    /// Returns the providers that had no credentials when the endpoint wanted some.
    pub(super) fn tried(&self) -> Arc<[TriedProvider]> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&session.tried)
    }

    fn request(&self, context: RequestContext<'_>) -> CredentialRequest {
        let repository = &self.config.repository;
        CredentialRequest {
            repository: (!repository.is_empty()).then(|| repository.clone()),
            ..CredentialRequest::new(&self.config.host, context.action)
        }
    }
}

impl Identity {
    pub(super) fn of(credential: &ResolvedCredential) -> Self {
        Self {
            known: !credential.auth.is_anonymous(),
            source: credential.source.clone(),
            tried: Arc::clone(&credential.tried),
            direct: false,
        }
    }
}
