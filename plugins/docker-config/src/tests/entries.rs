//! What one entry of a file means: its fields, and which of them count.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use msb_plugin::fake::bytes_of;

use super::{DOCKER, ask, basic, docker, oracle};
use crate::*;

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
