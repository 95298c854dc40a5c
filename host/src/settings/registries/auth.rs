//! `registries.auth.<host>`, and `registries.hosts.<host>.auth`, which means the same: where the
//! password for a host is.
//!
//! Owns the shape of an entry and what is wrong with one. An entry that makes no sense is kept with
//! its fault, which is told when its host is asked: other hosts work on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::super::plugins::is_plugin_name;
use super::super::shape::Object;
use crate::address;
use crate::credential::AuthSourceKind;
use crate::reference::canonical_host;

/// What the user has set for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthEntry {
    /// The file of settings.
    pub file: PathBuf,
    /// The keys that lead to it: `registries.auth.ghcr.io`.
    pub key: String,
    /// What it says, or what is wrong with it.
    pub content: Result<AuthSettings, AuthProblem>,
}

/// Who the user is to a host, and where the password is. No secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthSettings {
    /// The name. The keychain has names of its own.
    pub username: Option<String>,
    /// Where the password is.
    pub source: AuthSource,
}

/// Where a password is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthSource {
    /// In the credential store of the operating system: `"store": "keyring"`.
    Keyring,
    /// In a variable of the environment: `password_env`.
    PasswordEnv(String),
    /// In a file of this name below `secrets/registries`: `secret_name`.
    SecretName(String),
    /// The provider of this name has it, and no other is asked: `provider`.
    Provider(String),
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthProblem {
    /// Nothing says where the password is.
    #[error("it has none of `store`, `password_env`, `secret_name` and `provider`")]
    NoSource,
    /// Two things say where the password is.
    #[error("it has both `{0}` and `{1}`")]
    SeveralSources(&'static str, &'static str),
    /// There is no name.
    #[error("it has no `username`")]
    NoUsername,
    /// The password itself is there.
    #[error("it has a `password`, which this file is not the place for")]
    Password,
    /// Another store than there is.
    #[error("its `store` is `{0}`, and there is only `keyring`")]
    Store(String),
    /// No name of a variable.
    #[error("`password_env` is not a valid variable name")]
    Variable,
    /// No name of a file.
    #[error("`secret_name` is not a file name: it may not contain `/`, or be `.` or `..`")]
    SecretName,
    /// No name of a provider.
    #[error("`provider` is not the name of a plugin")]
    Provider,
    /// The key of the entry is more than a host.
    #[error("its key is not a registry, which is a host name, with a port or without")]
    NotARegistry,
    /// Another entry for the same host says something else.
    #[error("`{0}` says something else of the same host")]
    Contradiction(String),
}

/// An entry as it is written.
#[derive(Clone, Deserialize)]
pub(super) struct AuthFile {
    username: Option<String>,
    store: Option<String>,
    password_env: Option<String>,
    secret_name: Option<String>,
    provider: Option<String>,
    password: Option<IgnoredAny>,
}

/// The entries of `registries.auth`. `null` is not an entry.
pub(super) type AuthFiles = BTreeMap<String, Option<Object<AuthFile>>>;

impl AuthEntry {
    pub(super) fn new(file: PathBuf, key: String, written: AuthFile) -> Self {
        Self {
            file,
            key,
            content: written.resolve(),
        }
    }

    /// Returns the entry as one whose key is more than a host.
    pub(super) fn misnamed(self) -> Self {
        Self {
            content: Err(AuthProblem::NotARegistry),
            ..self
        }
    }

    /// Adds an entry to those of other hosts. Two for one host must say the same.
    pub(super) fn join(self, host: String, entries: &mut BTreeMap<String, Self>) {
        match entries.get_mut(&host) {
            None => {
                entries.insert(host, self);
            }
            Some(first) if first.content == self.content => {}
            // What is wrong with one says more than that the two differ.
            Some(first) if self.content.is_err() => *first = self,
            Some(first) => {
                first.content = Err(AuthProblem::Contradiction(self.key));
            }
        }
    }
}

/// Returns the host in a key that has more than that, such as `ghcr.io/acme`.
pub(in crate::settings) fn host_of(key: &str) -> Option<String> {
    let shown = address::shown_as_registry(key);
    let rest = shown.split_once("://").map_or(&*shown, |(_, rest)| rest);
    canonical_host(rest.split(['/', '?', '#']).next()?)
}

impl AuthSettings {
    /// Returns it as a provider gets to see it.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        if let Some(username) = &self.username {
            object.insert("username".to_owned(), username.clone().into());
        }
        let (key, value) = match &self.source {
            AuthSource::Keyring => ("store", "keyring"),
            AuthSource::PasswordEnv(name) => ("password_env", name.as_str()),
            AuthSource::SecretName(name) => ("secret_name", name.as_str()),
            AuthSource::Provider(name) => ("provider", name.as_str()),
        };
        object.insert(key.to_owned(), value.into());
        Value::Object(object)
    }

    /// Returns what stands at the key that says where the password is: `GHCR_TOKEN`.
    pub fn source_name(&self) -> &str {
        match &self.source {
            AuthSource::Keyring => "keyring",
            AuthSource::PasswordEnv(name)
            | AuthSource::SecretName(name)
            | AuthSource::Provider(name) => name,
        }
    }

    /// Returns the name of the key that says where the password is: `password_env`.
    pub fn source_key(&self) -> &'static str {
        match self.source {
            AuthSource::Keyring => "store",
            AuthSource::PasswordEnv(_) => "password_env",
            AuthSource::SecretName(_) => "secret_name",
            AuthSource::Provider(_) => "provider",
        }
    }

    /// Returns the provider that alone is asked, if the entry names one.
    pub fn provider(&self) -> Option<&str> {
        match &self.source {
            AuthSource::Provider(name) => Some(name),
            _ => None,
        }
    }
}

impl AuthSource {
    /// Returns the source that a provider has to read, unless the entry names the provider itself.
    pub fn kind(&self) -> Option<AuthSourceKind> {
        match self {
            Self::Keyring => Some(AuthSourceKind::Keyring),
            Self::PasswordEnv(_) => Some(AuthSourceKind::PasswordEnv),
            Self::SecretName(_) => Some(AuthSourceKind::SecretName),
            Self::Provider(_) => None,
        }
    }
}

impl AuthFile {
    fn resolve(self) -> Result<AuthSettings, AuthProblem> {
        if self.password.is_some() {
            return Err(AuthProblem::Password);
        }
        let given = [
            self.store.as_ref().map(|_| "store"),
            self.password_env.as_ref().map(|_| "password_env"),
            self.secret_name.as_ref().map(|_| "secret_name"),
            self.provider.as_ref().map(|_| "provider"),
        ];
        let mut given = given.into_iter().flatten();
        if let (Some(first), Some(second)) = (given.next(), given.next()) {
            return Err(AuthProblem::SeveralSources(first, second));
        }
        let source = match (self.store, self.password_env, self.secret_name) {
            (Some(store), ..) if store == "keyring" => AuthSource::Keyring,
            (Some(store), ..) => return Err(AuthProblem::Store(store)),
            (_, Some(name), _) if name.is_empty() || name.contains(['=', '\0']) => {
                return Err(AuthProblem::Variable);
            }
            (_, Some(name), _) => AuthSource::PasswordEnv(name),
            (_, _, Some(name)) if !is_file_name(&name) => return Err(AuthProblem::SecretName),
            (_, _, Some(name)) => AuthSource::SecretName(name),
            (None, None, None) => match self.provider {
                Some(name) if is_plugin_name(&name) => AuthSource::Provider(name),
                Some(_) => return Err(AuthProblem::Provider),
                None => return Err(AuthProblem::NoSource),
            },
        };
        let username = self.username.filter(|name| !name.is_empty());
        // The keychain and other providers have names of their own.
        let has_names = matches!(source, AuthSource::Keyring | AuthSource::Provider(_));
        if username.is_none() && !has_names {
            return Err(AuthProblem::NoUsername);
        }
        Ok(AuthSettings { username, source })
    }
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AuthSettings, AuthProblem> {
        serde_json::from_str::<AuthFile>(text).unwrap().resolve()
    }

    #[test]
    fn an_entry_has_a_name_and_one_source() {
        for (text, source) in [
            (
                r#"{"username": "u", "store": "keyring"}"#,
                AuthSource::Keyring,
            ),
            (
                r#"{"username": "u", "password_env": "TOKEN"}"#,
                AuthSource::PasswordEnv("TOKEN".to_owned()),
            ),
            (
                r#"{"username": "u", "secret_name": "ghcr.io", "note": 5}"#,
                AuthSource::SecretName("ghcr.io".to_owned()),
            ),
            (
                r#"{"username": "u", "provider": "vault"}"#,
                AuthSource::Provider("vault".to_owned()),
            ),
        ] {
            let expected = AuthSettings {
                username: Some("u".to_owned()),
                source,
            };
            assert_eq!(read(text).unwrap(), expected);
        }
    }

    #[test]
    fn what_makes_no_sense_is_a_fault_of_the_entry() {
        use AuthProblem as P;
        for (text, expected) in [
            (r#"{"username": "u"}"#, P::NoSource),
            (
                r#"{"username": "u", "store": "keyring", "secret_name": "x"}"#,
                P::SeveralSources("store", "secret_name"),
            ),
            (r#"{"password_env": "X"}"#, P::NoUsername),
            (r#"{"username": "", "password_env": "X"}"#, P::NoUsername),
            (r#"{"username": "u", "password": "p"}"#, P::Password),
            (
                r#"{"username": "u", "store": "file"}"#,
                P::Store("file".to_owned()),
            ),
            (r#"{"username": "u", "password_env": ""}"#, P::Variable),
            (r#"{"username": "u", "password_env": "A=B"}"#, P::Variable),
        ] {
            assert_eq!(read(text).unwrap_err(), expected, "{text}");
        }
        for name in ["", "..", ".", "a/b", "/etc/passwd", "../x", "a\\\\b"] {
            let text = format!(r#"{{"username": "u", "secret_name": "{name}"}}"#);
            assert_eq!(read(&text).unwrap_err(), P::SecretName, "{text}");
        }
    }

    #[test]
    fn a_provider_sees_the_name_and_where_the_password_is() {
        let settings = read(r#"{"username": "u", "password_env": "X", "other": 1}"#).unwrap();
        let expected = serde_json::json!({"username": "u", "password_env": "X"});
        assert_eq!(settings.to_json(), expected);
    }
}
