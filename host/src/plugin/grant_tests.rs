//! Every syntax of a scope, in tables.

use super::*;

fn grants(texts: &[&str]) -> Grants {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_grant_is_printed_in_one_spelling() {
    for (text, printed) in [
        ("env=VAULT_TOKEN", "env=VAULT_TOKEN"),
        ("env=AWS_*", "env=AWS_*"),
        ("env=@configured", "env=@configured"),
        ("files=/etc/vault/token", "files=/etc/vault/token"),
        ("files=~/.docker/config.json", "files=~/.docker/config.json"),
        (
            "files=msb:secrets/registries/*",
            "files=msb:secrets/registries/*",
        ),
        (
            "files=$DOCKER_CONFIG/config.json",
            "files=$DOCKER_CONFIG/config.json",
        ),
        ("files=$REGISTRY_AUTH_FILE", "files=$REGISTRY_AUTH_FILE"),
        ("files=~/vault/**", "files=~/vault/**"),
        ("keychain=com.example.vault", "keychain=com.example.vault"),
        ("helper=ecr-login", "helper=ecr-login"),
        ("helper=*", "helper=*"),
        ("http=vault.example.com", "http=https://vault.example.com"),
        (
            "http=HTTPS://Vault.Example.com:443",
            "http=https://vault.example.com",
        ),
        ("http=http://localhost:8200", "http=http://localhost:8200"),
        (
            "http=post,GET@vault:8200",
            "http=GET,POST@https://vault:8200",
        ),
        ("http=*.amazonaws.com", "http=https://*.amazonaws.com"),
        ("http=http://[::1]:80", "http=http://[::1]"),
        (
            "http=POST@A.example:443/v1/",
            "http=POST@https://a.example/v1/",
        ),
        ("clock", "clock"),
        ("reveal", "reveal"),
    ] {
        let grant: Grant = text.parse().unwrap();
        assert_eq!(grant.to_string(), printed, "{text}");
        assert_eq!(printed.parse::<Grant>().unwrap(), grant, "{text}");
    }
}

#[test]
fn what_is_no_grant_is_refused_with_the_reason() {
    for (text, words) in [
        ("", "there are env, files"),
        ("network=all", "there are env, files"),
        ("env", "the name of a variable"),
        ("env=", "the name of a variable"),
        ("env=A B", "the name of a variable"),
        ("env=$HOME", "the name of a variable"),
        ("clock=now", "`clock` takes no scope"),
        ("reveal=", "`reveal` takes no scope"),
        ("files=relative/path", "begins with"),
        ("files=~", "begins with"),
        ("files=~root/x", "begins with"),
        ("files=/etc/../root/x", "component `..`"),
        ("files=~/../x", "component `..`"),
        ("files=msb:../x", "component `..`"),
        ("files=/a//b", "empty component"),
        ("files=/", "empty component"),
        ("files=/a/./b", "component `.`"),
        ("files=/*/b", "only its last component"),
        ("files=/a/x**", "`**` stands alone"),
        ("files=$1/x", "is not a variable name"),
        ("files=$/x", "is not a variable name"),
        ("files=/a/\u{1b}[2J", "control character"),
        ("keychain=*", "the name of a service"),
        ("helper=../x", "the name of a helper"),
        ("helper=a/b", "the name of a helper"),
        ("http=ftp://a", "neither `http` nor `https`"),
        ("http=https://a/b/../c", "is not a plain path"),
        ("http=https://a/b//c", "is not a plain path"),
        ("http=https://a/b%2Fc", "is not a plain path"),
        ("http=https://a/b/*", "is not a plain path"),
        ("http=https://a/b?c=d", "is not a plain path"),
        ("http=https://u:p@a", "is not a method"),
        ("http=*", "is not a server"),
        ("http=*.*.com", "is not a server"),
        ("http=*.10.0.0.1", "not before an address"),
        ("http=a:99999", "is not a server"),
        ("http=", "a server"),
    ] {
        let error = text.parse::<Grant>().unwrap_err();
        assert!(error.problem.contains(words), "{text}: {error}");
    }
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
