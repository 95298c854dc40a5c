//! Answering a challenge: which credentials, and what becomes of those that are refused.
//!
//! Owns what is shown to a place, and the rule that credentials which nobody has asked for never
//! keep a user from what everybody may read. How a token is asked for is not its matter.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

use super::challenge::{Challenge, challenges};
use super::client::Client;
use super::credentials::{Access, Account, CredentialRequest, Found, Origin, Tried};
use super::error::Said;
use super::exchange::{Asking, Place};
use super::token::TokenKey;
use super::token_request::{Bearer, basic, bearer};
use super::{RegistryAuth, RegistryError};

/// What is shown to a place.
#[derive(Clone)]
pub(super) struct Authorization {
    pub(super) header: HeaderValue,
    /// Who we say that we are.
    pub(super) identity: Identity,
    /// The token that it shows.
    key: Option<TokenKey>,
    number: u64,
}

/// Who we say that we are, without a secret.
#[derive(Clone, Debug, Default)]
pub(super) struct Identity {
    /// Somebody, and not nobody.
    pub(super) known: bool,
    /// Whose answer it was.
    pub(super) origin: Option<Arc<Origin>>,
    /// Who was asked before and had nothing.
    pub(super) tried: Arc<[Tried]>,
    /// Name and password go to the registry itself, with every request.
    pub(super) direct: bool,
}

/// What was shown to a place so far.
#[derive(Debug, Default)]
pub(super) struct Session {
    shown: Option<Authorization>,
    count: u64,
    /// Who has nothing for the place.
    tried: Arc<[Tried]>,
    /// Whose credentials were found last.
    account: Option<Account>,
    /// What was refused and may be replaced.
    renewed: Option<Refused>,
    /// What was refused for good: we are nobody since.
    given_up: Option<Refused>,
    accepted: bool,
}

/// Credentials that a registry did not accept.
#[derive(Clone, Debug)]
struct Refused {
    account: Option<Account>,
    origin: Arc<Origin>,
    said: Option<Said>,
}

/// What a place asks for when it answers 401.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) challenges: Vec<Challenge>,
    /// The same as the place wrote it.
    raw: Vec<String>,
}

impl Asked {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let raw = headers.get_all(WWW_AUTHENTICATE).into_iter();
        Self {
            challenges: challenges(headers),
            raw: raw
                .filter_map(|value| Some(value.to_str().ok()?.to_owned()))
                .collect(),
        }
    }

    /// Returns whether the token that was shown was not good for the request.
    pub(super) fn is_insufficient(&self) -> bool {
        self.challenges.iter().any(|challenge| {
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

impl Place {
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
        asking: Asking<'_>,
        base: &Url,
        asked: &Asked,
        refused: Option<&Authorization>,
        what: &str,
    ) -> Result<bool, RegistryError> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let refused_number = refused.map_or(0, |refused| refused.number);
        if session.shown.is_some() && session.count > refused_number {
            return Ok(true);
        }
        if asked.challenges.is_empty() {
            return Ok(false);
        }
        let found = self.find(asking, &session, &asked.raw, what)?;
        session.tried = Arc::clone(&found.tried);
        session.account = (!found.auth.is_anonymous()).then(|| found.auth.account());
        for challenge in &asked.challenges {
            let shown = match (challenge, &found.auth) {
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
                    let wanted = Bearer {
                        realm,
                        service: service.as_deref(),
                        scope: scope.as_deref(),
                    };
                    let is_refused = refused.is_some();
                    let (header, key) =
                        self.token(asking, base, &wanted, &found, is_refused, what)?;
                    Some((header, Some(key)))
                }
            };
            let Some((header, key)) = shown else { continue };
            // The same once more would be refused once more.
            if key.is_none() && refused.is_some() {
                return Ok(false);
            }
            let header = header.ok_or_else(|| self.malformed("a token", &"it is no text"))?;
            session.count += 1;
            session.shown = Some(Authorization {
                header,
                identity: Identity {
                    direct: key.is_none(),
                    ..Identity::of(&found)
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
        asking: Asking<'_>,
        session: &Session,
        challenges: &[String],
        what: &str,
    ) -> Result<Found, RegistryError> {
        if session.given_up.is_some() {
            return Ok(Found {
                tried: Arc::clone(&session.tried),
                ..Found::default()
            });
        }
        let request = CredentialRequest {
            attempt: 1 + u32::from(session.renewed.is_some()),
            challenges,
            ..self.request(asking)
        };
        let found = asking.credentials.find(&request, asking.cancel)?;
        match &session.renewed {
            Some(old) if old.account == Some(found.auth.account()) => {
                Err(RegistryError::Credentials {
                    host: self.endpoint.host.clone(),
                    what: what.to_owned(),
                    origin: Some(Arc::clone(&old.origin)),
                    said: old.said.clone(),
                })
            }
            _ => Ok(found),
        }
    }

    /// Returns whether a request may be repeated after credentials were refused: with others of
    /// the same provider, or, where only reading is wanted and the user has not asked for the
    /// provider, as nobody.
    pub(super) fn reconsider(&self, asking: Asking<'_>, error: &RegistryError) -> bool {
        let RegistryError::Credentials {
            origin: Some(origin),
            said,
            ..
        } = error
        else {
            return false;
        };
        let request = self.request(asking);
        let report = || {
            asking
                .credentials
                .report(&request, origin, false, asking.cancel);
        };
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if session.given_up.is_some() {
            return true;
        }
        session.shown = None;
        let refused = Refused {
            account: session.account,
            origin: Arc::clone(origin),
            said: said.clone(),
        };
        if origin.renewable && session.renewed.is_none() {
            report();
            session.renewed = Some(refused);
            return true;
        }
        if session.renewed.is_none() {
            report();
        }
        if !origin.ambient || asking.access != Access::Pull {
            return false;
        }
        let host = &self.endpoint.host;
        asking.client.notices.add(format!(
            "registry {host} does not accept the credentials of {origin}; going on without any \
             (log in again with `msb registry login {host}`)"
        ));
        session.given_up = Some(refused);
        true
    }

    /// Returns the error for the user: where nobody was let in after somebody was not, the first
    /// refusal says more.
    pub(super) fn first_refusal(&self, error: RegistryError) -> RegistryError {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        match (error, &session.given_up) {
            (
                RegistryError::Denied { host, what, .. }
                | RegistryError::Credentials { host, what, .. }
                | RegistryError::NotFound { host, what, .. },
                Some(refused),
            ) => RegistryError::Credentials {
                host,
                what,
                origin: Some(Arc::clone(&refused.origin)),
                said: refused.said.clone(),
            },
            (error, _) => error,
        }
    }

    /// Takes note of an answer that shows that we were let in.
    pub(super) fn accepted(&self, asking: Asking<'_>, shown: &Authorization) {
        let Some(origin) = &shown.identity.origin else {
            return;
        };
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut session.accepted, true) {
            return;
        }
        drop(session);
        let request = self.request(asking);
        asking
            .credentials
            .report(&request, origin, true, asking.cancel);
    }

    /// Returns who had nothing when somebody was wanted.
    pub(super) fn tried(&self) -> Arc<[Tried]> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&session.tried)
    }

    fn request<'a>(&'a self, asking: Asking<'_>) -> CredentialRequest<'a> {
        let repository = &self.endpoint.repository;
        CredentialRequest {
            host: &self.endpoint.host,
            repository: (!repository.is_empty()).then_some(repository),
            access: asking.access,
            challenges: &[],
            attempt: 1,
        }
    }
}

impl Identity {
    pub(super) fn of(found: &Found) -> Self {
        Self {
            known: !found.auth.is_anonymous(),
            origin: found.origin.clone(),
            tried: Arc::clone(&found.tried),
            direct: false,
        }
    }
}
