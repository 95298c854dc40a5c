//! Registries that prove who they are with a certificate, and those that require one of the client.

use std::path::Path;

use serde_json::{Value, json};

use crate::authority::{Authority, Pair};
use crate::docker_registry::Setup;
use crate::registry_scene::{Scene, assert_whole, put, sample};
use crate::tests;

tests! {
    a_certificate_of_an_unknown_authority_is_refused_with_advice needs DockerRegistry, Openssl;
    ca_certs_on_the_command_line_make_it_known needs DockerRegistry, Openssl, Skopeo;
    ca_certs_in_the_settings_make_it_known needs DockerRegistry, Openssl, Skopeo;
    a_certs_d_of_other_tools_makes_it_known needs DockerRegistry, Openssl, Skopeo;
    ca_certs_that_are_missing_or_no_certificates_end_the_pull_at_once;
    a_certificate_for_another_name_is_refused needs DockerRegistry, Openssl;
    a_certificate_that_has_expired_is_refused needs DockerRegistry, Openssl;
    a_registry_that_wants_a_certificate_gets_it needs DockerRegistry, Openssl, Skopeo;
    a_registry_that_wants_a_certificate_and_gets_none_is_told needs DockerRegistry, Openssl;
    a_client_certificate_in_certs_d_is_shown needs DockerRegistry, Openssl, Skopeo;
}

fn secured(authority: &Authority) -> Scene {
    let server = authority.server();
    Scene::with(&Setup {
        tls: Some(&server),
        ..Setup::default()
    })
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

/// Fills a registry with the image `app:1`, as a client that it trusts.
fn fill(scene: &Scene, authority: &Authority, client: Option<&Pair>) {
    let folder = scene.env.path("skopeo-certs");
    put(
        &folder.join("ca.crt"),
        &std::fs::read(authority.file()).unwrap(),
    );
    if let Some(pair) = client {
        copy_pair(pair, &folder);
    }
    let mut image = sample();
    image.name = Some("docker.io/library/pushed:1".to_owned());
    let layout = scene.env.write("pushed.tar", &image.oci());
    let mut skopeo = scene.registry.skopeo("copy");
    skopeo
        .args(["--quiet", "--preserve-digests", "--dest-cert-dir"])
        .arg(&folder)
        .arg(format!("oci-archive:{}", layout.display()))
        .arg(format!("docker://{}", scene.name("app:1")));
    crate::tools::run(&mut skopeo);
}

fn copy_pair(pair: &Pair, folder: &Path) {
    put(
        &folder.join("client.cert"),
        &std::fs::read(&pair.certificate).unwrap(),
    );
    put(
        &folder.join("client.key"),
        &std::fs::read(&pair.key).unwrap(),
    );
}

/// Returns the folder in which other tools look for certificates of the registry.
fn certs_d(scene: &Scene) -> std::path::PathBuf {
    let folder = format!(
        "user-home/.config/containers/certs.d/{}",
        scene.registry.host()
    );
    scene.env.path(&folder)
}

fn host_settings(scene: &Scene, host: &Value) {
    scene.settings(&json!({"hosts": {scene.registry.host(): host}}));
}

fn a_certificate_of_an_unknown_authority_is_refused_with_advice() {
    let authority = Authority::new();
    let scene = secured(&authority);
    let run = scene.pull("", "app:1");
    run.failure(&[scene.registry.host(), "certificate", "hint: ", "--ca-certs"]);
    // Another authority is no better.
    let other = Authority::new().file();
    let arguments = format!("--ca-certs {}", other.display());
    scene.pull(&arguments, "app:1").failure(&["--ca-certs"]);
    scene.env.assert_clean();
}

fn ca_certs_on_the_command_line_make_it_known() {
    let authority = Authority::new();
    let scene = secured(&authority);
    fill(&scene, &authority, None);
    let arguments = format!("--ca-certs {}", authority.file().display());
    scene.pull(&arguments, "app:1").success();
    assert_whole(&scene.env);
}

fn ca_certs_in_the_settings_make_it_known() {
    let authority = Authority::new();
    let file = authority.file();
    let scene = secured(&authority);
    fill(&scene, &authority, None);
    scene.settings(&json!({"ca_certs": file}));
    scene.pulls("app:1");
    scene.env.msb("image prune -y").success();
    host_settings(&scene, &json!({"ca_certs": [file]}));
    scene.pulls("app:1");
    scene.env.msb("image prune -y").success();
    // That of another host does not count.
    scene.settings(&json!({"hosts": {"localhost:1": {"ca_certs": file}}}));
    scene.pull("", "app:1").failure(&["--ca-certs"]);
}

fn a_certs_d_of_other_tools_makes_it_known() {
    let authority = Authority::new();
    let scene = secured(&authority);
    fill(&scene, &authority, None);
    let ca = std::fs::read(authority.file()).unwrap();
    put(&certs_d(&scene).join("ca.crt"), &ca);
    scene.pulls("app:1");
}

fn ca_certs_that_are_missing_or_no_certificates_end_the_pull_at_once() {
    let env = crate::env::TestEnv::new();
    env.write("empty.pem", b"");
    env.write("text.pem", b"no certificate\n");
    for file in ["missing.pem", "empty.pem", "text.pem"] {
        // Nobody is there to be asked.
        let run = env.msb(&format!("pull --ca-certs {file} 127.0.0.1:1/app:1"));
        let run = run.failure(&[file]);
        assert!(!run.stderr.contains("refused"), "{run:#?}");
    }
}

fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let server = authority.server_called("registry.example");
    let scene = Scene::with(&Setup {
        tls: Some(&server),
        ..Setup::default()
    });
    scene.settings(&json!({"ca_certs": authority.file()}));
    let run = scene.pull("", "app:1");
    run.failure(&[scene.registry.host(), "certificate", "name"]);
}

fn a_certificate_that_has_expired_is_refused() {
    let authority = Authority::new();
    let server = authority.expired_server();
    let scene = Scene::with(&Setup {
        tls: Some(&server),
        ..Setup::default()
    });
    scene.settings(&json!({"ca_certs": authority.file()}));
    let run = scene.pull("", "app:1");
    run.failure(&[scene.registry.host(), "certificate", "expired"]);
}

fn a_registry_that_wants_a_certificate_gets_it() {
    let authority = Authority::new();
    let client = authority.client();
    let scene = mutual(&authority);
    fill(&scene, &authority, Some(&client));
    host_settings(
        &scene,
        &json!({
            "ca_certs": authority.file(),
            "client_cert": client.certificate,
            "client_key": client.key,
        }),
    );
    scene.pulls("app:1");
}

fn a_registry_that_wants_a_certificate_and_gets_none_is_told() {
    let authority = Authority::new();
    let scene = mutual(&authority);
    scene.settings(&json!({"ca_certs": authority.file(), "attempts": 2}));
    let advised = "hint: name the certificate that you have for this registry, and its key, in \
                   config.json: ";
    let run = scene.pull("", "app:1");
    run.failure(&[scene.registry.host(), "certificate", advised]);
    // One of an authority that the registry does not know is no better.
    let others = Authority::new();
    let stranger = others.client();
    host_settings(
        &scene,
        &json!({
            "ca_certs": authority.file(),
            "client_cert": stranger.certificate,
            "client_key": stranger.key,
        }),
    );
    scene.pull("", "app:1").failure(&["certificate", advised]);
    scene.env.assert_clean();
}

fn a_client_certificate_in_certs_d_is_shown() {
    let authority = Authority::new();
    let client = authority.client();
    let scene = mutual(&authority);
    fill(&scene, &authority, Some(&client));
    let folder = certs_d(&scene);
    put(
        &folder.join("ca.crt"),
        &std::fs::read(authority.file()).unwrap(),
    );
    copy_pair(&client, &folder);
    scene.pulls("app:1");
}
