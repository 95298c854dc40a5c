//! What each kind of scope covers, in tables.

use super::*;

fn grants(texts: &[&str]) -> Grants {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn variables_match_by_name_and_star() {
    for (grant, name, configured, allowed) in [
        ("env=TOKEN", "TOKEN", None, true),
        ("env=TOKEN", "TOKEN2", None, false),
        ("env=TOKEN", "MY_TOKEN", None, false),
        ("env=AWS_*", "AWS_PROFILE", None, true),
        ("env=AWS_*", "AWS_", None, true),
        ("env=AWS_*", "XAWS_PROFILE", None, false),
        ("env=*_TOKEN", "GH_TOKEN", None, true),
        ("env=A*C", "ABC", None, true),
        ("env=AB*BC", "ABC", None, false),
        ("env=*", "HOME", None, true),
        ("env=@configured", "GHCR", Some("GHCR"), true),
        ("env=@configured", "GHCR", None, false),
        ("env=@configured", "HOME", Some("GHCR"), false),
    ] {
        assert_eq!(
            grants(&[grant]).allow_env(name, configured),
            allowed,
            "{grant} {name}"
        );
    }
    assert!(!Grants::default().allow_env("HOME", Some("HOME")));
}

#[test]
fn files_match_from_the_same_root_and_never_by_traversal() {
    use Links::{Followed, Inside};
    for (grant, path, allowed) in [
        ("files=/etc/token", "/etc/token", Some(Followed)),
        ("files=/etc/token", "/etc/token2", None),
        ("files=/etc/token", "/etc/token/x", None),
        ("files=/etc/*", "/etc/token", Some(Inside(1))),
        ("files=/etc/*.json", "/etc/a.json", Some(Inside(1))),
        ("files=/etc/*.json", "/etc/a.yaml", None),
        ("files=/etc/*", "/etc/a/b", None),
        ("files=/etc/**", "/etc/a/b", Some(Inside(1))),
        ("files=/etc/**", "/etc2/a", None),
        ("files=~/a", "~/a", Some(Followed)),
        ("files=~/a", "/root/a", None),
        ("files=msb:secrets/*", "msb:secrets/a", Some(Inside(1))),
        ("files=msb:secrets/*", "~/secrets/a", None),
        ("files=$A", "$A", Some(Followed)),
        ("files=$A", "$A/x", None),
        ("files=$A/x", "$A/x", Some(Followed)),
        ("files=$A/x", "$B/x", None),
        ("files=$A/**", "$A", None),
    ] {
        let path = symbolic_path::path(path).unwrap();
        assert_eq!(
            grants(&[grant]).allow_file(&path),
            allowed,
            "{grant} {path}"
        );
    }
    for path in [
        "/etc/../x",
        "~/a/../../x",
        "msb:..",
        "$A/..",
        "/a/*",
        "x",
        "",
    ] {
        symbolic_path::path(path).unwrap_err();
    }
}

#[test]
fn services_match_by_their_beginning_at_a_boundary() {
    for (service, allowed) in [
        ("dev.microsandbox.registry", true),
        ("dev.microsandbox.registry.ghcr", true),
        ("dev.microsandbox.registry/ghcr", true),
        ("dev.microsandbox.registry2", false),
        ("dev.microsandbox", false),
        ("", false),
    ] {
        let grants = grants(&["keychain=dev.microsandbox.registry"]);
        assert_eq!(grants.allow_keychain(service), allowed, "{service}");
    }
}

#[test]
fn helpers_match_by_name_and_are_never_paths() {
    for (grant, name, allowed) in [
        ("helper=pass", "pass", true),
        ("helper=pass", "pass2", false),
        ("helper=*", "ecr-login", true),
        ("helper=*", "../../bin/sh", false),
        ("helper=*", "a/b", false),
        ("helper=*", "", false),
        ("helper=*", ".", false),
        ("helper=gcloud*", "gcloud-beta", true),
    ] {
        assert_eq!(
            grants(&[grant]).allow_helper(name),
            allowed,
            "{grant} {name}"
        );
    }
}

#[test]
fn paths_match_as_every_server_would_read_them() {
    for (grant, method, url, allowed) in [
        (
            "http=vault.io/v1/",
            "GET",
            "https://vault.io/v1/a/b?c",
            true,
        ),
        ("http=vault.io/v1/", "GET", "https://vault.io/v1/", true),
        ("http=vault.io/v1/", "GET", "https://vault.io/v1", false),
        ("http=vault.io/v1/", "GET", "https://vault.io/v1x/a", false),
        ("http=vault.io/v1/", "GET", "https://vault.io/V1/a", false),
        (
            "http=vault.io/v1/",
            "GET",
            "https://vault.io/v1/../sys",
            false,
        ),
        (
            "http=vault.io/v1/",
            "GET",
            "https://vault.io/v1/%2e%2e/sys",
            false,
        ),
        (
            "http=vault.io/v1/",
            "GET",
            "https://vault.io/v1/..%2fsys",
            false,
        ),
        (
            "http=vault.io/v1/",
            "GET",
            "https://vault.io/v1/a%5c..%5csys",
            false,
        ),
        (
            "http=vault.io/v1/",
            "GET",
            "https://vault.io/v1/a\\..\\..\\sys",
            false,
        ),
        (
            "http=vault.io/v1/",
            "GET",
            "https://vault.io/v1/%252e%252e/sys",
            false,
        ),
        (
            "http=vault.io/v1/",
            "GET",
            "https://vault.io/v1//sys",
            false,
        ),
        (
            "http=vault.io/v1/",
            "GET",
            "https://vault.io/v1/..;/sys",
            false,
        ),
        ("http=vault.io/v1/", "GET", "https://vault.io//v1/a", false),
        ("http=vault.io/v1/a", "GET", "https://vault.io/v1/a?x", true),
        (
            "http=vault.io/v1/a",
            "GET",
            "https://vault.io/v1/a/b",
            false,
        ),
        ("http=vault.io/", "GET", "https://vault.io/a", true),
    ] {
        let parsed = Url::parse(url).unwrap();
        assert_eq!(
            grants(&[grant]).allow_http(method, &parsed),
            allowed,
            "{grant} {url}"
        );
    }
}

#[test]
fn servers_match_by_method_scheme_name_and_port() {
    for (grant, method, url, allowed) in [
        ("http=vault.io", "GET", "https://vault.io/v1/x?y", true),
        ("http=vault.io", "GET", "https://VAULT.io:443/", true),
        ("http=vault.io", "GET", "http://vault.io/", false),
        ("http=vault.io", "GET", "https://vault.io:8200/", false),
        ("http=vault.io", "GET", "https://vault.io.evil.com/", false),
        ("http=vault.io", "GET", "https://evil.com/vault.io", false),
        ("http=vault.io", "GET", "https://vault.io@evil.com/", false),
        ("http=vault.io", "GET", "https://a.vault.io/", false),
        ("http=GET@vault.io", "get", "https://vault.io/", true),
        ("http=GET@vault.io", "POST", "https://vault.io/", false),
        ("http=*.vault.io", "GET", "https://a.b.vault.io/", true),
        ("http=*.vault.io", "GET", "https://vault.io/", false),
        ("http=*.vault.io", "GET", "https://evilvault.io/", false),
        ("http=http://[::1]:8200", "GET", "http://[::1]:8200/", true),
        (
            "http=http://127.0.0.1:8200",
            "GET",
            "http://2130706433:8200/",
            true,
        ),
        (
            "http=http://127.0.0.1:8200",
            "GET",
            "http://127.0.0.2:8200/",
            false,
        ),
    ] {
        let url = Url::parse(url).unwrap();
        assert_eq!(
            grants(&[grant]).allow_http(method, &url),
            allowed,
            "{grant} {url}"
        );
    }
}

#[test]
fn what_has_no_scope_is_granted_or_not() {
    assert!(grants(&["clock"]).allow(Capability::Clock));
    assert!(!grants(&["clock"]).allow(Capability::Reveal));
}

#[test]
fn grants_are_kept_as_a_list_of_texts() {
    let grants = grants(&["reveal", "env=B", "env=A"]);
    let text = serde_json::to_string(&grants).unwrap();
    assert_eq!(text, r#"["env=A","env=B","reveal"]"#);
    assert_eq!(serde_json::from_str::<Grants>(&text).unwrap(), grants);
    serde_json::from_str::<Grants>(r#"["all"]"#).unwrap_err();
}
