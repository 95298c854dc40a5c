//! Tokens: how a registry asks for them, and what token services answer.

use serde_json::json;

use super::Scene;
use crate::faulty::http::{Answer, Delivery};
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry, fault};
use crate::tests;

tests! {
    a_token_is_asked_for_once_and_for_the_repository_alone;
    a_challenge_does_not_widen_what_a_token_is_good_for;
    a_token_may_be_called_access_token;
    a_token_without_an_expiry_is_used;
    a_token_that_expires_at_once_is_used_all_the_same;
    a_token_that_is_revoked_in_the_middle_is_replaced_once;
    a_registry_that_never_lets_in_ends_the_pull;
    a_registry_that_wants_basic_gets_the_password;
    a_registry_that_offers_bearer_and_basic_in_one_header_gets_a_token;
    a_registry_that_offers_them_in_two_headers_gets_a_token;
    a_challenge_without_a_service_is_answered;
    a_challenge_with_odd_quoting_is_understood;
    a_challenge_with_letters_of_any_language_is_understood;
    a_scope_that_is_not_enough_is_told;
    a_challenge_that_is_not_understood_is_told;
    a_password_goes_to_the_token_service_and_not_beyond;
    a_token_service_that_refuses_the_password_is_told;
    a_token_service_with_an_error_is_tried_again;
    a_token_answer_that_is_no_token_is_told;
    a_token_answer_without_end_is_not_read;
    a_registry_that_forbids_is_told_at_once;
    a_repository_that_is_unknown_is_told_at_once;
}

/// What Docker keeps for the user `user` and the password `secret-pass`.
const PASSWORD: &str = "dXNlcjpzZWNyZXQtcGFzcw==";

fn guarded() -> Scene {
    let scene = Scene::new();
    scene.registry.require_token(&scene.registry);
    scene
}

fn a_token_is_asked_for_once_and_for_the_repository_alone() {
    let scene = guarded();
    scene.pulls();
    let asked = scene.registry.asked(&On::Token);
    assert_eq!(asked.len(), 1);
    let path = asked[0].path.replace("%3A", ":").replace("%2F", "/");
    assert!(path.contains("scope=repository:app:pull"), "{path}");
    assert!(path.contains("service=tests"), "{path}");
    assert_eq!(asked[0].header("authorization"), None, "anonymous");
}

fn a_challenge_does_not_widen_what_a_token_is_good_for() {
    for demanded in [
        "repository:private/secret:pull,push,delete registry:catalog:*",
        "repository:app:pull,push,delete",
        "repository:app:* repository:other:pull",
    ] {
        let scene = Scene::new();
        let realm = scene.registry.url("/token");
        let line = format!(
            r#"Bearer realm="{realm}",service="x",scope="{demanded}",error="insufficient_scope""#
        );
        scene.registry.challenge(&[&line], Some(&scene.registry));
        scene.pulls();
        let asked = scene.registry.asked(&On::Token);
        assert!(!asked.is_empty());
        for request in asked {
            let (_, query) = request.path.split_once('?').unwrap();
            let scopes: Vec<String> = query
                .split('&')
                .filter_map(|field| field.strip_prefix("scope="))
                .map(|scope| scope.replace("%3A", ":").replace("%2F", "/"))
                .collect();
            assert_eq!(scopes, ["repository:app:pull"], "{request}");
        }
    }
}

fn a_token_may_be_called_access_token() {
    let scene = guarded();
    let renamed = fault::json(|answer| answer["access_token"] = answer["token"].take());
    scene.registry.fault(On::Token, ALWAYS, renamed);
    scene.pulls();
}

fn a_token_without_an_expiry_is_used() {
    let scene = guarded();
    let bare = fault::json(|answer| *answer = json!({"token": answer["token"]}));
    scene.registry.fault(On::Token, ALWAYS, bare);
    scene.pulls();
    assert_eq!(scene.registry.asked(&On::Token).len(), 1);
}

/// Some services say one second, or that the token is from tomorrow.
fn a_token_that_expires_at_once_is_used_all_the_same() {
    for (expires_in, issued_at) in [
        (json!(1), json!("2000-01-01T00:00:00Z")),
        (json!(0), json!(null)),
        (json!(-7), json!("2999-01-01T00:00:00Z")),
        (json!(300), json!("no date")),
    ] {
        let scene = guarded();
        let odd = fault::json(move |answer| {
            answer["expires_in"] = expires_in.clone();
            answer["issued_at"] = issued_at.clone();
        });
        scene.registry.fault(On::Token, ALWAYS, odd);
        scene.pulls();
        assert!(scene.registry.asked(&On::Token).len() <= 2);
    }
}

fn a_token_that_is_revoked_in_the_middle_is_replaced_once() {
    let scene = guarded();
    let issuer = Registry::start();
    scene.registry.require_token(&issuer);
    let challenge = format!(r#"Bearer realm="{}""#, issuer.url("/token"));
    let refusal = Answer::error(401, "UNAUTHORIZED", "expired");
    let refusal = refusal.with("WWW-Authenticate", &challenge);
    scene
        .registry
        .fault(Scene::on_big(), 1, fault::close_after(super::MIDDLE));
    scene
        .registry
        .fault(Scene::on_big(), 1, fault::instead(refusal));
    scene.pulls();
    assert_eq!(issuer.asked(&On::Token).len(), 2);
    let asked = scene.registry.asked(&Scene::on_big());
    let last = asked.last().unwrap();
    assert_eq!(last.offset(), Some(super::MIDDLE));
    assert_ne!(
        last.header("authorization"),
        asked[0].header("authorization")
    );
}

fn a_registry_that_never_lets_in_ends_the_pull() {
    let scene = Scene::new();
    let other = Registry::start();
    let challenge = format!(r#"Bearer realm="{}",service="x""#, other.url("/token"));
    // It knows none of the tokens.
    scene.registry.challenge(&[&challenge], None);
    let login = format!("msb registry login {}", scene.registry.host());
    scene
        .pull()
        .failure(&[&scene.reference(), "hint: ", &login]);
    scene.assert_nothing_shown();
    assert!(other.asked(&On::Token).len() <= 2, "{}", other.log());
}

fn a_registry_that_wants_basic_gets_the_password() {
    let scene = Scene::new();
    scene.registry.challenge(&[r#"Basic realm="x""#], None);
    scene.registry.accept_password(PASSWORD);
    let login = format!("msb registry login {}", scene.registry.host());
    scene.pull().failure(&[&login]);
    scene.assert_nothing_shown();
    scene.password(PASSWORD);
    scene.pulls();
}

fn a_registry_that_offers_bearer_and_basic_in_one_header_gets_a_token() {
    let scene = Scene::new();
    let realm = scene.registry.url("/token");
    for line in [
        format!(r#"Bearer realm="{realm}",service="a, b", Basic realm="x""#),
        format!(r#"Basic realm="x", Bearer realm="{realm}",service="a, b""#),
    ] {
        let scene_registry = &scene.registry;
        scene_registry.challenge(&[&line], Some(scene_registry));
        scene.pulls();
        scene
            .env
            .msb(&format!("rmi {}", scene.reference()))
            .success();
        scene.env.msb("image prune -y").success();
    }
}

fn a_registry_that_offers_them_in_two_headers_gets_a_token() {
    let scene = Scene::new();
    let bearer = format!(
        r#"Bearer realm="{}",service="x""#,
        scene.registry.url("/token")
    );
    let basic = r#"Basic realm="x""#;
    scene
        .registry
        .challenge(&[basic, &bearer], Some(&scene.registry));
    scene.pulls();
}

fn a_challenge_without_a_service_is_answered() {
    let scene = Scene::new();
    let line = format!(r#"Bearer realm="{}""#, scene.registry.url("/token"));
    scene.registry.challenge(&[&line], Some(&scene.registry));
    scene.pulls();
    let asked = &scene.registry.asked(&On::Token)[0];
    assert!(!asked.path.contains("service"), "{asked}");
}

fn a_challenge_with_odd_quoting_is_understood() {
    let scene = Scene::new();
    let realm = scene.registry.url("/token?account=x");
    let line = format!(r#"bearer  Realm = "{realm}" ,SERVICE=plain , error="a \"b\", c""#);
    scene.registry.challenge(&[&line], Some(&scene.registry));
    scene.pulls();
    let asked = &scene.registry.asked(&On::Token)[0];
    assert!(asked.path.starts_with("/token?account=x&"), "{asked}");
}

fn a_challenge_with_letters_of_any_language_is_understood() {
    let scene = Scene::new();
    scene.registry.challenge(&[r#"Basic realm="Müller""#], None);
    scene.registry.accept_password(PASSWORD);
    scene.password(PASSWORD);
    scene.pulls();
}

fn a_scope_that_is_not_enough_is_told() {
    let scene = Scene::new();
    let realm = scene.registry.url("/token");
    let line = format!(
        r#"Bearer realm="{realm}",service="x",scope="repository:app:pull",error="insufficient_scope""#
    );
    scene.registry.challenge(&[&line], None);
    scene.pull().failure(&[&scene.reference(), "hint: "]);
    scene.assert_nothing_shown();
    assert!(scene.registry.asked(&On::Token).len() <= 2);
}

fn a_challenge_that_is_not_understood_is_told() {
    for challenges in [&["Negotiate abc"][..], &["Bearer"], &["Bearer realm="], &[]] {
        let scene = Scene::new();
        scene.registry.challenge(challenges, None);
        scene.pull().failure(&[&scene.registry.host()]);
        scene.assert_nothing_shown();
        assert!(scene.registry.requests().len() <= 6);
    }
    for (challenges, schemes) in [
        (
            &[r#"Digest realm="x", nonce="a", NTLM"#][..],
            "Digest, NTLM",
        ),
        (&["Negotiate", "NTLM"], "Negotiate, NTLM"),
    ] {
        let scene = Scene::new();
        scene.registry.challenge(challenges, None);
        let run = scene.pull().failure(&[
            &format!("wants credentials by {schemes}, which msb does not speak"),
            "hint: msb shows credentials by the schemes Basic and Bearer",
        ]);
        assert!(!run.stderr.contains("log in"), "{run:#?}");
        scene.assert_nothing_shown();
    }
}

fn a_password_goes_to_the_token_service_and_not_beyond() {
    let scene = Scene::new();
    let (issuer, cdn) = (Registry::start(), Registry::start());
    scene.registry.require_token(&issuer);
    scene.registry.redirect_blobs(&cdn, 1);
    scene.password(PASSWORD);
    scene.pulls();
    let basic = format!("Basic {PASSWORD}");
    let asked = &issuer.asked(&On::Token)[0];
    assert_eq!(asked.header("authorization"), Some(&*basic));
    for request in scene.registry.requests().iter().chain(&cdn.requests()) {
        assert_ne!(request.header("authorization"), Some(&*basic), "{request}");
    }
}

fn a_token_service_that_refuses_the_password_is_told() {
    let scene = guarded();
    scene.password(PASSWORD);
    let wrong = Answer::error(401, "UNAUTHORIZED", "incorrect username or password");
    scene
        .registry
        .fault(On::Token, ALWAYS, fault::instead(wrong));
    scene.fails(&["incorrect username or password", "hint: ", "registry login"]);
    assert!(scene.registry.asked(&On::Token).len() <= 2);
}

fn a_token_service_with_an_error_is_tried_again() {
    let scene = guarded();
    scene.registry.fault(On::Token, 1, fault::status(503));
    scene.registry.fault(On::Token, 1, fault::close_after(5));
    scene.pulls();
    assert_eq!(scene.registry.asked(&On::Token).len(), 3);
}

fn a_token_answer_that_is_no_token_is_told() {
    for body in [
        "",
        "{}",
        "[]",
        "<html>",
        r#"{"token": 7}"#,
        r#"{"token": ""}"#,
        "{\"token\": \"a\\nb\"}",
    ] {
        let scene = guarded();
        let answer = Answer::new(200, body.as_bytes().to_vec());
        scene
            .registry
            .fault(On::Token, ALWAYS, fault::instead(answer));
        scene.fails(&[&scene.registry.host(), "token"]);
        assert!(scene.registry.asked(&On::Token).len() <= 6, "{body}");
    }
}

fn a_token_answer_without_end_is_not_read() {
    for delivery in [Delivery::Whole, Delivery::Chunked] {
        let scene = guarded();
        let body = format!(r#"{{"token": "{}"}}"#, "x".repeat(64 << 20));
        let mut answer = Answer::new(200, body.into_bytes());
        answer.delivery = delivery;
        scene
            .registry
            .fault(On::Token, ALWAYS, fault::instead(answer));
        scene.fails(&[&scene.registry.host(), "token"]);
        for request in scene.registry.asked(&On::Token) {
            assert!(request.sent < 32 << 20, "{request}");
        }
    }
}

fn a_registry_that_forbids_is_told_at_once() {
    let scene = guarded();
    let denied = Answer::error(403, "DENIED", "requested access to the resource is denied");
    scene
        .registry
        .fault(On::Manifest, ALWAYS, fault::instead(denied));
    let login = format!("msb registry login {}", scene.registry.host());
    scene.fails(&[
        &scene.reference(),
        "requested access to the resource is denied",
        &login,
    ]);
    assert_eq!(scene.registry.asked(&On::Token).len(), 1);
}

fn a_repository_that_is_unknown_is_told_at_once() {
    let scene = guarded();
    let missing = format!("{}/missing:1", scene.registry.host());
    let run = scene.env.msb(&format!("pull {missing}"));
    run.failure(&[&missing, "not found"]);
    scene.assert_nothing_shown();
    let mut asked = scene.registry.asked(&On::Manifest);
    asked.retain(|request| request.status == 404);
    assert_eq!(asked.len(), 1);
}
