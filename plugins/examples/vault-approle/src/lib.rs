//! The logins of registries in a secrets server (Vault, `OpenBao`) that an `AppRole` opens: the role's
//! secret goes into the body of a request, and the token that comes back opens the login.
//!
//! Role, token and password stay in the host: the plugin has no `reveal`.
//!
//! Source: the HTTP API of the `AppRole` auth method, `POST /v1/auth/approle/login`, and of the KV
//! secrets engine, version 2.

use std::collections::BTreeMap;

use msb_plugin::credential::{Answer, Credential, Description, Error, Provider, Request};
use msb_plugin::system::{
    Derive, Encoding, Env, Exchange, Exchanged, Part, Secret, Settings, Taking,
};
use serde::Deserialize;

/// The provider.
#[derive(Debug)]
pub struct VaultApprole;

/// What the user sets under `plugins.settings.vault-approle`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configured {
    /// Where the server is: `https://vault.example.com:8200`.
    address: String,
    /// The path of the secret of each registry, below `/v1/`: `secret/data/registries/ghcr`.
    registries: BTreeMap<String, String>,
}

/// What the plugin reads of a login: not the password, which was taken out.
#[derive(Deserialize)]
struct Document {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    data: Fields,
}

#[derive(Deserialize)]
struct Fields {
    username: String,
}

impl<S: Derive + Env + Exchange + Settings> Provider<S> for VaultApprole {
    fn describe() -> Description {
        Description::new("vault-approle", "a secrets server that an AppRole opens")
            .registry("*")
            .need("env", Some("VAULT_ROLE_ID"), "which role it is")
            .need("env", Some("VAULT_SECRET_ID"), "the secret of the role")
            .need(
                "http",
                Some("POST@https://vault.example.com:8200/v1/auth/approle/login"),
                "where the role becomes a token",
            )
            .need(
                "http",
                Some("GET@https://vault.example.com:8200/v1/secret/data/"),
                "where the logins are",
            )
    }

    fn get(system: &S, request: &Request) -> Result<Answer, Error> {
        let configured: Option<Configured> = system.plugin_as()?;
        let Some(configured) = configured else {
            return Err(Error::NotMine);
        };
        let Some(path) = configured.registries.get(&request.registry) else {
            return Err(Error::NotMine);
        };
        let address = configured.address.trim_end_matches('/');
        let (role, secret) = (
            variable(system, "VAULT_ROLE_ID")?,
            variable(system, "VAULT_SECRET_ID")?,
        );
        let body = system.join(&[
            r#"{"role_id":""#.into(),
            Part::Secret(&role, Encoding::Json),
            r#"","secret_id":""#.into(),
            Part::Secret(&secret, Encoding::Json),
            r#""}"#.into(),
        ])?;
        let url = format!("{address}/v1/auth/approle/login");
        let login = system.exchange(
            Taking::new("POST", &url)
                .header("content-type", "application/json")
                .body(&body)
                .take("/auth/client_token"),
        )?;
        let token = answered(&url, &login)
            .map(|()| login.secret())?
            .ok_or_else(|| Error::failed(format!("{url}: the answer has no token")))?;
        let url = format!("{address}/v1/{}", path.trim_matches('/'));
        let found = system.exchange(
            Taking::new("GET", &url)
                .header("x-vault-request", "true")
                .header("x-vault-token", &token)
                .take("/data/data/password"),
        )?;
        answered(&url, &found)?;
        let document: Document = serde_json::from_slice(&found.body)
            .map_err(|_| Error::failed(format!("{url}: the answer has no login")))?;
        let password = found
            .secret()
            .ok_or_else(|| Error::misconfigured(format!("{url}: it has no field `password`")))?;
        let username = document.data.data.username;
        if request
            .username
            .as_ref()
            .is_some_and(|wanted| *wanted != username)
        {
            return Err(Error::NotFound);
        }
        Ok(Answer::new(Credential::Basic(username, password)).source(url))
    }
}

msb_plugin::export_provider!(VaultApprole);

fn variable<S: Env>(system: &S, name: &str) -> Result<Secret, Error> {
    let value = system.variable(name)?;
    value.filter(|value| !value.is_empty()).ok_or_else(|| {
        Error::misconfigured(format!("the variable {name} is not set"))
            .hint("set VAULT_ROLE_ID and VAULT_SECRET_ID")
    })
}

/// Returns an error for a response that is not an answer.
fn answered(url: &str, answer: &Exchanged) -> Result<(), Error> {
    match answer.status {
        200 => Ok(()),
        404 => Err(Error::NotFound),
        400 | 401 | 403 => Err(Error::denied(format!(
            "{url}: the server does not let this role in (status {})",
            answer.status
        ))),
        429 | 500.. => Err(Error::unavailable(format!(
            "{url}: status {}",
            answer.status
        ))),
        status => Err(Error::failed(format!("{url}: unexpected status {status}"))),
    }
}
