//! What a plugin can reach, one trait per capability.
//!
//! The import list of a component is its request for permissions. So a plugin names in its bounds
//! the capabilities that it uses (`impl<S: Env + Settings> Provider<S> for …`), and what it never
//! calls does not become an import. [`System`] has them all, as the host provides them;
//! [`fake::FakeSystem`](crate::fake::FakeSystem) has them in memory, for native tests.

mod derive;
mod exchange;
mod host;
mod prompt;
mod secret;
mod state;

use serde::de::DeserializeOwned;

use crate::Level;
use crate::credential::Error;

pub use crate::bindings::msb::plugin::types::{Need, Refusal};
pub use crate::credential_bindings::msb::plugin::http::Response;
pub use derive::{Derive, Encoding, Part};
pub use exchange::{Content, Exchange, Exchanged, Form, Taking};
pub use host::System;
pub use prompt::{Instruction, Prompt};
pub use secret::Secret;
pub use state::{Kept, State};

/// Lines for the user. See `wit/log.wit`. Needs no permission.
pub trait Log {
    /// Adds a line, which holds no secret.
    fn log(&self, level: Level, message: &str);
}

/// What the user has set. See `wit/settings.wit`. Needs no permission.
pub trait Settings {
    /// Returns the object `plugins.settings.<plugin>` as JSON.
    fn plugin(&self) -> Option<String>;

    /// Returns what `registries.auth` says of the registry of the request, as JSON.
    fn registry(&self) -> Option<String>;

    /// Returns the settings of the plugin. `misconfigured` where they are not of this shape.
    fn plugin_as<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        read(self.plugin(), "the settings of this plugin are not valid")
    }

    /// Returns the settings of the registry. `misconfigured` where they are not of this shape.
    fn registry_as<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        read(
            self.registry(),
            "the settings of the registry are not valid",
        )
    }
}

fn read<T: DeserializeOwned>(json: Option<String>, wrong: &str) -> Result<Option<T>, Error> {
    json.map(|json| serde_json::from_str(&json))
        .transpose()
        .map_err(|error| Error::misconfigured(format!("{wrong}: {error}")))
}

/// Variables of the environment. See `wit/env.wit`. Needs `env=<name>`.
pub trait Env {
    /// Returns the value of a variable, `None` where it is not set.
    fn variable(&self, name: &str) -> Result<Option<Secret>, Refusal>;
}

/// Files. See `wit/files.wit`. Needs `files=<pattern>`.
pub trait Files {
    /// Reads a file of at most 1 MiB, `None` where there is none.
    fn file(&self, path: &str) -> Result<Option<File>, Refusal>;
}

/// A file that was read.
#[derive(Debug)]
pub struct File {
    /// Its bytes.
    pub contents: Secret,
    /// The path with its root replaced, for messages.
    pub path: String,
    /// It belongs to the user that msb runs as.
    pub owned: bool,
    /// Nobody but its owner may read it.
    pub private: bool,
}

/// The credential store of the system. See `wit/keychain.wit`. Needs `keychain=<service>`.
pub trait Keychain {
    /// Returns an item, `None` where there is none.
    fn item(&self, service: &str, account: &str) -> Result<Option<Login>, Refusal>;

    /// Adds an item, or replaces it.
    fn put_item(&self, service: &str, account: &str, item: Login) -> Result<(), Refusal>;

    /// Removes an item, and returns whether there was one.
    fn remove_item(&self, service: &str, account: &str) -> Result<bool, Refusal>;
}

/// A name and what belongs to it: an item of the keychain, or what a helper knows.
#[derive(Debug)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The password; from a helper, and with the name `<token>`, an identity token.
    pub secret: Secret,
}

/// Docker's credential helpers. See `wit/helper.wit`. Needs `helper=<name>`.
pub trait Helper {
    /// Returns what the helper knows of a server, `None` where it knows nothing.
    fn helper_login(&self, name: &str, server: &str) -> Result<Option<Login>, Refusal>;

    /// Has the helper keep a login.
    fn helper_store(&self, name: &str, server: &str, login: Login) -> Result<(), Refusal>;

    /// Has the helper forget a server.
    fn helper_erase(&self, name: &str, server: &str) -> Result<(), Refusal>;

    /// Returns servers and the names that belong to them.
    fn helper_list(&self, name: &str) -> Result<Vec<(String, String)>, Refusal>;
}

/// Servers. See `wit/http.wit`. Needs `http=[<methods>@][<scheme>://]<host>[:<port>]`.
pub trait Http {
    /// Sends a request and waits for the answer, whatever its status. Redirects are not followed.
    fn send(&self, request: Request) -> Result<Response, Refusal>;
}

/// A request to a server.
#[derive(Debug)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// An absolute URL.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, Value)>,
    /// What is sent.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// Returns a request without headers and body.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// The value of a header.
#[derive(Debug)]
pub enum Value {
    /// Text.
    Text(String),
    /// A secret that the host puts in.
    Secret(Secret),
    /// Text before a secret: `("Bearer ", token)`.
    Prefixed(String, Secret),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Secret> for Value {
    fn from(secret: Secret) -> Self {
        Self::Secret(secret)
    }
}

/// The time. See `wit/clock.wit`. Needs `clock`.
pub trait Clock {
    /// Returns the seconds since 1970 began, UTC.
    fn now(&self) -> Result<u64, Refusal>;
}

/// The bytes of secrets. See `wit/secret.wit`. Needs `reveal`.
pub trait Reveal {
    /// Returns the bytes.
    fn reveal(&self, secret: &Secret) -> Result<zeroize::Zeroizing<Vec<u8>>, Refusal>;
}
