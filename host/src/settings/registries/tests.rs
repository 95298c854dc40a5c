use super::*;
use crate::settings::Settings;

fn read(text: &str) -> Result<RegistrySettings, SettingsError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    std::fs::write(&path, format!("{{\"registries\": {text}}}")).unwrap();
    Settings::read_from(&path).map(|settings| settings.registries)
}

fn hosts(text: &str) -> Result<RegistrySettings, SettingsError> {
    read(&format!("{{\"hosts\": {text}}}"))
}

fn context(home: Option<&str>) -> ResolveContext<'static> {
    ResolveContext {
        file: Path::new("/etc/msb/config.json"),
        home: home.map(PathBuf::from),
    }
}

#[test]
fn patience_is_what_is_set_and_the_default_where_nothing_is() {
    let read = |text| read(text).unwrap().retry;
    assert_eq!(read("null"), RetryPolicy::default());
    assert_eq!(read("{}"), RetryPolicy::default());
    let all = r#"{"attempts": 1, "retry_delay_ms": 0, "stall_timeout_secs": 3}"#;
    let expected = RetryPolicy {
        attempts: 1,
        delay: Duration::ZERO,
        stall_timeout: Duration::from_secs(3),
        give_up_after: Duration::from_secs(6),
        least_rate: 1536,
    };
    assert_eq!(read(all), expected);
    let more = read(r#"{"give_up_after_secs": 5, "least_bytes_per_sec": 0}"#);
    assert_eq!((more.give_up_after.as_secs(), more.least_rate), (5, 0));
}

#[test]
fn a_value_of_another_type_is_an_error_with_its_key() {
    for (text, expected) in [
        ("[]", "registries"),
        (r#"{"attempts": 0}"#, "registries.attempts"),
        (
            r#"{"stall_timeout_secs": 0}"#,
            "registries.stall_timeout_secs",
        ),
        (
            r#"{"give_up_after_secs": 0}"#,
            "registries.give_up_after_secs",
        ),
        (
            r#"{"least_bytes_per_sec": -1}"#,
            "registries.least_bytes_per_sec",
        ),
        (r#"{"retry_delay_ms": -1}"#, "registries.retry_delay_ms"),
        (r#"{"ca_certs": 5}"#, "registries.ca_certs"),
        (r#"{"ca_certs": ["a", 5]}"#, "registries.ca_certs[1]"),
        (r#"{"hosts": {"h": []}}"#, "registries.hosts.h"),
        (
            r#"{"hosts": {"h": {"insecure": 1}}}"#,
            "registries.hosts.h.insecure",
        ),
        (
            r#"{"hosts": {"h": {"mirrors": [[]]}}}"#,
            "registries.hosts.h.mirrors[0]",
        ),
        (
            r#"{"hosts": {"h": {"mirrors": [{"location": "m", "insecure": 1}]}}}"#,
            "registries.hosts.h.mirrors[0].insecure",
        ),
    ] {
        let error = read(text).unwrap_err();
        let SettingsError::Invalid { key, source, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(key, expected, "{text}");
        assert_eq!(source.line(), 1, "{text}: {source}");
    }
}

#[test]
fn keys_that_are_not_ours_are_not_looked_at() {
    let text =
        r#"{"shade": 5, "hosts": {"h": {"shade": [], "mirrors": [{"location": "m", "x": 1}]}}}"#;
    assert_eq!(read(text).unwrap().hosts.len(), 1);
}

#[test]
fn hosts_are_known_by_their_one_spelling() {
    let found = hosts(r#"{"https://index.docker.io/v1/": {}, "GHCR.io": {}}"#).unwrap();
    assert!(found.hosts.keys().eq(["docker.io", "ghcr.io"]));
}

#[test]
fn an_entry_with_another_key_than_a_registry_is_a_fault_of_its_registry_alone() {
    let entries = |text: &str| read(&format!("{{\"auth\": {text}}}")).unwrap().auth;
    for key in [
        "other.example/x",
        "https://other.example/v3/",
        "me@other.example",
        "me:12/secret@other.example",
        "Other.example?x",
    ] {
        let text =
            format!(r#"{{"ghcr.io": {{"store": "keyring"}}, "{key}": {{"store": "keyring"}}}}"#);
        let entries = entries(&text);
        assert!(entries["ghcr.io"].content.is_ok(), "{key}");
        assert_eq!(
            entries["other.example"].content,
            Err(AuthProblem::NotARegistry)
        );
    }
    // Next to the right one, it is the one that is told.
    let text = r#"{"ghcr.io": {"store": "keyring"}, "ghcr.io/acme": {"provider": "vault"}}"#;
    let entry = &entries(text)["ghcr.io"];
    assert_eq!(entry.content, Err(AuthProblem::NotARegistry));
    assert_eq!(entry.key, "registries.auth.ghcr.io/acme");
    assert!(entries(r#"{"a b": {"store": "keyring"}, "/x": {}}"#).is_empty());
}

#[test]
fn what_means_nothing_is_an_error_with_its_key() {
    for (text, expected, reason) in [
        (r#"{"a b": {}}"#, "registries.hosts.a b", "not a host name"),
        (
            r#"{"docker.io": {}, "index.docker.io": {}}"#,
            "registries.hosts.index.docker.io",
            "the same host as `docker.io`",
        ),
        (
            r#"{"h": {"client_key": "k"}}"#,
            "registries.hosts.h.client_key",
            "`client_cert`",
        ),
        (
            r#"{"h": {"mirrors": ["m", "ftp://m"]}}"#,
            "registries.hosts.h.mirrors[1]",
            "neither `https` nor `http`",
        ),
        (
            r#"{"h": {"mirrors": [{"location": "http://m", "insecure": false}]}}"#,
            "registries.hosts.h.mirrors[0]",
            "contradicts",
        ),
    ] {
        let error = hosts(text).unwrap_err();
        let SettingsError::Registries { key, source, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(key, expected);
        assert!(source.to_string().contains(reason), "{source}");
    }
}

#[test]
fn paths_are_relative_to_the_file_of_settings() {
    let path = |home, text| context(home).named("k", text).path;
    assert_eq!(path(None, "a/b.pem"), Path::new("/etc/msb/a/b.pem"));
    assert_eq!(path(None, "/b.pem"), Path::new("/b.pem"));
}

#[test]
fn a_tilde_is_the_home_of_the_user() {
    let path = |home, text| context(home).named("k", text).path;
    assert_eq!(
        path(Some("/home/me"), "~/b.pem"),
        Path::new("/home/me/b.pem")
    );
    assert_eq!(
        path(Some("/home/me"), "~b.pem"),
        Path::new("/etc/msb/~b.pem")
    );
    assert_eq!(path(None, "~/b.pem"), Path::new("/etc/msb/~/b.pem"));
}

#[test]
fn both_shapes_of_an_entry_are_read_and_every_spelling_of_its_host() {
    let text = r#"{
        "auth": {
            "https://GHCR.io/": {"username": "a", "password_env": "A"},
            "gone.example": null
        },
        "hosts": {
            "index.docker.io": {"auth": {"username": "b", "store": "keyring"}},
            "none.example": {"auth": null}
        }
    }"#;
    let auth = read(text).unwrap().auth;
    let hosts: Vec<&str> = auth.keys().map(String::as_str).collect();
    assert_eq!(hosts, ["docker.io", "ghcr.io"]);
    assert_eq!(auth["ghcr.io"].key, "registries.auth.https://GHCR.io/");
    assert_eq!(
        auth["docker.io"].key,
        "registries.hosts.index.docker.io.auth"
    );
    assert!(auth.values().all(|entry| entry.content.is_ok()));
}

#[test]
fn two_entries_for_a_host_must_say_the_same() {
    let both = |name: &str| {
        let text = format!(
            r#"{{
            "auth": {{"h": {{"username": "a", "store": "keyring"}}}},
            "hosts": {{"H": {{"auth": {{"username": "{name}", "store": "keyring"}}}}}}
        }}"#
        );
        read(&text).unwrap().auth["h"].content.clone()
    };
    assert!(both("a").is_ok());
    let error = both("b").unwrap_err();
    assert!(error.to_string().contains("`registries.hosts.H.auth`"));
}

#[test]
fn an_entry_that_makes_no_sense_is_a_matter_of_its_host() {
    let text = r#"{"auth": {
        "bad.example": {"username": "a"},
        "good.example": {"username": "a", "store": "keyring"}
    }}"#;
    let auth = read(text).unwrap().auth;
    assert_eq!(auth["bad.example"].content, Err(AuthProblem::NoSource));
    assert!(auth["good.example"].content.is_ok());
    for (text, key) in [
        (
            r#"{"auth": {"h": {"username": 5}}}"#,
            "registries.auth.h.username",
        ),
        (r#"{"auth": {"h": []}}"#, "registries.auth.h"),
        (
            r#"{"hosts": {"h": {"auth": 1}}}"#,
            "registries.hosts.h.auth",
        ),
    ] {
        match read(text).unwrap_err() {
            SettingsError::Invalid { key: found, .. }
            | SettingsError::Registries { key: found, .. } => assert_eq!(found, key),
            other => unreachable!("{other}"),
        }
    }
}
