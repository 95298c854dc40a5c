//! The forms that files of certificates and keys have, and what is wrong with some.

mod clients;
mod refused;

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::authority::{Authority, Pair, openssl};
use crate::docker_registry::Setup;
use crate::env::Run;
use crate::registry_scene::{Scene, checked, put};
use crate::tests;

tests! {
    a_damaged_certificate_spoils_no_other_of_its_file needs DockerRegistry, Openssl;
    certificates_are_read_in_the_forms_that_programs_write needs DockerRegistry, Openssl;
    certificates_in_another_container_are_told_with_a_cure needs DockerRegistry, Openssl;
    every_kind_of_key_is_taken needs DockerRegistry, Openssl;
    a_certificate_that_may_issue_none_is_trusted_for_itself_alone needs DockerRegistry, Openssl;
    a_token_service_is_trusted_by_what_is_set_for_its_own_host needs DockerRegistry, Openssl;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), clients::tests(), refused::tests()];
    tests.into_iter().flatten().collect()
}

/// What a pull says that has reached a registry in which nothing is.
const REACHED: &str = "not found";

fn served(pair: &Pair) -> Scene {
    Scene::with(&Setup {
        tls: Some(pair),
        ..Setup::default()
    })
}

fn with_ca(scene: &Scene, file: &Path) -> Run {
    scene.pull(&format!("--ca-certs {}", file.display()), "app:1")
}

/// Has openssl print something.
fn printed(folder: &Path, line: &str) -> Vec<u8> {
    let mut command = Command::new("openssl");
    let output = command.current_dir(folder).args(line.split(' ')).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

fn utf16(text: &str) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xfe];
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    bytes
}

fn after_mark(bytes: &[u8]) -> Vec<u8> {
    [&b"\xef\xbb\xbf"[..], bytes].concat()
}

fn a_damaged_certificate_spoils_no_other_of_its_file() {
    let authority = Authority::new();
    let scene = served(&authority.server());
    let good = std::fs::read_to_string(authority.file()).unwrap();
    let cut: String = good.chars().take(400).collect();
    let no_base64 = "-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n";
    let none = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, number) in [
        (format!("{cut}\n{good}"), 1),
        (format!("{good}{cut}"), 2),
        (format!("{no_base64}{good}"), 1),
        (format!("{good}{none}"), 2),
    ] {
        let file = scene.env.write("bundle.pem", text.as_bytes());
        let word = format!("note: certificate {number} of `{}`", file.display());
        let run = with_ca(&scene, &file).failure(&[REACHED, &word, "was skipped"]);
        assert_eq!(run.stderr.matches("skipped").count(), 1, "{run:#?}");
        // Wherever such a file is named.
        let host = scene.registry.host();
        for settings in [
            json!({"ca_certs": &file}),
            json!({"hosts": {host: {"ca_certs": &file}}}),
        ] {
            scene.settings(&settings);
            scene.pull("", "app:1").failure(&[REACHED, &word]);
        }
        scene.settings(&json!({}));
        let certs_d = format!("user-home/.config/containers/certs.d/{host}/ca.crt");
        let certs_d = scene.env.path(&certs_d);
        put(&certs_d, text.as_bytes());
        let run = scene.pull("", "app:1");
        run.failure(&[REACHED, "in certs.d was skipped"]);
        std::fs::remove_file(certs_d).unwrap();
    }
    let host = scene.registry.host();
    let folder = scene
        .env
        .path(&format!("user-home/.config/containers/certs.d/{host}"));
    put(&folder.join("own.crt"), good.as_bytes());
    std::os::unix::fs::symlink("/nowhere/ca.pem", folder.join("left.crt")).unwrap();
    scene.pull("", "app:1").failure(&[
        REACHED,
        "left.crt` in certs.d leads to no file and was skipped",
    ]);
    std::fs::remove_file(folder.join("left.crt")).unwrap();
    // A file that is there and cannot be read is an error.
    std::fs::create_dir(folder.join("left.crt")).unwrap();
    scene.pull("", "app:1").failure(&[
        "could not read `",
        "left.crt` in certs.d",
        "hint: make it a file that you may read, or take it out of the directory",
    ]);
    std::fs::remove_dir_all(folder).unwrap();
    // Where nothing is left, the file is at fault.
    let file = scene
        .env
        .write("bundle.pem", no_base64.repeat(2).as_bytes());
    with_ca(&scene, &file).failure(&["cannot be used", "certificate 1 of it is damaged"]);
}

fn certificates_are_read_in_the_forms_that_programs_write() {
    let authority = Authority::new();
    let scene = served(&authority.server());
    let good = std::fs::read_to_string(authority.file()).unwrap();
    let folder = authority.folder();
    for bytes in [
        good.replace('\n', "\r\n").into_bytes(),
        after_mark(good.as_bytes()),
        utf16(&good),
        printed(folder, "x509 -in ca.pem -outform DER"),
        printed(folder, "x509 -in ca.pem -text"),
        printed(folder, "x509 -in ca.pem -trustout -addtrust serverAuth"),
        good.replace("CERTIFICATE", "X509 CERTIFICATE").into_bytes(),
        // Files that were joined, the first of which had no line end.
        format!(
            "{}{good}",
            std::fs::read_to_string(Authority::new().file())
                .unwrap()
                .trim_end()
        )
        .into_bytes(),
    ] {
        let file = scene.env.write("form.pem", &bytes);
        let run = with_ca(&scene, &file).failure(&[REACHED]);
        assert!(!run.stderr.contains("skipped"), "{run:#?}");
    }
}

fn certificates_in_another_container_are_told_with_a_cure() {
    let authority = Authority::new();
    let scene = served(&authority.server());
    let folder = authority.folder();
    for (make, words, cure) in [
        (
            "crl2pkcs7 -nocrl -certfile ca.pem -out container",
            "PKCS #7",
            "pkcs7 -print_certs -in container -out ca-2.pem",
        ),
        (
            "crl2pkcs7 -nocrl -certfile ca.pem -outform DER -out container",
            "PKCS #7",
            "pkcs7 -print_certs -inform DER -in container -out ca-2.pem",
        ),
        (
            "pkcs12 -export -nokeys -in ca.pem -passout pass: -out container",
            "PKCS #12",
            "pkcs12 -nodes -passin pass: -in container -out ca-2.pem",
        ),
    ] {
        openssl(folder, make, &[]);
        let run = with_ca(&scene, &folder.join("container"));
        let run = run.failure(&["cannot be used", words, "hint: ", "openssl pkcs"]);
        assert!(run.stderr.contains(&cure[..6]), "{run:#?}");
        // What is advised helps.
        openssl(folder, cure, &[]);
        with_ca(&scene, &folder.join("ca-2.pem")).failure(&[REACHED]);
    }
}

fn every_kind_of_key_is_taken() {
    for kind in [
        "rsa:2048",
        "rsa:4096",
        "ec -pkeyopt ec_paramgen_curve:prime256v1",
        "ec -pkeyopt ec_paramgen_curve:secp384r1",
        "ec -pkeyopt ec_paramgen_curve:secp521r1",
        "ed25519",
    ] {
        let (_folder, pair) = Authority::server_with_key(kind);
        let scene = served(&pair);
        let run = with_ca(&scene, &pair.certificate);
        assert!(run.stderr.contains(REACHED), "{kind}: {run:#?}");
    }
}

fn a_certificate_that_may_issue_none_is_trusted_for_itself_alone() {
    let authority = Authority::new();
    let first = authority.server();
    let folder = authority.folder();
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl(
        folder,
        "req -newkey rsa:2048 -nodes -subj /CN=second -keyout second.key -out second.csr",
        &[],
    );
    openssl(
        folder,
        "x509 -req -in second.csr -CA server.pem -CAkey server.key -CAcreateserial -days 30 \
         -extfile names -out second.pem",
        &[],
    );
    let second = Pair {
        certificate: folder.join("second.pem"),
        key: folder.join("second.key"),
    };
    with_ca(&served(&first), &first.certificate).failure(&[REACHED]);
    with_ca(&served(&second), &first.certificate).failure(&["its certificate is not trusted"]);
    with_ca(&served(&second), &second.certificate).failure(&[REACHED]);
    // As `openssl req -x509` makes one: an authority by its mark, and not by what its key is for.
    let usage = "keyUsage=critical,digitalSignature,keyEncipherment";
    let names = "subjectAltName=IP:127.0.0.1";
    let (folder, first) = Authority::self_signed_server(&[names, usage]);
    let folder = folder.path();
    std::fs::write(folder.join("names"), names).unwrap();
    for line in [
        "req -newkey rsa:2048 -nodes -subj /CN=second -keyout second.key -out second.csr",
        "x509 -req -in second.csr -CA domain.crt -CAkey domain.key -CAcreateserial -days 30 \
         -extfile names -out second.pem",
    ] {
        openssl(folder, line, &[]);
    }
    let second = Pair {
        certificate: folder.join("second.pem"),
        key: folder.join("second.key"),
    };
    with_ca(&served(&first), &first.certificate).failure(&[REACHED]);
    with_ca(&served(&second), &first.certificate).failure(&["its certificate is not trusted"]);
}

fn a_token_service_is_trusted_by_what_is_set_for_its_own_host() {
    let authority = Authority::new();
    let service = served(&authority.server());
    let (_, port) = service.registry.host().split_once(':').unwrap();
    let host = format!("localhost:{port}");
    let registry = crate::faulty::Registry::start();
    registry.challenge(
        &[&format!(
            r#"Bearer realm="https://{host}/token",service="tests""#
        )],
        None,
    );
    let scene = Scene::new();
    let line = format!("pull {}/app:1", registry.host());
    let pull = || checked(scene.env.msb(&line));
    pull().failure(&[&host, "its certificate is not trusted"]);
    // It has no tokens, which is what one learns who has reached it.
    let reached = ["it answers 404", &host];
    scene.settings(&json!({"hosts": {&host: {"ca_certs": authority.file()}}}));
    pull().failure(&reached);
    scene.settings(&json!({"hosts": {&host: {"tls_verify": false}}}));
    let word = format!("note: server {host} is not verified");
    pull().failure(&[reached[0], &word]);
    scene.settings(&json!({"hosts": {registry.host(): {"ca_certs": authority.file()}}}));
    pull().failure(&reached);
    scene.settings(&json!({"hosts": {registry.host(): {"tls_verify": false}}}));
    pull().failure(&["its certificate is not trusted"]);
    scene.settings(&json!({}));
    let certs_d = format!("user-home/.config/containers/certs.d/{host}/ca.crt");
    let ca = std::fs::read(authority.file()).unwrap();
    put(&scene.env.path(&certs_d), &ca);
    pull().failure(&reached);
}
