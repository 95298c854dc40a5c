//! Docker's credential helpers: permission `helper`.
//!
//! Owns what is asked of a helper and what its answers mean. Source: the protocol of
//! docker-credential-helpers: the operation as argument, the server or JSON on standard input,
//! JSON or a sentence about the error on standard output.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use wasmtime::component::Resource;
use zeroize::Zeroizing;

use super::helper_program::{self, HelperOutput};
use super::off_thread::off_thread;
use super::secret::Value;
use crate::plugin::bindings::msb::plugin::helper::{self, Login};
use crate::plugin::bindings::msb::plugin::types::Refusal;
use crate::plugin::grant::{self, Capability};
use crate::plugin::guest::Guest;

/// How long a helper may take where the call has no deadline.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long before the call's deadline a helper is given up, so that the message names it.
const MARGIN: Duration = Duration::from_millis(500);

/// What helpers say when they have nothing, on any system.
const NOT_FOUND: [&str; 4] = [
    "credentials not found in native keychain",
    "credentials not found",
    "the specified item could not be found in the keychain",
    "no credentials username",
];

/// An answer to `get`. Helpers differ in what else is in it.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username", default)]
    username: String,
    #[serde(rename = "Secret", default)]
    secret: SecretString,
}

/// What `store` takes.
#[derive(Serialize)]
struct LoginEntry<'a> {
    #[serde(rename = "ServerURL")]
    server: &'a str,
    #[serde(rename = "Username")]
    username: &'a str,
    #[serde(rename = "Secret")]
    secret: &'a str,
}

impl helper::Host for Guest {
    async fn get(
        &mut self,
        name: String,
        server: String,
    ) -> wasmtime::Result<Result<Option<Login>, Refusal>> {
        self.host_waits(async |guest| {
            let output = match guest.run_helper(&name, "get", server.into_bytes()).await {
                Ok(output) => output,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if !output.success {
                return Ok(if is_not_found(&output) { Ok(None) } else { Err(failed(&name, &output)) });
            }
            let Ok(answer) = serde_json::from_slice::<Answer>(&output.stdout) else {
                return Ok(Err(Refusal::Failed(format!(
                    "`docker-credential-{name}` gave an answer that is not the JSON of its protocol{}",
                    helper_program::quoted_tail(&output.stderr)
                ))));
            };
            if answer.username.is_empty() || answer.secret.expose_secret().is_empty() {
                return Ok(Ok(None));
            }
            let secret = guest.keep(Value::new(answer.secret.expose_secret().as_bytes().to_vec()))?;
            Ok(Ok(Some(Login { username: answer.username, secret })))
        })
        .await?
    }

    async fn store(
        &mut self,
        name: String,
        server: String,
        login: Login,
    ) -> wasmtime::Result<Result<(), Refusal>> {
        self.host_waits(async |guest| {
            let secret: Value = guest.take(Resource::new_own(login.secret.rep()))?;
            let Ok(secret) = std::str::from_utf8(secret.bytes()) else {
                return Ok(Err(Refusal::Invalid(
                    "the password is not UTF-8".to_owned(),
                )));
            };
            let entry = LoginEntry {
                server: &server,
                username: &login.username,
                secret,
            };
            let input = match serde_json::to_vec(&entry) {
                Ok(input) => input,
                Err(error) => return Ok(Err(Refusal::Failed(error.to_string()))),
            };
            Ok(match guest.run_helper(&name, "store", input).await {
                Ok(output) if output.success => Ok(()),
                Ok(output) => Err(failed(&name, &output)),
                Err(refusal) => Err(refusal),
            })
        })
        .await?
    }

    async fn erase(
        &mut self,
        name: String,
        server: String,
    ) -> wasmtime::Result<Result<(), Refusal>> {
        self.host_waits(async |guest| {
            let output = guest
                .run_helper(&name, "erase", server.into_bytes())
                .await?;
            if output.success || is_not_found(&output) {
                Ok(())
            } else {
                Err(failed(&name, &output))
            }
        })
        .await
    }

    async fn list(
        &mut self,
        name: String,
    ) -> wasmtime::Result<Result<Vec<(String, String)>, Refusal>> {
        self.host_waits(async |guest| {
            let output = guest.run_helper(&name, "list", Vec::new()).await?;
            if !output.success {
                return Err(failed(&name, &output));
            }
            let servers: BTreeMap<String, String> = serde_json::from_slice(&output.stdout).map_err(|_| {
                Refusal::Failed(format!(
                    "`docker-credential-{name}` gave a list that is not the JSON of its protocol"
                ))
            })?;
            Ok(servers.into_iter().collect())
        })
        .await
    }
}

impl Guest {
    async fn run_helper(
        &mut self,
        name: &str,
        operation: &'static str,
        input: Vec<u8>,
    ) -> Result<HelperOutput, Refusal> {
        if !grant::is_helper_name(name) {
            return Err(Refusal::Invalid(format!(
                "`{name}` is not the name of a credential helper"
            )));
        }
        if !self.access.grants.allow_helper(name) {
            return Err(self.denied(Capability::Helper, Some(name)));
        }
        let program = format!("docker-credential-{name}");
        if let Some(fake) = self.access.environment.fake() {
            return Ok(fake.helper(name, operation, &input));
        }
        let path = self.access.environment.get("PATH").unwrap_or_default();
        let Some(path) = helper_program::find(&program, &path) else {
            return Err(Refusal::Unavailable(format!("`{program}` is not in PATH")));
        };
        let limit = self.meter.deadline().map_or(PATIENCE, |deadline| {
            deadline
                .saturating_duration_since(Instant::now())
                .saturating_sub(MARGIN)
        });
        let cancel = self.meter.cancel().clone();
        let input = Zeroizing::new(input);
        let run = move || helper_program::run(&path, operation, input, limit, &cancel);
        match off_thread(limit + MARGIN, run).await {
            Ok(answer) => answer.map_err(|problem| problem.refusal(&program, limit)),
            Err(_) => Err(helper_program::HelperFailure::Late.refusal(&program, limit)),
        }
    }
}

fn is_not_found(output: &HelperOutput) -> bool {
    let text = String::from_utf8_lossy(&output.stdout)
        .trim()
        .to_ascii_lowercase();
    NOT_FOUND
        .iter()
        .any(|words| text.trim_end_matches('.') == *words)
        // What Docker Desktop's helper once said.
        || text.starts_with("no stored credential for ")
}

/// An error in the helper's own words: standard output by the protocol, else standard error.
fn failed(name: &str, output: &HelperOutput) -> Refusal {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let words = match stdout.trim() {
        "" => helper_program::quoted_tail(&output.stderr),
        words => format!(": {}", words.chars().take(500).collect::<String>()),
    };
    Refusal::Failed(format!("`docker-credential-{name}` failed{words}"))
}
