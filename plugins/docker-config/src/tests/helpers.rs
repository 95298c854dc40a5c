//! Helpers and stores: which is asked, for what, and what its answer means.

use msb_plugin::system::Refusal;

use super::{DOCKER, PODMAN, ask, auths, basic, docker, helper_calls};

#[test]
fn case_28_a_helper_comes_before_the_store_and_the_store_before_the_file() {
    let login = basic("ann:file");
    let auths = format!(r#""auths":{{"ghcr.io":{{"auth":"{login}"}}}}"#);
    let system = |config: &str| {
        docker(&format!("{{{config}}}"))
            .helper("own", "ghcr.io", "bob", "helper")
            .helper("all", "ghcr.io", "eve", "store")
    };
    let both = format!(r#"{auths},"credsStore":"all","credHelpers":{{"ghcr.io":"own"}}"#);
    assert_eq!(ask(&system(&both), "ghcr.io"), "bob:helper");
    let store = format!(r#"{auths},"credsStore":"all","credHelpers":{{"quay.io":"own"}}"#);
    assert_eq!(ask(&system(&store), "ghcr.io"), "eve:store");
    let empty = format!(r#"{auths},"credsStore":"""#);
    assert_eq!(ask(&system(&empty), "ghcr.io"), "ann:file");
    // A store that knows nothing hides what stands in the file all the same, as in Docker.
    let silent = format!(r#"{auths},"credsStore":"silent""#);
    assert_eq!(ask(&system(&silent), "ghcr.io"), "-");
}

#[test]
fn case_29_an_empty_helper_means_the_file() {
    let login = basic("ann:file");
    let config = format!(
        r#"{{"auths":{{"ghcr.io":{{"auth":"{login}"}}}},"credsStore":"all",
            "credHelpers":{{"ghcr.io":""}}}}"#
    );
    let system = docker(&config).helper("all", "ghcr.io", "eve", "store");
    assert_eq!(ask(&system, "ghcr.io"), "ann:file");
    assert_eq!(helper_calls(&system), [""; 0]);
}

#[test]
fn a_store_is_asked_for_the_key_of_its_marker() {
    let system = docker(r#"{"auths":{"https://ghcr.io/v1/":{}},"credsStore":"all"}"#).helper(
        "all",
        "https://ghcr.io/v1/",
        "ann",
        "x",
    );
    assert_eq!(ask(&system, "ghcr.io"), "ann:x");
}

#[test]
fn cases_34_and_35_a_helper_that_knows_nothing_or_fails() {
    let config = r#"{"credHelpers":{"ghcr.io":"own"}}"#;
    assert_eq!(ask(&docker(config), "ghcr.io"), "-");
    let missing = Refusal::Unavailable("there is no docker-credential-own in PATH".to_owned());
    let system = docker(config).refuse("helper", missing);
    assert_eq!(
        ask(&system, "ghcr.io"),
        format!(
            "unavailable: {DOCKER}: docker-credential-own (credHelpers): there is no \
             docker-credential-own in PATH"
        )
    );
    let broken = Refusal::Failed("exit code 1: locked".to_owned());
    let system = docker(config)
        .refuse("helper", broken)
        .file(PODMAN, auths("ghcr.io", "ann:podman"));
    assert_eq!(ask(&system, "ghcr.io"), "ann:podman");
    assert!(
        system.lines()[0].1.ends_with("exit code 1: locked"),
        "{:?}",
        system.lines()
    );
}

#[test]
fn cases_36_and_37_what_a_helper_answers() {
    let config = r#"{"credsStore":"all"}"#;
    for (username, secret, expected) in [
        ("ann", "x", "ann:x"),
        ("<token>", "T", "identity:T"),
        ("_dcgcr_2_token", "T", "_dcgcr_2_token:T"),
        ("", "x", "-"),
        ("ann", "", "-"),
    ] {
        let system = docker(config).helper("all", "ghcr.io", username, secret);
        assert_eq!(ask(&system, "ghcr.io"), expected);
        // The file is read; the secret of the helper is not.
        assert_eq!(
            system
                .calls()
                .iter()
                .filter(|call| *call == "reveal")
                .count(),
            1
        );
    }
}

#[test]
fn case_39_a_name_that_is_none_is_refused_by_the_host_and_said_with_its_place() {
    let refusal = Refusal::Invalid("`../x` is not the name of a helper".to_owned());
    let system = docker(r#"{"credsStore":"../x"}"#).refuse("helper", refusal);
    let answer = ask(&system, "ghcr.io");
    assert!(
        answer.starts_with(&format!("misconfigured: {DOCKER}: ")),
        "{answer}"
    );
    assert!(answer.contains("credsStore"), "{answer}");
}

#[test]
fn case_40_a_helper_is_asked_once() {
    let config = r#"{"credHelpers":{"ghcr.io":"own"}}"#;
    let system = docker(config).file(PODMAN, config);
    assert_eq!(ask(&system, "ghcr.io"), "-");
    assert_eq!(helper_calls(&system), ["helper own get ghcr.io"]);
}
