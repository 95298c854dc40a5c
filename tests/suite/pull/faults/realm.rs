//! Token services at addresses that a registry has no business to send anybody to.

use super::Scene;
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry, fault};
use crate::tests;

tests! {
    a_realm_at_a_private_address_is_refused;
    a_realm_of_another_scheme_is_refused;
    a_realm_that_is_no_address_ends_the_pull;
    a_realm_that_redirects_to_a_private_address_is_refused;
    a_realm_that_redirects_elsewhere_gets_no_password_there;
    a_realm_on_another_port_of_the_loopback_is_asked;
}

fn refused(scene: &Scene, realm: &str, words: &[&str]) {
    let challenge = format!(r#"Bearer realm="{realm}",service="x""#);
    scene.registry.challenge(&[&challenge], None);
    scene.pull().failure(words);
    scene.assert_nothing_shown();
    // One look at what is wanted, and perhaps one at what the registry is.
    assert!(scene.registry.requests().len() <= 3);
}

fn a_realm_at_a_private_address_is_refused() {
    for address in [
        "169.254.169.254",
        "10.0.0.1",
        "172.16.5.4:8080",
        "192.168.1.1",
        "100.100.100.200",
        "0.0.0.0",
        "[fe80::1]",
        "[fd00::1]",
        "[::ffff:169.254.169.254]",
        "2852039166",
    ] {
        for scheme in ["http", "https"] {
            let scene = Scene::new();
            let realm = format!("{scheme}://{address}/token");
            let advised = "hint: do not trust this registry, unless it is yours";
            refused(&scene, &realm, &[&scene.registry.host(), "token", advised]);
        }
    }
}

fn a_realm_of_another_scheme_is_refused() {
    for realm in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/token",
        "gopher://127.0.0.1/token",
        "http://",
        "http://user:secret-pass@127.0.0.1:1/token",
    ] {
        refused(&Scene::new(), realm, &["token"]);
    }
}

fn a_realm_that_is_no_address_ends_the_pull() {
    for realm in [
        "",
        "not an address",
        "/nowhere",
        "//",
        "http://[",
        "%",
        "\\",
    ] {
        let scene = Scene::new();
        let challenge = format!(r#"Bearer realm="{realm}",service="x""#);
        scene.registry.challenge(&[&challenge], None);
        scene.pull().failure(&[&scene.registry.host()]);
        scene.assert_nothing_shown();
        assert!(scene.registry.requests().len() <= 8);
    }
}

fn a_realm_that_redirects_to_a_private_address_is_refused() {
    let scene = Scene::new();
    scene.registry.require_token(&scene.registry);
    let away = fault::redirect("http://169.254.169.254/latest/meta-data/");
    scene.registry.fault(On::Token, ALWAYS, away);
    scene.fails(&[&scene.registry.host(), "169.254.169.254"]);
}

fn a_realm_that_redirects_elsewhere_gets_no_password_there() {
    let scene = Scene::new();
    let (issuer, other) = (Registry::start(), Registry::start());
    scene.registry.require_token(&issuer);
    scene.password("dXNlcjpzZWNyZXQtcGFzcw==");
    let away = fault::redirect(&other.url("/token"));
    issuer.fault(On::Token, ALWAYS, away);
    // Its token is not known to the registry: following is allowed, being let in is not.
    scene.pull().failure(&[&scene.registry.host()]);
    for request in other.requests() {
        assert_eq!(request.header("authorization"), None, "{request}");
    }
}

fn a_realm_on_another_port_of_the_loopback_is_asked() {
    let scene = Scene::new();
    let issuer = Registry::start();
    scene.registry.require_token(&issuer);
    scene.pulls();
    assert_eq!(issuer.asked(&On::Token).len(), 1);
}
