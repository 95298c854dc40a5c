//! {{name}}: a credential provider for msb.
//!
//! Its settings name registries and the user on each. The token that belongs to them is in a
//! variable of the environment or in a file. The provider passes it on and never reads it.

use std::collections::BTreeMap;

use msb_plugin::credential::{Answer, Credential, Description, Error, Provider, Request};
use msb_plugin::system::{Env, Files, Secret, Settings};
use serde::Deserialize;

/// What the provider is called.
const NAME: &str = "{{name}}";

/// The variable with the token.
const VARIABLE: &str = "{{env}}_TOKEN";

/// The file with the token, where the variable is not set.
const FILE: &str = "~/.{{name}}-token";

/// The provider. What it may use are the bounds of its `impl`, and nothing else becomes an import.
#[derive(Debug)]
pub struct {{type}}Provider;

/// The object `plugins.settings.{{name}}` of config.json.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configured {
    /// The name of the user on each registry.
    registries: BTreeMap<String, String>,
}

impl<S: Env + Files + Settings> Provider<S> for {{type}}Provider {
    fn describe() -> Description {
        Description::new(NAME, "a token in a variable or a file")
            .registry("*")
            .need("env", Some(VARIABLE), "the token")
            .need("files", Some(FILE), "the token, where no variable has it")
    }

    fn get(system: &S, request: &Request) -> Result<Answer, Error> {
        let configured: Option<Configured> = system.plugin_as()?;
        let Some(username) =
            configured.and_then(|mut configured| configured.registries.remove(&request.registry))
        else {
            return Err(Error::NotMine);
        };
        let wanted = request.username.as_ref();
        if wanted.is_some_and(|wanted| *wanted != username) {
            return Err(Error::NotFound);
        }
        let (token, source) = token(system)?;
        Ok(Answer::new(Credential::Basic(username, token)).source(source))
    }
}

msb_plugin::export_provider!({{type}}Provider);

/// Returns the token and where it is from. Who has it in one of the places need not grant the other.
fn token<S: Env + Files>(system: &S) -> Result<(Secret, String), Error> {
    let variable = system.variable(VARIABLE);
    if let Ok(Some(token)) = variable {
        return Ok((token, format!("${VARIABLE}")));
    }
    match (system.file(FILE), variable) {
        (Ok(Some(file)), _) => Ok((file.contents.trimmed(), file.path)),
        // The text says which permission is missing, and how to grant it.
        (Err(refusal), _) | (_, Err(refusal)) => Err(refusal.into()),
        (Ok(None), Ok(_)) => {
            let message = format!("{VARIABLE} is not set, and there is no {FILE}");
            Err(Error::misconfigured(message).hint("put the token into one of them"))
        }
    }
}

#[cfg(test)]
mod tests {
    use msb_plugin::fake::{FakeSystem, bytes_of};
    use msb_plugin::system::Refusal;

    use super::*;

    /// A system in which the provider is configured for one registry.
    fn configured() -> FakeSystem {
        FakeSystem::new().settings(r#"{"registries": {"registry.example.com": "ann"}}"#)
    }

    fn get(system: &FakeSystem) -> Result<Answer, Error> {
        ask(system, &Request::pull("registry.example.com"))
    }

    fn ask(system: &FakeSystem, request: &Request) -> Result<Answer, Error> {
        {{type}}Provider::get(system, request)
    }

    fn login(answer: Answer) -> (String, Vec<u8>) {
        match answer.credential {
            Credential::Basic(username, token) => (username, bytes_of(&token)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_token_is_that_of_the_variable() {
        let system = configured().variable(VARIABLE, "opensesame");
        let answer = get(&system).unwrap();
        assert_eq!(login(answer), ("ann".to_owned(), b"opensesame".to_vec()));
        assert_eq!(system.calls(), [format!("env {VARIABLE}")]);
    }

    #[test]
    fn without_the_variable_it_is_that_of_the_file() {
        let answer = get(&configured().file(FILE, "opensesame\n")).unwrap();
        assert_eq!(answer.source.as_deref(), Some(FILE));
        assert_eq!(login(answer), ("ann".to_owned(), b"opensesame".to_vec()));
    }

    #[test]
    fn other_registries_are_left_to_others() {
        let system = configured().variable(VARIABLE, "opensesame");
        let result = ask(&system, &Request::pull("ghcr.io"));
        assert!(matches!(result, Err(Error::NotMine)));
        let result = get(&FakeSystem::new());
        assert!(matches!(result, Err(Error::NotMine)));
    }

    #[test]
    fn another_user_is_left_to_others() {
        let system = configured().variable(VARIABLE, "opensesame");
        let request = Request::pull("registry.example.com").username("bob");
        let result = ask(&system, &request);
        assert!(matches!(result, Err(Error::NotFound)));
    }

    #[test]
    fn without_a_token_the_user_hears_where_it_is_looked_for() {
        let error = get(&configured()).unwrap_err();
        assert!(error.message().contains(VARIABLE), "{error:?}");
        assert!(error.message().contains(FILE), "{error:?}");
    }

    #[test]
    fn what_the_user_has_not_granted_is_said_in_the_words_of_msb() {
        let refused = configured().refuse("env", Refusal::Denied("grant it".to_owned()));
        let error = get(&refused).unwrap_err();
        assert!(matches!(&error, Error::Denied(problem) if problem.message == "grant it"));
        get(&refused.file(FILE, "opensesame")).unwrap();
    }
}
