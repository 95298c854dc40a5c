//! Logins of other tools, and helpers: msb pulls with them, without a word of configuration.

mod helpers;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::archive::{Image, gzip};
use crate::docker_registry::DockerRegistry;
use crate::env::{Run, TestEnv};
use crate::tests;

tests! {
    a_login_of_docker_is_pulled_with needs DockerRegistry, Htpasswd, Skopeo, DockerCli;
    a_login_of_podman_is_pulled_with needs DockerRegistry, Htpasswd, Skopeo, Podman;
    a_login_of_skopeo_is_pulled_with needs DockerRegistry, Htpasswd, Skopeo;
    a_login_of_docker_that_has_expired_is_no_bar_to_a_public_image;
    files_of_docker_that_are_broken_are_skipped;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), helpers::tests()];
    tests.into_iter().flatten().collect()
}

const USER: &str = "me";

const PASSWORD: &str = "secret-pass";

/// A registry that lets in [`USER`] alone, and a home where tools log in.
struct House {
    env: TestEnv,
    registry: DockerRegistry,
}

impl House {
    fn new() -> Self {
        let env = TestEnv::new();
        let registry = DockerRegistry::with_password(USER, PASSWORD);
        let image = Image::new("", &["etc/\netc/hosts = here"]).compressed(gzip);
        registry.push_as(USER, PASSWORD, "app:1", &image);
        for folder in ["user-home", "run", "docker-config", "bin"] {
            std::fs::create_dir_all(env.path(folder)).unwrap();
        }
        Self { env, registry }
    }

    /// Returns a program that lives in the house.
    fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_remove("DOCKER_CONFIG")
            .env_remove("REGISTRY_AUTH_FILE")
            .env("HOME", self.env.path("user-home"))
            .env("XDG_RUNTIME_DIR", self.env.path("run"));
        command
    }

    /// Has a tool log in, with the password on its standard input.
    fn log_in(&self, command: &mut Command) {
        let mut child = command
            .args(["-u", USER, "--password-stdin", self.registry.host()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(PASSWORD.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn pull(&self, change: impl FnOnce(&mut Command)) -> Run {
        let name = format!("{}/app:1", self.registry.host());
        let mut command = self.env.command(["--debug", "pull", "--force", &name]);
        command
            .env_remove("DOCKER_CONFIG")
            .env("XDG_RUNTIME_DIR", self.env.path("run"))
            .env("PATH", self.path());
        change(&mut command);
        let run = Run::of(&mut command);
        super::assert_no_secret(&run);
        run
    }

    fn path(&self) -> String {
        let path = std::env::var("PATH").unwrap();
        format!("{}:{path}", self.env.path("bin").display())
    }

    /// Writes a helper as a script.
    fn helper(&self, name: &str, script: &str) {
        helper(&self.env, name, script);
    }

    /// Writes Docker's file.
    fn docker(&self, config: &serde_json::Value) {
        let folder = self.env.path("user-home/.docker");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    }
}

fn helper(env: &TestEnv, name: &str, script: &str) -> PathBuf {
    let folder = env.path("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("docker-credential-{name}"));
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    file
}

fn a_login_of_docker_is_pulled_with() {
    let house = House::new();
    house.pull(|_| {}).failure(&["msb registry login"]);
    // Without any file it would take the first helper that it finds.
    house.docker(&json!({"auths": {"other.example": {}}}));
    house.log_in(house.program("docker").arg("login"));
    house.pull(|_| {}).success();
    house.pull(|_| {}).success();
}

fn a_login_of_podman_is_pulled_with() {
    let house = House::new();
    house.log_in(
        house
            .program("podman")
            .args(["login", "--tls-verify=false"]),
    );
    house.pull(|_| {}).success();
}

fn a_login_of_skopeo_is_pulled_with() {
    let house = House::new();
    house.log_in(
        house
            .program("skopeo")
            .args(["login", "--tls-verify=false"]),
    );
    let run = house.pull(|_| {}).success();
    assert!(
        run.stderr.contains("`docker-config`: a password of me"),
        "{run:#?}"
    );
}

/// A registry that accepts every client, and a token service that remembers the names.
fn open() -> (TestEnv, crate::faulty::Registry, String) {
    let registry = crate::faulty::Registry::start();
    registry.require_token(&registry);
    registry.put_image("app", "1", &Image::new("", &["a = 1"]));
    let name = format!("{}/app:1", registry.host());
    (TestEnv::new(), registry, name)
}

fn docker_file(env: &TestEnv, bytes: &[u8]) {
    let folder = env.path("docker-config");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.json"), bytes).unwrap();
}

fn a_login_of_docker_that_has_expired_is_no_bar_to_a_public_image() {
    let (env, registry, name) = open();
    let fault = std::sync::Arc::new(
        |request: &crate::faulty::http::Request, answer: crate::faulty::http::Answer| match request
            .header("authorization")
        {
            Some(_) => crate::faulty::http::Answer::error(403, "DENIED", "denied"),
            None => answer,
        },
    );
    registry.fault(
        crate::faulty::route::On::Token,
        crate::faulty::ALWAYS,
        fault,
    );
    // me:secret-pass
    let auths = json!({"auths": {registry.host(): {"auth": "bWU6c2VjcmV0LXBhc3M="}}});
    docker_file(&env, auths.to_string().as_bytes());
    let run = env.msb(&format!("pull {name}")).success();
    for words in [
        "note: ",
        "`docker-config`",
        &format!("msb registry login {}", registry.host()),
    ] {
        assert!(run.stderr.contains(words), "{words}: {run:#?}");
    }
}

fn files_of_docker_that_are_broken_are_skipped() {
    let (env, _registry, name) = open();
    for bytes in [
        &b"{"[..],
        b"[]",
        b"{\"auths\": 5}",
        b"\xff\xfe",
        b"{\"auths\": {\"127.0.0.1\": {\"auth\": \"%%%\"}}}",
    ] {
        docker_file(&env, bytes);
        env.msb(&format!("pull --force {name}")).success();
    }
}
