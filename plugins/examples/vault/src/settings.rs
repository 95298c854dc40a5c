//! What the user sets under `plugins.settings.vault`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use msb_plugin::credential::Error;
use msb_plugin::system::Settings;
use serde::Deserialize;

/// The settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configured {
    /// Where the server is: `https://vault.example.com:8200`.
    address: String,
    /// Where the key-value store is mounted.
    #[serde(default = "default_mount")]
    mount: String,
    /// The namespace, where the server has some.
    pub(crate) namespace: Option<String>,
    /// The variable that has the token.
    token_env: Option<String>,
    /// The file that has the token.
    token_file: Option<String>,
    /// The path of the secret of each registry.
    pub(crate) registries: BTreeMap<String, String>,
    /// How long a login is good for, in seconds, where the server does not say.
    #[serde(default = "default_max_age")]
    pub(crate) max_age_secs: u64,
}

/// Where the token is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// In a variable.
    Variable(&'a str),
    /// In a file.
    File(&'a str),
}

fn default_mount() -> String {
    "secret".to_owned()
}

fn default_max_age() -> u64 {
    300
}

impl Configured {
    /// Reads the settings.
    pub(crate) fn read(system: &impl Settings) -> Result<Self, Error> {
        let configured: Option<Self> = system.plugin_as()?;
        let configured = configured.ok_or_else(|| {
            Error::misconfigured("it is not set where the server is").hint(
                r#"set `plugins.settings.vault` to {"address": "https://…", "registries": {"ghcr.io": "path"}}"#,
            )
        })?;
        if configured.token_env.is_some() && configured.token_file.is_some() {
            return Err(Error::misconfigured(
                "both `token_env` and `token_file` are set",
            ));
        }
        Ok(configured)
    }

    /// Returns where the token is; where the command `vault` looks, if nothing is set.
    pub(crate) fn token(&self) -> Token<'_> {
        match (&self.token_env, &self.token_file) {
            (Some(name), _) => Token::Variable(name),
            (None, Some(path)) => Token::File(path),
            (None, None) => Token::Variable("VAULT_TOKEN"),
        }
    }

    /// Returns the URL of a secret.
    pub(crate) fn url(&self, path: &str) -> String {
        let address = self.address.trim_end_matches('/');
        let mount = escaped(self.mount.trim_matches('/'));
        format!(
            "{address}/v1/{mount}/data/{}",
            escaped(path.trim_matches('/'))
        )
    }
}

/// Escapes what would mean something else in the path of a URL.
fn escaped(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                escaped.push(char::from(byte));
            }
            _ => {
                // Writing to a string does not fail.
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}
