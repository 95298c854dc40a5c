//! What is listed, and what the plugin asks for to be able to look.

use msb_plugin::fake::FakeSystem;

use super::{DOCKER, PODMAN, ask, auths, basic, docker, helper_calls};
use crate::*;

#[test]
fn the_list_has_registries_names_and_places_and_asks_no_helper() {
    let config = format!(
        r#"{{"auths":{{"ghcr.io":{{"auth":"{}"}},"https://index.docker.io/v1/":{{}},
            "bad.example.com":7}},"credHelpers":{{"quay.io":"own"}}}}"#,
        basic("ann:x")
    );
    let system = docker(&config).file(PODMAN, auths("ghcr.io", "bob:y"));
    let entries = DockerConfig::list(&system).unwrap();
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry.registry.as_str(),
                entry.username.as_deref(),
                entry.source.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("bad.example.com", None, Some(DOCKER)),
            ("ghcr.io", Some("ann"), Some(DOCKER)),
            (
                "quay.io",
                None,
                Some("docker-credential-own (~/.docker/config.json)")
            ),
        ]
    );
    assert_eq!(helper_calls(&system), [""; 0]);
}

#[test]
fn every_file_and_variable_that_is_looked_at_is_asked_for() {
    let system = FakeSystem::new();
    let more = FakeSystem::new()
        .variable("DOCKER_CONFIG", "/x")
        .variable("REGISTRY_AUTH_FILE", "/x");
    let xdg = FakeSystem::new()
        .variable("XDG_RUNTIME_DIR", "/x")
        .variable("XDG_CONFIG_HOME", "/x");
    for system in [&system, &more, &xdg] {
        assert_eq!(ask(system, "ghcr.io"), "-");
    }
    let needs = <DockerConfig as Provider<FakeSystem>>::describe().needs;
    let calls = [system.calls(), more.calls(), xdg.calls()].concat();
    for need in &needs {
        let call = format!(
            "{} {}",
            need.capability,
            need.scope.as_deref().unwrap_or_default()
        );
        let used = calls.contains(&call) || matches!(call.as_str(), "helper *" | "reveal ");
        assert!(used, "{call} is asked for and not used");
    }
    for call in calls {
        let asked = needs.iter().any(|need| {
            call == format!(
                "{} {}",
                need.capability,
                need.scope.as_deref().unwrap_or_default()
            )
        });
        assert!(asked, "{call} is used and not asked for");
    }
}

#[test]
fn a_broken_place_does_not_hide_what_the_others_list() {
    let system = FakeSystem::new().variable("DOCKER_AUTH_CONFIG", "{").file(
        "~/.docker/config.json",
        r#"{"auths": {"r.example": {"auth": "dTpw"}}}"#,
    );
    let listed = DockerConfig::list(&system).unwrap();
    let registries: Vec<_> = listed.iter().map(|entry| entry.registry.as_str()).collect();
    assert_eq!(registries, ["r.example"]);
    assert!(
        system
            .lines()
            .iter()
            .any(|(_, line)| line.contains("skipped"))
    );
}
