//! A made-up environment: variables, files, a credential store, helpers, servers, a clock.
//!
//! Owns what is there in each scenario, and the record of what was asked for. Grants are asked
//! before any of it, by the same code as anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use super::canary::{CANARY, USER};
use super::files::{self, OwnFile};
use super::own_answer::OwnAnswer;
use super::server::{Mode, Server};
use msb_host::plugin::FakeSystem;
use msb_host::plugin::HelperOutput;
use msb_host::plugin::{Capability, Grants};

/// What is in variables, files, items and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    /// Nothing is there.
    Bare,
    /// The canary alone, as a token stands in a file or a variable.
    Token,
    /// Documents in which the canary is the password of everything.
    Documents,
    /// The canary amid what makes no sense.
    Rubbish,
}

/// The variable that `registries.auth` names in the made-up environment.
pub(super) const PASSWORD_VARIABLE: &str = "KIT_PASSWORD";
/// The file that `registries.auth` names in the made-up environment.
pub(super) const SECRET_NAME: &str = "kit-secret";

/// A made-up environment.
#[derive(Debug)]
pub(super) struct FakeEnvironment {
    root: PathBuf,
    server: Server,
    /// Files that the author has set.
    files: Vec<OwnFile>,
    /// Answers that the author has set.
    answers: Vec<OwnAnswer>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    scenario: Scenario,
    registry: String,
    /// Variables that the author has set.
    variables: BTreeMap<String, String>,
    /// Variables that name a directory or a file.
    places: BTreeMap<String, PathBuf>,
    items: BTreeMap<(String, String), Zeroizing<String>>,
    helpers: BTreeMap<(String, String), Zeroizing<String>>,
    found: BTreeSet<Capability>,
    refused: Vec<String>,
    /// How long was waited in this scenario, without taking the time.
    waited: Duration,
}

impl FakeEnvironment {
    /// Builds it below a directory.
    pub(super) fn open(
        root: &Path,
        variables: &BTreeMap<String, String>,
        files: Vec<OwnFile>,
        answers: Vec<OwnAnswer>,
    ) -> io::Result<Self> {
        fs::create_dir_all(root.join("home/user"))?;
        Ok(Self {
            root: root.to_owned(),
            server: Server::start()?,
            files,
            answers,
            state: Mutex::new(State {
                scenario: Scenario::Bare,
                registry: String::new(),
                variables: variables.clone(),
                places: BTreeMap::new(),
                items: BTreeMap::new(),
                helpers: BTreeMap::new(),
                found: BTreeSet::new(),
                refused: Vec::new(),
                waited: Duration::ZERO,
            }),
        })
    }

    /// Sets the scenario for a registry, with everything in it that is granted.
    pub(super) fn set(
        &self,
        scenario: Scenario,
        registry: &str,
        grants: &Grants,
        msb_home: &Path,
    ) -> io::Result<()> {
        fs::remove_dir_all(&self.root)?;
        fs::create_dir_all(self.root.join("home/user"))?;
        let secrets = msb_home.join("secrets");
        match fs::remove_dir_all(&secrets) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut state = self.state();
        state.scenario = scenario;
        registry.clone_into(&mut state.registry);
        state.items.clear();
        state.helpers.clear();
        state.waited = Duration::ZERO;
        state.places = files::lay(
            &self.root,
            msb_home,
            grants,
            &self.files,
            scenario,
            registry,
        )?;
        drop(state);
        self.server.set_mode(match scenario {
            Scenario::Bare => Mode::Missing,
            Scenario::Token | Scenario::Documents => Mode::Document(files::document(registry)),
            Scenario::Rubbish => Mode::Rubbish,
        });
        Ok(())
    }

    /// Returns the server behind every address.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Returns what was used and not granted since the last time.
    pub(super) fn take_refused(&self) -> Vec<String> {
        std::mem::take(&mut self.state().refused)
    }

    /// Returns the capabilities that the canary was found with since the last time.
    pub(super) fn take_found(&self) -> BTreeSet<Capability> {
        let mut found = std::mem::take(&mut self.state().found);
        if self.server.take_asked() > 0 {
            found.insert(Capability::Http);
        }
        found
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FakeSystem for FakeEnvironment {
    fn variable(&self, name: &str) -> Option<OsString> {
        if name == "HOME" {
            return Some(self.root.join("home/user").into());
        }
        let mut state = self.state();
        if let Some(value) = state.variables.get(name) {
            return Some(value.into());
        }
        if let Some(place) = state.places.get(name) {
            return (state.scenario != Scenario::Bare).then(|| place.into());
        }
        let value = files::contents(state.scenario, &state.registry)?;
        state.found.insert(Capability::Env);
        Some(value.trim_end().into())
    }

    fn root(&self) -> PathBuf {
        self.root.clone()
    }

    fn file_read(&self) {
        self.state().found.insert(Capability::Files);
    }

    fn item(&self, service: &str, account: &str) -> Option<Zeroizing<String>> {
        let mut state = self.state();
        let kept = state.items.get(&(service.to_owned(), account.to_owned()));
        let text = kept.cloned().or_else(|| {
            Some(Zeroizing::new(match state.scenario {
                Scenario::Bare => return None,
                Scenario::Token | Scenario::Documents => {
                    json!({"username": USER, "password": CANARY}).to_string()
                }
                Scenario::Rubbish => format!("{{\"username\": \"{CANARY}\", \"password\": 7}}"),
            }))
        });
        state.found.insert(Capability::Keychain);
        text
    }

    fn keep_item(&self, service: &str, account: &str, text: Option<Zeroizing<String>>) -> bool {
        let mut state = self.state();
        let key = (service.to_owned(), account.to_owned());
        let before = match text {
            Some(text) => state.items.insert(key, text),
            None => state.items.remove(&key),
        };
        before.is_some()
    }

    fn helper(&self, name: &str, operation: &str, input: &[u8]) -> HelperOutput {
        let mut state = self.state();
        state.found.insert(Capability::Helper);
        let input = String::from_utf8_lossy(input).into_owned();
        let (success, said) = state.helper(name, operation, input.trim());
        HelperOutput {
            success,
            stdout: Zeroizing::new(said.into_bytes()),
            stderr: Vec::new(),
        }
    }

    fn server(&self, url: &Url) -> Url {
        let registry = self.state().registry.clone();
        let mut answers = self.answers.iter();
        let own = answers.find_map(|answer| answer.to(url, &registry));
        let here = self.server.standing_in_for(url);
        self.server.set_document(here.path(), own);
        here
    }

    fn now(&self) -> SystemTime {
        // A time like any other, and the same each time but for waits.
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000) + self.state().waited
    }

    fn wait(&self, time: Duration) {
        self.state().waited += time;
    }

    fn refused(&self, wish: &str) {
        self.state().refused.push(wish.to_owned());
    }
}

impl State {
    /// Says what a credential helper says, by the protocol of docker-credential-helpers.
    fn helper(&mut self, name: &str, operation: &str, input: &str) -> (bool, String) {
        let not_found = || (false, "credentials not found in native keychain".to_owned());
        let key = |server: &str| (name.to_owned(), server.to_owned());
        if self.scenario == Scenario::Rubbish {
            return (true, format!("no JSON but {CANARY}"));
        }
        match operation {
            "get" => match self.helpers.get(&key(input)) {
                Some(login) => (true, login.to_string()),
                None if self.scenario == Scenario::Bare => not_found(),
                None => {
                    let login = json!({"ServerURL": input, "Username": USER, "Secret": CANARY});
                    (true, login.to_string())
                }
            },
            "store" => {
                let login: serde_json::Value = serde_json::from_str(input).unwrap_or_default();
                let server = login["ServerURL"].as_str().unwrap_or_default();
                let text = Zeroizing::new(input.to_owned());
                self.helpers.insert(key(server), text);
                (true, String::new())
            }
            "erase" => match self.helpers.remove(&key(input)) {
                Some(_) => (true, String::new()),
                None => not_found(),
            },
            "list" => {
                let mut servers = serde_json::Map::new();
                for ((_, server), login) in self.helpers.iter().filter(|((it, _), _)| it == name) {
                    let login: serde_json::Value = serde_json::from_str(login).unwrap_or_default();
                    servers.insert(server.clone(), login["Username"].clone());
                }
                if servers.is_empty() && self.scenario != Scenario::Bare {
                    servers.insert(self.registry.clone(), USER.into());
                }
                (true, serde_json::Value::Object(servers).to_string())
            }
            other => (false, format!("unknown operation {other}")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
