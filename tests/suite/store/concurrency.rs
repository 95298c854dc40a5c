//! Several msb at once, and one that is killed.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::archive::Image;
use crate::env::TestEnv;
use crate::faulty::{ALWAYS, fault};
use crate::pull::faults::{self, Scene};
use crate::tests;

tests! {
    prune_gets_its_turn_while_loads_overlap_without_end;
    a_slow_pull_is_in_nobodys_way;
    who_may_only_read_the_store_cannot_hold_its_locks needs Root;
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

fn prune_gets_its_turn_while_loads_overlap_without_end() {
    let env = TestEnv::new();
    for number in 0..4 {
        let name = format!("in{number}.tar");
        env.write(&name, &image(&format!("many:{number}"), 3).docker());
    }
    // The home is there before several threads use it.
    env.msb("images").success();
    let is_over = AtomicBool::new(false);
    let loaded = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (env, is_over, loaded) = (&env, &is_over, &loaded);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    env.msb(&format!("load -q -i in{number}.tar")).success();
                    loaded.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while loaded.load(Ordering::Relaxed) < 4 {
            std::thread::sleep(Duration::from_millis(10));
        }
        for _ in 0..5 {
            let before = loaded.load(Ordering::Relaxed);
            env.msb("image prune -y").success();
            // A prune that starves waits for the loads, of which there is no end.
            let meanwhile = loaded.load(Ordering::Relaxed) - before;
            assert!(meanwhile < 40, "{meanwhile} loads came before it");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    env.msb("image verify").success();
}

/// A layer that comes slowly is loaded by another process meanwhile, and removed by a third one,
/// and none waits.
fn a_slow_pull_is_in_nobodys_way() {
    let scene = Scene::new();
    scene.settings(&serde_json::json!({"least_bytes_per_sec": 0}));
    let archive = faults::image().docker();
    scene.env.write("in.tar", &archive);
    let drip = fault::drip(1000, Duration::from_millis(200));
    scene.registry.fault(Scene::on_big(), ALWAYS, drip);
    let mut pull = start(&scene.env, &format!("pull {}", scene.reference()));
    while scene.sent() < 2000 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let started = Instant::now();
    scene.env.msb("load -q -i in.tar").success();
    assert_eq!(scene.env.references(), ["app:1"]);
    scene.env.msb("image verify").success();
    scene.env.msb("image prune -y").success();
    assert_eq!(scene.env.references(), [""; 0]);
    scene.env.msb("load -q -i in.tar").success();
    assert!(pull.try_wait().unwrap().is_none(), "the pull was faster");
    // The whole layer takes 10 minutes at this rate.
    assert!(started.elapsed() < Duration::from_mins(2));
    scene.registry.heal();
    scene.registry.hang_up();
    let output = pull.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    scene.env.msb("image verify").success();
    scene.env.assert_nothing_in_flight();
}

fn who_may_only_read_the_store_cannot_hold_its_locks() {
    const STRANGER: u32 = 65_534;
    let env = TestEnv::new();
    env.write("in.tar", &image("app:1", 1).docker());
    env.msb("load -q -i in.tar").success();
    env.msb_with_input(
        "registry login registry.example -u ann --password-stdin --store file --no-verify",
        b"secret",
    )
    .success();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(env.path(""), open).unwrap();
    let as_stranger = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).uid(STRANGER).gid(STRANGER);
        command
    };
    // They can read the store.
    let mut images = env.command(["images"]);
    let run = crate::env::Run::of(images.uid(STRANGER).gid(STRANGER)).success();
    assert!(run.stdout.contains("app:1"), "{run:?}");
    let mut held = Vec::new();
    for entry in walkdir::WalkDir::new(env.home()) {
        let path = entry.unwrap().into_path();
        let path = path.to_str().unwrap();
        held.push(
            as_stranger("flock", &["--shared", path, "sleep", "60"])
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
    }
    std::thread::sleep(Duration::from_millis(500));
    env.msb("load -q -i in.tar").success();
    env.msb_with_input(
        "registry login registry.example -u bob --password-stdin --store file --no-verify",
        b"secret",
    )
    .success();
    env.msb("registry logout registry.example").success();
    env.msb("rmi app:1").success();
    env.msb("image prune -y").success();
    for mut process in held {
        let _ = process.kill();
        let _ = process.wait();
    }
    env.assert_clean();
}
