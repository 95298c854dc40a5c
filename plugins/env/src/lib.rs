//! Passwords in variables of the environment, as a plugin of msb: what the user has set under
//! `registries.auth` as `username` and `password_env`.
//!
//! It passes the variable on without reading it, and may ask for no variable but the one that is
//! configured for the registry of the request.

use msb_plugin::credential::{Answer, Credential, Description, Error, Provider, Request};
use msb_plugin::system::{Env, Settings};
use serde::Deserialize;

/// The provider.
#[derive(Debug)]
pub struct Variables;

/// What `registries.auth` says of a registry, as far as this provider cares.
#[derive(Deserialize)]
struct Entry {
    username: Option<String>,
    password_env: Option<String>,
}

impl<S: Env + Settings> Provider<S> for Variables {
    fn describe() -> Description {
        Description::new("env", "variables of the environment that are configured")
            .attribute("tier", "configured")
            .attribute("reads", "password_env")
            .registry("*")
            .need(
                "env",
                Some("@configured"),
                "the password of a registry is in the variable that `password_env` names",
            )
    }

    fn get(system: &S, request: &Request) -> Result<Answer, Error> {
        let registry = &request.registry;
        let Some(Entry {
            username,
            password_env: Some(variable),
        }) = system.registry_as()?
        else {
            return Err(Error::NotFound);
        };
        let Some(username) = username else {
            return Err(Error::misconfigured(format!(
                "`password_env` is set for {registry}, and `username` is not"
            )));
        };
        if request
            .username
            .as_ref()
            .is_some_and(|wanted| *wanted != username)
        {
            return Err(Error::NotFound);
        }
        let wrong = |what: &str| {
            Error::misconfigured(format!(
                "the variable {variable}, which `password_env` names for {registry}, is {what}"
            ))
            .hint(format!("set {variable} to the password of {username}"))
        };
        let password = system
            .variable(&variable)?
            .ok_or_else(|| wrong("not set"))?;
        if password.is_empty() {
            return Err(wrong("empty"));
        }
        Ok(Answer::new(Credential::Basic(username, password)).source(format!("${variable}")))
    }
}

msb_plugin::export_provider!(Variables);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use msb_plugin::credential::{Cache, Problem};
    use msb_plugin::fake::{FakeSystem, bytes_of};
    use msb_plugin::system::Refusal;

    use super::*;

    fn configured() -> FakeSystem {
        FakeSystem::new().registry(r#"{"username":"ann","password_env":"GHCR_TOKEN"}"#)
    }

    fn get(system: &FakeSystem) -> Result<Answer, Error> {
        Variables::get(system, &Request::pull("ghcr.io"))
    }

    #[test]
    fn the_variable_is_the_password_as_it_stands() {
        let answer = get(&configured().variable("GHCR_TOKEN", " open: sesame\n")).unwrap();
        let Credential::Basic(username, password) = answer.credential else {
            panic!("{answer:?}");
        };
        assert_eq!(username, "ann");
        assert_eq!(bytes_of(&password), b" open: sesame\n");
        assert_eq!(answer.source.as_deref(), Some("$GHCR_TOKEN"));
        assert_eq!(answer.cache, Cache::Session);
    }

    #[test]
    fn a_variable_that_is_not_set_or_empty_is_named_with_its_key() {
        for (system, state) in [
            (configured(), "not set"),
            (configured().variable("GHCR_TOKEN", ""), "empty"),
        ] {
            let Err(Error::Misconfigured(Problem { message, hint })) = get(&system) else {
                panic!("{state}");
            };
            assert!(
                message.contains("GHCR_TOKEN") && message.ends_with(state),
                "{message}"
            );
            assert!(
                message.contains("`password_env`") && message.contains("ghcr.io"),
                "{message}"
            );
            assert!(hint.unwrap().contains("GHCR_TOKEN"));
        }
    }

    #[test]
    fn a_registry_without_a_variable_is_left_to_others() {
        for system in [
            FakeSystem::new(),
            FakeSystem::new().registry(r#"{"username":"ann","store":"keyring"}"#),
            FakeSystem::new().registry(r#"{"username":"ann","secret_name":"ghcr"}"#),
        ] {
            assert!(matches!(get(&system), Err(Error::NotFound)));
            assert_eq!(system.calls(), [""; 0]);
        }
    }

    #[test]
    fn another_user_is_left_to_others() {
        let system = configured().variable("GHCR_TOKEN", "x");
        let request = Request::pull("ghcr.io").username("bob");
        assert!(matches!(
            Variables::get(&system, &request),
            Err(Error::NotFound)
        ));
        let request = Request::pull("ghcr.io").username("ann");
        Variables::get(&system, &request).unwrap();
    }

    #[test]
    fn settings_that_make_no_sense_are_said_to() {
        for json in [r#"{"password_env":"X"}"#, r#"{"password_env":7}"#] {
            let result = get(&FakeSystem::new().registry(json));
            assert!(matches!(result, Err(Error::Misconfigured(_))), "{result:?}");
        }
    }

    #[test]
    fn a_refusal_is_passed_on() {
        let refusal = Refusal::Denied("grant it".to_owned());
        let result = get(&configured().refuse("env", refusal));
        assert!(matches!(result, Err(Error::Denied(problem)) if problem.message == "grant it"));
    }
}
