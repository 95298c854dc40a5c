//! What other programs write, and what msb makes of it. The numbers are those of the cases in the
//! list that these tests were made from.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
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
fn case_23_an_auth_is_the_base64_of_name_and_password() {
    let entry = |auth: &str| format!(r#"{{"auths":{{"ghcr.io":{{"auth":"{auth}"}}}}}}"#);
    let unpadded = STANDARD_NO_PAD.encode("ann:se");
    for (name, auth, expected) in [
        ("padded", basic("ann:se"), "ann:se"),
        ("unpadded", unpadded, "ann:se"),
        ("NULs", basic("ann:\0se\0\0"), "ann:se"),
        ("colons", basic("ann:s:e:"), "ann:s:e:"),
        ("UTF-8", basic("\u{e4}nn:s\u{e9}"), "\u{e4}nn:s\u{e9}"),
        ("new line", basic("ann:s\ne"), "ann:s\ne"),
        ("empty", String::new(), "-"),
    ] {
        assert_eq!(ask(&docker(&entry(&auth)), "ghcr.io"), expected, "{name}");
        if matches!(
            name,
            "padded" | "unpadded" | "colons" | "UTF-8" | "new line"
        ) {
            assert_eq!(oracle(&entry(&auth), "ghcr.io"), expected, "{name}");
        }
    }
    for (auth, problem) in [
        (basic("opensesame"), "has an `auth` without a colon"),
        (basic(":opensesame"), "has an `auth` without a name"),
        (basic("ann:"), "has an `auth` with an empty password"),
        ("opensesame!".to_owned(), "has an `auth` that is not base64"),
        (
            basic(b"\xff:opensesame"),
            "has an `auth` whose name is not UTF-8",
        ),
    ] {
        let answer = ask(&docker(&entry(&auth)), "ghcr.io");
        assert_eq!(
            answer,
            format!(r#"misconfigured: {DOCKER}: auths["ghcr.io"] {problem}"#)
        );
    }
}

#[test]
fn a_password_need_not_be_utf_8() {
    let config = auths_bytes("ghcr.io", b"ann:\xff\xfe");
    let answer = DockerConfig::get(&docker(&config), &Request::pull("ghcr.io")).unwrap();
    let Credential::Basic(_, password) = answer.credential else {
        panic!("no password");
    };
    assert_eq!(bytes_of(&password), b"\xff\xfe");
}

fn auths_bytes(key: &str, login: &[u8]) -> String {
    format!(r#"{{"auths":{{"{key}":{{"auth":"{}"}}}}}}"#, basic(login))
}

#[test]
fn cases_24_to_27_the_fields_of_an_entry() {
    let auth = basic("ann:fromauth");
    for (name, entry, expected) in [
        (
            "24 name and password",
            r#""username":"ann","password":"x""#.to_owned(),
            "ann:x",
        ),
        (
            "24 auth counts",
            format!(r#""auth":"{auth}","username":"bob","password":"y""#),
            "ann:fromauth",
        ),
        (
            "24 empty auth",
            r#""auth":"","username":"ann","password":"x""#.to_owned(),
            "ann:x",
        ),
        (
            "25 identity token",
            r#""identitytoken":"T""#.to_owned(),
            "identity:T",
        ),
        (
            "25 beside auth",
            format!(r#""auth":"{auth}","identitytoken":"T""#),
            "identity:T",
        ),
        (
            "25 beside a name alone",
            format!(r#""auth":"{}","identitytoken":"T""#, basic("0000:")),
            "identity:T",
        ),
        (
            "25 an empty one",
            format!(r#""auth":"{auth}","identitytoken":"""#),
            "ann:fromauth",
        ),
        (
            "26 registry token",
            format!(r#""auth":"{auth}","registrytoken":"R""#),
            "registry:R",
        ),
        ("27 empty", String::new(), "-"),
        ("unknown fields", r#""email":"a@b","x":[1]"#.to_owned(), "-"),
    ] {
        let config = format!(r#"{{"auths":{{"ghcr.io":{{{entry}}}}}}}"#);
        assert_eq!(ask(&docker(&config), "ghcr.io"), expected, "{name}");
        if !name.starts_with("26") && !name.contains("auth counts") && !name.contains("empty") {
            assert_eq!(oracle(&config, "ghcr.io"), expected, "{name}");
        }
    }
    assert_eq!(
        ask(&docker(r#"{"auths":{"ghcr.io":null}}"#), "ghcr.io"),
        "-"
    );
    assert_eq!(ask(&docker(r#"{"auths":null}"#), "ghcr.io"), "-");
    for (entry, problem) in [
        (r#"{"username":"ann"}"#, "has `username` and no `password`"),
        (
            r#"{"password":"opensesame"}"#,
            "has `password` and no `username`",
        ),
        (r#""opensesame""#, "is not as Docker writes it"),
        (r#"{"auth":["opensesame"]}"#, "is not as Docker writes it"),
    ] {
        let config = format!(r#"{{"auths":{{"ghcr.io":{entry}}}}}"#);
        let answer = ask(&docker(&config), "ghcr.io");
        assert_eq!(
            answer,
            format!(r#"misconfigured: {DOCKER}: auths["ghcr.io"] {problem}"#)
        );
    }
}

#[test]
fn an_empty_marker_hides_no_other_spelling() {
    let login = basic("ann:x");
    let config =
        format!(r#"{{"auths":{{"ghcr.io":{{}},"https://ghcr.io":{{"auth":"{login}"}}}}}}"#);
    assert_eq!(ask(&docker(&config), "ghcr.io"), "ann:x");
}

#[test]
fn a_broken_entry_concerns_its_registry_alone() {
    let login = basic("ann:x");
    let config = format!(r#"{{"auths":{{"quay.io":7,"ghcr.io":{{"auth":"{login}"}}}}}}"#);
    assert_eq!(ask(&docker(&config), "ghcr.io"), "ann:x");
    assert!(ask(&docker(&config), "quay.io").starts_with("misconfigured: "));
}

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
