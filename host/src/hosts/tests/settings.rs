//! What our own settings and the command line decide.

use super::{Machine, endpoints};
use crate::hosts::fixtures::{CERTIFICATE, KEY};
use crate::hosts::{EndpointConfig, HostOverrides, HostsError, MirrorUsage, Plain};

#[test]
fn without_configuration_the_registry_itself_is_asked_over_https() {
    let found = Machine::new().endpoints("python");
    let [endpoint] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(endpoint.host, "docker.io");
    assert_eq!(endpoint.authority, "registry-1.docker.io");
    assert_eq!(endpoint.repository, "library/python");
    assert_eq!(endpoint.plain, Plain::Never);
    assert_eq!(endpoint.usage, MirrorUsage::Any);
    assert!(!endpoint.is_mirror && endpoint.tls.verify);
    assert!(endpoint.tls.roots.is_empty() && endpoint.tls.identity.is_none());
}

#[test]
fn plain_http_may_be_tried_on_this_machine_alone() {
    let machine = Machine::new();
    for (host, expected) in [
        ("localhost", Plain::Fallback),
        ("localhost:5000", Plain::Fallback),
        ("127.1.2.3:5000", Plain::Fallback),
        ("[::1]", Plain::Fallback),
        ("[::1]:5000", Plain::Fallback),
        ("127.0.0.1.example.com", Plain::Never),
        ("localhost.example.com", Plain::Never),
        ("10.0.0.1:5000", Plain::Never),
        ("[::2]:5000", Plain::Never),
    ] {
        let found = machine.endpoints(&format!("{host}/a"));
        assert_eq!(found[0].plain, expected, "{host}");
        assert!(found[0].tls.verify);
    }
}

#[test]
fn the_settings_of_a_host_say_whether_it_speaks_plain_http() {
    let machine = Machine::new().with(
        "config.json",
        r#"{"registries": {"hosts": {
            "a.example": {"insecure": true}, "localhost": {"insecure": false}}}}"#,
    );
    assert_eq!(machine.endpoints("a.example/x")[0].plain, Plain::Only);
    assert_eq!(machine.endpoints("localhost/x")[0].plain, Plain::Never);
    assert_eq!(machine.endpoints("b.example/x")[0].plain, Plain::Never);
}

#[test]
fn the_command_line_makes_the_registry_itself_insecure_and_no_mirror() {
    let machine = Machine::new().with(
        "config.json",
        r#"{"registries": {"hosts": {
            "a.example": {"insecure": false, "mirrors": ["m.example"]}}}}"#,
    );
    let overrides = HostOverrides {
        insecure: true,
        ..HostOverrides::default()
    };
    let hosts = machine.hosts_with(&overrides).unwrap();
    let found = endpoints(&hosts, "a.example/x");
    assert_eq!(found[0].plain, Plain::Never);
    assert_eq!(found[1].plain, Plain::Only);
    // Nor Docker Hub, which is named on the same command line or stands behind a mirror.
    assert_eq!(endpoints(&hosts, "alpine")[0].plain, Plain::Never);
    assert_eq!(hosts.registry("docker.io").unwrap().plain, Plain::Never);
    assert_eq!(hosts.registry("a.example").unwrap().plain, Plain::Only);
}

#[test]
fn certificates_are_checked_unless_the_user_gives_that_up() {
    let machine = Machine::new()
        .with(
            "config.json",
            r#"{"registries": {"hosts": {
            "lax.example": {"tls_verify": false},
            "only.example": {"tls_verify": false, "insecure": false},
            "plain.example": {"tls_verify": false, "insecure": true},
            "docker.io": {"tls_verify": false, "mirrors": ["m.example", "lax.example"]},
            "strict.example": {"tls_verify": true}}}}"#,
        )
        .with(
            "home/.config/containers/registries.conf",
            "[[registry]]\nlocation = 'strict.example'\ninsecure = true\n\
         [[registry]]\nlocation = 'conf.example'\ninsecure = true\n",
        );
    let seen = |found: &EndpointConfig| (found.tls.verify, found.plain, found.unverified.is_some());
    let at = |verify: Option<bool>, name: &str| {
        let overrides = HostOverrides {
            tls_verify: verify,
            ..HostOverrides::default()
        };
        let hosts = machine.hosts_with(&overrides).unwrap();
        endpoints(&hosts, name).iter().map(seen).collect::<Vec<_>>()
    };
    let unverified = |plain| vec![(false, plain, true)];
    assert_eq!(at(None, "a.example/x"), [(true, Plain::Never, false)]);
    assert_eq!(at(None, "lax.example/x"), unverified(Plain::Fallback));
    assert_eq!(at(None, "only.example/x"), unverified(Plain::Never));
    assert_eq!(at(None, "plain.example/x"), [(false, Plain::Only, false)]);
    // Whoever wrote that file was told what it means.
    assert_eq!(
        at(None, "conf.example/x"),
        [(false, Plain::Fallback, false)]
    );
    assert_eq!(at(None, "strict.example/x"), [(true, Plain::Never, false)]);
    let hub = at(None, "alpine");
    let mirrors = [(true, Plain::Never, false), (false, Plain::Fallback, true)];
    assert_eq!(hub[..2], mirrors);
    assert_eq!(hub[2], (false, Plain::Never, true));
    // The command line goes first, and is for the registry itself.
    assert_eq!(at(Some(false), "a.example/x"), unverified(Plain::Fallback));
    for name in ["lax.example/x", "conf.example/x", "localhost/x"] {
        assert_eq!(at(Some(true), name), [(true, Plain::Never, false)]);
    }
    assert_eq!(at(Some(true), "alpine")[1], (false, Plain::Fallback, true));
}

#[test]
fn mirrors_come_first_and_in_their_order() {
    let machine = Machine::new().with(
        "config.json",
        r#"{"registries": {"hosts": {"docker.io": {"mirrors": [
            "https://m.example/hub", "n:5000",
            {"location": "docker.io/copy", "by_digest_only": true}]}}}}"#,
    );
    assert_eq!(
        machine.repositories("python"),
        [
            "m.example/hub/library/python",
            "n:5000/library/python",
            "docker.io/copy/library/python",
            "docker.io/library/python",
        ]
    );
    let found = machine.endpoints("python");
    let are_mirrors: Vec<bool> = found.iter().map(|endpoint| endpoint.is_mirror).collect();
    assert_eq!(are_mirrors, [true, true, true, false]);
    assert_eq!(found[2].usage, MirrorUsage::DigestOnly);
    assert_eq!(found[2].authority, "registry-1.docker.io");
    assert_eq!(machine.repositories("ghcr.io/a"), ["ghcr.io/a"]);
}

#[test]
fn a_mirror_speaks_plain_http_by_its_scheme_its_flag_or_the_settings_of_its_host() {
    use Plain::{Fallback, Never, Only};
    let machine = Machine::new().with(
        "config.json",
        r#"{"registries": {"hosts": {
            "plain.example": {"insecure": true},
            "a.example": {"mirrors": [
                "http://m", "https://localhost", "localhost",
                {"location": "m", "insecure": true}, {"location": "localhost", "insecure": false},
                "plain.example", "https://plain.example", "m"]}}}}"#,
    );
    let plain: Vec<Plain> = machine
        .endpoints("a.example/x")
        .iter()
        .map(|endpoint| endpoint.plain)
        .collect();
    assert_eq!(
        plain,
        [
            Only, Never, Fallback, Only, Never, Only, Never, Never, Never
        ]
    );
}

#[test]
fn certificates_are_for_all_hosts_or_for_their_own() {
    let machine = Machine::new()
        .with("line.pem", CERTIFICATE)
        .with("all.pem", CERTIFICATE)
        .with("own.pem", CERTIFICATE)
        .with("client.pem", CERTIFICATE)
        .with("key.pem", KEY)
        .with(
            "config.json",
            r#"{"registries": {"ca_certs": "all.pem", "hosts": {
                "a.example": {"mirrors": ["b.example"]},
                "b.example": {"ca_certs": ["own.pem"],
                    "client_cert": "client.pem", "client_key": "key.pem"}}}}"#,
        )
        .with(
            "etc/docker/certs.d/a.example/ca.crt",
            &CERTIFICATE.repeat(5),
        );
    let overrides = HostOverrides {
        insecure: false,
        tls_verify: None,
        ca_certs: vec![machine.path("line.pem")],
    };
    let found = endpoints(&machine.hosts_with(&overrides).unwrap(), "a.example/x");
    let (mirror, itself) = (&found[0].tls, &found[1].tls);
    assert_eq!(mirror.roots.len(), 3);
    assert!(mirror.identity.is_some());
    assert_eq!(itself.roots.len(), 7);
    assert!(itself.identity.is_none());
}

#[test]
fn our_client_certificate_goes_before_that_of_certs_d() {
    let machine = Machine::new()
        .with("both.pem", &format!("{CERTIFICATE}{CERTIFICATE}{KEY}"))
        .with(
            "config.json",
            r#"{"registries": {"hosts": {"a.example": {"client_cert": "both.pem"}}}}"#,
        )
        .with("etc/containers/certs.d/a.example/c.cert", CERTIFICATE)
        .with("etc/containers/certs.d/a.example/c.key", KEY)
        .with("etc/containers/certs.d/b.example/c.cert", CERTIFICATE)
        .with("etc/containers/certs.d/b.example/c.key", KEY);
    let certificates = |reference| {
        let found = machine.endpoints(reference);
        found[0]
            .tls
            .identity
            .as_ref()
            .map(|identity| identity.certificates.len())
    };
    assert_eq!(certificates("a.example/x"), Some(2));
    assert_eq!(certificates("b.example/x"), Some(1));
}

#[test]
fn a_file_of_certificates_that_is_broken_is_found_before_anything_is_asked() {
    let overrides = HostOverrides {
        insecure: false,
        tls_verify: None,
        ca_certs: vec!["/nowhere/ca.pem".into()],
    };
    let error = Machine::new().hosts_with(&overrides).unwrap_err();
    assert_eq!(
        error.to_string(),
        "could not read `/nowhere/ca.pem`, which --ca-certs names"
    );
    let machine = Machine::new().with("ca.pem", KEY).with(
        "config.json",
        r#"{"registries": {"hosts": {"a.example": {"ca_certs": "ca.pem"}}}}"#,
    );
    let error = machine.hosts().unwrap_err();
    assert!(matches!(error, HostsError::Pem { .. }));
    assert!(
        error
            .to_string()
            .contains("`registries.hosts.a.example.ca_certs` of")
    );
}
