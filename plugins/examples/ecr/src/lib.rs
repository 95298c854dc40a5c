//! Amazon ECR: a login for twelve hours, for a request that is signed with the keys of AWS.
//!
//! The keys stay in the host, which signs with them, and so does the login: the plugin has no
//! `reveal`.
//!
//! Sources: AWS Signature Version 4, and `GetAuthorizationToken` of the API of ECR.

mod signature;

use std::collections::BTreeMap;

use msb_plugin::credential::{Answer, Cache, Credential, Description, Error, Provider, Request};
use msb_plugin::system::{
    Clock, Derive, Env, Exchange, Form, Refusal, Secret, Settings, State, Taking,
};
use serde::Deserialize;

use signature::Keys;

/// The user whom ECR takes a token for.
const USER: &str = "AWS";
const TARGET: &str = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
/// How long a login is good, in seconds.
const LIFE: u64 = 12 * 60 * 60;

/// The provider.
#[derive(Debug)]
pub struct Ecr;

/// What the user sets under `plugins.settings.ecr`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Configured {
    /// The region of registries whose names do not say it.
    registries: BTreeMap<String, String>,
    /// Where the API is, if not at AWS.
    endpoint: Option<String>,
}

impl Configured {
    fn region(&self, registry: &str) -> Option<String> {
        let named = || {
            let (_, rest) = registry.split_once(".dkr.ecr.")?;
            rest.strip_suffix(".amazonaws.com")
        };
        let set = self.registries.get(registry).map(String::as_str);
        set.or_else(named).map(str::to_owned)
    }
}

impl<S: Clock + Derive + Env + Exchange + Settings + State> Provider<S> for Ecr {
    fn describe() -> Description {
        let description = Description::new("ecr", "Amazon ECR")
            .registry("*")
            .need("env", Some("AWS_ACCESS_KEY_ID"), "which key it is")
            .need(
                "env",
                Some("AWS_SECRET_ACCESS_KEY"),
                "the key that requests are signed with",
            )
            .need(
                "env",
                Some("AWS_SESSION_TOKEN"),
                "what belongs to a temporary key",
            );
        description
            .need(
                "http",
                Some("POST@https://api.ecr.eu-west-1.amazonaws.com/"),
                "the API of ECR in your region, which gives out logins",
            )
            .need("clock", None, "signatures have a date")
            .need(
                "state",
                None,
                "a login is used again in the next run, for twelve hours",
            )
    }

    fn get(system: &S, request: &Request) -> Result<Answer, Error> {
        let configured: Configured = system.plugin_as()?.unwrap_or_default();
        let Some(region) = configured.region(&request.registry) else {
            return Err(Error::NotMine);
        };
        if request
            .username
            .as_deref()
            .is_some_and(|wanted| wanted != USER)
        {
            return Err(Error::NotFound);
        }
        let keys = Keys {
            id: variable(system, "AWS_ACCESS_KEY_ID")?.ok_or(Error::NotFound)?,
            secret: variable(system, "AWS_SECRET_ACCESS_KEY")?.ok_or(Error::NotFound)?,
            session: variable(system, "AWS_SESSION_TOKEN")?,
        };
        let url = configured
            .endpoint
            .unwrap_or_else(|| format!("https://api.ecr.{region}.amazonaws.com/"));
        let login = |password, until| {
            let credential = Credential::Basic(USER.to_owned(), password);
            Answer::new(credential)
                .cache(Cache::Until(until))
                .source(url.as_str())
        };
        let made_of: Vec<&Secret> = [&keys.id, &keys.secret]
            .into_iter()
            .chain(&keys.session)
            .collect();
        if request.attempt == 1 {
            // Without the permission, every run asks for a new login.
            if let Some(kept) = granted(system.kept(&url, &made_of))?.flatten() {
                return Ok(login(kept.value, kept.until));
            }
        }
        let host = url.split('/').nth(2).unwrap_or_default().to_owned();
        let now = system.now()?;
        let signed = signature::sign(system, &keys, &host, &region, now)?;
        let mut asking = Taking::new("POST", &url)
            .header("content-type", signature::CONTENT_TYPE)
            .header("x-amz-date", &signed.date)
            .header("x-amz-target", TARGET)
            .header("authorization", &signed.authorization)
            .body("{}")
            .take_as(
                "/authorizationData/0/authorizationToken",
                Form::BasicPassword,
            );
        if let Some(session) = &keys.session {
            asking = asking.header("x-amz-security-token", session);
        }
        let answer = system.exchange(asking)?;
        match answer.status {
            200 => {}
            400 | 401 | 403 => {
                return Err(Error::denied(format!(
                    "{url}: AWS does not take the keys (status {})",
                    answer.status
                ))
                .hint("look whether they have expired, and at the clock of this machine"));
            }
            429 | 500.. => {
                return Err(Error::unavailable(format!(
                    "{url}: status {}",
                    answer.status
                )));
            }
            status => return Err(Error::failed(format!("{url}: unexpected status {status}"))),
        }
        let password = answer
            .secret()
            .ok_or_else(|| Error::failed(format!("{url}: the answer has no login")))?;
        granted(system.keep(&url, &made_of, &password, now + LIFE))?;
        Ok(login(password, now + LIFE))
    }
}

msb_plugin::export_provider!(Ecr);

/// Returns what was done, and nothing where the user has not granted it or it cannot be done here.
fn granted<T>(done: Result<T, Refusal>) -> Result<Option<T>, Refusal> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(Refusal::Denied(_) | Refusal::Unavailable(_)) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

fn variable<S: Env>(system: &S, name: &str) -> Result<Option<Secret>, Error> {
    let value = system.variable(name)?;
    Ok(value.filter(|value| !value.is_empty()))
}
