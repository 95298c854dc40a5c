//! Registries that require authentication: by a password, or by a token of their service.

use std::sync::Arc;

use msb_host::Context;
use msb_host::credential::RegistryAuth;
use msb_host::home::Home;
use msb_host::hosts::{HostOverrides, RetryPolicy};
use msb_host::image::{self, PullError, PullOptions, PulledImage};
use msb_host::registry::Client;
use msb_host::settings::Settings;
use msb_host::store::Store;
use serde_json::json;

use crate::docker_registry::{Auth, Setup};
use crate::registry_scene::{Scene, assert_whole, inspected, sample};
use crate::tests;
use crate::token_service::TokenService;

tests! {
    anybody_gets_a_token_where_anybody_may_pull needs DockerRegistry, Openssl, Skopeo;
    each_repository_has_a_token_of_its_own needs DockerRegistry, Openssl, Skopeo;
    a_token_service_that_does_not_know_us_is_told needs DockerRegistry, Openssl;
    an_explicit_password_is_shown_to_the_token_service
        needs DockerRegistry, Openssl, Skopeo;
    a_registry_with_passwords_says_how_to_log_in needs DockerRegistry, Htpasswd;
    an_explicit_password_is_shown_to_the_registry needs DockerRegistry, Htpasswd, Skopeo;
    a_wrong_password_is_told needs DockerRegistry, Htpasswd;
}

pub(crate) const USER: &str = "user";
pub(crate) const PASSWORD: &str = "secret-pass";

fn with_tokens(service: &TokenService) -> Scene {
    let (realm, certificate) = (service.realm(), service.certificate());
    let auth = Auth::Token {
        realm: &realm,
        certificate: &certificate,
    };
    Scene::with(&Setup {
        auth: Some(auth),
        ..Setup::default()
    })
}

/// A registry that lets in [`USER`] alone.
pub(crate) fn with_passwords() -> Scene {
    Scene::with(&Setup {
        auth: Some(Auth::Password(USER, PASSWORD)),
        ..Setup::default()
    })
}

/// Puts the image of [`sample`] under a name, as the user whom the registry knows.
pub(crate) fn fill(scene: &Scene, name: &str) {
    scene.registry.push_as(USER, PASSWORD, name, &sample());
}

/// Pulls as a program does that uses msb as a library.
fn pull(scene: &Scene, name: &str, auth: RegistryAuth) -> Result<PulledImage, PullError> {
    let home = Home::at(scene.env.home());
    let settings = Settings::read(&home).unwrap();
    let hosts = settings.hosts(&HostOverrides::default()).unwrap();
    let client = Client::new(hosts, RetryPolicy::default()).unwrap();
    let options = PullOptions::default().registry_auth(auth);
    image::pull(
        &Store::open(&home).unwrap(),
        &Arc::new(client),
        &scene.name(name).parse().unwrap(),
        &options,
        &Context::default(),
    )
}

/// Returns an error with all that led to it.
fn told(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let lines: Vec<String> = chain.map(ToString::to_string).collect();
    lines.join("\n")
}

fn anybody_gets_a_token_where_anybody_may_pull() {
    let service = TokenService::open();
    let scene = with_tokens(&service);
    fill(&scene, "app:1");
    let before = service.asked().len();
    scene.pulls("app:1");
    let asked = service.asked().split_off(before);
    assert_eq!(asked.len(), 1, "one token is good for all of it");
    assert_eq!(asked[0].header("authorization"), None);
    assert!(
        asked[0].path.contains("repository%3Aapp%3Apull"),
        "{}",
        asked[0]
    );
}

fn each_repository_has_a_token_of_its_own() {
    let service = TokenService::open();
    // What has run out by the time that it is used is asked for again.
    service.set_lifetime(2);
    let scene = with_tokens(&service);
    fill(&scene, "app:1");
    fill(&scene, "group/other:1");
    service.set_lifetime(300);
    let before = service.asked().len();
    let names = [scene.name("app:1"), scene.name("group/other:1")].join(" ");
    scene.env.msb(&format!("pull {names}")).success();
    let asked = service.asked().split_off(before);
    assert_eq!(asked.len(), 2);
    assert!(asked[1].path.contains("group%2Fother"), "{}", asked[1]);
    assert!(
        !asked[1].path.contains("repository%3Aapp%3A"),
        "{}",
        asked[1]
    );
    assert_whole(&scene.env);
}

fn a_token_service_that_does_not_know_us_is_told() {
    let service = TokenService::guarded(USER, PASSWORD);
    let scene = with_tokens(&service);
    let login = format!("msb registry login {}", scene.registry.host());
    scene
        .pull("", "app:1")
        .failure(&[&scene.name("app:1"), &login]);
    scene.env.assert_clean();
}

fn an_explicit_password_is_shown_to_the_token_service() {
    let service = TokenService::guarded(USER, PASSWORD);
    let scene = with_tokens(&service);
    fill(&scene, "app:1");
    pull(&scene, "app:1", RegistryAuth::basic(USER, PASSWORD)).unwrap();
    assert_eq!(
        inspected(&scene.env, &scene.name("app:1"))["id"],
        json!(sample().id())
    );
    let error = pull(&scene, "app:2", RegistryAuth::basic(USER, "secret-no")).unwrap_err();
    let told = told(&error);
    assert!(told.contains("incorrect username or password"), "{told}");
    assert!(!told.contains("secret-"), "{told}");
}

fn a_registry_with_passwords_says_how_to_log_in() {
    let scene = with_passwords();
    let login = format!("msb registry login {}", scene.registry.host());
    scene
        .pull("", "app:1")
        .failure(&[&scene.name("app:1"), &login]);
    scene.env.assert_clean();
}

fn an_explicit_password_is_shown_to_the_registry() {
    let scene = with_passwords();
    fill(&scene, "app:1");
    pull(&scene, "app:1", RegistryAuth::basic(USER, PASSWORD)).unwrap();
    assert_eq!(scene.env.references(), [scene.name("app:1")]);
    assert_whole(&scene.env);
}

fn a_wrong_password_is_told() {
    let scene = with_passwords();
    let error = pull(&scene, "app:1", RegistryAuth::basic(USER, "secret-no")).unwrap_err();
    let told = told(&error);
    assert!(told.contains("does not accept the credentials"), "{told}");
    assert!(!told.contains("secret-"), "{told}");
    // Nobody is locked out for having tried too often.
    let of_msb = scene.registry.requests();
    assert!(of_msb.len() <= 4, "{of_msb:#?}");
}
