//! Answering a challenge: which credentials, which token.

use std::fmt;
use std::sync::PoisonError;
use std::time::{Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{RequestBuilder, Response, Url};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::body::{self, Unread};
use super::challenge::Challenge;
use super::client::Client;
use super::credentials::CredentialRequest;
use super::exchange::{Asking, Place};
use super::retry::retry_after;
use super::token::{MAX_ANSWER, Token, TokenKey};
use super::{RegistryAuth, RegistryError, realm};

/// Redirects of a token server that are followed.
const MAX_REDIRECTS: usize = 5;
/// What we are called where a token server wants a name.
const CLIENT_ID: &str = "msb";

/// What is shown to a place.
#[derive(Clone)]
pub(super) struct Authorization {
    pub(super) header: HeaderValue,
    /// It stands for somebody.
    pub(super) with_credentials: bool,
    /// The token that it shows.
    key: Option<TokenKey>,
    number: u64,
}

/// What was shown to a place so far.
#[derive(Debug, Default)]
pub(super) struct Session {
    shown: Option<Authorization>,
    count: u64,
}

/// What a place asks for a token with.
struct Bearer<'a> {
    realm: &'a str,
    service: Option<&'a str>,
    /// The scope that the place names, where ours was not enough.
    scope: Option<&'a str>,
}

impl Authorization {
    /// Returns whether the token that was shown was not good for the request.
    pub(super) fn is_insufficient(asked: &[Challenge]) -> bool {
        asked.iter().any(|challenge| {
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
            .field("with_credentials", &self.with_credentials)
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
        asked: &[Challenge],
        refused: Option<&Authorization>,
        what: &str,
    ) -> Result<bool, RegistryError> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let refused_number = refused.map_or(0, |refused| refused.number);
        if session.shown.is_some() && session.count > refused_number {
            return Ok(true);
        }
        if asked.is_empty() {
            return Ok(false);
        }
        let auth = asking.credentials.find(&CredentialRequest {
            host: self.endpoint.host.clone(),
            repository: self.endpoint.repository.clone(),
        })?;
        for challenge in asked {
            let found = match (challenge, &auth) {
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
                        insufficient_scope,
                    },
                    _,
                ) => {
                    let bearer = Bearer {
                        realm,
                        service: service.as_deref(),
                        scope: scope.as_deref().filter(|_| *insufficient_scope),
                    };
                    Some(self.token(asking, base, &bearer, &auth, refused, what)?)
                }
            };
            let Some((header, key)) = found else { continue };
            // The same once more would be refused once more.
            if key.is_none() && refused.is_some() {
                return Ok(false);
            }
            let header = header.ok_or_else(|| self.malformed("a token", &"it is no text"))?;
            session.count += 1;
            session.shown = Some(Authorization {
                header,
                with_credentials: !auth.is_anonymous(),
                key,
                number: session.count,
            });
            return Ok(true);
        }
        Ok(false)
    }

    /// Returns a token: one that is kept, or a new one.
    fn token(
        &self,
        asking: Asking<'_>,
        base: &Url,
        bearer_challenge: &Bearer<'_>,
        auth: &RegistryAuth,
        refused: Option<&Authorization>,
        what: &str,
    ) -> Result<(Option<HeaderValue>, Option<TokenKey>), RegistryError> {
        let realm = bearer_challenge.realm;
        let url = realm::checked(realm, base).map_err(|reason| RegistryError::Realm {
            host: self.endpoint.host.clone(),
            realm: realm.to_owned(),
            reason,
        })?;
        let mut scopes = vec![format!(
            "repository:{}:{}",
            self.endpoint.repository, asking.actions
        )];
        scopes.extend(bearer_challenge.scope.map(str::to_owned));
        scopes.sort();
        scopes.dedup();
        let key = TokenKey {
            host: self.endpoint.host.clone(),
            realm: url.to_string(),
            service: bearer_challenge.service.map(str::to_owned),
            scopes,
        };
        if refused.is_some() {
            asking.client.tokens.forget(&key);
        }
        if let Some(secret) = asking.client.tokens.get(&key, Instant::now()) {
            return Ok((bearer(&secret), Some(key)));
        }
        let token = self.ask_for_token(asking, base, url, &key, auth, what)?;
        let header = bearer(&token.secret);
        asking.client.tokens.put(key.clone(), token);
        Ok((header, Some(key)))
    }

    /// Asks a token server: by GET, or by POST where there is a refresh token or GET is not known.
    fn ask_for_token(
        &self,
        asking: Asking<'_>,
        base: &Url,
        mut url: Url,
        key: &TokenKey,
        auth: &RegistryAuth,
        what: &str,
    ) -> Result<Token, RegistryError> {
        let transport = self.transport()?;
        let http = |url: &Url| {
            if url.host() == base.host() {
                &transport.inside
            } else {
                &transport.outside
            }
        };
        let mut fields: Vec<(&str, &str)> = Vec::new();
        fields.extend(key.service.as_deref().map(|service| ("service", service)));
        let scope = key.scopes.join(" ");
        if let RegistryAuth::IdentityToken(token) = auth {
            fields.extend([
                ("scope", scope.as_str()),
                ("client_id", CLIENT_ID),
                ("grant_type", "refresh_token"),
                ("refresh_token", token.expose_secret()),
            ]);
            let request = form(http(&url), url.clone(), &fields);
            let response = self.answer(asking, request, what)?;
            return self.read_token(asking, &url, response, auth, what);
        }
        let origin = url.origin();
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(&fields);
            query.extend_pairs(key.scopes.iter().map(|scope| ("scope", scope)));
            if let RegistryAuth::Basic { username, .. } = auth {
                query.append_pair("account", username);
            }
        }
        for _ in 0..=MAX_REDIRECTS {
            let mut request = http(&url).get(url.clone());
            if let RegistryAuth::Basic { username, password } = auth
                && url.origin() == origin
            {
                let header = basic(username, password)
                    .ok_or_else(|| self.malformed("credentials", &"they are no text"))?;
                request = request.header(AUTHORIZATION, header);
            }
            let response = self.answer(asking, request, what)?;
            let status = response.status().as_u16();
            if let RegistryAuth::Basic { username, password } = auth
                && matches!(status, 404 | 405)
            {
                url.set_query(None);
                fields.extend([
                    ("scope", scope.as_str()),
                    ("client_id", CLIENT_ID),
                    ("grant_type", "password"),
                    ("username", username),
                    ("password", password.expose_secret()),
                ]);
                let request = form(http(&url), url.clone(), &fields);
                let response = self.answer(asking, request, what)?;
                return self.read_token(asking, &url, response, auth, what);
            }
            let location = response.headers().get(LOCATION).cloned();
            let Some(location) = location.filter(|_| matches!(status, 301..=303 | 307 | 308))
            else {
                return self.read_token(asking, &url, response, auth, what);
            };
            let refused = |reason| RegistryError::Realm {
                host: self.endpoint.host.clone(),
                realm: String::from_utf8_lossy(location.as_bytes()).into_owned(),
                reason,
            };
            let next = location.to_str().ok().and_then(|text| url.join(text).ok());
            url = next.ok_or_else(|| refused("it is not an address"))?;
            realm::check(&url, base).map_err(refused)?;
        }
        Err(self.no_token(
            &url,
            format!("it redirects more than {MAX_REDIRECTS} times"),
        ))
    }

    fn read_token(
        &self,
        asking: Asking<'_>,
        url: &Url,
        mut response: Response,
        auth: &RegistryAuth,
        what: &str,
    ) -> Result<Token, RegistryError> {
        let (runtime, stall) = (&asking.client.runtime, asking.client.policy.stall_timeout);
        let status = response.status();
        if !status.is_success() {
            let host = self.endpoint.host.clone();
            let what = what.to_owned();
            let after = retry_after(response.headers(), SystemTime::now());
            let said = body::said(runtime, &mut response, stall, asking.cancel);
            return Err(match status.as_u16() {
                401 | 403 if auth.is_anonymous() => RegistryError::Denied {
                    host,
                    what,
                    with_credentials: false,
                    said,
                },
                400 | 401 | 403 if !auth.is_anonymous() => {
                    RegistryError::Credentials { host, what, said }
                }
                429 => RegistryError::RateLimited {
                    host,
                    retry_after: after,
                    said,
                },
                status @ (408 | 500..) => RegistryError::Status {
                    host,
                    what: format!("a token for {what}"),
                    status,
                    said,
                },
                status => self.no_token(url, format!("it answers {status}")),
            });
        }
        let bytes = body::read(runtime, &mut response, MAX_ANSWER, stall, asking.cancel).map_err(
            |unread| match unread {
                Unread::Broken(source) => RegistryError::Broken {
                    host: self.endpoint.host.clone(),
                    what: "the request for a token".to_owned(),
                    source: Some(source),
                },
                Unread::Stalled => self.stalled(asking, "the request for a token"),
                Unread::TooLong => {
                    self.no_token(url, format!("its answer is longer than {MAX_ANSWER} bytes"))
                }
                Unread::Cancelled(cancelled) => cancelled.into(),
            },
        )?;
        Token::read(&bytes, Instant::now()).map_err(|reason| self.no_token(url, reason))
    }

    fn no_token(&self, url: &Url, reason: String) -> RegistryError {
        RegistryError::Token {
            host: self.endpoint.host.clone(),
            server: url.origin().ascii_serialization(),
            reason,
        }
    }
}

/// Returns a request with fields as a browser sends them.
fn form(http: &reqwest::Client, url: Url, fields: &[(&str, &str)]) -> RequestBuilder {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    http.post(url)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body.finish())
}

/// Source: RFC 7617.
fn basic(username: &str, password: &SecretString) -> Option<HeaderValue> {
    let pair = Zeroizing::new(format!("{username}:{}", password.expose_secret()));
    let encoded = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    sensitive(&encoded)
}

/// Source: RFC 6750.
fn bearer(token: &SecretString) -> Option<HeaderValue> {
    sensitive(&Zeroizing::new(format!("Bearer {}", token.expose_secret())))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
