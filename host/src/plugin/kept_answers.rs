//! Answers of providers that outlive a run, so that a slow provider is not asked by each command.
//!
//! Owns when one is used again: for the same question to the same component with the same grants and
//! settings, while the variables and files that it was made of are the same, until it ends. Knows nothing of how it
//! is sealed (`plugin_state`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use super::access::Access;
use super::capability::files;
use super::grant::Capability;
use super::package::{ComponentBytes, Package};
use super::plugin_state::{Entry, MAX_ENTRIES, PluginState};
use super::runtime::Runtime;
use crate::auth::{Answer, Cache, CredentialExtent};
use crate::cancel::Cancel;
use crate::credential::{Action, CredentialRequest, RegistryAuth};
use crate::digest::Digest;
use crate::progress::Progress;

/// An answer is not used in the last moments of its life: the request takes time as well.
const MARGIN: u64 = 60;
/// The longest that one is kept, whatever it says: what is wrong with it is over after a day.
const LONGEST: u64 = 24 * 60 * 60;
/// How long the files that it was made of may take to be read.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a call has read that can be read again at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Input {
    kind: InputKind,
    /// The name of a variable, or a path as the plugin writes it.
    name: String,
    /// What tells the contents from others; `None` where there was nothing.
    contents: Option<[u8; 32]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum InputKind {
    Variable,
    File,
}

impl Input {
    /// Takes note of a variable.
    pub(super) fn variable(name: &str, value: Option<&[u8]>) -> Self {
        Self::of(InputKind::Variable, name, value)
    }

    /// Takes note of a file.
    pub(super) fn file(path: &str, contents: Option<&[u8]>) -> Self {
        Self::of(InputKind::File, path, contents)
    }

    fn of(kind: InputKind, name: &str, contents: Option<&[u8]>) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            contents: contents.map(|bytes| Sha256::digest(bytes).into()),
        }
    }
}

/// An answer as it is sealed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    /// When it was given. A clock that stands before that was wrong then, or is now.
    since: u64,
    username: Option<String>,
    kind: SealedKind,
    secret: String,
    source: Option<String>,
    inputs: Vec<Input>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum SealedKind {
    Basic,
    IdentityToken,
    RegistryToken,
}

impl Drop for Sealed {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// The answers of a provider that outlive a run.
pub(super) struct KeptAnswers<'a> {
    state: PluginState,
    access: &'a Access,
    runtime: &'a Runtime,
    package: &'a Package,
}

impl<'a> KeptAnswers<'a> {
    /// Returns those of a provider, `None` where it may keep nothing.
    pub(super) fn open(
        runtime: &'a Runtime,
        package: &'a Package,
        access: &'a Access,
        progress: &dyn Progress,
    ) -> Option<Self> {
        let is_real = access
            .environment
            .fake()
            .is_none_or(|fake| fake.keeps_answers());
        if !is_real || !access.grants.allow(Capability::State) {
            return None;
        }
        Some(Self {
            state: runtime.plugin_answers(&package.name, progress)?,
            access,
            runtime,
            package,
        })
    }

    /// Returns the answer to a request, if there is one that is still right.
    pub(super) fn find(&self, request: &CredentialRequest, cancel: &Cancel) -> Option<Answer> {
        let mut entries = self.state.read();
        let before = entries.len();
        let extents = [CredentialExtent::Registry, CredentialExtent::Repository];
        let found = extents.into_iter().find_map(|extent| {
            let entry = entries.remove(&key(request, extent))?;
            self.right(request, &entry, extent, cancel)
        });
        // What is not right any more is not left on the disk.
        if found.is_none() && entries.len() != before {
            let _ = self.state.write(&entries);
        }
        found
    }

    /// Returns an answer if it is still right.
    fn right(
        &self,
        request: &CredentialRequest,
        entry: &Entry,
        extent: CredentialExtent,
        cancel: &Cancel,
    ) -> Option<Answer> {
        let now = self.seconds();
        if entry.made_of != self.context(request) || now.saturating_add(MARGIN) >= entry.until {
            return None;
        }
        let sealed: Sealed = serde_json::from_slice(&entry.value).ok()?;
        if now < sealed.since || !self.are_the_same(&sealed.inputs, cancel) {
            return None;
        }
        let until = UNIX_EPOCH.checked_add(Duration::from_secs(entry.until))?;
        Some(sealed.answer(until, extent))
    }

    /// Keeps an answer that was given for these inputs. What cannot be kept is asked for again.
    pub(super) fn keep(&self, request: &CredentialRequest, answer: &Answer, inputs: Vec<Input>) {
        let Cache::Until(until) = answer.cache else {
            return;
        };
        let now = self.seconds();
        let until = until
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let Some(sealed) = Sealed::of(answer, now, inputs) else {
            return;
        };
        let mut value = Zeroizing::new(Vec::with_capacity(sealed.secret.len() * 6 + 4096));
        if serde_json::to_writer(&mut *value, &sealed).is_err() {
            return;
        }
        let entry = Entry {
            made_of: self.context(request),
            value,
            until: until.min(now.saturating_add(LONGEST)),
        };
        let mut entries = self.state.read();
        entries.retain(|_, entry| now < entry.until);
        entries.insert(key(request, answer.extent), entry);
        while entries.len() > MAX_ENTRIES {
            let ends = entries.iter().min_by_key(|(_, entry)| entry.until);
            let Some(first) = ends.map(|(key, _)| key.clone()) else {
                break;
            };
            entries.remove(&first);
        }
        let _ = self.state.write(&entries);
    }

    /// Forgets the answers for the registry of a request.
    pub(super) fn forget(&self, request: &CredentialRequest) {
        let mut entries = self.state.read();
        let before = entries.len();
        let begin = format!("{}\n", request.registry);
        entries.retain(|key, _| !key.starts_with(&begin));
        if entries.len() != before {
            let _ = self.state.write(&entries);
        }
    }

    /// Returns whether variables and files are what they were.
    fn are_the_same(&self, inputs: &[Input], cancel: &Cancel) -> bool {
        inputs.iter().all(|input| {
            let now = match input.kind {
                InputKind::Variable => {
                    let value = self.access.environment.get(&input.name);
                    let value = value.map(|value| Zeroizing::new(value.into_encoded_bytes()));
                    Input::variable(&input.name, value.as_ref().map(|value| &***value))
                }
                InputKind::File => {
                    let reading = files::contents(self.access, &input.name);
                    match self.runtime.wait(cancel, Some(PATIENCE), PATIENCE, reading) {
                        Ok(Some(contents)) => {
                            Input::file(&input.name, contents.as_ref().map(|bytes| &***bytes))
                        }
                        _ => return false,
                    }
                }
            };
            now == *input
        })
    }

    /// Returns what tells the one who answers, and what it may and is told, from others.
    fn context(&self, request: &CredentialRequest) -> Vec<u8> {
        let component = match &self.package.component {
            ComponentBytes::Static(bytes) => Digest::of(bytes),
            ComponentBytes::Memory(bytes) => Digest::of(bytes),
            ComponentBytes::File { digest, .. } => digest.clone(),
        };
        let grants: Vec<String> = self.access.grants.iter().map(ToString::to_string).collect();
        let context = serde_json::json!({
            "component": component.to_string(),
            "version": self.package.version,
            "grants": grants,
            "settings": self.access.settings.as_deref(),
            "registry": request.settings,
        });
        self.state.proof(context.to_string().as_bytes())
    }

    fn seconds(&self) -> u64 {
        let now: SystemTime = self.access.environment.now();
        now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }
}

impl Sealed {
    fn of(answer: &Answer, since: u64, inputs: Vec<Input>) -> Option<Self> {
        let (kind, username, secret) = match &answer.credential {
            RegistryAuth::Anonymous => return None,
            RegistryAuth::Basic { username, password } => {
                (SealedKind::Basic, Some(username.clone()), password)
            }
            RegistryAuth::IdentityToken(token) => (SealedKind::IdentityToken, None, token),
            RegistryAuth::RegistryToken(token) => (SealedKind::RegistryToken, None, token),
        };
        Some(Self {
            since,
            username,
            kind,
            secret: secret.expose_secret().to_owned(),
            source: answer.source.clone(),
            inputs,
        })
    }

    fn answer(&self, until: SystemTime, extent: CredentialExtent) -> Answer {
        let secret = || self.secret.as_str().into();
        Answer {
            credential: match self.kind {
                SealedKind::Basic => RegistryAuth::Basic {
                    username: self.username.clone().unwrap_or_default(),
                    password: secret(),
                },
                SealedKind::IdentityToken => RegistryAuth::IdentityToken(secret()),
                SealedKind::RegistryToken => RegistryAuth::RegistryToken(secret()),
            },
            cache: Cache::Until(until),
            extent,
            source: self.source.clone(),
        }
    }
}

/// Returns what the answer to a request is kept under. That of another registry does not begin with the
/// same line.
fn key(request: &CredentialRequest, extent: CredentialExtent) -> String {
    let action = match request.action {
        Action::Pull => "pull",
        Action::Push => "push",
        Action::Login => "login",
    };
    let repository = match extent {
        CredentialExtent::Registry => None,
        CredentialExtent::Repository => request.repository.as_deref(),
    };
    let username = request.username.as_deref();
    let key = serde_json::json!([action, username, repository.map(|it| [it])]);
    format!("{}\n{key}", request.registry)
}

#[cfg(test)]
#[path = "kept_answers_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
