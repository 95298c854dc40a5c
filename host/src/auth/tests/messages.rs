//! What the user is told of the search: warnings, the debug log, the explanation.

use secrecy::SecretString;

use super::*;
use crate::credential::RegistryAuth;
use crate::progress::LogLevel;

#[test]
fn a_keychain_that_is_not_there_is_news_only_where_something_was_put_there() {
    let logged_in = settings(r#"{"auth": {"r.example": {"username": "u", "store": "keyring"}}}"#);
    for (settings, warnings) in [(BTreeMap::new(), 0), (logged_in, 1)] {
        let scene = TestContext::new();
        let keychain = Arc::new(Fake::failing("keychain", ProviderError::Unavailable));
        let docker = Arc::new(Fake::answering("docker-config"));
        let chain = chain(&[&keychain, &docker], &settings);
        for repository in ["a", "b", "c"] {
            let query = CredentialRequest {
                repository: Some(repository.to_owned()),
                ..login_query()
            };
            let resolution = chain.ask(&query, &scene.context()).unwrap();
            assert_eq!(who(&resolution), Some("docker-config"));
        }
        assert_eq!(scene.warnings().len(), warnings, "{:?}", scene.warnings());
    }
}

#[test]
fn a_keychain_without_what_the_settings_say_is_a_warning() {
    let logged_in = settings(r#"{"auth": {"r.example": {"username": "u", "store": "keyring"}}}"#);
    let scene = TestContext::new();
    let keychain = Arc::new(Fake::empty("keychain"));
    let chain = chain(&[&keychain], &logged_in);
    let resolution = chain.ask(&login_query(), &scene.context()).unwrap();
    assert!(resolution.credential.is_anonymous());
    let warnings = scene.warnings();
    assert!(
        warnings.concat().contains("registries.auth.r.example"),
        "{warnings:?}"
    );
}

#[test]
fn the_story_is_told_at_debug_level_and_in_the_explanation_without_a_secret() {
    let scene = TestContext::new();
    let token = Arc::new(Fake::new("third-party", |_| {
        Ok(Answer {
            credential: RegistryAuth::IdentityToken(SecretString::from("secret-token")),
            ..answer("third-party")
        })
    }));
    let keychain = Arc::new(Fake::failing("keychain", ProviderError::Failed));
    let env = Arc::new(Fake::answering("env"));
    let docker = Arc::new(Fake::answering("docker-config").only_for(&["other"]));
    let chain = chain(&[&keychain, &env, &token, &docker], &BTreeMap::new());
    let resolution = chain.ask(&login_query(), &scene.context()).unwrap();
    let story = scene.listener.heard(LogLevel::Debug);
    assert_eq!(
        story,
        [
            "credentials for r.example: `keychain`: it is broken",
            "credentials for r.example: `env`: not asked: the settings name nothing",
            "credentials for r.example: `third-party`: an identity token from the place of \
             third-party",
        ]
    );
    assert!(!format!("{resolution:?}").contains("secret-"));
    let attempts = chain.explain(&login_query(), &scene.context()).unwrap();
    let reply: Vec<String> = attempts
        .iter()
        .map(|attempt| attempt.reply.to_string())
        .collect();
    assert_eq!(
        reply,
        [
            "it is broken",
            "not asked: the settings name nothing",
            "an identity token from the place of third-party",
            "not asked: it is for other registries",
        ]
    );
    assert!(!format!("{attempts:?}").contains("secret-"));
}
