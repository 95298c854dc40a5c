//! Certificates of servers that cannot be taken, and what cures it.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{REACHED, served, with_ca};
use crate::authority::{Authority, Pair};
use crate::env::Run;
use crate::registry_scene::{checked, settings};
use crate::tests;

tests! {
    a_server_with_nothing_in_common_is_told_with_a_cure needs Openssl;
    a_key_that_is_too_short_is_told needs DockerRegistry, Openssl;
    a_certificate_for_clients_is_none_of_a_server needs DockerRegistry, Openssl;
    an_address_that_is_written_as_a_name_is_told_with_a_cure needs DockerRegistry, Openssl;
    a_certificate_of_the_future_is_replaced_as_advised needs DockerRegistry, Openssl;
    a_machine_without_authorities_is_told_with_a_cure needs DockerRegistry, Openssl;
}

/// A server of openssl; gone when dropped.
struct OpensslServer(std::process::Child);

impl Drop for OpensslServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Has openssl serve a certificate, and returns where.
fn openssl_serves(pair: &Pair, arguments: &[&str]) -> (OpensslServer, String) {
    use std::io::BufRead as _;
    let mut server = Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert"])
        .arg(&pair.certificate)
        .arg("-key")
        .arg(&pair.key)
        .args(arguments)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(server.stdout.take().unwrap()).lines();
    let address = lines
        .find_map(|line| Some(line.unwrap().strip_prefix("ACCEPT ")?.to_owned()))
        .unwrap();
    // What it prints is read to the end, so that it does not wait.
    std::thread::spawn(move || lines.for_each(drop));
    (OpensslServer(server), address)
}

const CURE: &str = "hint: have the registry offer TLS 1.3, or TLS 1.2 with ECDHE and AES-GCM or ChaCha20, \
                    and a certificate with a key of RSA, ECDSA or Ed25519";

fn a_server_with_nothing_in_common_is_told_with_a_cure() {
    let env = crate::env::TestEnv::new();
    settings(&env, &json!({"attempts": 1}));
    let pull = |pair: &Pair, arguments: &[&str]| {
        let (_server, address) = openssl_serves(pair, arguments);
        let file = pair.certificate.display();
        checked(env.msb(&format!("pull --ca-certs {file} {address}/app:1")))
    };
    let pss = "rsa-pss -pkeyopt rsa_keygen_bits:2048";
    let (_folder, pair) = Authority::server_with_key(pss);
    pull(&pair, &[]).failure(&["ended the TLS handshake", CURE]);
    // It speaks TLS 1.2, and in no way that is still thought safe.
    let (_folder, pair) = Authority::server_with_key("rsa:2048");
    let old = ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA:AES128-SHA"];
    pull(&pair, &old).failure(&["ended the TLS handshake", CURE]);
    // What is advised helps: it is reached then, and is no registry.
    let (_folder, pair) = Authority::server_with_key("rsa:2048");
    let run = pull(&pair, &["-tls1_2"]);
    assert!(!run.stderr.contains("handshake"), "{run:#?}");
    assert!(run.stderr.contains("web page"), "{run:#?}");
}

fn a_key_that_is_too_short_is_told() {
    let (_folder, pair) = Authority::server_with_key("rsa:1024");
    let scene = served(&pair);
    let run = with_ca(&scene, &pair.certificate);
    run.failure(&["shorter than 2048 bits", "hint: ", "--tls-verify=false"]);
    // What is advised helps.
    scene
        .pull("--tls-verify=false", "app:1")
        .failure(&[REACHED]);
}

fn a_certificate_for_clients_is_none_of_a_server() {
    let names = "subjectAltName=IP:127.0.0.1";
    let none = "basicConstraints=critical,CA:FALSE";
    for extensions in [
        &[names, "extendedKeyUsage=clientAuth"][..],
        &[names, none, "extendedKeyUsage=clientAuth"],
    ] {
        let (_folder, pair) = Authority::self_signed_server(extensions);
        let scene = served(&pair);
        with_ca(&scene, &pair.certificate).failure(&["is not meant for servers"]);
        scene
            .pull("--tls-verify=false", "app:1")
            .failure(&[REACHED]);
    }
}

fn an_address_that_is_written_as_a_name_is_told_with_a_cure() {
    let (_folder, pair) = Authority::self_signed_server(&["subjectAltName=DNS:127.0.0.1"]);
    let run = with_ca(&served(&pair), &pair.certificate);
    run.failure(&[
        "has `127.0.0.1` as the name of a host, and not as an address",
        "hint: ",
        "-addext subjectAltName=IP:127.0.0.1",
    ]);
    // What is advised helps.
    let (_folder, pair) = Authority::self_signed_server(&["subjectAltName=IP:127.0.0.1"]);
    with_ca(&served(&pair), &pair.certificate).failure(&[REACHED]);
}

fn a_certificate_of_the_future_is_replaced_as_advised() {
    let authority = Authority::new();
    let scene = served(&authority.server_of_the_future());
    let run = with_ca(&scene, &authority.file());
    run.failure(&[
        "is not valid before 2090-01-01",
        "hint: check the clock of this machine; if it is right, the certificate has to be replaced",
    ]);
    // What is advised helps.
    with_ca(&served(&authority.server()), &authority.file()).failure(&[REACHED]);
}

fn a_machine_without_authorities_is_told_with_a_cure() {
    let authority = Authority::new();
    let scene = served(&authority.server());
    let none = scene.env.write("none.pem", b"");
    let pull = |file: &Path| {
        let mut command = scene.env.command(["pull", &scene.name("app:1")]);
        checked(Run::of(command.env("SSL_CERT_FILE", file)))
    };
    pull(&none).failure(&["no certificates of authorities", "hint: ", "SSL_CERT_FILE"]);
    // What is advised helps.
    pull(&authority.file()).failure(&[REACHED]);
}
