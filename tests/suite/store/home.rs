//! The files of a home: who may read them, whatever the umask and whichever command comes first, and
//! what is left of commands that were killed.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Stdio;

use walkdir::WalkDir;

use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::plugins::component;
use crate::tests;

tests! {
    modes_are_the_same_whatever_the_umask_and_whichever_command_comes_first;
    a_login_that_is_killed_leaves_no_password_that_nothing_names;
    what_was_left_goes_with_the_next_command;
    a_login_replaces_the_password_and_a_logout_removes_it;
}

const PASSWORD: &str = "secret-of-the-test";
const REGISTRY: &str = "registry.example:5000";

fn login_line(registry: &str) -> String {
    format!("registry login {registry} -u ann --password-stdin --no-verify --store file")
}

fn login(env: &TestEnv, registry: &str) -> Run {
    env.msb_with_input(&login_line(registry), PASSWORD.as_bytes())
}

/// Returns the files below a home that have the password in them.
fn with_password(home: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in WalkDir::new(home).into_iter().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        if String::from_utf8_lossy(&bytes).contains(PASSWORD) {
            let path = entry.path().strip_prefix(home).unwrap();
            found.push(path.to_string_lossy().into_owned());
        }
    }
    found
}

/// Returns what docs/store.md says of a path below the home.
fn documented_mode(path: &str, is_directory: bool) -> u32 {
    let is_private = ["cache/plugins", "cache/locks", "secrets"]
        .iter()
        .any(|private| path == *private || path.starts_with(&format!("{private}/")));
    match (is_directory, is_private || path.starts_with("config.json")) {
        (true, true) => 0o700,
        (true, false) => 0o755,
        (false, true) => 0o600,
        (false, false) => 0o644,
    }
}

fn modes_are_the_same_whatever_the_umask_and_whichever_command_comes_first() {
    // Modes do not hold root back, so another user runs the commands.
    const USER: u32 = 65_534;
    let is_root = rustix::process::geteuid().is_root();
    let mut commands = [
        "load -q -i in.tar".to_owned(),
        login_line(REGISTRY),
        "plugin install -q --yes format.wasm".to_owned(),
        "registry logout other.example".to_owned(),
    ];
    for umask in ["000", "022", "077", "0777"] {
        // Each command comes first under two of them: all of that compiles the plugins again.
        for _ in 0..2 {
            commands.rotate_left(1);
            let env = TestEnv::untouched();
            env.write(
                "in.tar",
                &Image::new("app:1", &["etc/hosts = here"]).docker(),
            );
            env.write(
                "format.wasm",
                &std::fs::read(component("image-json")).unwrap(),
            );
            if is_root {
                for path in ["", "in.tar", "format.wasm"] {
                    chown(env.path(path), Some(USER), Some(USER)).unwrap();
                }
            }
            for line in &commands {
                let script = format!("umask {umask}; exec \"$0\" \"$@\"");
                let mut command = env.shell(&script, line.split(' '));
                if is_root {
                    use std::os::unix::process::CommandExt as _;
                    command.uid(USER).gid(USER);
                }
                let run = Run::with_input(&mut command, PASSWORD.as_bytes());
                assert_eq!(run.code, Some(0), "umask {umask}, {commands:?}: {run:#?}");
            }
            for entry in WalkDir::new(env.home()) {
                let entry = entry.unwrap();
                let path = entry.path().strip_prefix(env.home()).unwrap();
                let path = path.to_str().unwrap();
                let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
                assert_eq!(
                    mode,
                    documented_mode(path, entry.file_type().is_dir()),
                    "umask {umask}, {commands:?}: `{path}` has {mode:o}"
                );
            }
        }
    }
}

fn a_login_that_is_killed_leaves_no_password_that_nothing_names() {
    const RUNS: u32 = 20;
    let env = TestEnv::new();
    let started = std::time::Instant::now();
    login(&env, "first.example").success();
    let takes = started.elapsed();
    env.msb("registry logout first.example").success();
    let mut killed = 0;
    for number in 0..RUNS {
        let registry = format!("r{number}.example");
        let mut command = env.command(login_line(&registry).split(' '));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        {
            use std::io::Write as _;
            let mut stdin = child.stdin.take().unwrap();
            let _ = stdin.write_all(PASSWORD.as_bytes());
        }
        std::thread::sleep(takes.mul_f64(f64::from(number) / f64::from(RUNS)));
        killed += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        let settings = std::fs::read_to_string(env.home().join("config.json")).unwrap_or_default();
        for file in with_password(env.home()) {
            let name = file.strip_prefix("secrets/registries/").unwrap();
            assert!(
                settings.contains(&format!("\"{name}\"")),
                "{file}: {settings}"
            );
        }
    }
    assert!(killed > 0, "each login was faster than its end");
    for file in with_password(env.home()) {
        let name = file.strip_prefix("secrets/registries/").unwrap();
        env.msb(&format!("registry logout {name}")).success();
    }
    assert_eq!(with_password(env.home()), [""; 0]);
}

/// Puts files where processes that were killed leave them, as this msb calls them and as one of before
/// did.
fn leave(env: &TestEnv) -> usize {
    let left = [
        "secrets/registries/.tmpAb3dEf",
        "secrets/registries/.msb-new-0123456789abcdef",
        ".config.Ab3dEf",
        ".msb-new-0123456789abcdef",
        "plugins/.plugin-Ab3dEf",
        "plugins/.plugins-lock-Ab3dEf",
        "plugins/.msb-new-0123456789abcdef",
        "cache/blobs/.msb-new-0123456789abcdef",
        "cache/plugins/.msb-new-0123456789abcdef",
        "cache/plugins/.compiling-Ab3dEf",
        "cache/tmp/blob-Ab3dEf",
    ];
    for path in left {
        let path = env.home().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, PASSWORD).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    left.len()
}

fn what_was_left_goes_with_the_next_command() {
    let env = TestEnv::new();
    env.write("in.tar", &Image::new("app:1", &["a = 1"]).docker());
    env.msb("load -q -i in.tar").success();
    let count = leave(&env);
    assert_eq!(with_password(env.home()).len(), count);
    let of_secrets = || {
        let mut found = with_password(env.home());
        found.retain(|path| path.starts_with("secrets/"));
        found
    };
    // Of another registry.
    login(&env, "other.example").success();
    assert_eq!(of_secrets(), ["secrets/registries/other.example"]);
    leave(&env);
    env.msb("registry logout other.example").success();
    assert_eq!(of_secrets(), [""; 0]);
    leave(&env);
    let format = component("image-json");
    env.msb(&format!("plugin install -q --yes {}", format.display()))
        .success();
    let in_plugins = with_password(&env.home().join("plugins"));
    assert_eq!(in_plugins, [""; 0]);
    leave(&env);
    // A dry run counts them.
    let dry = env.json("image prune --dry-run --format json");
    assert!(dry["bytes_reclaimed"].as_u64().unwrap() > 0);
    assert_eq!(with_password(env.home()).len(), count);
    env.msb("image prune --yes").success();
    // The plugins' directory is that of the commands about plugins, as far as an msb of before goes.
    let left = with_password(env.home());
    assert!(
        left.iter().all(|path| path.starts_with("plugins/.plugin")),
        "{left:?}"
    );
}

fn a_login_replaces_the_password_and_a_logout_removes_it() {
    let env = TestEnv::new();
    let file = env.home().join("secrets/registries/registry.example_5000");
    for password in ["first", "second"] {
        env.msb_with_input(&login_line(REGISTRY), password.as_bytes())
            .success();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), password);
        let folder = std::fs::read_dir(file.parent().unwrap()).unwrap();
        assert_eq!(folder.count(), 1);
    }
    env.msb(&format!("registry logout {REGISTRY}")).success();
    let folder = std::fs::read_dir(file.parent().unwrap()).unwrap();
    assert_eq!(folder.count(), 0);
}
