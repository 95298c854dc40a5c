//! The words of the interface `credentials` and those of the host: each turned into the other.
//!
//! Owns what an answer of a provider may look like. What it says is untrusted: names go into
//! headers and onto terminals.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::{ExposeSecret as _, SecretString};
use wasmtime::component::Resource;

use super::bindings::exports::msb::plugin::credentials as wit;
use super::capability::secret::Value;
use super::error::Failure;
use super::format::{checked_name, shown as text};
use super::grant::{Capability, Grant};
use super::guest::Guest;
use super::package::{CredentialDescription, Need};
use crate::auth::{
    Answer, Cache, CredentialEntry, CredentialExtent, MAX_PASSWORD, Operations, Problem,
    ProviderError,
};
use crate::credential::{Action, AuthSourceKind, CredentialRequest, RegistryAuth};

/// Bytes of a name.
const MAX_NAME: usize = 1024;
/// Registries in a list, patterns and permissions in a description.
const MAX_ENTRIES: usize = 10_000;
const MAX_PATTERNS: usize = 256;
const MAX_NEEDS: usize = 64;

/// Checks what a provider says of itself.
pub(super) fn description(said: wit::Description) -> Result<CredentialDescription, Failure> {
    let name = checked_name(said.name, "a credential provider")?;
    if said.registries.len() > MAX_PATTERNS || said.needs.len() > MAX_NEEDS {
        return Err(Failure::Answer("its description is too long".to_owned()));
    }
    for pattern in &said.registries {
        let plain = |it: char| it.is_ascii_alphanumeric() || "*.:-_[]".contains(it);
        if pattern.is_empty() || pattern.len() > 255 || !pattern.chars().all(plain) {
            return Err(Failure::Answer(format!(
                "`{}` is not a pattern for registries",
                text(pattern)
            )));
        }
    }
    let needs = said.needs.into_iter().map(|need| {
        let Some(capability) = Capability::from_name(&need.capability) else {
            return Err(Failure::Answer(format!(
                "it asks for the permission `{}`, which this msb does not know",
                text(&need.capability)
            )));
        };
        let grant = Grant::new(capability, need.scope.as_deref())
            .map_err(|error| Failure::Answer(format!("it asks for a permission: {error}")))?;
        Ok(Need {
            grant,
            reason: text(&need.reason),
        })
    });
    let attribute = |key: &str| {
        let mut all = said.attributes.iter();
        all.find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    };
    // A value that this msb does not know is one of a later msb.
    let tier = attribute("tier").and_then(|tier| tier.parse().ok());
    let reads = attribute("reads").and_then(AuthSourceKind::of_word);
    Ok(CredentialDescription {
        name,
        title: text(&said.title),
        operations: Operations {
            store: said.operations.contains(wit::Operations::STORE),
            erase: said.operations.contains(wit::Operations::ERASE),
            list: said.operations.contains(wit::Operations::LIST),
            report: said.operations.contains(wit::Operations::REPORT),
            login: attribute("login") == Some("interactive"),
        },
        registries: said.registries,
        needs: needs.collect::<Result<_, Failure>>()?,
        tier,
        reads,
    })
}

/// Puts a question into the words of the contract.
pub(super) fn request(request: &CredentialRequest) -> wit::Request {
    wit::Request {
        registry: request.registry.clone(),
        repository: request.repository.clone(),
        action: match request.action {
            Action::Pull => wit::Action::Pull,
            Action::Push => wit::Action::Push,
            Action::Login => wit::Action::Login,
        },
        challenges: request.challenges.clone(),
        username: request.username.clone(),
        attempt: request.attempt,
        attributes: Vec::new(),
    }
}

/// The same, of a question at which the user waits to be logged in.
pub(super) fn interactive(asked: &CredentialRequest) -> wit::Request {
    wit::Request {
        attributes: vec![("interactive".to_owned(), "yes".to_owned())],
        ..request(asked)
    }
}

/// Hands credentials to a guest, the secret in them as a handle.
pub(super) fn handed(
    credential: &RegistryAuth,
    guest: &mut Guest,
) -> wasmtime::Result<wit::Credential> {
    let mut keep =
        |secret: &SecretString| guest.keep(Value::new(secret.expose_secret().as_bytes().to_vec()));
    Ok(match credential {
        RegistryAuth::Anonymous => wit::Credential::Anonymous,
        RegistryAuth::Basic { username, password } => {
            wit::Credential::Basic((username.clone(), keep(password)?))
        }
        RegistryAuth::IdentityToken(token) => wit::Credential::IdentityToken(keep(token)?),
        RegistryAuth::RegistryToken(token) => wit::Credential::RegistryToken(keep(token)?),
    })
}

/// Takes an answer over from a guest.
pub(super) fn answer(said: wit::Answer, guest: &mut Guest) -> Result<Answer, Failure> {
    let source = said.source.map(|source| text(&source));
    let credential =
        credential(said.credential, guest).map_err(|failure| match (failure, &source) {
            // What is wrong is what was found there.
            (Failure::Answer(reason), Some(source)) => {
                Failure::Answer(format!("{reason}; it was found in {source}"))
            }
            (failure, _) => failure,
        })?;
    Ok(Answer {
        credential,
        cache: match said.cache {
            wit::Cache::Never => Cache::Never,
            wit::Cache::Session => Cache::Session,
            wit::Cache::Until(seconds) => Cache::Until(time(seconds)?),
        },
        extent: match said.extent {
            wit::Extent::Repository => CredentialExtent::Repository,
            wit::Extent::Registry => CredentialExtent::Registry,
        },
        source,
    })
}

/// Returns whether the host may keep an answer for the next run.
pub(super) fn may_be_kept(said: &wit::Answer) -> bool {
    let mut attributes = said.attributes.iter();
    attributes.any(|(key, value)| key == "keep" && value == "yes")
}

fn credential(said: wit::Credential, guest: &mut Guest) -> Result<RegistryAuth, Failure> {
    Ok(match said {
        wit::Credential::Basic((username, password)) => RegistryAuth::Basic {
            username: checked_username(username)?,
            password: secret(password, guest, "password")?,
        },
        wit::Credential::IdentityToken(token) => {
            // It goes into a form, where every character has a place.
            RegistryAuth::IdentityToken(filled(secret(token, guest, "token")?)?)
        }
        wit::Credential::RegistryToken(token) => {
            RegistryAuth::RegistryToken(header(filled(secret(token, guest, "token")?)?)?)
        }
        wit::Credential::Anonymous => RegistryAuth::Anonymous,
    })
}

/// Takes a list over from a guest.
pub(super) fn entries(said: Vec<wit::Entry>) -> Result<Vec<CredentialEntry>, Failure> {
    if said.len() > MAX_ENTRIES {
        return Err(Failure::Answer(format!(
            "it lists more than {MAX_ENTRIES} registries"
        )));
    }
    said.into_iter()
        .map(|entry| {
            Ok(CredentialEntry {
                registry: text(&entry.registry),
                username: entry.username.map(|name| text(&name)),
                source: entry.source.map(|source| text(&source)),
                expires: entry.expires.map(time).transpose()?,
            })
        })
        .collect()
}

/// Takes over why there is no answer. Where a request was denied that the provider can only know to
/// have failed, that is why.
pub(super) fn error(said: wit::Error, denied: Option<String>) -> ProviderError {
    let said = match (said, denied) {
        (wit::Error::Unavailable(it) | wit::Error::Failed(it), Some(denied)) => {
            wit::Error::Denied(wit::Problem {
                message: format!("{}: {denied}", it.message),
                hint: None,
            })
        }
        (said, _) => said,
    };
    let problem = |problem: wit::Problem| Problem {
        message: text(&problem.message),
        hint: problem.hint.map(|hint| text(&hint)),
    };
    match said {
        wit::Error::NotMine => ProviderError::NotMine,
        wit::Error::NotFound => ProviderError::NotFound,
        wit::Error::Unsupported => ProviderError::Unsupported,
        wit::Error::Unavailable(it) => ProviderError::Unavailable(problem(it)),
        wit::Error::Denied(it) => ProviderError::Denied(problem(it)),
        wit::Error::Misconfigured(it) => ProviderError::Misconfigured(problem(it)),
        wit::Error::Failed(it) => ProviderError::Failed(problem(it)),
    }
}

fn checked_username(name: String) -> Result<String, Failure> {
    if name.len() > MAX_NAME {
        return Err(Failure::Answer(format!(
            "the user name is longer than {MAX_NAME} bytes"
        )));
    }
    if name.chars().any(char::is_control) {
        return Err(Failure::Answer(
            "the user name has a control character".to_owned(),
        ));
    }
    // Source: RFC 7617 section 2.
    if name.contains(':') {
        return Err(Failure::Answer(
            "the user name has a colon, which no registry could tell from the password".to_owned(),
        ));
    }
    Ok(name)
}

fn filled(token: SecretString) -> Result<SecretString, Failure> {
    if token.expose_secret().is_empty() {
        return Err(Failure::Answer("the token is empty".to_owned()));
    }
    Ok(token)
}

/// Refuses a token that no header of HTTP could carry.
fn header(token: SecretString) -> Result<SecretString, Failure> {
    if token.expose_secret().chars().any(char::is_control) {
        return Err(Failure::Answer(
            "the token has a control character, which no header can have".to_owned(),
        ));
    }
    Ok(token)
}

/// Takes a secret back from a guest; it may be its own handle only.
fn secret(handle: Resource<Value>, guest: &mut Guest, what: &str) -> Result<SecretString, Failure> {
    let value = guest.take(handle).map_err(|error| {
        Failure::Answer(format!("the {what} is not a secret of its own: {error}"))
    })?;
    if value.bytes().len() > MAX_PASSWORD {
        return Err(Failure::Answer(format!(
            "the {what} is longer than {} KiB",
            MAX_PASSWORD >> 10
        )));
    }
    let text = std::str::from_utf8(value.bytes())
        .map_err(|_| Failure::Answer(format!("the {what} is not UTF-8")))?;
    Ok(text.to_owned().into())
}

fn time(seconds: u64) -> Result<SystemTime, Failure> {
    UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .ok_or_else(|| Failure::Answer(format!("{seconds} is not a time")))
}
