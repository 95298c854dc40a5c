//! Helpers of other tools: `docker-credential-NAME`.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{House, PASSWORD, USER, docker_file, helper, open};
use crate::auth::keychain::Keychain;
use crate::env::Run;
use crate::tests;
use crate::tools::run;

tests! {
    a_helper_of_the_secret_service_is_pulled_with
        needs DockerRegistry, Htpasswd, Skopeo, SecretService, Helpers;
    a_helper_of_pass_is_pulled_with needs DockerRegistry, Htpasswd, Skopeo, Pass, Helpers;
    a_helper_is_started_once_in_a_pull needs DockerRegistry, Htpasswd, Skopeo;
    helpers_that_do_not_work_are_skipped_with_a_warning needs DockerRegistry, Htpasswd, Skopeo;
    a_helper_that_never_answers_is_stopped;
}

/// Has a real helper keep the password.
fn keep(house: &House, helper: &str, change: impl FnOnce(&mut Command)) {
    let mut command = house.program(&format!("docker-credential-{helper}"));
    change(&mut command);
    let mut child = command
        .arg("store")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let item = json!({
        "ServerURL": house.registry.host(),
        "Username": USER,
        "Secret": PASSWORD,
    });
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(item.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn a_helper_of_the_secret_service_is_pulled_with() {
    let house = House::new();
    let keychain = Keychain::unlocked();
    keep(&house, "secretservice", |command| keychain.give(command));
    house.docker(&json!({"credsStore": "secretservice"}));
    let run = house.pull(|command| keychain.give(command)).success();
    assert!(
        run.stderr.contains("`docker-config`: a password of me"),
        "{run:#?}"
    );
}

fn a_helper_of_pass_is_pulled_with() {
    let house = House::new();
    let gnupg = house.env.path("gnupg");
    std::fs::create_dir_all(&gnupg).unwrap();
    std::fs::set_permissions(&gnupg, PermissionsExt::from_mode(0o700)).unwrap();
    let store = house.env.path("password-store");
    let give = |command: &mut Command| {
        command
            .env("GNUPGHOME", &gnupg)
            .env("PASSWORD_STORE_DIR", &store);
    };
    let mut gpg = house.program("gpg");
    give(&mut gpg);
    run(gpg.args([
        "--batch",
        "--quiet",
        "--passphrase",
        "",
        "--quick-generate-key",
        "msb-tests",
    ]));
    let mut pass = house.program("pass");
    give(&mut pass);
    run(pass.args(["init", "msb-tests"]));
    keep(&house, "pass", give);
    house.docker(&json!({"credHelpers": {house.registry.host(): "pass"}}));
    house.pull(give).success();
    let mut agent = house.program("gpgconf");
    give(&mut agent);
    run(agent.args(["--kill", "gpg-agent"]));
}

fn a_helper_is_started_once_in_a_pull() {
    let house = House::new();
    let log = house.env.path("started");
    house.helper(
        "counted",
        &format!(
            "echo started >> {}\ncat > {}\n\
             echo '{{\"ServerURL\":\"x\",\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}'",
            log.display(),
            house.env.path("asked").display()
        ),
    );
    house.docker(&json!({"credsStore": "counted"}));
    house.pull(|_| {}).success();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "started\n");
    let asked = std::fs::read_to_string(house.env.path("asked")).unwrap();
    assert_eq!(asked.trim_end(), house.registry.host());
}

fn helpers_that_do_not_work_are_skipped_with_a_warning() {
    let house = House::new();
    for (name, script, is_quiet) in [
        ("missing", None, false),
        ("failing", Some("echo 'the vault is sealed'; exit 1"), false),
        ("garbage", Some("echo '<html>'"), false),
        ("endless", Some("yes secret-pass"), false),
        (
            "nothing",
            Some("echo 'credentials not found in native keychain'; exit 1"),
            true,
        ),
        (
            "nothing2",
            Some("printf 'credentials not found in native keychain\\r\\n'; exit 1"),
            true,
        ),
        (
            "nothing3",
            Some("echo 'No stored credential for x'; exit 1"),
            true,
        ),
        (
            "empty",
            Some("echo '{\"Username\":\"\",\"Secret\":\"\"}'"),
            true,
        ),
    ] {
        if let Some(script) = script {
            house.helper(name, script);
        }
        house.docker(&json!({"credsStore": name}));
        let run = house.pull(|_| {}).failure(&["msb registry login"]);
        let warns = run.stderr.contains("`docker-config` was skipped");
        assert_eq!(warns, !is_quiet, "{name}: {run:#?}");
    }
}

fn a_helper_that_never_answers_is_stopped() {
    let (env, _registry, name) = open();
    let mark = env.path("pid");
    helper(
        &env,
        "hung",
        &format!("echo $$ > {}; exec sleep 600", mark.display()),
    );
    docker_file(&env, br#"{"credsStore": "hung"}"#);
    let mut command = env.command(["pull", &name]);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", env.path("bin").display()));
    let run = Run::of(&mut command).success();
    assert!(
        run.stderr.contains("`docker-config` was skipped"),
        "{run:#?}"
    );
    let pid = std::fs::read_to_string(&mark).unwrap();
    let left = std::fs::read_to_string(format!("/proc/{}/cmdline", pid.trim()));
    assert!(
        !left.is_ok_and(|line| line.contains("sleep")),
        "it is still there"
    );
}
