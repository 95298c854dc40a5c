//! A password that may be found nowhere but where the user has put it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::keychain::Keychain;
use crate::archive::Image;
use crate::env::TestEnv;
use crate::faulty::Registry;
use crate::tests;

tests! {
    a_password_appears_nowhere_but_where_it_is_kept needs SecretService;
}

const CANARY: &str = "secret-canary-5f2d";

/// Returns the command lines of all processes that have the canary in them.
fn command_lines() -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains(CANARY) {
            found.push(line);
        }
    }
    found
}

/// Returns the files below a folder that have the canary in them.
fn files(folder: &Path) -> BTreeSet<String> {
    let has_it = |path: &Path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        let encoded = "c2VjcmV0LWNhbmFyeS01ZjJk";
        [CANARY, encoded].iter().any(|text| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        })
    };
    walkdir::WalkDir::new(folder)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file() && has_it(entry.path()))
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap();
            path.display().to_string()
        })
        .collect()
}

fn a_password_appears_nowhere_but_where_it_is_kept() {
    let env = TestEnv::new();
    let registry = Registry::start();
    registry.require_token(&registry);
    registry.put_image("app", "1", &Image::new("", &["a = 1"]));
    let host = registry.host();
    let keychain = Keychain::unlocked();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut seen = Vec::new();
            while !over.load(Ordering::Relaxed) {
                seen.extend(command_lines());
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            seen
        });
        let run = |line: &str, input: &str| {
            use std::io::Write as _;
            let mut command: Command = env.command(line.split_whitespace());
            keychain.give(&mut command);
            command
                .env("MSB_TEST_TOKEN", CANARY)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            let _ = stdin.write_all(input.as_bytes());
            drop(stdin);
            let output = child.wait_with_output().unwrap();
            for bytes in [&output.stdout, &output.stderr] {
                let text = String::from_utf8_lossy(bytes);
                assert!(!text.contains(CANARY), "{line}: {text}");
                assert!(!text.contains("c2VjcmV0"), "{line}: {text}");
            }
        };
        let pull = format!("--trace pull --force {host}/app:1");
        let everything = |login: &str| {
            run(login, CANARY);
            run(&pull, "");
            run("--trace registry ls", "");
            run("--trace registry ls --format json", "");
        };
        let login = format!("--trace registry login {host} -u me --password-stdin");
        everything(&login);
        assert_eq!(files(env.home()), BTreeSet::new(), "in the keychain alone");
        run(&format!("--trace registry logout {host}"), "");
        everything(&format!("{login} --store file"));
        let file = format!("secrets/registries/{}", host.replace(':', "_"));
        assert_eq!(files(env.home()), BTreeSet::from([file]));
        run(&format!("--trace registry logout {host}"), "");
        let text = json!({"registries": {"auth": {
            &host: {"username": "me", "password_env": "MSB_TEST_TOKEN"}
        }}});
        env.write_settings(text);
        everything("--trace registry ls");
        std::fs::remove_file(env.home().join("config.json")).unwrap();
        let text = json!({"auths": {&host: {"username": "me", "password": CANARY}}});
        env.write_docker_config(text);
        everything("--trace registry ls");
        assert_eq!(files(env.home()), BTreeSet::new());
        over.store(true, Ordering::Relaxed);
        assert_eq!(watch.join().unwrap(), [] as [String; 0]);
    });
}
