//! What other programs write, and what msb makes of it. The numbers are those of the cases in the
//! list that these tests were made from.

mod entries;
mod helpers;
mod list;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use msb_plugin::credential::{Extent, Problem};
use msb_plugin::fake::{FakeSystem, bytes_of};
use msb_plugin::system::Refusal;

use super::*;

/// Docker's file where no variable says otherwise.
const DOCKER: &str = "~/.docker/config.json";

/// Podman's file where no variable says otherwise.
const PODMAN: &str = "~/.config/containers/auth.json";

/// What was found, in a word: `ann:secret`, `identity:TOKEN`, `registry:TOKEN`, `-` for nothing,
/// or what is wrong.
fn said(result: Result<Answer, Error>) -> String {
    let text = |secret| String::from_utf8_lossy(&bytes_of(secret)).into_owned();
    match result {
        Ok(answer) => match &answer.credential {
            Credential::Basic(name, password) => format!("{name}:{}", text(password)),
            Credential::IdentityToken(token) => format!("identity:{}", text(token)),
            Credential::RegistryToken(token) => format!("registry:{}", text(token)),
            Credential::Anonymous => "anonymous".to_owned(),
        },
        Err(Error::NotFound) => "-".to_owned(),
        Err(Error::Misconfigured(Problem { message, .. })) => format!("misconfigured: {message}"),
        Err(Error::Unavailable(Problem { message, .. })) => format!("unavailable: {message}"),
        Err(Error::Denied(Problem { message, .. })) => format!("denied: {message}"),
        Err(error) => format!("failed: {}", error.message()),
    }
}

fn ask(system: &FakeSystem, registry: &str) -> String {
    said(DockerConfig::get(system, &Request::pull(registry)))
}

fn ask_for(system: &FakeSystem, registry: &str, repository: &str) -> String {
    said(DockerConfig::get(
        system,
        &Request::pull(registry).repository(repository),
    ))
}

fn docker(config: &str) -> FakeSystem {
    FakeSystem::new().file(DOCKER, config)
}

fn basic(login: impl AsRef<[u8]>) -> String {
    STANDARD.encode(login)
}

fn auths(key: &str, login: &str) -> String {
    format!(r#"{{"auths":{{"{key}":{{"auth":"{}"}}}}}}"#, basic(login))
}

fn helper_calls(system: &FakeSystem) -> Vec<String> {
    system
        .calls()
        .into_iter()
        .filter(|call| call.starts_with("helper "))
        .collect()
}

/// The answer of the crate that is a second opinion.
fn oracle(config: &str, registry: &str) -> String {
    use docker_credential::{DockerCredential, get_credential_from_reader};
    match get_credential_from_reader(config.as_bytes(), registry) {
        Ok(DockerCredential::IdentityToken(token)) => format!("identity:{token}"),
        Ok(DockerCredential::UsernamePassword(name, password)) => format!("{name}:{password}"),
        Err(_) => "-".to_owned(),
    }
}

#[test]
fn case_30_files_that_are_missing_empty_or_broken() {
    assert_eq!(ask(&FakeSystem::new(), "ghcr.io"), "-");
    assert_eq!(ask(&docker(""), "ghcr.io"), "-");
    assert_eq!(ask(&docker(" \n"), "ghcr.io"), "-");
    assert_eq!(ask(&docker("{}"), "ghcr.io"), "-");
    assert_eq!(ask(&docker("\u{feff}{}"), "ghcr.io"), "-");
    let unknown = r#"{"HttpHeaders":{"a":"b"},"psFormat":"x","plugins":{"y":{}},"auths":{}}"#;
    assert_eq!(ask(&docker(unknown), "ghcr.io"), "-");
    for (config, problem) in [
        (
            "{\n  \"auths\": opensesame}",
            "is not valid JSON (line 2, column 12)",
        ),
        ("{\"auths\":{", "is not valid JSON (line 1, column 10)"),
        (
            r#"{"auths":"opensesame"}"#,
            "is not as Docker writes it (line 1, column 21)",
        ),
        (
            r#"{"credHelpers":{"ghcr.io":7}}"#,
            "is not as Docker writes it (line 1, column 27)",
        ),
        ("[]", "is not a JSON object"),
    ] {
        let answer = ask(&docker(config), "ghcr.io");
        assert_eq!(answer, format!("misconfigured: {DOCKER} {problem}"));
    }
}

#[test]
fn case_30_docker_config_takes_the_place_of_the_home() {
    let system = docker(&auths("ghcr.io", "ann:home"))
        .variable("DOCKER_CONFIG", "/elsewhere")
        .file(
            "$DOCKER_CONFIG/config.json",
            auths("ghcr.io", "bob:elsewhere"),
        );
    assert_eq!(ask(&system, "ghcr.io"), "bob:elsewhere");
    let nothing = docker(&auths("ghcr.io", "ann:home"))
        .file(PODMAN, auths("ghcr.io", "eve:podman"))
        .variable("DOCKER_CONFIG", "/elsewhere");
    assert_eq!(ask(&nothing, "ghcr.io"), "-");
    let unset = docker(&auths("ghcr.io", "ann:home")).variable("DOCKER_CONFIG", "");
    assert_eq!(ask(&unset, "ghcr.io"), "ann:home");
}

#[test]
fn case_31_inline_logins_come_first_and_name_no_helpers() {
    let system = docker(r#"{"credsStore":"all"}"#)
        .helper("all", "ghcr.io", "eve", "store")
        .variable("DOCKER_AUTH_CONFIG", auths("ghcr.io", "ann:inline"));
    let answer = DockerConfig::get(&system, &Request::pull("ghcr.io")).unwrap();
    assert_eq!(
        answer.source.as_deref(),
        Some("$DOCKER_AUTH_CONFIG (ghcr.io)")
    );
    assert_eq!(said(Ok(answer)), "ann:inline");
    assert_eq!(system.calls(), ["env DOCKER_AUTH_CONFIG", "reveal"]);
    let store = FakeSystem::new()
        .helper("all", "ghcr.io", "eve", "store")
        .variable("DOCKER_AUTH_CONFIG", r#"{"credsStore":"all"}"#);
    assert_eq!(ask(&store, "ghcr.io"), "-");
}

#[test]
fn case_31_a_broken_variable_does_not_hide_the_file() {
    let broken = |system: FakeSystem| system.variable("DOCKER_AUTH_CONFIG", "opensesame");
    let answer = ask(&broken(FakeSystem::new()), "ghcr.io");
    assert_eq!(
        answer,
        "misconfigured: $DOCKER_AUTH_CONFIG is not valid JSON (line 1, column 1)"
    );
    let system = broken(docker(&auths("ghcr.io", "ann:x")));
    assert_eq!(ask(&system, "ghcr.io"), "ann:x");
    let lines = system.lines();
    let [(level, line)] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert_eq!(*level, Level::Warn);
    assert!(
        line.contains("$DOCKER_AUTH_CONFIG is not valid JSON"),
        "{line}"
    );
}

#[test]
fn case_32_podmans_files_come_after_dockers() {
    let login = |who: &str| auths("ghcr.io", who);
    let at = |path: &str, system: FakeSystem| ask(&system.file(path, login("ann:x")), "ghcr.io");
    let runtime = "$XDG_RUNTIME_DIR/containers/auth.json";
    let config = "$XDG_CONFIG_HOME/containers/auth.json";
    let root = "/run/containers/0/auth.json";
    let set = |name| FakeSystem::new().variable(name, "/somewhere");
    assert_eq!(
        at("$REGISTRY_AUTH_FILE", set("REGISTRY_AUTH_FILE")),
        "ann:x"
    );
    assert_eq!(
        at(
            runtime,
            set("REGISTRY_AUTH_FILE").variable("XDG_RUNTIME_DIR", "/x")
        ),
        "-"
    );
    assert_eq!(at(runtime, set("XDG_RUNTIME_DIR")), "ann:x");
    assert_eq!(at(root, set("XDG_RUNTIME_DIR")), "-");
    assert_eq!(at(root, FakeSystem::new()), "ann:x");
    assert_eq!(at(config, set("XDG_CONFIG_HOME")), "ann:x");
    assert_eq!(at(PODMAN, set("XDG_CONFIG_HOME")), "-");
    assert_eq!(at(PODMAN, FakeSystem::new()), "ann:x");
    let both = docker(&login("ann:docker")).file(PODMAN, login("bob:podman"));
    assert_eq!(ask(&both, "ghcr.io"), "ann:docker");
}

#[test]
fn the_file_of_root_is_left_alone_where_it_is_somebody_elses() {
    let root = "/run/containers/0/auth.json";
    let denied = Refusal::Failed("permission denied".to_owned());
    let system = FakeSystem::new().refuse(&format!("files {root}"), denied);
    assert_eq!(ask(&system, "ghcr.io"), "-");
    let system = FakeSystem::new().file_of(root, auths("ghcr.io", "eve:x"), false, false);
    assert_eq!(ask(&system, "ghcr.io"), "-");
}

#[test]
fn case_32_the_longest_namespace_counts() {
    let config = format!(
        r#"{{"auths":{{"ghcr.io":{{"auth":"{}"}},"ghcr.io/org":{{"auth":"{}"}},
            "ghcr.io/org/app":{{"auth":"{}"}},"ghcr.io/other":{{}}}}}}"#,
        basic("host:x"),
        basic("org:x"),
        basic("app:x"),
    );
    let system = FakeSystem::new().file(PODMAN, &config);
    for (repository, expected) in [
        ("org/app", "app:x"),
        ("org/app/part", "app:x"),
        ("org/application", "org:x"),
        ("organisation/app", "host:x"),
        ("other/app", "host:x"),
        ("app", "host:x"),
    ] {
        assert_eq!(
            ask_for(&system, "ghcr.io", repository),
            expected,
            "{repository}"
        );
    }
    assert_eq!(ask(&system, "ghcr.io"), "host:x");
}

#[test]
fn an_answer_is_for_its_repository_alone_where_namespaces_differ() {
    let extent = |system: &FakeSystem| {
        let request = Request::pull("ghcr.io").repository("a/b");
        DockerConfig::get(system, &request).unwrap().extent
    };
    assert_eq!(
        extent(&docker(&auths("ghcr.io", "ann:x"))),
        Extent::Registry
    );
    assert_eq!(
        extent(&docker(&auths("ghcr.io/a", "ann:x"))),
        Extent::Repository
    );
    let two = docker(&auths("ghcr.io/other", "eve:x")).file(PODMAN, auths("ghcr.io", "ann:x"));
    assert_eq!(extent(&two), Extent::Repository);
}

#[test]
fn case_33_docker_hub_has_many_keys() {
    for key in [
        "https://index.docker.io/v1/",
        "index.docker.io",
        "docker.io",
        "registry-1.docker.io",
        "https://registry-1.docker.io",
    ] {
        let config = auths(key, "ann:x");
        assert_eq!(ask(&docker(&config), "docker.io"), "ann:x", "{key}");
        assert_eq!(ask(&docker(&config), "ghcr.io"), "-", "{key}");
        let config = format!(r#"{{"credHelpers":{{"{key}":"own"}}}}"#);
        let system = docker(&config).helper("own", key, "ann", "x");
        assert_eq!(ask(&system, "docker.io"), "ann:x", "{key}");
    }
    let system = docker(r#"{"credsStore":"all"}"#);
    assert_eq!(ask(&system, "docker.io"), "-");
    assert_eq!(
        helper_calls(&system),
        ["helper all get https://index.docker.io/v1/"]
    );
}

#[test]
fn keys_that_are_urls_are_registries() {
    for key in [
        "https://ghcr.io",
        "http://ghcr.io/",
        "https://ghcr.io/v2/",
        "ghcr.io/v1/",
    ] {
        let config = auths(key, "ann:x");
        assert_eq!(ask(&docker(&config), "ghcr.io"), "ann:x", "{key}");
        if key.starts_with("http") {
            assert_eq!(oracle(&config, "ghcr.io"), "ann:x", "{key}");
        }
    }
    let config = auths("localhost:5000", "ann:x");
    assert_eq!(ask(&docker(&config), "localhost:5000"), "ann:x");
    assert_eq!(ask(&docker(&config), "localhost"), "-");
    assert_eq!(ask(&docker(&config), "127.0.0.1:5000"), "-");
}

#[test]
fn another_user_is_left_to_others() {
    let system = docker(&auths("ghcr.io", "ann:x")).file(PODMAN, auths("ghcr.io", "bob:y"));
    let get = |name: &str| {
        said(DockerConfig::get(
            &system,
            &Request::pull("ghcr.io").username(name),
        ))
    };
    assert_eq!(get("ann"), "ann:x");
    assert_eq!(get("bob"), "bob:y");
    assert_eq!(get("eve"), "-");
}
