//! The policy of the chain, with providers that say what they are told to.

mod credential_cache;
mod messages;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::fake::{Fake, TestContext, answer};
use super::*;
use crate::credential::{Action, CredentialRequest, RegistryAuth, Tier};
use crate::plugin::{Failure, PluginError, Stopped};
use crate::settings::{AuthEntry, Settings};

const HOST: &str = "r.example";

/// The order of a plain msb, with a third party where those are.
const ORDER: [&str; 5] = [
    "keychain",
    "env",
    "secret-file",
    "third-party",
    "docker-config",
];

fn settings(text: &str) -> BTreeMap<String, AuthEntry> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{{\"registries\": {text}}}")).unwrap();
    Settings::read_from(file.path()).unwrap().registries.auth
}

fn with_env() -> BTreeMap<String, AuthEntry> {
    settings(r#"{"auth": {"r.example": {"username": "u", "password_env": "X"}}}"#)
}

fn chain(fakes: &[&Arc<Fake>], settings: &BTreeMap<String, AuthEntry>) -> Chain {
    let providers = fakes.iter().map(|fake| Arc::clone(fake) as _);
    Chain::new(providers, settings)
}

fn login_query() -> CredentialRequest {
    CredentialRequest {
        repository: Some("app".to_owned()),
        ..CredentialRequest::new(HOST, Action::Pull)
    }
}

fn who(resolution: &Resolution) -> Option<&str> {
    Some(resolution.from.as_ref()?.provider.as_str())
}

/// Returns a provider's error, as plugins make it.
fn crash(stopped: Option<Stopped>) -> ProviderError {
    let failure = match stopped {
        Some(stopped) => Failure::Stopped(stopped),
        None => Failure::Crashed {
            message: "unreachable".to_owned(),
            frames: Vec::new(),
        },
    };
    ProviderError::from(PluginError {
        plugin: "p".to_owned(),
        version: None,
        failure: Box::new(failure),
    })
}

#[test]
fn each_provider_answers_for_all_that_come_after_it() {
    let scene = TestContext::new();
    let mut pairs = 0;
    for (first, winner) in ORDER.into_iter().enumerate() {
        for (second, loser) in ORDER.into_iter().enumerate().skip(first + 1) {
            let fakes: Vec<Arc<Fake>> = ORDER
                .into_iter()
                .enumerate()
                .map(|(number, name)| match number {
                    number if number == first || number == second => Fake::answering(name),
                    _ => Fake::empty(name),
                })
                .map(Arc::new)
                .collect();
            // What the settings name is there, or the search ends.
            let settings = match winner {
                "third-party" => BTreeMap::new(),
                _ => with_env(),
            };
            let chain = chain(&fakes.iter().collect::<Vec<_>>(), &settings);
            let resolution = chain.ask(&login_query(), &scene.context()).unwrap();
            assert_eq!(who(&resolution), Some(winner), "{winner} before {loser}");
            assert_eq!(fakes[second].times(), 0, "{loser}");
            pairs += 1;
        }
    }
    assert_eq!(pairs, 10);
}

#[test]
fn an_explicitly_anonymous_answer_ends_the_search() {
    let scene = TestContext::new();
    let anonymous = Arc::new(Fake::new("third-party", |_| {
        Ok(Answer {
            credential: RegistryAuth::Anonymous,
            ..answer("third-party")
        })
    }));
    let docker = Arc::new(Fake::answering("docker-config"));
    let chain = chain(&[&anonymous, &docker], &BTreeMap::new());
    let resolution = chain.ask(&login_query(), &scene.context()).unwrap();
    assert!(resolution.credential.is_anonymous());
    assert_eq!(who(&resolution), Some("third-party"));
    assert_eq!(docker.times(), 0);
}

#[test]
fn errors_stop_the_search_or_not_according_to_the_tier() {
    type Make = fn() -> ProviderError;
    let errors: [(&str, Make, [bool; 3]); 8] = [
        // Whether it stops: ambient, configured, installed.
        ("not-mine", || ProviderError::NotMine, [false, false, false]),
        (
            "not-found",
            || ProviderError::NotFound,
            [false, false, false],
        ),
        (
            "unsupported",
            || ProviderError::Unsupported,
            [false, false, false],
        ),
        (
            "unavailable",
            || ProviderError::Unavailable(Problem::new("it is broken")),
            [false, true, false],
        ),
        (
            "denied",
            || ProviderError::Denied(Problem::new("it is broken")),
            [false, true, true],
        ),
        (
            "misconfigured",
            || ProviderError::Misconfigured(Problem::new("it is broken")),
            [false, true, true],
        ),
        (
            "failed",
            || ProviderError::Failed(Problem::new("it is broken")),
            [false, true, true],
        ),
        ("crash", || crash(None), [false, true, true]),
    ];
    for (name, error, stops) in errors {
        for (provider, stops) in ["docker-config", "env", "third-party"]
            .into_iter()
            .zip(stops)
        {
            let scene = TestContext::new();
            let fake = Arc::new(Fake::new(provider, move |_| Err(error())));
            let after = Arc::new(Fake::answering("secret-file"));
            let chain = chain(&[&fake, &after], &with_env());
            let asked = chain.ask(&login_query(), &scene.context());
            assert_eq!(asked.is_err(), stops, "{name} of {provider}: {asked:?}");
            assert_eq!(after.times(), usize::from(!stops), "{name} of {provider}");
            let is_quiet = ["not-mine", "not-found", "unsupported"].contains(&name) || stops;
            assert_eq!(
                scene.warnings().is_empty(),
                is_quiet,
                "{name} of {provider}"
            );
        }
    }
}

#[test]
fn while_plugins_are_fetched_no_fault_of_an_installed_provider_ends_the_search() {
    let named = settings(r#"{"auth": {"r.example": {"provider": "third-party"}}}"#);
    for settings in [BTreeMap::new(), named.clone()] {
        let scene = TestContext::new();
        let broken = Arc::new(Fake::new("third-party", |_| Err(crash(None))));
        let chain = chain(&[&broken], &settings);
        assert!(chain.ask(&login_query(), &scene.context()).is_err());
        let chain = self::chain(&[&broken], &settings);
        let chain = chain.forgiving(&["third-party".to_owned()].into());
        let resolution = chain.ask(&login_query(), &scene.context()).unwrap();
        assert!(resolution.credential.is_anonymous());
        assert_eq!(scene.warnings().len(), 1, "{:?}", scene.warnings());
    }
    // What is refused is not the end either, and no other is asked instead of one that is named.
    let scene = TestContext::new();
    let good = Arc::new(Fake::answering("third-party"));
    let others = Arc::new(Fake::answering("docker-config"));
    let forgiving = chain(&[&good, &others], &named).forgiving(&["third-party".to_owned()].into());
    let resolution = forgiving.ask(&login_query(), &scene.context()).unwrap();
    assert_eq!(resolution.from.as_ref().unwrap().tier, Tier::Ambient);
    let forgiving = chain(&[&others], &named).forgiving(&BTreeSet::new());
    let resolution = forgiving.ask(&login_query(), &scene.context()).unwrap();
    assert!(resolution.credential.is_anonymous());
    assert_eq!(others.times(), 0);
    // Those of msb are as always.
    let env = Arc::new(Fake::failing("env", ProviderError::Misconfigured));
    let forgiving = chain(&[&env], &with_env()).forgiving(&["third-party".to_owned()].into());
    assert!(forgiving.ask(&login_query(), &scene.context()).is_err());
}

#[test]
fn a_crash_a_loop_and_a_wait_without_end_of_an_ambient_provider_pass() {
    let stops: [fn() -> Option<Stopped>; 4] = [
        || None,
        || Some(Stopped::Memory(1 << 20)),
        || Some(Stopped::HostCalls(5)),
        || Some(Stopped::Time(Duration::from_secs(1))),
    ];
    for stopped in stops {
        let scene = TestContext::new();
        let text = format!("{:?}", stopped());
        let fake = Arc::new(Fake::new("docker-config", move |_| Err(crash(stopped()))));
        let chain = chain(&[&fake], &BTreeMap::new());
        let resolution = chain.ask(&login_query(), &scene.context()).unwrap();
        assert!(resolution.credential.is_anonymous(), "{text}");
        assert_eq!(scene.warnings().len(), 1, "{text}");
    }
}

#[test]
fn what_the_settings_name_and_cannot_be_had_ends_the_search_with_file_and_key() {
    let scene = TestContext::new();
    let env = Arc::new(Fake::failing("env", ProviderError::Misconfigured));
    let docker = Arc::new(Fake::answering("docker-config"));
    let error = chain(&[&env, &docker], &with_env())
        .ask(&login_query(), &scene.context())
        .unwrap_err();
    let text = error.to_string();
    let names = "`registries.auth.r.example.password_env`";
    assert!(text.contains(names) && text.contains("is `X`"), "{text}");
    assert!(text.contains("`env`"), "{text}");
    let AuthError::Configured { named, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(text.contains(&named.file.display().to_string()));
    assert_eq!(docker.times(), 0);
}

#[test]
fn what_the_settings_name_and_nobody_looks_at_ends_the_search() {
    for names in [
        &["docker-config"][..],
        &["env", "secret-file", "docker-config"],
    ] {
        let scene = TestContext::new();
        let fakes: Vec<_> = names
            .iter()
            .map(|name| Arc::new(Fake::empty(name)))
            .collect();
        let chain = chain(&fakes.iter().collect::<Vec<_>>(), &with_env());
        let error = chain.ask(&login_query(), &scene.context()).unwrap_err();
        assert!(matches!(error, AuthError::Unanswered { .. }), "{error}");
        assert_eq!(fakes.last().unwrap().times(), 0);
    }
}

#[test]
fn an_entry_that_makes_no_sense_ends_the_search_for_its_host_alone() {
    let scene = TestContext::new();
    let settings = settings(r#"{"auth": {"r.example": {"username": "u"}}}"#);
    let docker = Arc::new(Fake::answering("docker-config"));
    let chain = chain(&[&docker], &settings);
    let error = chain.ask(&login_query(), &scene.context()).unwrap_err();
    assert!(error.to_string().contains("registries.auth.r.example"));
    let other = CredentialRequest {
        registry: "other.example".to_owned(),
        ..login_query()
    };
    let resolution = chain.ask(&other, &scene.context()).unwrap();
    assert_eq!(who(&resolution), Some("docker-config"));
}

#[test]
fn a_provider_is_asked_about_the_registries_of_its_patterns_alone() {
    let scene = TestContext::new();
    let other = Arc::new(Fake::answering("third-party").only_for(&["*.other", "x.example"]));
    let mine = Arc::new(Fake::answering("docker-config").only_for(&["*.example"]));
    let chain = chain(&[&other, &mine], &BTreeMap::new());
    let resolution = chain.ask(&login_query(), &scene.context()).unwrap();
    assert_eq!(who(&resolution), Some("docker-config"));
    assert_eq!(other.times(), 0);
    assert_eq!(resolution.attempts[0].reply, ProviderReply::OtherRegistries);
}

#[test]
fn a_provider_sees_what_the_settings_say_and_nothing_of_other_registries() {
    let scene = TestContext::new();
    let fake = Arc::new(Fake::new("env", |request: &CredentialRequest| {
        assert_eq!(request.registry, HOST);
        assert_eq!(request.username, None);
        let expected = serde_json::json!({"username": "u", "password_env": "X"});
        assert_eq!(request.settings.as_ref(), Some(&expected));
        Ok(answer("env"))
    }));
    let chain = chain(&[&fake], &with_env());
    chain.ask(&login_query(), &scene.context()).unwrap();
    assert_eq!(fake.times(), 1);
}
