//! Artifact Registry of Google Cloud with the key of a service account: a token for an hour, for a
//! claim that is signed with the key.
//!
//! The key's file, in JSON, is not read by the plugin either: the host takes key and name out of
//! it.
//!
//! Source: "Using OAuth 2.0 for Server to Server Applications", RFC 7523.

use msb_plugin::credential::{Answer, Cache, Credential, Description, Error, Provider, Request};
use msb_plugin::system::{
    Clock, Derive, Encoding, Exchange, Files, Part, Secret, Settings, Taking,
};
use serde::Deserialize;

/// The user whom Google takes a token for.
const USER: &str = "oauth2accesstoken";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The provider.
#[derive(Debug)]
pub struct Gcp;

/// What the user sets under `plugins.settings.gcp`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Configured {
    /// The file of the key.
    key_file: String,
    /// Registries other than those of Google.
    registries: Vec<String>,
    /// Where tokens are given out.
    token_url: String,
}

impl Default for Configured {
    fn default() -> Self {
        Self {
            key_file: "$GOOGLE_APPLICATION_CREDENTIALS".to_owned(),
            registries: Vec::new(),
            token_url: "https://oauth2.googleapis.com/token".to_owned(),
        }
    }
}

/// What the plugin reads of an answer.
#[derive(Deserialize)]
struct Token {
    expires_in: u64,
}

impl<S: Clock + Derive + Exchange + Files + Settings> Provider<S> for Gcp {
    fn describe() -> Description {
        Description::new("gcp", "a service account of Google Cloud")
            .registry("*")
            .need(
                "files",
                Some("$GOOGLE_APPLICATION_CREDENTIALS"),
                "the key of the service account",
            )
            .need(
                "http",
                Some("POST@https://oauth2.googleapis.com/token"),
                "where Google gives out tokens",
            )
            .need("clock", None, "claims have a time")
    }

    fn get(system: &S, request: &Request) -> Result<Answer, Error> {
        let configured: Configured = system.plugin_as()?.unwrap_or_default();
        let registry = &request.registry;
        let is_of_google = registry.ends_with("-docker.pkg.dev")
            || registry == "gcr.io"
            || registry.ends_with(".gcr.io");
        if !is_of_google && !configured.registries.contains(registry) {
            return Err(Error::NotMine);
        }
        if request
            .username
            .as_deref()
            .is_some_and(|wanted| wanted != USER)
        {
            return Err(Error::NotFound);
        }
        let Some(file) = system.file(&configured.key_file)? else {
            return Err(Error::NotFound);
        };
        let member = |pointer: &str| -> Result<Secret, Error> {
            system.member(&file.contents, pointer)?.ok_or_else(|| {
                Error::misconfigured(format!("{}: it has no `{pointer}`", file.path))
                    .hint("it is to be the key of a service account, in JSON")
            })
        };
        let (key, account) = (member("/private_key")?, member("/client_email")?);
        let now = system.now()?;
        let url = &configured.token_url;
        let times = format!(
            r#"","scope":"{SCOPE}","aud":"{url}","iat":{now},"exp":{}}}"#,
            now + 3600
        );
        let claims = system.join(&[
            r#"{"iss":""#.into(),
            Part::Secret(&account, Encoding::Json),
            (&times).into(),
        ])?;
        let assertion = signed(system, &key, &claims)?;
        let form = system.join(&[
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=".into(),
            Part::Secret(&assertion, Encoding::Percent),
        ])?;
        let answer = system.exchange(
            Taking::new("POST", url)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(&form)
                .take("/access_token"),
        )?;
        match answer.status {
            200 => {}
            400 | 401 | 403 => {
                return Err(Error::denied(format!(
                    "{url}: Google does not take the key (status {})",
                    answer.status
                ))
                .hint("look whether the key was deleted, and at the clock of this machine"));
            }
            429 | 500.. => {
                return Err(Error::unavailable(format!(
                    "{url}: status {}",
                    answer.status
                )));
            }
            status => return Err(Error::failed(format!("{url}: unexpected status {status}"))),
        }
        let token: Token = serde_json::from_slice(&answer.body)
            .map_err(|_| Error::failed(format!("{url}: the answer does not say for how long")))?;
        let secret = answer
            .secret()
            .ok_or_else(|| Error::failed(format!("{url}: the answer has no token")))?;
        let credential = Credential::Basic(USER.to_owned(), secret);
        Ok(Answer::new(credential)
            .cache(Cache::Until(now.saturating_add(token.expires_in)))
            .source(file.path))
    }
}

msb_plugin::export_provider!(Gcp);

/// Returns a JSON web token: claims, signed by RS256.
fn signed(system: &impl Derive, key: &Secret, claims: &Secret) -> Result<Secret, Error> {
    let head = Secret::new(r#"{"alg":"RS256","typ":"JWT"}"#);
    let message = system.join(&[
        Part::Secret(&head, Encoding::Base64Url),
        ".".into(),
        Part::Secret(claims, Encoding::Base64Url),
    ])?;
    let signature = system.rs256(key, &message)?;
    Ok(system.join(&[
        (&message).into(),
        ".".into(),
        Part::Secret(&signature, Encoding::Base64Url),
    ])?)
}
