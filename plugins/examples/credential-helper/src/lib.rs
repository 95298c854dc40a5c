//! One of Docker's credential helpers as a plugin of msb: the one that the user names in the
//! plugin's settings, for the registries that the user names there, and without a file of Docker.
//!
//! It passes what the helper says on without reading it.

use std::collections::BTreeMap;

use msb_plugin::credential::{
    Answer, Cache, Credential, Description, Entry, Error, Operations, Provider, Request,
};
use msb_plugin::system::{Clock, Helper, Login, Settings};
use serde::Deserialize;

/// What a helper gives as the name where the secret is an identity token.
const TOKEN: &str = "<token>";

/// The name that Docker gives its helpers for Docker Hub.
const HUB_SERVER: &str = "https://index.docker.io/v1/";

/// The provider.
#[derive(Debug)]
pub struct CredentialHelper;

/// What the user sets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configured {
    /// The end of the program's name: `pass` for `docker-credential-pass`.
    helper: String,
    /// The registries that it is asked for; all of them if there is no list.
    registries: Option<Vec<String>>,
    /// What it calls registries, where that is not their name.
    #[serde(default)]
    servers: BTreeMap<String, String>,
    /// For how many seconds a login is used without asking the helper again.
    #[serde(default)]
    keep_secs: u64,
}

impl Configured {
    fn read(system: &impl Settings) -> Result<Self, Error> {
        system.plugin_as()?.ok_or_else(|| {
            Error::misconfigured("it is not set which helper to ask")
                .hint(r#"set `plugins.settings.credential-helper` to {"helper": "pass"}"#)
        })
    }

    /// Returns the settings and what the helper calls the registry.
    fn server(system: &impl Settings, registry: &str) -> Result<(Self, String), Error> {
        let configured = Self::read(system)?;
        if configured
            .registries
            .as_ref()
            .is_some_and(|registries| registries.iter().all(|listed| listed != registry))
        {
            return Err(Error::NotMine);
        }
        let server = match configured.servers.get(registry) {
            Some(server) => server,
            None if registry == "docker.io" => HUB_SERVER,
            None => registry,
        }
        .to_owned();
        Ok((configured, server))
    }

    /// Returns the registry that the helper calls so, if the plugin is asked for it.
    fn registry(&self, server: &str) -> Option<String> {
        let named = self.servers.iter().find(|(_, named)| *named == server);
        let registry = match named {
            Some((registry, _)) => registry,
            None if server == HUB_SERVER => "docker.io",
            None => server,
        };
        let asked = |registries: &Vec<String>| registries.iter().any(|listed| listed == registry);
        self.registries
            .as_ref()
            .is_none_or(asked)
            .then(|| registry.to_owned())
    }

    fn source(&self) -> String {
        format!("docker-credential-{}", self.helper)
    }
}

impl<S: Clock + Helper + Settings> Provider<S> for CredentialHelper {
    fn describe() -> Description {
        Description::new("credential-helper", "one of Docker's credential helpers")
            .operations(Operations::STORE)
            .operations(Operations::ERASE)
            .operations(Operations::LIST)
            .registry("*")
            .need(
                "helper",
                Some("*"),
                "the user names in its settings which helper to ask",
            )
            .need(
                "clock",
                None,
                "logins that are kept (`keep_secs`) have an end",
            )
            .need(
                "state",
                None,
                "logins are kept for as long as `keep_secs` says",
            )
    }

    fn get(system: &S, request: &Request) -> Result<Answer, Error> {
        let (configured, server) = Configured::server(system, &request.registry)?;
        let source = configured.source();
        let login = system
            .helper_login(&configured.helper, &server)
            .map_err(|refusal| Error::from(refusal).context(&source))?;
        let Some(Login { username, secret }) = login else {
            return Err(Error::NotFound);
        };
        let credential = if username == TOKEN {
            Credential::IdentityToken(secret)
        } else if request
            .username
            .as_ref()
            .is_some_and(|wanted| *wanted != username)
        {
            return Err(Error::NotFound);
        } else {
            Credential::Basic(username, secret)
        };
        let answer = Answer::new(credential).source(source);
        if configured.keep_secs == 0 {
            return Ok(answer);
        }
        let until = system.now()?.saturating_add(configured.keep_secs);
        Ok(answer.cache(Cache::Until(until)).keep())
    }

    fn store(system: &S, request: &Request, credential: Credential) -> Result<(), Error> {
        let (configured, server) = Configured::server(system, &request.registry)?;
        let (username, secret) = match credential {
            Credential::Basic(username, secret) => (username, secret),
            Credential::IdentityToken(secret) => (TOKEN.to_owned(), secret),
            Credential::RegistryToken(_) | Credential::Anonymous => return Err(Error::Unsupported),
        };
        Ok(system.helper_store(&configured.helper, &server, Login { username, secret })?)
    }

    fn erase(system: &S, request: &Request) -> Result<(), Error> {
        let (configured, server) = Configured::server(system, &request.registry)?;
        // Helpers disagree on what it is to forget what they do not know.
        if system.helper_login(&configured.helper, &server)?.is_none() {
            return Err(Error::NotFound);
        }
        Ok(system.helper_erase(&configured.helper, &server)?)
    }

    fn list(system: &S) -> Result<Vec<Entry>, Error> {
        let configured = Configured::read(system)?;
        let logins = system.helper_list(&configured.helper)?;
        let entries = logins.into_iter().filter_map(|(server, username)| {
            Some(Entry {
                registry: configured.registry(&server)?,
                username: Some(username).filter(|username| username != TOKEN),
                source: Some(configured.source()),
                expires: None,
            })
        });
        Ok(entries.collect())
    }
}

msb_plugin::export_provider!(CredentialHelper);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use msb_plugin::fake::{FakeSystem, bytes_of};
    use msb_plugin::system::{Refusal, Secret};

    use super::*;

    fn system(settings: &str) -> FakeSystem {
        FakeSystem::new().settings(settings)
    }

    #[test]
    fn the_helper_that_is_set_answers() {
        let system = system(r#"{"helper":"pass"}"#).helper("pass", "ghcr.io", "ann", "x");
        let answer = CredentialHelper::get(&system, &Request::pull("ghcr.io")).unwrap();
        assert_eq!(answer.source.as_deref(), Some("docker-credential-pass"));
        let Credential::Basic(username, password) = answer.credential else {
            panic!("no password");
        };
        assert_eq!(
            (username.as_str(), bytes_of(&password).as_slice()),
            ("ann", &b"x"[..])
        );
        let other = CredentialHelper::get(&system, &Request::pull("quay.io"));
        assert!(matches!(other, Err(Error::NotFound)));
    }

    #[test]
    fn a_login_is_kept_for_as_long_as_the_user_says() {
        let pull = |settings| {
            let system = system(settings)
                .helper("pass", "ghcr.io", "ann", "x")
                .now(1_000);
            let answer = CredentialHelper::get(&system, &Request::pull("ghcr.io")).unwrap();
            (answer.cache, answer.attributes)
        };
        let kept = vec![("keep".to_owned(), "yes".to_owned())];
        let settings = r#"{"helper":"pass","keep_secs":600}"#;
        assert_eq!(pull(settings), (Cache::Until(1_600), kept));
        assert_eq!(pull(r#"{"helper":"pass"}"#), (Cache::Session, Vec::new()));
    }

    #[test]
    fn registries_that_are_not_listed_are_not_its_own() {
        let system = system(r#"{"helper":"pass","registries":["ghcr.io"]}"#)
            .helper("pass", "quay.io", "ann", "x");
        let other = CredentialHelper::get(&system, &Request::pull("quay.io"));
        assert!(matches!(other, Err(Error::NotMine)));
        assert_eq!(system.calls(), [""; 0]);
        assert_eq!(CredentialHelper::list(&system).unwrap(), []);
    }

    #[test]
    fn a_registry_may_have_another_name_with_the_helper() {
        let system = system(r#"{"helper":"pass","servers":{"ghcr.io":"github"}}"#)
            .helper("pass", "github", "ann", "x")
            .helper("pass", HUB_SERVER, "<token>", "T");
        CredentialHelper::get(&system, &Request::pull("ghcr.io")).unwrap();
        let hub = CredentialHelper::get(&system, &Request::pull("docker.io")).unwrap();
        assert!(matches!(hub.credential, Credential::IdentityToken(_)));
        let listed = CredentialHelper::list(&system).unwrap();
        let listed: Vec<_> = listed
            .iter()
            .map(|entry| (entry.registry.as_str(), entry.username.as_deref()))
            .collect();
        assert_eq!(listed, [("ghcr.io", Some("ann")), ("docker.io", None)]);
    }

    #[test]
    fn a_login_is_kept_and_forgotten() {
        let system = system(r#"{"helper":"pass"}"#);
        let request = Request::pull("ghcr.io");
        let credential = Credential::Basic("ann".to_owned(), Secret::new("x"));
        CredentialHelper::store(&system, &request, credential).unwrap();
        let kept = system.helper_of("pass", "ghcr.io");
        assert_eq!(kept, Some(("ann".to_owned(), b"x".to_vec())));
        CredentialHelper::erase(&system, &request).unwrap();
        assert_eq!(system.helper_of("pass", "ghcr.io"), None);
        let again = CredentialHelper::erase(&system, &request);
        assert!(matches!(again, Err(Error::NotFound)));
    }

    #[test]
    fn settings_that_are_missing_or_wrong_are_said_to_be() {
        let request = Request::pull("ghcr.io");
        for system in [
            FakeSystem::new(),
            system("{}"),
            system(r#"{"helper":"x","y":1}"#),
        ] {
            let result = CredentialHelper::get(&system, &request);
            assert!(matches!(result, Err(Error::Misconfigured(_))), "{result:?}");
        }
    }

    #[test]
    fn a_helper_that_does_not_answer_is_named() {
        let refusal = Refusal::Unavailable("it did not answer".to_owned());
        let system = system(r#"{"helper":"pass"}"#).refuse("helper", refusal);
        match CredentialHelper::get(&system, &Request::pull("ghcr.io")) {
            Err(Error::Unavailable(problem)) => {
                assert_eq!(problem.message, "docker-credential-pass: it did not answer");
            }
            other => panic!("{other:?}"),
        }
    }
}
