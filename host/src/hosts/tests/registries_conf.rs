//! What `registries.conf` decides.

use std::path::PathBuf;

use super::{Machine, endpoints};
use crate::hosts::{ConfigPaths, HostOverrides, HostsError, MirrorUsage, Plain, TableProblem};
use crate::settings::Settings;

const SYSTEM: &str = "etc/containers/registries.conf";
const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn with_conf(text: &str) -> Machine {
    Machine::new().with(SYSTEM, text)
}

fn moved(location: &str) -> String {
    format!("[[registry]]\nprefix = \"a.example\"\nlocation = \"{location}\"\n")
}

#[test]
fn a_registry_is_where_its_table_says() {
    let machine = with_conf(
        r#"
        unqualified-search-registries = ["x"]
        [[registry]]
        location = "plain.example"
        [[registry]]
        prefix = "docker.io/library"
        location = "b.example:5000/hub"
        [aliases]
        "x" = "y/x"
        "#,
    );
    assert_eq!(
        machine.repositories("python"),
        ["b.example:5000/hub/python"]
    );
    assert_eq!(
        machine.repositories("docker.io/library2/x"),
        ["docker.io/library2/x"]
    );
    assert_eq!(machine.repositories("plain.example/x"), ["plain.example/x"]);
    assert!(!machine.endpoints("python")[0].is_mirror);
}

#[test]
fn the_longest_prefix_wins() {
    let machine = with_conf(
        r#"
        [[registry]]
        prefix = "*.example.com"
        location = "wild"
        [[registry]]
        prefix = "*.b.example.com"
        location = "wilder"
        [[registry]]
        prefix = "a.example.com"
        location = "host"
        [[registry]]
        prefix = "a.example.com/x"
        location = "space"
        [[registry]]
        prefix = "a.example.com/x/y:1"
        location = "tag/z"
        "#,
    );
    for (reference, expected) in [
        ("c.example.com/x", "wild/x"),
        ("c.b.example.com/x", "wilder/x"),
        ("a.example.com/xx", "host/xx"),
        ("a.example.com/x/y:2", "space/y"),
        ("a.example.com/x/y:1", "tag/z"),
        ("example.com/x", "example.com/x"),
        ("badexample.com/x", "badexample.com/x"),
        ("a.example.com:5000/x", "a.example.com:5000/x"),
        ("other/a.example.com/x", "docker.io/other/a.example.com/x"),
    ] {
        assert_eq!(machine.repositories(reference), [expected], "{reference}");
    }
}

#[test]
fn a_wildcard_without_location_leaves_names_as_they_are() {
    let machine = with_conf("[[registry]]\nprefix = \"*.example.com\"\ninsecure = true");
    assert_eq!(machine.repositories("a.example.com/x"), ["a.example.com/x"]);
    assert_eq!(
        machine.endpoints("a.example.com/x")[0].plain,
        Plain::Fallback
    );
}

#[test]
fn an_insecure_registry_may_speak_plain_http_and_its_certificate_is_not_checked() {
    let machine = with_conf("[[registry]]\nlocation = \"a.example\"\ninsecure = true");
    let found = machine.endpoints("a.example/x");
    assert_eq!(found[0].plain, Plain::Fallback);
    assert!(!found[0].tls.verify);
}

#[test]
fn our_word_on_plain_http_replaces_that_of_the_file() {
    let machine = with_conf("[[registry]]\nlocation = \"a.example\"\ninsecure = true").with(
        "config.json",
        r#"{"registries": {"hosts": {"a.example": {"insecure": false}}}}"#,
    );
    let found = machine.endpoints("a.example/x");
    assert_eq!(found[0].plain, Plain::Never);
    assert!(found[0].tls.verify);
}

#[test]
fn mirrors_are_asked_for_what_the_file_says() {
    let machine = with_conf(
        r#"
        [[registry]]
        prefix = "docker.io/library"
        location = "docker.io/library"
        [[registry.mirror]]
        location = "all.example/hub"
        insecure = true
        [[registry.mirror]]
        location = "digest.example"
        pull-from-mirror = "digest-only"
        [[registry.mirror]]
        location = "tag.example"
        pull-from-mirror = "tag-only"
        "#,
    );
    assert_eq!(
        machine.repositories("python"),
        [
            "all.example/hub/python",
            "digest.example/python",
            "tag.example/python",
            "docker.io/library/python"
        ]
    );
    let found = machine.endpoints("python");
    assert_eq!(found[0].usage, MirrorUsage::Any);
    assert_eq!(
        (found[0].plain, found[0].tls.verify),
        (Plain::Fallback, false)
    );
    assert_eq!(found[1].usage, MirrorUsage::DigestOnly);
    assert_eq!((found[1].plain, found[1].tls.verify), (Plain::Never, true));
    assert_eq!(found[2].usage, MirrorUsage::TagOnly);
    assert!(found[3].tls.verify);
    // A mirror for tags is of no use where there is a digest.
    let pinned = machine.repositories(&format!("python:3@{DIGEST}"));
    assert_eq!(pinned.len(), 3);
    assert!(!pinned.contains(&"tag.example/python".to_owned()));
}

#[test]
fn all_mirrors_of_a_registry_can_be_for_digests_only() {
    let machine = with_conf(
        r#"
        [[registry]]
        location = "a.example"
        mirror-by-digest-only = true
        [[registry.mirror]]
        location = "m.example"
        "#,
    );
    let found = machine.endpoints("a.example/x");
    assert_eq!(found[0].usage, MirrorUsage::DigestOnly);
    assert_eq!(found[1].usage, MirrorUsage::Any);
}

#[test]
fn our_mirrors_replace_those_of_the_file() {
    let text = "[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\nlocation = \"m\"";
    for (mirrors, expected) in [
        (r#"["n"]"#, vec!["n/x", "a.example/x"]),
        ("[]", vec!["a.example/x"]),
        ("null", vec!["m/x", "a.example/x"]),
    ] {
        let settings =
            format!(r#"{{"registries": {{"hosts": {{"a.example": {{"mirrors": {mirrors}}}}}}}}}"#);
        let machine = with_conf(text).with("config.json", &settings);
        assert_eq!(machine.repositories("a.example/x"), expected, "{mirrors}");
    }
}

#[test]
fn a_blocked_registry_is_an_error_that_names_the_file() {
    let machine = with_conf("[[registry]]\nlocation = \"a.example\"\nblocked = true");
    let hosts = machine.hosts().unwrap();
    let error = hosts
        .endpoints(&"a.example/x".parse().unwrap())
        .unwrap_err();
    let file = machine.path(SYSTEM);
    assert_eq!(
        error.to_string(),
        format!("`a.example/x` is blocked by `{}`", file.display())
    );
    assert_eq!(endpoints(&hosts, "b.example/x").len(), 1);
}

#[test]
fn files_are_read_in_order_and_a_later_table_replaces_an_earlier_one() {
    let system = |name: &str| format!("etc/containers/registries.conf.d/{name}");
    let user = |name: &str| format!("home/.config/containers/{name}");
    let repository = |machine: &Machine| machine.repositories("a.example/x").concat();
    let machine = Machine::new().with(SYSTEM, &moved("one"));
    assert_eq!(repository(&machine), "one/x");
    let machine = machine
        .with(&system("b.conf"), &moved("three"))
        .with(&system("a.conf"), &moved("two"))
        .with(&system("c.txt"), "garbage");
    assert_eq!(repository(&machine), "three/x");
    let machine = machine.with(&user("registries.conf.d/0.conf"), &moved("four"));
    assert_eq!(repository(&machine), "four/x");
}

#[test]
fn a_file_of_the_user_stands_for_all_of_the_system() {
    let machine = with_conf("garbage")
        .with("etc/containers/registries.conf.d/a.conf", "garbage")
        .with("home/.config/containers/registries.conf", &moved("mine"));
    assert_eq!(machine.repositories("a.example/x"), ["mine/x"]);
}

#[test]
fn the_file_that_the_environment_names_must_be_there() {
    let machine = with_conf("garbage").with("named.conf", &moved("named"));
    let read = |named: PathBuf| {
        let paths = ConfigPaths {
            registries_conf: Some(named),
            ..machine.paths()
        };
        Settings::default().hosts_at(&HostOverrides::default(), paths)
    };
    let hosts = read(machine.path("named.conf")).unwrap();
    assert_eq!(endpoints(&hosts, "a.example/x")[0].host, "named");
    let error = read("/nowhere/r.conf".into()).unwrap_err();
    assert_eq!(error.to_string(), "could not read `/nowhere/r.conf`");
}

#[test]
fn a_broken_file_is_an_error_with_its_line() {
    for (text, expected) in [
        ("\n\ngarbage", 3),
        ("[[registry]]\nlocation = \"a\"\ninsecure = \"yes\"", 3),
        (
            "[[registry]]\nlocation = \"a\"\n[[registry.mirror]]\ninsecure = true",
            3,
        ),
    ] {
        let error = with_conf(text).hosts().unwrap_err();
        let HostsError::Toml { line, path, source } = error else {
            panic!("{error:?}");
        };
        assert_eq!(line, expected, "{text}");
        // The library draws a picture of the line, which one line of an error has no place for.
        let reason = source.to_string();
        assert!(!reason.is_empty() && !reason.contains('\n'), "{reason:?}");
        assert!(path.ends_with(SYSTEM));
    }
}

#[test]
fn a_table_that_means_nothing_is_an_error_with_its_line() {
    type Check = fn(&TableProblem) -> bool;
    let cases: [(&str, usize, Check); 5] = [
        ("\n[[registry]]\nlocation = \"A/B\"", 3, |problem| {
            matches!(problem, TableProblem::Location(_))
        }),
        (
            "[[registry]]\nprefix = \"/x\"\nlocation = \"a\"",
            2,
            |problem| matches!(problem, TableProblem::Prefix),
        ),
        ("[[registry]]\nprefix = \"a\"", 2, |problem| {
            matches!(problem, TableProblem::NoLocation)
        }),
        ("\n[[registry]]\nblocked = true", 2, |problem| {
            matches!(problem, TableProblem::NoLocation)
        }),
        (
            "[[registry]]\nlocation = \"a\"\nmirror-by-digest-only = true\n\
             [[registry.mirror]]\nlocation = \"m\"\npull-from-mirror = \"all\"",
            5,
            |problem| matches!(problem, TableProblem::Contradiction),
        ),
    ];
    for (text, expected, is_expected) in cases {
        let error = with_conf(text).hosts().unwrap_err();
        let HostsError::Table { line, source, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(line, expected, "{text}");
        assert!(is_expected(&source), "{source:?}");
    }
}

#[test]
fn a_table_that_leaves_no_repository_is_an_error_when_it_is_meant() {
    let hosts = with_conf("[[registry]]\nprefix = \"a.example/x\"\nlocation = \"b\"")
        .hosts()
        .unwrap();
    let error = hosts
        .endpoints(&"a.example/x".parse().unwrap())
        .unwrap_err();
    assert!(matches!(error, HostsError::NoRepository { .. }));
    assert_eq!(endpoints(&hosts, "a.example/x/y")[0].repository, "y");
}
