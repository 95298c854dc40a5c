//! Which certificates are trusted because the user says so, and what is told about the others.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::json;

use crate::authority::{Authority, Pair};
use crate::docker_registry::Setup;
use crate::env::{Run, TestEnv};
use crate::registry_scene::{Scene, checked, put, settings};
use crate::relay::copy;
use crate::tests;

tests! {
    a_self_signed_certificate_is_trusted_where_it_was_given needs DockerRegistry, Openssl;
    a_certificate_whose_authority_is_unknown_is_trusted_where_it_was_given needs DockerRegistry, Openssl;
    a_certificate_that_was_given_still_needs_the_name needs DockerRegistry, Openssl;
    a_certificate_that_was_given_still_needs_its_time needs DockerRegistry, Openssl;
    an_authority_whose_time_is_over_is_not_trusted needs DockerRegistry, Openssl, Skopeo;
    a_certificate_without_a_name_is_told_with_a_cure needs DockerRegistry, Openssl;
    a_certificate_of_version_1_is_told_with_a_cure needs DockerRegistry, Openssl;
    a_certificate_of_another_name_is_told_with_the_names_it_has needs DockerRegistry, Openssl;
    no_certificate_is_needed_where_the_user_gives_it_up needs DockerRegistry, Openssl;
    a_plugin_from_a_server_that_is_not_verified_is_told needs DockerRegistry, Openssl;
    a_login_trusts_what_a_pull_trusts needs DockerRegistry, Openssl;
    plain_http_to_a_registry_of_https_is_told_with_a_cure needs DockerRegistry, Openssl;
    a_registry_of_https_that_closes_what_is_plain_is_told_at_once needs DockerRegistry, Openssl;
}

/// What a pull says that has reached a registry in which nothing is.
const REACHED: &str = "not found";
/// What it advises where a certificate is not trusted.
const TRUST: &str = "hint: give the certificate of its authority, or its own, with `--ca-certs PATH`, \
                     or for good with `registries.ca_certs` in config.json";
const NAMES: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1";

fn served(pair: &Pair) -> Scene {
    Scene::with(&Setup {
        tls: Some(pair),
        ..Setup::default()
    })
}

/// Pulls with a certificate that is given in one way after the other, each alone.
fn reached_in_every_way(pair: &Pair, advised: &str) {
    let scene = served(pair);
    let host = scene.registry.host().to_owned();
    scene
        .pull("", "app:1")
        .failure(&["its certificate is not trusted", advised]);
    let file = pair.certificate.to_str().unwrap();
    scene
        .pull(&format!("--ca-certs {file}"), "app:1")
        .failure(&[REACHED]);
    scene.settings(&json!({"ca_certs": file}));
    scene.pull("", "app:1").failure(&[REACHED]);
    scene.settings(&json!({"hosts": {&host: {"ca_certs": file}}}));
    scene.pull("", "app:1").failure(&[REACHED]);
    scene.settings(&json!({}));
    let folder = scene.env.path("certificates");
    put(&folder.join("own.pem"), &std::fs::read(file).unwrap());
    for (name, value) in [
        ("SSL_CERT_FILE", Path::new(file)),
        ("SSL_CERT_DIR", &folder),
    ] {
        let mut command = scene.env.command(["pull", &scene.name("app:1")]);
        checked(Run::of(command.env(name, value))).failure(&[REACHED]);
    }
    let certs_d = format!("user-home/.config/containers/certs.d/{host}/ca.crt");
    put(&scene.env.path(&certs_d), &std::fs::read(file).unwrap());
    scene.pull("", "app:1").failure(&[REACHED]);
}

fn a_self_signed_certificate_is_trusted_where_it_was_given() {
    // As the manual has it, it is an authority and a server at once.
    let (_folder, pair) = Authority::self_signed_server(&[NAMES]);
    reached_in_every_way(&pair, TRUST);
    let none = "basicConstraints=critical,CA:FALSE";
    let (_folder, pair) = Authority::self_signed_server(&[NAMES, none]);
    reached_in_every_way(&pair, TRUST);
}

fn a_certificate_whose_authority_is_unknown_is_trusted_where_it_was_given() {
    reached_in_every_way(&Authority::new().server(), TRUST);
}

fn a_certificate_that_was_given_still_needs_the_name() {
    let (_folder, pair) = Authority::self_signed_server(&["subjectAltName=DNS:registry.example"]);
    for pair in [pair, Authority::new().server_called("registry.example")] {
        let scene = served(&pair);
        let arguments = format!("--ca-certs {}", pair.certificate.display());
        scene
            .pull(&arguments, "app:1")
            .failure(&["`registry.example`", "not for the name `127.0.0.1`"]);
    }
}

fn a_certificate_that_was_given_still_needs_its_time() {
    let authority = Authority::new();
    let pair = authority.expired_server();
    let scene = served(&pair);
    for file in [&pair.certificate, &authority.file()] {
        let arguments = format!("--ca-certs {}", file.display());
        let run = scene.pull(&arguments, "app:1");
        let run = run.failure(&[
            "its certificate expired on 2021-01-01",
            "hint: ",
            "--tls-verify=false",
        ]);
        assert!(!run.stderr.contains("--ca-certs"), "{run:#?}");
    }
    // What is advised helps.
    scene
        .pull("--tls-verify=false", "app:1")
        .failure(&[REACHED]);
}

fn an_authority_whose_time_is_over_is_not_trusted() {
    let authority = Authority::new();
    let scene = served(&authority.server());
    let old = authority.expired_file();
    scene
        .pull(&format!("--ca-certs {}", old.display()), "app:1")
        .failure(&[
            "the certificate of the authority that issued its certificate expired on 2021-01-01",
            "hint: have the certificate replaced",
        ]);
    // The same of what is trusted on this machine, as skopeo has it.
    let mut command = scene.env.command(["pull", &scene.name("app:1")]);
    checked(Run::of(command.env("SSL_CERT_FILE", &old))).failure(&["expired on 2021-01-01"]);
    let mut skopeo = Command::new("skopeo");
    skopeo
        .env("SSL_CERT_FILE", &old)
        .env("SSL_CERT_DIR", "/nowhere");
    let asked = format!("docker://{}", scene.name("app:1"));
    let said = skopeo.args(["inspect", &asked]).output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("expired"), "{said}");
    // A new one of the same authority next to it is enough.
    let mut both = std::fs::read(&old).unwrap();
    both.extend(std::fs::read(authority.file()).unwrap());
    let file = scene.env.write("both.pem", &both);
    scene
        .pull(&format!("--ca-certs {}", file.display()), "app:1")
        .failure(&[REACHED]);
}

fn a_certificate_without_a_name_is_told_with_a_cure() {
    let (_folder, pair) = Authority::self_signed_server(&[]);
    let scene = served(&pair);
    let arguments = format!("--ca-certs {}", pair.certificate.display());
    let cure = "-addext subjectAltName=IP:127.0.0.1";
    let run = scene.pull(&arguments, "app:1");
    run.failure(&["a common name does not count", "hint: ", cure]);
    // What is advised helps.
    let (_folder, pair) = Authority::self_signed_server(&["subjectAltName=IP:127.0.0.1"]);
    let scene = served(&pair);
    let arguments = format!("--ca-certs {}", pair.certificate.display());
    scene.pull(&arguments, "app:1").failure(&[REACHED]);
}

fn a_certificate_of_version_1_is_told_with_a_cure() {
    let (_folder, pair) = Authority::version_1_server();
    let scene = served(&pair);
    let arguments = format!("--ca-certs {}", pair.certificate.display());
    let run = scene.pull(&arguments, "app:1").failure(&[
        "version 1",
        "hint: ",
        "-addext subjectAltName=IP:127.0.0.1",
    ]);
    assert!(!run.stderr.contains("UnsupportedCertVersion"), "{run:#?}");
    scene
        .pull("--tls-verify=false", "app:1")
        .failure(&[REACHED]);
}

fn a_certificate_of_another_name_is_told_with_the_names_it_has() {
    let (_folder, pair) = Authority::self_signed_server(&["subjectAltName=DNS:localhost"]);
    let scene = served(&pair);
    let (_, port) = scene.registry.host().split_once(':').unwrap();
    let file = pair.certificate.display();
    let other = format!("localhost:{port}");
    let run = scene
        .pull(&format!("--ca-certs {file}"), "app:1")
        .failure(&[
            "its certificate is for `localhost`, not for the name `127.0.0.1`",
            &format!("hint: if it is the same registry, call it `{other}`; else have a certificate made for"),
        ]);
    assert!(!run.stderr.contains("--ca-certs"), "{run:#?}");
    // What is advised helps.
    let line = format!("pull --ca-certs {file} {other}/app:1");
    checked(scene.env.msb(&line)).failure(&[REACHED]);
}

fn no_certificate_is_needed_where_the_user_gives_it_up() {
    let (_folder, pair) = Authority::self_signed_server(&["subjectAltName=DNS:other.example"]);
    let scene = served(&pair);
    let host = scene.registry.host().to_owned();
    let warning = [
        REACHED,
        &format!("note: registry {host} is not verified: "),
        "can read passwords",
    ];
    scene.pull("--tls-verify=false", "app:1").failure(&warning);
    scene
        .pull("--tls-verify", "app:1")
        .failure(&["certificate"]);
    scene.settings(&json!({"hosts": {&host: {"tls_verify": false}}}));
    scene.pull("", "app:1").failure(&warning);
    // What is said here and now goes first.
    scene
        .pull("--tls-verify=true", "app:1")
        .failure(&["certificate"]);
    // As in podman, a registry that speaks plain HTTP is spoken to.
    let plain = Scene::new();
    plain
        .pull("--tls-verify=false", "app:1")
        .failure(&[REACHED]);
    let plain_host = plain.registry.host();
    let only = json!({"hosts": {plain_host: {"tls_verify": false, "insecure": false}}});
    plain.settings(&only);
    plain.pull("", "app:1").failure(&["does not speak HTTPS"]);
}

fn a_plugin_from_a_server_that_is_not_verified_is_told() {
    let (_folder, pair) = Authority::self_signed_server(&[NAMES]);
    let scene = served(&pair);
    let host = scene.registry.host().to_owned();
    let install = || {
        let line = format!("plugin install https://{host}/a.wasm");
        checked(scene.env.msb(&line))
    };
    let run = install().failure(&["its certificate is not trusted"]);
    assert!(!run.stderr.contains("is not verified"), "{run:#?}");
    scene.settings(&json!({"hosts": {&host: {"tls_verify": false}}}));
    let note = format!("note: server {host} is not verified: ");
    install().failure(&["answered 404", &note]);
    // The same for one command.
    scene.settings(&json!({}));
    let line = format!("plugin install https://{host}/a.wasm --tls-verify=false");
    checked(scene.env.msb(&line)).failure(&["answered 404", &note]);
}

fn a_login_trusts_what_a_pull_trusts() {
    let (_folder, pair) = Authority::self_signed_server(&[NAMES]);
    let scene = served(&pair);
    let host = scene.registry.host();
    let login = |arguments: &str| {
        let line = format!("registry login {host} -u me --password-stdin --store file {arguments}");
        checked(scene.env.msb_with_input(&line, b"secret-pass\n"))
    };
    login("").failure(&[
        "its certificate is not trusted: it is self-signed",
        "--ca-certs",
    ]);
    let trusted = format!("--ca-certs {}", pair.certificate.display());
    login(&trusted).success();
    let run = login("--tls-verify=false").success();
    assert!(run.stderr.contains("is not verified"), "{run:#?}");
}

fn plain_http_to_a_registry_of_https_is_told_with_a_cure() {
    let (_folder, pair) = Authority::self_signed_server(&[NAMES]);
    let scene = served(&pair);
    let host = scene.registry.host().to_owned();
    let words = [
        "speaks HTTPS",
        "hint: leave out `--insecure`",
        "--tls-verify=false",
    ];
    scene.pull("--insecure", "app:1").failure(&words);
    scene.settings(&json!({"hosts": {&host: {"insecure": true}}}));
    scene.pull("", "app:1").failure(&words);
    // What is advised helps.
    scene.settings(&json!({}));
    let trusted = format!("--ca-certs {}", pair.certificate.display());
    scene.pull(&trusted, "app:1").failure(&[REACHED]);
    scene
        .pull("--tls-verify=false", "app:1")
        .failure(&[REACHED]);
}

fn a_registry_of_https_that_closes_what_is_plain_is_told_at_once() {
    let (_folder, pair) = Authority::self_signed_server(&[NAMES]);
    let scene = served(&pair);
    let target = scene.registry.host().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let target = target.clone();
            thread::spawn(move || pass_tls_alone(&client, &target));
        }
    });
    let env = TestEnv::new();
    settings(&env, &json!({}));
    let run = checked(env.msb(&format!("pull --insecure {address}/app:1")));
    let run = run.failure(&["speaks HTTPS", "hint: leave out `--insecure`"]);
    assert!(!run.stderr.contains("again"), "{run:#?}");
}

/// Passes on a connection that begins as TLS does, and ends every other one without a word.
fn pass_tls_alone(mut client: &TcpStream, target: &str) {
    let mut first = [0];
    if client.read_exact(&mut first).is_err() || first != [0x16] {
        return;
    }
    let mut server = TcpStream::connect(target).unwrap();
    if server.write_all(&first).is_err() {
        return;
    }
    let (asking, asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || copy(&asking, &asked));
    copy(&server, client);
}
