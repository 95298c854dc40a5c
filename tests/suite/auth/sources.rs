//! The order of sources, each with credentials of its own, taken away one by one; and the credential
//! store of the system in all its states.

mod keychain_states;

use msb_host::credential::RegistryAuth;
use msb_host::image::PullOptions;
use serde_json::json;

use super::Scene;
use super::keychain::Keychain;
use super::provider::Known;
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::faulty::route::On;
use crate::tests;

tests! {
    five_stages_answer_one_after_the_other;
    the_stages_of_the_binary_answer_one_after_the_other needs SecretService;
    a_login_is_kept_pulled_with_listed_and_forgotten_by_the_system needs SecretService;
    a_login_that_microsandbox_has_kept_is_found needs SecretService;
    a_variable_that_is_named_and_not_set_ends_the_pull;
    a_file_that_is_named_and_not_there_ends_the_pull;
    what_is_set_for_another_registry_is_no_matter;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), keychain_states::tests()];
    tests.into_iter().flatten().collect()
}

/// A registry whose token service accepts every password and remembers the names.
struct Stage {
    env: TestEnv,
    registry: Registry,
}

impl Stage {
    fn new() -> Self {
        let registry = Registry::start();
        registry.require_token(&registry);
        let image = crate::archive::Image::new("", &["etc/\netc/hosts = here"]);
        registry.put_image("app", "1", &image);
        let env = TestEnv::new();
        std::fs::create_dir_all(env.home()).unwrap();
        Self { env, registry }
    }

    fn host(&self) -> String {
        self.registry.host()
    }

    fn settings(&self, auth: &serde_json::Value) {
        let text = json!({"registries": {"retry_delay_ms": 10, "auth": auth}}).to_string();
        self.env.write_settings(text);
    }

    fn run(
        &self,
        line: &str,
        input: &[u8],
        change: impl FnOnce(&mut std::process::Command),
    ) -> Run {
        use std::io::Write as _;
        let mut command = self.env.command(line.split_whitespace());
        change(&mut command);
        command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let run = Run::from(child.wait_with_output().unwrap());
        super::assert_no_secret(&run);
        run
    }

    fn pull(&self, change: impl FnOnce(&mut std::process::Command)) -> Run {
        let line = format!("--debug pull --force {}/app:1", self.host());
        self.run(&line, b"", change)
    }

    /// Returns who has asked for the last token.
    fn who(&self) -> String {
        let asked = self.registry.asked(&On::Token);
        let path = &asked.last().unwrap().path;
        let account = path.split("account=").nth(1).unwrap_or("nobody");
        account.split('&').next().unwrap().to_owned()
    }
}

fn five_stages_answer_one_after_the_other() {
    let names = ["keychain", "env", "third-party", "docker-config"];
    for left in 0..=names.len() {
        let scene = Scene::guarded();
        let providers: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(number, name)| {
                if number < left {
                    Known::empty(name)
                } else {
                    Known::having(name, RegistryAuth::basic(*name, "secret-pass"))
                }
            })
            .collect();
        let options = super::with_settings(
            &providers,
            &format!(
                r#"{{"auth": {{"{}": {{"username": "u", "password_env": "X"}}}}}}"#,
                scene.registry.host()
            ),
            left < 2,
        );
        let given = PullOptions {
            chain: std::sync::Arc::clone(&options.chain),
            force: true,
            ..PullOptions::default().registry_auth(RegistryAuth::basic("given", "secret-g"))
        };
        let account = || {
            let asked = scene.registry.asked(&On::Token);
            let path = asked.last().unwrap().path.clone();
            let account = path.split("account=").nth(1).unwrap_or("nobody").to_owned();
            account.split('&').next().unwrap().to_owned()
        };
        scene.pull("app", &given).unwrap();
        assert_eq!(account(), "given");
        scene.pull("other", &options).unwrap();
        assert_eq!(account(), names.get(left).copied().unwrap_or("nobody"));
    }
}

fn the_stages_of_the_binary_answer_one_after_the_other() {
    let stage = Stage::new();
    let host = stage.host();
    let keychain = Keychain::unlocked();
    keychain.keep(&host, r#"{"username":"of-keychain","password":"secret-k"}"#);
    stage.settings(&json!({&host: {"username": "of-variable", "password_env": "MSB_TEST_TOKEN"}}));
    // of-docker:secret-d
    let auths = json!({"auths": {&host: {"auth": "b2YtZG9ja2VyOnNlY3JldC1k"}}});
    stage.env.write_docker_config(auths);
    let pull = || {
        stage
            .pull(|command| {
                keychain.give(command);
                command.env("MSB_TEST_TOKEN", "secret-v");
            })
            .success()
            .stderr
    };
    let story = pull();
    assert_eq!(stage.who(), "of-keychain", "{story}");
    assert!(
        story.contains("`keychain`: a password of of-keychain"),
        "{story}"
    );
    keychain.forget(&host);
    let story = pull();
    assert_eq!(stage.who(), "of-variable", "{story}");
    assert!(story.contains("`keychain`: it has nothing"), "{story}");
    assert!(
        story.contains("`env`: a password of of-variable"),
        "{story}"
    );
    stage.settings(&json!({}));
    let story = pull();
    assert_eq!(stage.who(), "of-docker", "{story}");
    assert!(
        story.contains("`docker-config`: a password of of-docker"),
        "{story}"
    );
    std::fs::remove_dir_all(stage.env.path("docker-config")).unwrap();
    let story = pull();
    assert_eq!(stage.who(), "nobody", "{story}");
    assert!(story.contains("none found"), "{story}");
}

fn a_login_is_kept_pulled_with_listed_and_forgotten_by_the_system() {
    let stage = Stage::new();
    let host = stage.host();
    let keychain = Keychain::unlocked();
    let msb = |line: &str, input: &[u8]| stage.run(line, input, |command| keychain.give(command));
    let login = format!("registry login {host} --username me --password-stdin");
    for password in ["secret-one", "secret-pass"] {
        let run = msb(&login, password.as_bytes()).success();
        assert!(
            run.stderr.contains(&format!("   ✓ Logged in    {host}\n")),
            "{run:#?}"
        );
    }
    let kept: serde_json::Value = serde_json::from_str(&keychain.kept(&host).unwrap()).unwrap();
    assert_eq!(kept, json!({"username": "me", "password": "secret-pass"}));
    let config = std::fs::read_to_string(stage.env.home().join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(
        config["registries"]["auth"][&host],
        json!({"username": "me", "store": "keyring"})
    );
    msb(&format!("pull {host}/app:1"), b"").success();
    assert_eq!(stage.who(), "me");
    let table = msb("registry ls", b"").success().stdout;
    let row = table.lines().nth(1).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells, [&*host, "me", "keyring", "keychain"]);
    let run = msb(&format!("registry logout {host}"), b"").success();
    assert!(
        run.stderr.contains(&format!("   ✓ Logged out   {host}\n")),
        "{run:#?}"
    );
    assert_eq!(keychain.kept(&host), None);
    let run = msb(&format!("registry logout {host}"), b"").success();
    assert!(
        run.stderr.contains("no stored registry credentials"),
        "{run:#?}"
    );
}

fn a_login_that_microsandbox_has_kept_is_found() {
    let stage = Stage::new();
    let host = stage.host();
    let keychain = Keychain::unlocked();
    keychain.keep(&host, r#"{"username":"old","password":"secret-o"}"#);
    let text = json!({"registries": {"hosts": {&host: {
        "auth": {"username": "old", "store": "keyring"}
    }}}});
    stage.env.write_settings(text);
    stage.pull(|command| keychain.give(command)).success();
    assert_eq!(stage.who(), "old");
}

fn a_variable_that_is_named_and_not_set_ends_the_pull() {
    use std::os::unix::ffi::OsStrExt as _;
    let stage = Stage::new();
    let host = stage.host();
    stage.settings(&json!({&host: {"username": "me", "password_env": "MSB_TEST_TOKEN"}}));
    let key = format!("registries.auth.{host}");
    let words = ["`env`", "MSB_TEST_TOKEN", &key, "config.json"];
    let advised = "hint: set MSB_TEST_TOKEN to the password of me";
    stage.pull(|_| {}).failure(&words).failure(&[advised]);
    for value in [&b""[..], b"secret-\xff"] {
        let run = stage.pull(|command| {
            command.env("MSB_TEST_TOKEN", std::ffi::OsStr::from_bytes(value));
        });
        let advised = match value {
            [] => advised,
            _ => "hint: set the variable, or take the entry out of config.json",
        };
        run.failure(&words).failure(&[advised]);
    }
    assert!(stage.registry.asked(&On::Token).is_empty());
    let run = stage.pull(|command| {
        command.env("MSB_TEST_TOKEN", "secret-v");
    });
    run.success();
    assert_eq!(stage.who(), "me");
}

fn a_file_that_is_named_and_not_there_ends_the_pull() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new();
    let host = stage.host();
    stage.settings(&json!({&host: {"username": "me", "secret_name": "token"}}));
    let key = format!("registries.auth.{host}");
    stage.pull(|_| {}).failure(&[
        "`secret-file`",
        "secrets/registries/token",
        &key,
        "config.json",
    ]);
    let folder = stage.env.home().join("secrets/registries");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("token");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let advised = "hint: put it there, or take the entry out of config.json";
    stage.pull(|_| {}).failure(&["is empty", advised]);
    for text in ["secret-f", "secret-f\n", "secret-f\r\n"] {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        stage.pull(|_| {}).success();
        assert_eq!(stage.who(), "me");
        let sent = stage.registry.asked(&On::Token);
        // me:secret-f
        let sent = sent
            .last()
            .unwrap()
            .header("authorization")
            .unwrap()
            .to_owned();
        assert_eq!(sent, "Basic bWU6c2VjcmV0LWY=", "{text:?}");
    }
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let run = stage.pull(|_| {});
    assert!(run.stderr.contains("secrets/registries/token"), "{run:#?}");
}

fn what_is_set_for_another_registry_is_no_matter() {
    let stage = Stage::new();
    stage.settings(&json!({
        "broken.example": {"username": "me"},
        "unset.example": {"username": "me", "password_env": "MSB_TEST_UNSET"},
    }));
    stage.pull(|_| {}).success();
    assert_eq!(stage.who(), "nobody");
}
