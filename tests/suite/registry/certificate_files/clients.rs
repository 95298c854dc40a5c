//! Files with certificates and keys of clients.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{REACHED, after_mark, printed, utf16};
use crate::authority::{Authority, openssl};
use crate::docker_registry::Setup;
use crate::env::Run;
use crate::registry_scene::Scene;
use crate::tests;

tests! {
    client_certificates_are_read_in_the_forms_that_programs_write needs DockerRegistry, Openssl;
    a_client_key_with_a_passphrase_is_told_with_a_cure needs DockerRegistry, Openssl;
    a_client_certificate_that_is_not_the_first_is_told_with_a_cure needs DockerRegistry, Openssl;
}

/// A registry that lets in who has a certificate of the authority.
fn mutual(authority: &Authority) -> Scene {
    let (server, ca) = (authority.server(), authority.file());
    Scene::with(&Setup {
        tls: Some(&server),
        client_ca: Some(&ca),
        ..Setup::default()
    })
}

/// Pulls with a client certificate and its key.
fn shown(scene: &Scene, authority: &Authority, certificate: &Path, key: &Path) -> Run {
    let host = json!({
        "ca_certs": authority.file(),
        "client_cert": certificate,
        "client_key": key,
    });
    scene.settings(&json!({"hosts": {scene.registry.host(): host}}));
    scene.pull("", "app:1")
}

/// Issues a certificate for a client whose key is of a kind: its file, and that of the key.
fn client(authority: &Authority, kind: &str) -> (PathBuf, PathBuf) {
    let folder = authority.folder();
    openssl(
        folder,
        &format!("req -newkey {kind} -nodes -subj /CN=kind -keyout kind.key -out kind.csr"),
        &[],
    );
    openssl(
        folder,
        "x509 -req -in kind.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out kind.pem",
        &[],
    );
    (folder.join("kind.pem"), folder.join("kind.key"))
}

fn client_certificates_are_read_in_the_forms_that_programs_write() {
    let authority = Authority::new();
    let scene = mutual(&authority);
    let folder = authority.folder();
    let rsa = "rsa:2048";
    let ec = "ec -pkeyopt ec_paramgen_curve:prime256v1";
    for (kind, form) in [
        (rsa, "pkey -in kind.key"),
        (rsa, "rsa -in kind.key -traditional"),
        (rsa, "rsa -in kind.key -traditional -outform DER"),
        (rsa, "pkey -in kind.key -outform DER"),
        (rsa, "pkey -in kind.key -text"),
        (ec, "pkey -in kind.key"),
        (ec, "ec -in kind.key"),
        (ec, "ec -in kind.key -outform DER"),
        ("ec -pkeyopt ec_paramgen_curve:secp384r1", "ec -in kind.key"),
        ("ec -pkeyopt ec_paramgen_curve:secp521r1", "ec -in kind.key"),
        (
            "ec -pkeyopt ec_paramgen_curve:secp521r1",
            "pkey -in kind.key",
        ),
        ("ed25519", "pkey -in kind.key"),
    ] {
        let (certificate, _) = client(&authority, kind);
        let key = scene.env.write("form.key", &printed(folder, form));
        let run = shown(&scene, &authority, &certificate, &key);
        assert!(run.stderr.contains(REACHED), "{kind}, {form}: {run:#?}");
    }
    let (certificate, key) = client(&authority, ec);
    let read = |file: &Path| std::fs::read_to_string(file).unwrap();
    let (certificate, key) = (read(&certificate), read(&key));
    let parameters = printed(folder, "ecparam -name prime256v1");
    for (certificate, key) in [
        (
            after_mark(certificate.as_bytes()),
            after_mark(key.as_bytes()),
        ),
        (
            certificate.replace('\n', "\r\n").into(),
            key.replace('\n', "\r\n").into(),
        ),
        (utf16(&certificate), utf16(&key)),
        (
            certificate.clone().into(),
            [&parameters, key.as_bytes()].concat(),
        ),
        (
            certificate.clone().into(),
            format!("{certificate}{key}").into(),
        ),
    ] {
        let certificate = scene.env.write("form.pem", &certificate);
        let key = scene.env.write("form.key", &key);
        shown(&scene, &authority, &certificate, &key).failure(&[REACHED]);
    }
}

fn a_client_key_with_a_passphrase_is_told_with_a_cure() {
    let authority = Authority::new();
    let scene = mutual(&authority);
    let folder = authority.folder();
    let (certificate, _) = client(&authority, "rsa:2048");
    for kind in ["", " -traditional"] {
        let line = format!("rsa -in kind.key -aes128 -passout pass:x -out locked.key{kind}");
        openssl(folder, &line, &[]);
        let run = shown(&scene, &authority, &certificate, &folder.join("locked.key"));
        run.failure(&[
            "encrypted with a passphrase",
            "hint: ",
            "openssl pkey -in KEY -out FILE",
        ]);
        // What is advised helps.
        openssl(
            folder,
            "pkey -in locked.key -passin pass:x -out open.key",
            &[],
        );
        let run = shown(&scene, &authority, &certificate, &folder.join("open.key"));
        run.failure(&[REACHED]);
    }
}

fn a_client_certificate_that_is_not_the_first_is_told_with_a_cure() {
    let authority = Authority::new();
    let scene = mutual(&authority);
    let (certificate, key) = client(&authority, "rsa:2048");
    let own = std::fs::read(&certificate).unwrap();
    let ca = std::fs::read(authority.file()).unwrap();
    let wrong = scene
        .env
        .write("chain.pem", &[ca.clone(), own.clone()].concat());
    let run = shown(&scene, &authority, &wrong, &key);
    run.failure(&[
        "cannot be used together",
        "hint: ",
        "its own has to be the first",
    ]);
    // What is advised helps.
    let right = scene.env.write("chain.pem", &[own, ca].concat());
    shown(&scene, &authority, &right, &key).failure(&[REACHED]);
    // It is another matter than a key that signs nothing.
    let (odd, odd_key) = client(&authority, "ed448");
    let run = shown(&scene, &authority, &odd, &odd_key);
    let run = run.failure(&[
        "its private key is of a kind that cannot be used",
        "hint: have a certificate issued for a key of RSA, ECDSA or Ed25519",
    ]);
    assert!(!run.stderr.contains("to be the first"), "{run:#?}");
}
