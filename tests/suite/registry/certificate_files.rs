//! The forms that files of certificates and keys have, and what is wrong with some.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::authority::{Authority, Pair, openssl};
use crate::docker_registry::Setup;
use crate::env::Run;
use crate::registry_scene::{Scene, checked, put, settings};
use crate::tests;

tests! {
    a_damaged_certificate_spoils_no_other_of_its_file needs DockerRegistry, Openssl;
    certificates_are_read_in_the_forms_that_programs_write needs DockerRegistry, Openssl;
    certificates_in_another_container_are_told_with_a_cure needs DockerRegistry, Openssl;
    every_kind_of_key_is_taken needs DockerRegistry, Openssl;
    a_server_with_nothing_in_common_is_told_with_a_cure needs Openssl;
    a_key_that_is_too_short_is_told needs DockerRegistry, Openssl;
    a_certificate_that_may_issue_none_is_trusted_for_itself_alone needs DockerRegistry, Openssl;
    a_certificate_for_clients_is_none_of_a_server needs DockerRegistry, Openssl;
    an_address_that_is_written_as_a_name_is_told_with_a_cure needs DockerRegistry, Openssl;
    a_certificate_of_the_future_is_replaced_as_advised needs DockerRegistry, Openssl;
    a_machine_without_authorities_is_told_with_a_cure needs DockerRegistry, Openssl;
    a_token_service_is_trusted_by_what_is_set_for_its_own_host needs DockerRegistry, Openssl;
    client_certificates_are_read_in_the_forms_that_programs_write needs DockerRegistry, Openssl;
    a_client_key_with_a_passphrase_is_told_with_a_cure needs DockerRegistry, Openssl;
    a_client_certificate_that_is_not_the_first_is_told_with_a_cure needs DockerRegistry, Openssl;
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
        run.failure(&[REACHED, "which certs.d names, was skipped"]);
        std::fs::remove_file(certs_d).unwrap();
    }
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
    pull(&pair, &[]).failure(&[
        "ended the TLS handshake",
        "hint: msb speaks TLS 1.2 and 1.3, to certificates with keys of RSA, ECDSA or Ed25519",
    ]);
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
}
