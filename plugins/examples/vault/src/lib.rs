//! A secrets server as a plugin of msb: the logins of registries in the key-value store, version 2,
//! of `HashiCorp` Vault or `OpenBao`.
//!
//! The token that opens the server stays in the host: the plugin names it as a header and never
//! reads it. Passwords it sees, for they stand in the middle of the server's answer.
//!
//! Source: the HTTP API of the KV secrets engine, version 2, `GET /v1/<mount>/data/<path>`.

mod answer;
mod settings;

use msb_plugin::credential::{Answer, Cache, Credential, Description, Error, Provider, Request};
use msb_plugin::system::{self, Clock, Env, Files, Http, Secret, Settings, Value};

use settings::{Configured, Token};

/// The provider.
#[derive(Debug)]
pub struct Vault;

impl<S: Clock + Env + Files + Http + Settings> Provider<S> for Vault {
    fn describe() -> Description {
        Description::new("vault", "a secrets server (Vault, OpenBao)")
            .registry("*")
            .need(
                "env",
                Some("VAULT_TOKEN"),
                "the token that opens the server",
            )
            .need(
                "files",
                Some("~/.vault-token"),
                "the token, as `vault login` keeps it",
            )
            .need(
                "http",
                Some("GET@https://127.0.0.1:8200"),
                "the server that keeps the logins",
            )
            .need(
                "clock",
                None,
                "a login is asked for again when its time is over",
            )
    }

    fn get(system: &S, request: &Request) -> Result<Answer, Error> {
        let configured = Configured::read(system)?;
        let Some(path) = configured.registries.get(&request.registry) else {
            return Err(Error::NotMine);
        };
        let url = configured.url(path);
        let mut question = system::Request::new("GET", &url)
            .header("accept", "application/json")
            .header("x-vault-request", "true")
            .header(
                "x-vault-token",
                Value::Secret(token(system, &configured.token())?),
            );
        if let Some(namespace) = &configured.namespace {
            question = question.header("x-vault-namespace", namespace.as_str());
        }
        let login = answer::read(&url, &system.send(question)?)?;
        if request
            .username
            .as_ref()
            .is_some_and(|wanted| *wanted != login.username)
        {
            return Err(Error::NotFound);
        }
        let lifetime = login.lease.unwrap_or(configured.max_age_secs);
        let cache = match lifetime {
            0 => Cache::Never,
            seconds => Cache::Until(system.now()?.saturating_add(seconds)),
        };
        let credential = Credential::Basic(login.username, login.password);
        Ok(Answer::new(credential).cache(cache).source(url))
    }
}

msb_plugin::export_provider!(Vault);

/// Returns the token that opens the server.
fn token<S: Env + Files>(system: &S, token: &Token<'_>) -> Result<Secret, Error> {
    let found = match token {
        Token::Variable(name) => system.variable(name)?,
        Token::File(path) => system.file(path)?.map(|file| file.contents.trimmed()),
    };
    found.filter(|found| !found.is_empty()).ok_or_else(|| {
        let (what, hint) = match token {
            Token::Variable(name) => (
                format!("the variable {name}, which has the token of the server, is not set"),
                format!("set {name}, or `token_file` in `plugins.settings.vault`"),
            ),
            Token::File(path) => (
                format!("{path}, which has the token of the server, is missing or empty"),
                "run `vault login`".to_owned(),
            ),
        };
        Error::misconfigured(what).hint(hint)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
