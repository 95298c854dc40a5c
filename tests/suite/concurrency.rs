//! Several msb at once, and one that is killed.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::archive::Image;
use crate::env::TestEnv;
use crate::tests;

tests! {
    loads_of_one_image_at_once_all_succeed;
    prune_during_loads_leaves_every_image_whole;
    a_load_that_was_killed_leaves_what_prune_removes;
    an_interrupted_load_cleans_up_and_exits_with_130;
}

fn image(name: &str, layers: usize) -> Image {
    let texts: Vec<String> = (0..layers)
        .map(|layer| format!("etc/\nfile{layer} = {}", "x".repeat(300_000)))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    Image::new(name, &texts)
}

fn start(env: &TestEnv, line: &str) -> std::process::Child {
    env.command(line.split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn loads_of_one_image_at_once_all_succeed() {
    let env = TestEnv::new();
    env.write("in.tar", &image("once:1", 4).docker());
    let loads: Vec<_> = (0..4).map(|_| start(&env, "load -i in.tar")).collect();
    for load in loads {
        let output = load.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
    }
    assert_eq!(env.references(), ["once:1"]);
    env.msb("save -o /dev/null once:1").success();
    env.assert_nothing_in_flight();
}

fn prune_during_loads_leaves_every_image_whole() {
    let env = TestEnv::new();
    for number in 0..4 {
        let name = format!("in{number}.tar");
        env.write(&name, &image(&format!("many:{number}"), 3).docker());
    }
    let mut running = Vec::new();
    for number in 0..4 {
        running.push(start(&env, &format!("load -i in{number}.tar")));
        running.push(start(&env, "image prune -y"));
    }
    for command in running {
        let output = command.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
    }
    // Whatever prune has left is whole.
    for name in env.references() {
        env.msb(&format!("save -o /dev/null {name}")).success();
    }
    env.msb("image prune -y").success();
    env.assert_clean();
}

/// Starts a load that waits in the middle of a layer for bytes that do not come.
fn stuck(env: &TestEnv) -> (std::process::Child, std::process::ChildStdin) {
    use std::io::Write as _;
    let archive = image("stuck:1", 2).docker();
    let mut load = env
        .command(["load"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = load.stdin.take().unwrap();
    stdin.write_all(&archive[..200_000]).unwrap();
    let tmp = env.home().join("cache/tmp");
    while std::fs::read_dir(&tmp).map_or(0, Iterator::count) == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    (load, stdin)
}

fn a_load_that_was_killed_leaves_what_prune_removes() {
    let env = TestEnv::new();
    let (mut load, _stdin) = stuck(&env);
    load.kill().unwrap();
    load.wait().unwrap();
    let tmp = env.home().join("cache/tmp");
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 1);
    assert_eq!(env.references(), [] as [String; 0]);
    env.msb("image prune -y").success();
    env.assert_clean();
}

fn an_interrupted_load_cleans_up_and_exits_with_130() {
    use std::io::Write as _;
    let env = TestEnv::new();
    let (load, mut stdin) = stuck(&env);
    let killed = Command::new("kill")
        .args(["-INT", &load.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    // Bytes that come after the signal are not what it waits for any more.
    let _ = stdin.write_all(&vec![0; 2 << 20]);
    drop(stdin);
    let output = load.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("error: interrupted"), "{stderr}");
    env.assert_clean();
}
