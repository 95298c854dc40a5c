//! Asking a token server for a token. Source: the documents "Token Authentication Specification"
//! and "OAuth 2.0" of the registry distribution.

use std::time::{Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{RequestBuilder, Response, Url};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::authorize::Identity;
use super::body;
use super::endpoint::Endpoint;
use super::exchange::RequestContext;
use super::incoming::Unread;
use super::retry::retry_after;
use super::token::{MAX_ANSWER, Token, TokenKey};
use super::transport::{Connection, Side};
use super::{RegistryError, RegistryErrorKind, RegistryOperation, realm, redirect};
use crate::credential::{RegistryAuth, ResolvedCredential};

/// Redirects of a token server that are followed.
const MAX_REDIRECTS: usize = 5;
/// What we are called where a token server wants a name.
const CLIENT_ID: &str = "msb";

/// The parameters of a `Bearer` challenge.
pub(super) struct BearerChallenge<'a> {
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
    /// The scope that the endpoint names.
    pub(super) scope: Option<&'a str>,
}

/// A request for a token.
#[derive(Clone, Copy)]
struct TokenRequest<'a> {
    base: &'a Url,
    key: &'a TokenKey,
    credential: &'a ResolvedCredential,
    what: &'a RegistryOperation,
}

impl Endpoint {
    /// Returns a token: one that is kept, or a new one.
    pub(super) fn token(
        &self,
        context: RequestContext<'_>,
        base: &Url,
        wanted: &BearerChallenge<'_>,
        credential: &ResolvedCredential,
        is_refused: bool,
        what: &RegistryOperation,
    ) -> Result<(Option<HeaderValue>, TokenKey), RegistryError> {
        let url = self
            .referrer(context, base)
            .token_server(wanted.realm, !credential.auth.is_anonymous())
            .map_err(|reason| self.refused_realm(what, wanted.realm, reason))?;
        let key = TokenKey {
            host: self.config.host.clone(),
            realm: url.to_string(),
            service: wanted.service.map(str::to_owned),
            scopes: self.scopes(context.action, wanted.scope),
            account: (!credential.auth.is_anonymous()).then(|| credential.auth.account()),
        };
        if is_refused {
            context.client.tokens.forget(&key);
        }
        if let Some(secret) = context.client.tokens.get(&key, Instant::now()) {
            return Ok((bearer(&secret), key));
        }
        let token_request = TokenRequest {
            base,
            key: &key,
            credential,
            what,
        };
        let token = self.ask_for_token(context, url, token_request)?;
        let header = bearer(&token.secret);
        context.client.tokens.put(key.clone(), token);
        Ok((header, key))
    }

    /// Asks a token server: by GET, or by POST where there is a refresh token or GET is not known.
    fn ask_for_token(
        &self,
        context: RequestContext<'_>,
        mut url: Url,
        token_request: TokenRequest<'_>,
    ) -> Result<Token, RegistryError> {
        let TokenRequest {
            base,
            key,
            credential,
            what,
        } = token_request;
        let origin = url.origin();
        let connection = |url: &Url| {
            let side = if url.host() == base.host() {
                Side::Registry
            } else if url.origin() == origin {
                Side::TokenService
            } else {
                Side::Elsewhere
            };
            self.connection(url, side, what)
        };
        let mut fields: Vec<(&str, &str)> = Vec::new();
        fields.extend(key.service.as_deref().map(|service| ("service", service)));
        let scope = key.scopes.join(" ");
        if let RegistryAuth::IdentityToken(token) = &credential.auth {
            if !scope.is_empty() {
                fields.push(("scope", &scope));
            }
            fields.extend([
                ("client_id", CLIENT_ID),
                ("grant_type", "refresh_token"),
                ("refresh_token", token.expose_secret()),
            ]);
            let response = self.send_form(context, &connection(&url)?, &url, &fields, what)?;
            if matches!(response.status().as_u16(), 404 | 405) {
                let reason = "it takes no identity tokens".to_owned();
                return Err(self.no_token(what, &url, reason));
            }
            return self.read_token(context, &url, response, token_request);
        }
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(&fields);
            query.extend_pairs(key.scopes.iter().map(|scope| ("scope", scope)));
            if let RegistryAuth::Basic { username, .. } = &credential.auth {
                query.append_pair("account", username);
                query.append_pair("client_id", CLIENT_ID);
            }
        }
        for _ in 0..=MAX_REDIRECTS {
            let connection = connection(&url)?;
            let mut request = connection.client.get(url.clone());
            if let RegistryAuth::Basic { username, password } = &credential.auth {
                let header = basic(username, password).ok_or_else(|| {
                    self.malformed(&RegistryOperation::FindCredentials, &"they are not text")
                })?;
                request = request.header(AUTHORIZATION, header);
            }
            let response = self
                .answer(context, &connection, request, what)
                .map_err(|error| self.of_realm(error, &url))?;
            let status = response.status().as_u16();
            if let RegistryAuth::Basic { username, password } = &credential.auth
                && matches!(status, 404 | 405)
            {
                url.set_query(None);
                if !scope.is_empty() {
                    fields.push(("scope", &scope));
                }
                fields.extend([
                    ("client_id", CLIENT_ID),
                    ("grant_type", "password"),
                    ("username", username),
                    ("password", password.expose_secret()),
                ]);
                let response = self.send_form(context, &connection, &url, &fields, what)?;
                return self.read_token(context, &url, response, token_request);
            }
            let Some(location) = redirect::location(&response).cloned() else {
                return self.read_token(context, &url, response, token_request);
            };
            let refused = |reason: String| {
                let realm = String::from_utf8_lossy(location.as_bytes());
                self.refused_realm(what, &realm, reason)
            };
            let next = redirect::target(&url, &location);
            url = next.ok_or_else(|| refused("it is not an address".to_owned()))?;
            let has_secret = !credential.auth.is_anonymous();
            let referrer = self.referrer(context, base);
            referrer
                .check_token_server(&url, has_secret)
                .map_err(refused)?;
            if has_secret && url.origin() != origin {
                return Err(refused(
                    "the token server passes the password on to another".to_owned(),
                ));
            }
        }
        Err(self.no_token(
            what,
            &url,
            format!("it redirects more than {MAX_REDIRECTS} times"),
        ))
    }

    fn read_token(
        &self,
        context: RequestContext<'_>,
        url: &Url,
        mut response: Response,
        token_request: TokenRequest<'_>,
    ) -> Result<Token, RegistryError> {
        let what = token_request.what;
        let status = response.status();
        if !status.is_success() {
            let retry_after = retry_after(response.headers(), SystemTime::now());
            let message = body::server_message(context.waiter(), &mut response);
            let identity = Identity::of(token_request.credential);
            let kind = match status.as_u16() {
                401 | 403 if !identity.known => RegistryErrorKind::Denied {
                    identity: Box::new(identity.into()),
                    message,
                },
                400 | 401 | 403 if identity.known => RegistryErrorKind::Credentials {
                    source: identity.source,
                    message,
                },
                429 => RegistryErrorKind::RateLimited {
                    retry_after,
                    message,
                },
                status @ (408 | 500..) => {
                    let what = RegistryOperation::FetchToken(Some(Box::new(what.clone())));
                    let kind = RegistryErrorKind::Status {
                        status,
                        retry_after,
                        message,
                    };
                    return Err(self.error(&what, kind));
                }
                status => return Err(self.no_token(what, url, format!("it answers {status}"))),
            };
            return Err(self.error(what, kind));
        }
        let wanted = &RegistryOperation::FetchToken(None);
        let url_of_answer = response.url().clone();
        let elsewhere = self.elsewhere(&url_of_answer);
        let mut incoming = self.incoming(context, response, wanted);
        let unread = |unread| match unread {
            Unread::TooLong => {
                let reason = format!("its answer is longer than {MAX_ANSWER} bytes");
                self.no_token(what, url, reason)
            }
            unread => self.unread(unread, elsewhere.clone(), wanted),
        };
        let body = body::read(&mut incoming, MAX_ANSWER).map_err(unread)?;
        let content_type = body.content_type.clone();
        let bytes = body.content(MAX_ANSWER).map_err(unread)?;
        if let Some(page) = self.page(&url_of_answer, content_type.as_deref(), &bytes, wanted) {
            return Err(page);
        }
        Token::read(&bytes, Instant::now()).map_err(|reason| self.no_token(what, url, reason))
    }

    /// Sends fields as a browser sends them.
    fn send_form(
        &self,
        context: RequestContext<'_>,
        connection: &Connection,
        url: &Url,
        fields: &[(&str, &str)],
        what: &RegistryOperation,
    ) -> Result<Response, RegistryError> {
        let request = form(&connection.client, url.clone(), fields);
        self.answer(context, connection, request, what)
            .map_err(|error| self.of_realm(error, url))
    }

    /// Turns the error of a server to which the registry may not refer into one of its challenge.
    fn of_realm(&self, error: RegistryError, url: &Url) -> RegistryError {
        match error.kind {
            RegistryErrorKind::Redirect { reason } => {
                self.refused_realm(&error.what, &url.origin().ascii_serialization(), reason)
            }
            kind => RegistryError { kind, ..error },
        }
    }

    fn refused_realm(
        &self,
        what: &RegistryOperation,
        named: &str,
        reason: String,
    ) -> RegistryError {
        let kind = RegistryErrorKind::Realm {
            realm: named.to_owned(),
            is_plain: reason == realm::PLAIN,
            reason,
        };
        self.error(what, kind)
    }

    fn no_token(&self, what: &RegistryOperation, url: &Url, reason: String) -> RegistryError {
        let kind = RegistryErrorKind::Token {
            server: url.origin().ascii_serialization(),
            reason,
        };
        self.error(what, kind)
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
pub(super) fn basic(username: &str, password: &SecretString) -> Option<HeaderValue> {
    let pair = Zeroizing::new(format!("{username}:{}", password.expose_secret()));
    let encoded = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    sensitive(&encoded)
}

/// Source: RFC 6750.
pub(super) fn bearer(token: &SecretString) -> Option<HeaderValue> {
    sensitive(&Zeroizing::new(format!("Bearer {}", token.expose_secret())))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
