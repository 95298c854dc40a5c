//! ghcr.io as an installation of a GitHub App: a token for an hour, for a claim that is signed with
//! the key of the App.
//!
//! The key and the token stay in the host: the plugin has no `reveal`.
//!
//! Source: "Authenticating as a GitHub App installation", `POST
//! /app/installations/{id}/access_tokens`.

use msb_plugin::credential::{Answer, Cache, Credential, Description, Error, Provider, Request};
use msb_plugin::system::{
    Clock, Derive, Encoding, Exchange, Files, Part, Secret, Settings, Taking,
};
use serde::Deserialize;

/// The user whom GitHub takes a token for.
const USER: &str = "x-access-token";
/// How long a token is good, in seconds.
const LIFE: u64 = 60 * 60;

/// The provider.
#[derive(Debug)]
pub struct GithubApp;

/// What the user sets under `plugins.settings.github-app`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configured {
    /// The number of the App.
    app: u64,
    /// The number of its installation in the organisation.
    installation: u64,
    /// The file of the key, in PEM.
    key_file: String,
    #[serde(default = "default_registries")]
    registries: Vec<String>,
    /// Where the API is.
    #[serde(default = "default_api")]
    api: String,
}

fn default_registries() -> Vec<String> {
    vec!["ghcr.io".to_owned()]
}

fn default_api() -> String {
    "https://api.github.com".to_owned()
}

impl<S: Clock + Derive + Exchange + Files + Settings> Provider<S> for GithubApp {
    fn describe() -> Description {
        Description::new("github-app", "an installation of a GitHub App")
            .registry("*")
            .need(
                "files",
                Some("~/.config/msb/github-app.pem"),
                "the key of the App",
            )
            .need(
                "http",
                Some("POST@https://api.github.com/app/installations/"),
                "where GitHub gives out tokens",
            )
            .need("clock", None, "claims have a time")
    }

    fn get(system: &S, request: &Request) -> Result<Answer, Error> {
        let configured: Option<Configured> = system.plugin_as()?;
        let Some(configured) = configured else {
            return Err(Error::NotMine);
        };
        if !configured.registries.contains(&request.registry) {
            return Err(Error::NotMine);
        }
        if request
            .username
            .as_deref()
            .is_some_and(|wanted| wanted != USER)
        {
            return Err(Error::NotFound);
        }
        let Some(key) = system.file(&configured.key_file)? else {
            let text = format!("the key of the App, {}, is missing", configured.key_file);
            return Err(Error::misconfigured(text));
        };
        let now = system.now()?;
        // A minute less: clocks differ. Ten minutes are the most that GitHub takes.
        let claims = format!(
            r#"{{"iat":{},"exp":{},"iss":"{}"}}"#,
            now.saturating_sub(60),
            now + 540,
            configured.app
        );
        let token = signed(system, &key.contents, &claims)?;
        let bearer = system.join(&["Bearer ".into(), (&token).into()])?;
        let url = format!(
            "{}/app/installations/{}/access_tokens",
            configured.api, configured.installation
        );
        let answer = system.exchange(
            Taking::new("POST", &url)
                .header("accept", "application/vnd.github+json")
                .header("user-agent", "msb-github-app")
                .header("authorization", &bearer)
                .body(r#"{"permissions":{"packages":"read"}}"#)
                .take("/token"),
        )?;
        match answer.status {
            200 | 201 => {}
            401 | 403 | 404 | 422 => {
                return Err(Error::denied(format!(
                    "{url}: GitHub gives the App no token (status {})",
                    answer.status
                ))
                .hint("compare App, installation and key, and the permission `packages: read`"));
            }
            429 | 500.. => {
                return Err(Error::unavailable(format!(
                    "{url}: status {}",
                    answer.status
                )));
            }
            status => return Err(Error::failed(format!("{url}: unexpected status {status}"))),
        }
        let token = answer
            .secret()
            .ok_or_else(|| Error::failed(format!("{url}: the answer has no token")))?;
        let credential = Credential::Basic(USER.to_owned(), token);
        Ok(Answer::new(credential)
            .cache(Cache::Until(now + LIFE))
            .source(url))
    }
}

msb_plugin::export_provider!(GithubApp);

/// Returns a JSON web token: claims, signed by RS256.
fn signed(system: &impl Derive, key: &Secret, claims: &str) -> Result<Secret, Error> {
    let written = |text: &str| system.encoded(&Secret::new(text), Encoding::Base64Url);
    let head = written(r#"{"alg":"RS256","typ":"JWT"}"#)?;
    let message = system.join(&[(&head).into(), ".".into(), (&written(claims)?).into()])?;
    let signature = system.rs256(key, &message)?;
    Ok(system.join(&[
        (&message).into(),
        ".".into(),
        Part::Secret(&signature, Encoding::Base64Url),
    ])?)
}
