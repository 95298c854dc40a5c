//! Tokens: asking a token server, and keeping what it gave. Source: the documents "Token
//! Authentication Specification" and "OAuth 2.0" of the registry distribution.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde::Deserialize;

use crate::credential::Account;

/// The shortest life of a token, whatever the server says: clocks differ, and zero is common.
const MIN_LIFE: Duration = Duration::from_mins(1);
/// A token this old is not shown any more, whatever the server says.
const MAX_LIFE: Duration = Duration::from_hours(24);
/// The most bytes of an answer with a token.
pub(super) const MAX_ANSWER: u64 = 1 << 20;

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    pub(super) host: String,
    pub(super) realm: String,
    pub(super) service: Option<String>,
    /// Sorted, so that the order in which they were learnt does not matter.
    pub(super) scopes: Vec<String>,
    /// Whom it was given to.
    pub(super) account: Option<Account>,
}

/// A token and the time until which it is shown.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) secret: SecretString,
    until: Instant,
}

/// The tokens of one client.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<TokenKey, Token>>);

#[derive(Deserialize)]
struct TokenResponse {
    #[serde(default)]
    token: Option<SecretString>,
    #[serde(default)]
    access_token: Option<SecretString>,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

impl Token {
    /// Reads the answer of a token server.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(bytes: &[u8], now: Instant) -> Result<Self, String> {
        use secrecy::ExposeSecret as _;
        // What the parser says could show a part of the token.
        let answer: TokenResponse =
            serde_json::from_slice(bytes).map_err(|_| "its answer is not understood".to_owned())?;
        let secret = [answer.token, answer.access_token]
            .into_iter()
            .flatten()
            .find(|token| !token.expose_secret().is_empty())
            .ok_or_else(|| "its answer has no token".to_owned())?;
        let life = answer
            .expires_in
            .and_then(|value| value.as_f64())
            .filter(|seconds| seconds.is_finite() && *seconds > 0.0)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .unwrap_or(MIN_LIFE)
            .clamp(MIN_LIFE, MAX_LIFE);
        Ok(Self {
            secret,
            until: now + life,
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Token").finish_non_exhaustive()
    }
}

impl Tokens {
    pub(super) fn get(&self, key: &TokenKey, now: Instant) -> Option<SecretString> {
        let tokens = self.lock();
        let token = tokens.get(key).filter(|token| token.until > now)?;
        Some(token.secret.clone())
    }

    pub(super) fn put(&self, key: TokenKey, token: Token) {
        self.lock().insert(key, token);
    }

    pub(super) fn forget(&self, key: &TokenKey) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenKey, Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn life(text: &str) -> u64 {
        let now = Instant::now();
        let token = Token::read(text.as_bytes(), now).unwrap();
        token.until.duration_since(now).as_secs()
    }

    #[test]
    fn a_token_has_either_of_two_names() {
        for text in [
            r#"{"token":"t"}"#,
            r#"{"access_token":"t"}"#,
            r#"{"token":"","access_token":"t"}"#,
            r#"{"token":"t","access_token":"other","refresh_token":"r","issued_at":"x"}"#,
        ] {
            let token = Token::read(text.as_bytes(), Instant::now()).unwrap();
            assert_eq!(token.secret.expose_secret(), "t", "{text}");
            assert!(!format!("{token:?}").contains("\"t\""));
        }
    }

    #[test]
    fn a_token_lives_as_long_as_it_says_and_at_least_a_minute() {
        assert_eq!(life(r#"{"token":"t"}"#), 60);
        assert_eq!(life(r#"{"token":"t","expires_in":0}"#), 60);
        assert_eq!(life(r#"{"token":"t","expires_in":-5}"#), 60);
        assert_eq!(life(r#"{"token":"t","expires_in":"300"}"#), 60);
        assert_eq!(life(r#"{"token":"t","expires_in":300}"#), 300);
        assert_eq!(life(r#"{"token":"t","expires_in":1e300}"#), 60);
        assert_eq!(life(r#"{"token":"t","expires_in":99999999}"#), 86_400);
    }

    #[test]
    fn an_answer_without_a_token_is_an_error_that_shows_nothing_of_it() {
        for text in ["", "{}", "[]", r#"{"token":5}"#, r#"{"token":"secret"#] {
            let error = Token::read(text.as_bytes(), Instant::now()).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_token_is_found_for_what_it_is_for_until_it_ends() {
        let key = |scope: &str| TokenKey {
            host: "h".to_owned(),
            realm: "https://h/t".to_owned(),
            service: None,
            scopes: vec![scope.to_owned()],
            account: None,
        };
        let (tokens, now) = (Tokens::default(), Instant::now());
        tokens.put(key("a"), Token::read(br#"{"token":"t"}"#, now).unwrap());
        assert!(tokens.get(&key("a"), now).is_some());
        assert!(tokens.get(&key("b"), now).is_none());
        assert!(
            tokens
                .get(&key("a"), now + Duration::from_secs(61))
                .is_none()
        );
        tokens.forget(&key("a"));
        assert!(tokens.get(&key("a"), now).is_none());
    }
}
