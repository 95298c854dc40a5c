//! Disks that are full, and disks that are too small: no user is locked out, what fails says why, and
//! what is freed can be used at once.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use msb_host::home::Home;
use msb_host::store::Store;

use crate::archive::{Image, gzip};
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::mount::Mounted;
use crate::pull::faults::noise;
use crate::tests;

tests! {
    a_full_disk_locks_nobody_out needs Root;
    a_full_disk_without_a_reserve_locks_nobody_out needs Root;
    disks_of_every_size_end_in_success_or_in_words needs Root;
    a_pull_needs_no_more_room_than_a_load needs Root;
    compiled_plugins_give_way_to_images needs Root;
    compiled_plugins_are_not_kept_on_a_small_disk needs Root;
}

/// Set to walk all sizes from 4 KiB to 1 MiB more than enough, in steps of 4 KiB, which takes long.
const WHOLE_WALK: &str = "MSB_TEST_WHOLE_WALK";

/// An image of so many layers of that many random bytes each.
fn image(name: &str, seed: u64, layers: u64, length: usize) -> Image {
    let text = |layer| format!("data = {}", noise(100 * seed + layer, length));
    let texts: Vec<String> = (0..layers).map(text).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    Image::new(name, &texts).compressed(gzip)
}

/// Takes all that a filesystem has left: files first, and then bytes.
fn fill(disk: &Path) {
    let mut filler = File::options()
        .create(true)
        .append(true)
        .open(disk.join("filler"))
        .unwrap();
    let directory = disk.join("fillers");
    std::fs::create_dir_all(&directory).unwrap();
    for number in 0.. {
        let path = directory.join(format!("{}-{number}", std::process::id()));
        if path.exists() {
            continue;
        }
        if File::create(path).is_err() {
            break;
        }
    }
    for _ in 0..3 {
        for length in [1 << 20, 64 << 10, 4096, 1] {
            while filler.write_all(&vec![7; length]).is_ok() {}
        }
        // What was freed a moment ago comes back with the next commit of the filesystem.
        filler.sync_all().unwrap();
    }
    let left = rustix::fs::statvfs(disk).unwrap();
    assert_eq!((left.f_bavail, left.f_favail), (0, 0));
}

fn tmpfs() -> Mounted {
    Mounted::tmpfs_with("size=24m,nr_inodes=300")
}

fn ext4() -> Mounted {
    Mounted::ext4(32 << 20, 320)
}

/// A home on a disk with three images, of which one is used.
fn loaded(disk: &Mounted) -> TestEnv {
    let env = TestEnv::new().with_home(&disk.path().join("home"));
    for (name, seed) in [("used:1", 1), ("app:1", 3), ("app:2", 5)] {
        env.write("in.tar", &image(name, seed, 6, 60_000).oci());
        env.msb("load -q -i in.tar").success();
    }
    env.msb("load -q -i in.tar -t again:1").success();
    let store = Store::open(&Home::at(env.home())).unwrap();
    store.use_image("devbox", "used:1").unwrap();
    env
}

/// Everything that only looks works, again and again.
fn can_be_looked_at(env: &TestEnv, references: &[&str]) {
    for _ in 0..3 {
        assert_eq!(env.references(), references);
        env.msb("images").success();
        env.msb(&format!("image inspect {}", references[0]))
            .success();
        env.msb("image verify").success();
        env.msb("image prune --dry-run").success();
    }
}

fn a_full_disk_locks_nobody_out() {
    for (kind, disk) in [("tmpfs", tmpfs()), ("ext4", ext4())] {
        let env = loaded(&disk);
        fill(disk.path());
        can_be_looked_at(&env, &["again:1", "app:1", "app:2", "used:1"]);
        let run = env.msb("load -i in.tar -t more:1");
        let run = run.failure(&["No space left on device", "hint: ", "msb image prune"]);
        assert!(
            run.stderr.contains(&*disk.path().to_string_lossy()),
            "{kind}: {run:?}"
        );
        env.msb("rmi again:1").success();
        fill(disk.path());
        env.msb("rmi app:1").success();
        can_be_looked_at(&env, &["app:2", "used:1"]);
        // What was freed can be used.
        env.write("in.tar", &image("small:1", 7, 1, 30_000).oci());
        env.msb("load -q -i in.tar").success();
        fill(disk.path());
        can_be_looked_at(&env, &["app:2", "small:1", "used:1"]);
        let report = env.json("image prune --yes --format json");
        assert_eq!(report["manifests_removed"], 2, "{kind}");
        assert_eq!(report["skipped_in_use"], 1, "{kind}");
        env.msb("load -q -i in.tar").success();
        can_be_looked_at(&env, &["small:1", "used:1"]);
    }
}

fn a_full_disk_without_a_reserve_locks_nobody_out() {
    for disk in [tmpfs(), ext4()] {
        let env = loaded(&disk);
        std::fs::remove_dir_all(env.home().join("db/reserve")).unwrap();
        fill(disk.path());
        can_be_looked_at(&env, &["again:1", "app:1", "app:2", "used:1"]);
        env.msb("rmi app:1").success();
        fill(disk.path());
        env.msb("image prune --yes").success();
        assert_eq!(env.references(), ["used:1"]);
        env.msb("image verify").success();
    }
}

/// What a command came to on an empty disk of that many KiB.
fn on_disk_of(kib: u64, run: &dyn Fn(&TestEnv) -> Run) -> (Run, TestEnv, Mounted) {
    let disk = Mounted::tmpfs_with(&format!("size={kib}k"));
    // Compiled plugins of other tests would fill it.
    let env = TestEnv::untouched().with_home(&disk.path().join("home"));
    (run(&env), env, disk)
}

/// Asserts that a command has failed for want of room, in words, and that there is nothing left of
/// it, whatever was there.
fn has_failed_well(kib: u64, run: Run, env: &TestEnv, disk: &Mounted) {
    let path = disk.path().to_string_lossy();
    let run = run.failure(&["No space left on device", &path, "hint: "]);
    assert!(!run.stderr.contains("panicked"), "{kib}: {run:?}");
    let tmp = env.home().join("cache/tmp");
    let left: Vec<_> = std::fs::read_dir(tmp).into_iter().flatten().collect();
    assert!(left.is_empty(), "{kib}: {left:?}");
    // Also where not even the catalogue could be made.
    let list = env.msb("images --format json").success();
    assert_eq!(list.stdout.trim(), "[]", "{kib}: {list:?}");
}

/// Runs a command on disks of many sizes, and returns the smallest on which it succeeds. From there on
/// it always does.
fn smallest(run: &dyn Fn(&TestEnv) -> Run) -> u64 {
    let is_whole = std::env::var_os(WHOLE_WALK).is_some();
    let succeeds = |kib| {
        let (run, env, disk) = on_disk_of(kib, run);
        if run.code == Some(0) {
            env.msb("image verify").success();
            assert_eq!(env.references().len(), 1);
            true
        } else {
            has_failed_well(kib, run, &env, &disk);
            false
        }
    };
    let (mut fails, mut enough) = (4, 16 << 10);
    assert!(!succeeds(fails) && succeeds(enough));
    for kib in [40, 150, 300] {
        assert!(!succeeds(kib));
    }
    while enough - fails > 16 {
        let middle = u64::midpoint(fails, enough) / 4 * 4;
        if succeeds(middle) {
            enough = middle;
        } else {
            fails = middle;
        }
    }
    if is_whole {
        let sizes = (4..enough + 1024).step_by(4);
        let enough = sizes.clone().find(|kib| succeeds(*kib)).unwrap();
        assert!(sizes.skip_while(|kib| *kib < enough).all(succeeds));
        return enough;
    }
    enough
}

fn load(env: &TestEnv, archive: &[u8]) -> Run {
    env.write("in.tar", archive);
    env.msb("load -i in.tar")
}

fn disks_of_every_size_end_in_success_or_in_words() {
    let archive = image("app:1", 1, 2, 300_000).oci();
    let from_file = smallest(&|env| load(env, &archive));
    let from_pipe = smallest(&|env| env.msb_with_input("load", &archive));
    eprintln!("smallest disk for a load: {from_file} KiB, from a pipe {from_pipe} KiB");
    // Where it just fits, it can be removed again, and loaded again.
    for remove in ["rmi app:1", "image prune --yes"] {
        let (run, env, disk) = on_disk_of(from_file + 24, &|env| load(env, &archive));
        run.success();
        let mut file = File::create(disk.path().join("filler")).unwrap();
        while file.write_all(&[7]).is_ok() {}
        env.msb(remove).success();
        env.assert_clean();
        drop(file);
        std::fs::remove_file(disk.path().join("filler")).unwrap();
        load(&env, &archive).success();
    }
}

fn a_pull_needs_no_more_room_than_a_load() {
    let image = image("app:1", 1, 2, 300_000);
    let registry = Registry::start();
    registry.put_image("app", "1", &image);
    let archive = image.oci();
    let load = smallest(&|env| load(env, &archive));
    let pull = smallest(&|env| {
        let settings = r#"{"registries": {"retry_delay_ms": 10}}"#;
        let config = env.write("config.json", settings.as_bytes());
        let mut command = env.command(["pull", &format!("{}/app:1", registry.host())]);
        Run::of(command.env("MSB_CONFIG_PATH", config))
    });
    eprintln!("smallest disk for a load: {load} KiB, for a pull {pull} KiB");
    assert!(
        pull <= load + 32,
        "{pull} KiB for a pull, {load} KiB for a load"
    );
}

/// How many bytes the compiled plugins of a home have.
fn compiled(env: &TestEnv) -> u64 {
    let files = std::fs::read_dir(env.home().join("cache/plugins"));
    let files = files.into_iter().flatten().flatten();
    let files = files.filter(|file| file.path().extension().is_some_and(|it| it == "compiled"));
    files.map(|file| file.metadata().unwrap().len()).sum()
}

/// Takes all bytes of a disk but so many.
fn leave(disk: &Path, left: u64) {
    let mut filler = File::create(disk.join("filler")).unwrap();
    while filler.write_all(&[7; 4096]).is_ok() {}
    filler.sync_all().unwrap();
    let length = filler.metadata().unwrap().len();
    filler.set_len(length - left).unwrap();
}

fn compiled_plugins_give_way_to_images() {
    let image = image("app:1", 1, 2, 300_000);
    let registry = Registry::start();
    registry.put_image("app", "1", &image);
    let remote = format!("{}/app:1", registry.host());
    for command in ["load -q -i in.tar".to_owned(), format!("pull -q {remote}")] {
        let disk = Mounted::tmpfs_with("size=64m");
        let env = TestEnv::untouched().with_home(&disk.path().join("home"));
        env.write("in.tar", &image.oci());
        env.msb("load -q -i in.tar").success();
        env.msb("rmi app:1").success();
        let kept = compiled(&env);
        assert!(kept > 900_000, "{kept}");
        // Less than the two layers take.
        leave(disk.path(), 400_000);
        env.msb(&command).success();
        assert_eq!(compiled(&env), 0, "{command}");
        env.msb("image verify").success();
    }
}

fn compiled_plugins_are_not_kept_on_a_small_disk() {
    let archive = image("app:1", 1, 1, 1000).oci();
    for (size, is_kept) in [("8m", false), ("128m", true)] {
        let disk = Mounted::tmpfs_with(&format!("size={size}"));
        let env = TestEnv::untouched().with_home(&disk.path().join("home"));
        env.write("in.tar", &archive);
        let run = env.msb("load -i in.tar --info").success();
        assert_eq!(compiled(&env) > 0, is_kept, "{size}");
        assert_eq!(run.stderr.contains("is not kept: "), !is_kept, "{run:?}");
    }
}
