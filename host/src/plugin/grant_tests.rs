//! Every syntax of a scope, in tables.

use super::*;

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
