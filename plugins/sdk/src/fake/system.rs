//! What a plugin can reach, in memory.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::Level;
use crate::system::{
    Clock, Env, File, Files, Http, Instruction, Kept, Log, Refusal, Request, Response, Reveal,
    Secret, Settings, State, Value,
};

/// All capabilities, granted, with what the test has put there.
///
/// What is missing is absent, not denied; [`FakeSystem::refuse`] makes a call refuse.
#[derive(Default)]
pub struct FakeSystem {
    settings: Option<String>,
    registry: Option<String>,
    variables: BTreeMap<String, Vec<u8>>,
    files: BTreeMap<String, FakeFile>,
    pub(super) items: RefCell<Logins>,
    pub(super) logins: RefCell<Logins>,
    refusals: BTreeMap<String, Refusal>,
    server: Option<Box<Answering>>,
    pub(super) now: Cell<u64>,
    pub(super) replies: BTreeMap<String, String>,
    pub(super) shown: RefCell<Vec<Instruction>>,
    kept: RefCell<States>,
    calls: RefCell<Vec<String>>,
    lines: RefCell<Vec<(Level, String)>>,
}

/// By key: the secrets that a state was made of, the state, and until when it is kept.
type States = BTreeMap<String, (Vec<Vec<u8>>, Vec<u8>, u64)>;

/// By service and account, or by helper and server: name and secret.
type Logins = BTreeMap<(String, String), (String, Vec<u8>)>;

type Answering = dyn Fn(&Asked) -> Result<Response, Refusal>;

struct FakeFile {
    contents: Vec<u8>,
    owned: bool,
    private: bool,
}

/// A request to a server, as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `GET`, `POST`, …
    pub method: String,
    /// The URL.
    pub url: String,
    /// Names and values, with secrets put in.
    pub headers: Vec<(String, String)>,
    /// What was sent.
    pub body: Vec<u8>,
}

impl Asked {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(present, _)| present.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}

impl FakeSystem {
    /// Returns a system where nothing is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the settings of the plugin.
    #[must_use]
    pub fn settings(mut self, json: impl Into<String>) -> Self {
        self.settings = Some(json.into());
        self
    }

    /// Sets what `registries.auth` says of the registry.
    #[must_use]
    pub fn registry(mut self, json: impl Into<String>) -> Self {
        self.registry = Some(json.into());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.variables
            .insert(name.to_owned(), value.as_ref().to_vec());
        self
    }

    /// Adds a file that only its owner, the user, may read. The path is the one that is asked for.
    #[must_use]
    pub fn file(self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        self.file_of(path, contents, true, true)
    }

    /// Adds a file of an owner and a mode.
    #[must_use]
    pub fn file_of(
        mut self,
        path: &str,
        contents: impl AsRef<[u8]>,
        owned: bool,
        private: bool,
    ) -> Self {
        let file = FakeFile {
            contents: contents.as_ref().to_vec(),
            owned,
            private,
        };
        self.files.insert(path.to_owned(), file);
        self
    }

    /// Adds an item to the keychain.
    #[must_use]
    pub fn item(self, service: &str, account: &str, username: &str, password: &str) -> Self {
        self.items.borrow_mut().insert(
            (service.to_owned(), account.to_owned()),
            (username.to_owned(), password.into()),
        );
        self
    }

    /// Gives a helper a login.
    #[must_use]
    pub fn helper(self, name: &str, server: &str, username: &str, secret: &str) -> Self {
        self.logins.borrow_mut().insert(
            (name.to_owned(), server.to_owned()),
            (username.to_owned(), secret.into()),
        );
        self
    }

    /// Lets a function answer for all servers.
    #[must_use]
    pub fn server(
        mut self,
        answer: impl Fn(&Asked) -> Result<Response, Refusal> + 'static,
    ) -> Self {
        self.server = Some(Box::new(answer));
        self
    }

    /// Sets the time.
    #[must_use]
    pub fn now(self, seconds: u64) -> Self {
        self.now.set(seconds);
        self
    }

    /// Makes a call refuse, written as [`FakeSystem::calls`] returns it, or all calls of a
    /// capability: `helper`.
    #[must_use]
    pub fn refuse(mut self, call: &str, refusal: Refusal) -> Self {
        self.refusals.insert(call.to_owned(), refusal);
        self
    }

    /// Returns the calls so far: `env NAME`, `files PATH`, `keychain SERVICE ACCOUNT`,
    /// `helper NAME get SERVER`, `http METHOD URL`, `state get KEY`, `prompt show`, `prompt ask QUESTION`, `prompt wait SECONDS`,
    /// `clock`, `reveal`.
    pub fn calls(&self) -> Vec<String> {
        self.calls.borrow().clone()
    }

    /// Returns what was logged.
    pub fn lines(&self) -> Vec<(Level, String)> {
        self.lines.borrow().clone()
    }

    /// Returns the name and password of an item of the keychain.
    pub fn item_of(&self, service: &str, account: &str) -> Option<(String, Vec<u8>)> {
        let items = self.items.borrow();
        items
            .get(&(service.to_owned(), account.to_owned()))
            .cloned()
    }

    /// Returns the name and secret that a helper has for a server.
    pub fn helper_of(&self, name: &str, server: &str) -> Option<(String, Vec<u8>)> {
        let logins = self.logins.borrow();
        logins.get(&(name.to_owned(), server.to_owned())).cloned()
    }

    pub(super) fn call(&self, call: String) -> Result<(), Refusal> {
        let capability = call.split(' ').next().unwrap_or_default();
        let refusal = self
            .refusals
            .get(&call)
            .or_else(|| self.refusals.get(capability))
            .cloned();
        self.calls.borrow_mut().push(call);
        refusal.map_or(Ok(()), Err)
    }
}

/// Returns the bytes of a secret: for assertions, and natively only.
pub fn bytes_of(secret: &Secret) -> Vec<u8> {
    secret.bytes().unwrap_or_default().to_vec()
}

impl Log for FakeSystem {
    fn log(&self, level: Level, message: &str) {
        self.lines.borrow_mut().push((level, message.to_owned()));
    }
}

impl Settings for FakeSystem {
    fn plugin(&self) -> Option<String> {
        self.settings.clone()
    }

    fn registry(&self) -> Option<String> {
        self.registry.clone()
    }
}

impl Env for FakeSystem {
    fn variable(&self, name: &str) -> Result<Option<Secret>, Refusal> {
        self.call(format!("env {name}"))?;
        Ok(self.variables.get(name).cloned().map(Secret::new))
    }
}

impl Files for FakeSystem {
    fn file(&self, path: &str) -> Result<Option<File>, Refusal> {
        self.call(format!("files {path}"))?;
        Ok(self.files.get(path).map(|file| File {
            contents: Secret::new(file.contents.clone()),
            path: path.to_owned(),
            owned: file.owned,
            private: file.private,
        }))
    }
}

impl Http for FakeSystem {
    fn send(&self, request: Request) -> Result<Response, Refusal> {
        self.call(format!("http {} {}", request.method, request.url))?;
        let Some(server) = &self.server else {
            return Err(Refusal::Unavailable(format!("{}: no answer", request.url)));
        };
        let text = |secret: &Secret| String::from_utf8_lossy(&bytes_of(secret)).into_owned();
        let headers = request.headers.iter().map(|(name, value)| {
            let value = match value {
                Value::Text(text) => text.clone(),
                Value::Secret(secret) => text(secret),
                Value::Prefixed(prefix, secret) => format!("{prefix}{}", text(secret)),
            };
            (name.clone(), value)
        });
        server(&Asked {
            headers: headers.collect(),
            method: request.method,
            url: request.url,
            body: request.body.unwrap_or_default(),
        })
    }
}

impl Clock for FakeSystem {
    fn now(&self) -> Result<u64, Refusal> {
        self.call("clock".to_owned())?;
        Ok(self.now.get())
    }
}

impl State for FakeSystem {
    fn kept(&self, key: &str, made_of: &[&Secret]) -> Result<Option<Kept>, Refusal> {
        self.call(format!("state get {key}"))?;
        let made_of: Vec<_> = made_of.iter().map(|secret| bytes_of(secret)).collect();
        let kept = self.kept.borrow();
        let found = kept
            .get(key)
            .filter(|(of, _, until)| *of == made_of && self.now.get().saturating_add(60) < *until);
        Ok(found.map(|(_, value, until)| Kept {
            value: Secret::new(value.clone()),
            until: *until,
        }))
    }

    fn keep(
        &self,
        key: &str,
        made_of: &[&Secret],
        value: &Secret,
        until: u64,
    ) -> Result<(), Refusal> {
        self.call(format!("state put {key}"))?;
        let made_of = made_of.iter().map(|secret| bytes_of(secret)).collect();
        let entry = (made_of, bytes_of(value), until);
        self.kept.borrow_mut().insert(key.to_owned(), entry);
        Ok(())
    }

    fn forget(&self, key: &str) -> Result<bool, Refusal> {
        self.call(format!("state remove {key}"))?;
        Ok(self.kept.borrow_mut().remove(key).is_some())
    }
}

impl Reveal for FakeSystem {
    fn reveal(&self, secret: &Secret) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        self.call("reveal".to_owned())?;
        Ok(Zeroizing::new(bytes_of(secret)))
    }
}

impl std::fmt::Debug for FakeSystem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FakeSystem").finish_non_exhaustive()
    }
}
