//! Credentials that a registry does not accept: who is told, and who is let in all the same.

use std::sync::Arc;

use msb_host::auth::{Chain, Lookup};
use msb_host::cancel::Cancel;
use msb_host::credential::{Action, Outcome, RegistryAuth};
use msb_host::image::PullOptions;
use msb_host::progress::Silent;
use msb_host::registry::ManifestRef;

use super::provider::Known;
use super::{Scene, told, with};
use crate::faulty::http::{Answer, Request};
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, fault};
use crate::tests;

tests! {
    ambient_credentials_never_block_a_public_image;
    what_the_user_has_asked_for_ends_the_pull;
    a_refusal_names_the_provider_and_the_cure;
    writing_is_never_tried_as_nobody;
    of_two_refusals_the_first_is_told;
    a_registry_that_forbids_after_a_good_token_is_about_access;
    a_registry_that_says_that_a_password_has_expired_is_about_credentials;
    explicitly_anonymous_stays_anonymous;
    without_credentials_it_is_told_who_was_asked;
    a_provider_hears_what_became_of_its_answer;
}

fn auth() -> RegistryAuth {
    RegistryAuth::basic("me", "secret-old")
}

/// Refuses every password at the token service, which gives no token to anyone.
fn expired(scene: &Scene, status: u16) {
    let fault =
        Arc::new(
            move |request: &Request, answer: Answer| match request.header("authorization") {
                Some(_) => Answer::error(status, "DENIED", "token has expired"),
                None => answer,
            },
        );
    scene.registry.fault(On::Token, ALWAYS, fault);
}

fn ambient_credentials_never_block_a_public_image() {
    for status in [401, 403] {
        for provider in ["docker-config", "keychain"] {
            let scene = Scene::guarded();
            expired(&scene, status);
            let known = Known::having(provider, auth());
            scene.pull_with("app", &known).unwrap();
            let warnings = scene.heard.warnings();
            for words in [
                format!("`{provider}`"),
                format!("msb registry login {}", scene.registry.host()),
                "~/a/file".to_owned(),
            ] {
                assert!(warnings.contains(&words), "{words} in {warnings}");
            }
            assert_eq!(warnings.lines().count(), 1, "{warnings}");
            assert!(!warnings.contains("secret-"));
        }
    }
}

fn what_the_user_has_asked_for_ends_the_pull() {
    let scene = Scene::guarded();
    expired(&scene, 401);
    let known = Known::having("third-party", auth());
    let error = scene.pull_with("app", &known).unwrap_err();
    let text = told(&error);
    assert!(text.contains("`third-party` (~/a/file)"), "{text}");
    let given = PullOptions::default().registry_auth(auth());
    let text = told(&scene.pull("app", &given).unwrap_err());
    assert!(
        text.contains("does not accept the credentials for"),
        "{text}"
    );
    // Nobody was let in as nobody.
    let asked = scene.registry.asked(&On::Token);
    let known = |request: &Request| request.header("authorization").is_some();
    assert!(asked.iter().all(known), "{}", scene.registry.log());
}

fn a_refusal_names_the_provider_and_the_cure() {
    // Docker Hub, ghcr.io, and Amazon, which has no token service.
    for status in [401, 403] {
        let scene = Scene::guarded();
        expired(&scene, status);
        let known = Known::having("third-party", auth());
        let text = told(&scene.pull_with("app", &known).unwrap_err());
        assert!(
            text.contains("does not accept the credentials of `third-party`"),
            "{text}"
        );
        assert!(text.contains("token has expired"), "{text}");
    }
    let scene = Scene::new();
    scene.registry.challenge(&[r#"Basic realm="x""#], None);
    // me:secret-old
    scene.registry.accept_password("bWU6c2VjcmV0LW9sZA==");
    let words = "Your authorization token has expired. Reauthenticate and try again.";
    let refusal = Answer::error(403, "DENIED", words);
    scene
        .registry
        .fault(On::Everything, ALWAYS, fault::instead(refusal));
    let known = Known::having("third-party", auth());
    let text = told(&scene.pull_with("app", &known).unwrap_err());
    assert!(
        text.contains("does not accept the credentials of `third-party`"),
        "{text}"
    );
}

fn writing_is_never_tried_as_nobody() {
    let scene = Scene::guarded();
    expired(&scene, 401);
    let known = Known::having("docker-config", auth());
    let options = with(&[&known]);
    let reference = format!("{}/app:1", scene.registry.host()).parse().unwrap();
    let lookup = Lookup::new(Arc::clone(&options.chain), Arc::new(Silent));
    let repository = scene
        .client
        .repository(&reference, Action::Push, Arc::new(lookup))
        .unwrap();
    let error = repository
        .manifest(ManifestRef::Tag("1"), 1 << 20, &|_| {}, &Cancel::default())
        .unwrap_err();
    assert!(told(&error).contains("`docker-config`"));
    assert_eq!(scene.registry.asked(&On::Token).len(), 1);
}

fn of_two_refusals_the_first_is_told() {
    let scene = Scene::guarded();
    let fault = Arc::new(|request: &Request, _: Answer| {
        let known = request.header("authorization").is_some();
        let words = if known {
            "wrong password"
        } else {
            "login first"
        };
        Answer::error(401, "UNAUTHORIZED", words)
    });
    scene.registry.fault(On::Token, ALWAYS, fault);
    let known = Known::having("docker-config", auth());
    let text = told(&scene.pull_with("app", &known).unwrap_err());
    assert!(
        text.contains("does not accept the credentials of `docker-config`"),
        "{text}"
    );
    assert!(text.contains("wrong password"), "{text}");
    assert!(!text.contains("login first"), "{text}");
}

fn a_registry_that_forbids_after_a_good_token_is_about_access() {
    let scene = Scene::guarded();
    let denied = Answer::error(403, "DENIED", "you may not");
    for on in [On::Manifest, On::ManifestHead] {
        scene
            .registry
            .fault(on, ALWAYS, fault::instead(denied.clone()));
    }
    let known = Known::having("docker-config", auth());
    let text = told(&scene.pull_with("app", &known).unwrap_err());
    assert!(
        text.contains("no access with the credentials of `docker-config`"),
        "{text}"
    );
    assert_eq!(scene.heard.warnings(), "");
}

fn a_registry_that_says_that_a_password_has_expired_is_about_credentials() {
    let scene = Scene::new();
    scene.registry.challenge(&[r#"Basic realm="x""#], None);
    scene.registry.accept_password("bWU6c2VjcmV0LW9sZA==");
    for (words, expected) in [
        ("your token has expired", "does not accept the credentials"),
        ("not your repository", "no access"),
    ] {
        let refusal = Answer::error(403, "DENIED", words);
        scene
            .registry
            .fault(On::Everything, ALWAYS, fault::instead(refusal));
        let known = Known::having("third-party", auth());
        let text = told(&scene.pull_with("app", &known).unwrap_err());
        assert!(text.contains(expected), "{text}");
        scene.registry.heal();
    }
}

fn explicitly_anonymous_stays_anonymous() {
    let scene = Scene::guarded();
    let known = Known::having("docker-config", auth());
    let options = with(&[&known]).registry_auth(RegistryAuth::Anonymous);
    scene.pull("app", &options).unwrap();
    assert_eq!(known.times(), 0);
    scene.pull("other", &with(&[&known])).unwrap();
    assert_eq!(known.times(), 1, "nothing said is not nobody");
}

fn without_credentials_it_is_told_who_was_asked() {
    let scene = Scene::new();
    scene.registry.challenge(&[r#"Basic realm="x""#], None);
    let keychain = Known::empty("keychain");
    let docker = Known::empty("docker-config");
    let error = scene.pull("app", &with(&[&keychain, &docker])).unwrap_err();
    let msb_host::image::PullError::Registry { source, .. } = &error else {
        panic!("{error:?}");
    };
    let msb_host::registry::RegistryErrorKind::Denied { identity, .. } = &source.kind else {
        panic!("{source:?}");
    };
    let tried: Vec<&str> = identity
        .tried
        .iter()
        .map(|tried| tried.provider.as_str())
        .collect();
    assert_eq!(tried, ["keychain", "docker-config"]);
    assert_eq!(Chain::default().links().len(), 0);
}

fn a_provider_hears_what_became_of_its_answer() {
    let scene = Scene::guarded();
    let known = Known::having("docker-config", auth());
    scene.pull_with("app", &known).unwrap();
    assert_eq!(known.reports(), [Outcome::Accepted]);
    let scene = Scene::guarded();
    expired(&scene, 401);
    let known = Known::having("docker-config", auth());
    scene.pull_with("app", &known).unwrap();
    assert_eq!(known.reports(), [Outcome::Rejected]);
}
