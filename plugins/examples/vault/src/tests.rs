//! Against a server in memory.

use msb_plugin::fake::{Asked, FakeSystem, bytes_of};
use msb_plugin::system::{Refusal, Response};

use super::*;

const URL: &str = "https://vault.example.com:8200/v1/secret/data/registries/ghcr";

const SECRET: &str = r#"{"request_id":"7","lease_duration":0,"renewable":false,
    "data":{"data":{"username":"ann","password":"opensesame"},"metadata":{"version":1}}}"#;

fn settings(more: &str) -> String {
    format!(
        r#"{{"address":"https://vault.example.com:8200/",
            "registries":{{"ghcr.io":"registries/ghcr"}}{more}}}"#
    )
}

fn answering(status: u16, body: &'static str) -> FakeSystem {
    FakeSystem::new()
        .settings(settings(""))
        .variable("VAULT_TOKEN", "hvs.T")
        .now(1_000)
        .server(move |_| {
            Ok(Response {
                status,
                headers: Vec::new(),
                body: body.as_bytes().to_vec(),
            })
        })
}

fn get(system: &FakeSystem) -> Result<Answer, Error> {
    Vault::get(system, &Request::pull("ghcr.io"))
}

#[test]
fn the_token_opens_the_secret_of_the_registry() {
    let system = FakeSystem::new()
        .settings(settings(r#","namespace":"team""#))
        .variable("VAULT_TOKEN", "hvs.T")
        .now(1_000)
        .server(|asked: &Asked| {
            assert_eq!((asked.method.as_str(), asked.url.as_str()), ("GET", URL));
            assert_eq!(asked.header("X-Vault-Token"), Some("hvs.T"));
            assert_eq!(asked.header("X-Vault-Namespace"), Some("team"));
            Ok(Response {
                status: 200,
                headers: Vec::new(),
                body: SECRET.into(),
            })
        });
    let answer = get(&system).unwrap();
    assert_eq!(answer.source.as_deref(), Some(URL));
    assert_eq!(answer.cache, Cache::Until(1_300));
    let Credential::Basic(username, password) = answer.credential else {
        panic!("no password");
    };
    assert_eq!(
        (username.as_str(), bytes_of(&password).as_slice()),
        ("ann", &b"opensesame"[..])
    );
}

#[test]
fn a_lease_says_how_long_a_login_is_good() {
    let leased = r#"{"lease_duration":60,"data":{"data":{"username":"a","password":"b"}}}"#;
    assert_eq!(
        get(&answering(200, leased)).unwrap().cache,
        Cache::Until(1_060)
    );
    let never = answering(200, SECRET).settings(settings(r#","max_age_secs":0"#));
    assert_eq!(get(&never).unwrap().cache, Cache::Never);
}

#[test]
fn the_token_may_be_in_a_file() {
    let system = answering(200, SECRET)
        .settings(settings(r#","token_file":"~/.vault-token""#))
        .file("~/.vault-token", "hvs.F\n");
    get(&system).unwrap();
    assert!(system.calls().contains(&"files ~/.vault-token".to_owned()));
    assert!(!system.calls().contains(&"env VAULT_TOKEN".to_owned()));
}

#[test]
fn a_token_that_is_missing_is_named() {
    let expect = |system: FakeSystem, name: &str| match get(&system) {
        Err(Error::Misconfigured(problem)) => {
            assert!(problem.message.contains(name), "{problem:?}");
            assert!(problem.hint.is_some());
        }
        other => panic!("{other:?}"),
    };
    expect(
        answering(200, SECRET).variable("VAULT_TOKEN", ""),
        "VAULT_TOKEN",
    );
    let named = settings(r#","token_env":"MY_TOKEN""#);
    expect(answering(200, SECRET).settings(named), "MY_TOKEN");
    let file = settings(r#","token_file":"/run/token""#);
    expect(answering(200, SECRET).settings(file), "/run/token");
}

#[test]
fn a_registry_without_a_path_is_not_its_own() {
    let system = answering(200, SECRET);
    let result = Vault::get(&system, &Request::pull("quay.io"));
    assert!(matches!(result, Err(Error::NotMine)));
    assert_eq!(system.calls(), [""; 0]);
}

#[test]
fn what_the_server_refuses_is_said_without_what_it_says() {
    for (status, body, expected) in [
        (403, "opensesame", "denied"),
        (404, "opensesame", "not-found"),
        (503, "opensesame", "unavailable"),
        (429, "opensesame", "unavailable"),
        (302, "opensesame", "failed"),
        (200, "opensesame", "failed"),
        (
            200,
            r#"{"data":{"data":{"password":"opensesame"}}}"#,
            "misconfigured",
        ),
        (
            200,
            r#"{"data":{"data":{"username":"opensesame"}}}"#,
            "misconfigured",
        ),
        (
            200,
            r#"{"data":{"data":null,"metadata":{"deletion_time":"x"}}}"#,
            "not-found",
        ),
        (200, "{}", "not-found"),
    ] {
        let error = get(&answering(status, body)).unwrap_err();
        let kind = match error {
            Error::Denied(_) => "denied",
            Error::NotFound => "not-found",
            Error::Unavailable(_) => "unavailable",
            Error::Failed(_) => "failed",
            Error::Misconfigured(_) => "misconfigured",
            _ => "other",
        };
        assert_eq!(kind, expected, "{status} {body}");
        assert!(!format!("{error:?}").contains("opensesame"), "{error:?}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_unavailable() {
    let refusal = Refusal::Unavailable("no answer".to_owned());
    let result = get(&answering(200, SECRET).refuse("http", refusal));
    assert!(matches!(result, Err(Error::Unavailable(_))));
}

#[test]
fn settings_that_are_missing_or_wrong_are_said_to_be() {
    for system in [
        FakeSystem::new(),
        FakeSystem::new().settings("{}"),
        answering(200, SECRET).settings(settings(r#","adress":"x""#)),
        answering(200, SECRET).settings(settings(r#","token_env":"X","token_file":"/x""#)),
    ] {
        let result = get(&system);
        assert!(matches!(result, Err(Error::Misconfigured(_))), "{result:?}");
    }
}

#[test]
fn a_path_is_escaped() {
    let json = r#"{"address":"https://v","mount":"/my kv/","registries":{"ghcr.io":"a?b/c#d"}}"#;
    let system = answering(200, SECRET).settings(json);
    let answer = get(&system).unwrap();
    assert_eq!(
        answer.source.as_deref(),
        Some("https://v/v1/my%20kv/data/a%3Fb/c%23d")
    );
}
