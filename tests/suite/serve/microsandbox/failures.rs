//! Locks that others hold, other filesystems and users, full disks.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{LAYERS, app, app_record, cache, lease, load, loaded, names, serve};
use crate::archive::Image;
use crate::env::TestEnv;
use crate::mount::Mounted;
use crate::tests;

tests! {
    who_holds_a_lock_is_not_disturbed;
    who_serves_too_long_is_waited_for_as_advised;
    a_home_on_another_filesystem_is_refused needs Root;
    a_full_disk_leaves_no_record needs Root;
    a_home_of_another_user_is_not_served needs Root;
    two_who_serve_at_once_leave_whole_files;
}

fn who_holds_a_lock_is_not_disturbed() {
    let env = loaded(&[app()]);
    serve(&env, "");
    let (_, merged, disk) = names(&env, "app:1");
    fs::remove_file(app_record(&env)).unwrap();
    let lock = File::open(app_record(&env).with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let report = serve(&env, "");
    assert_eq!(report["unserved"][0]["reason"], "busy");
    assert!(!app_record(&env).exists());
    drop(lock);
    serve(&env, "");
    // Who reads a file shares its lease, and keeps it.
    let lease = File::open(lease(&merged)).unwrap();
    lease.lock_shared().unwrap();
    env.msb("rmi app:1").success();
    serve(&env, "--prune");
    assert!(merged.exists() && disk.exists());
    assert!(!app_record(&env).exists());
    drop(lease);
    serve(&env, "--prune");
    assert!(!merged.exists() && !disk.exists());
}

fn who_serves_too_long_is_waited_for_as_advised() {
    let env = loaded(&[app()]);
    serve(&env, "");
    let lock = File::open(cache(&env).join("manifests/.msb.lock")).unwrap();
    lock.lock().unwrap();
    env.msb("store serve microsandbox").failure(&[
        "another msb has had the lock `",
        "hint: wait until it has ended, and run this again",
    ]);
    drop(lock);
    env.msb("store serve microsandbox").success();
}

fn a_home_on_another_filesystem_is_refused() {
    let env = loaded(&[app()]);
    let elsewhere = Mounted::tmpfs(64 << 20);
    let home = elsewhere.path().display();
    env.msb(&format!("store serve microsandbox --home {home}"))
        .failure(&[
            "is on another filesystem than the store",
            "hint: a hard link does not leave its filesystem: use one home for both programs",
        ]);
    assert!(
        !elsewhere
            .path()
            .join("cache/manifests")
            .read_dir()
            .unwrap()
            .any(|entry| {
                entry
                    .unwrap()
                    .path()
                    .extension()
                    .is_some_and(|end| end == "json")
            })
    );
    // What the hint says helps.
    let there = TestEnv::new().with_home(&elsewhere.path().join("msb"));
    load(&there, &app());
    let line = format!("store serve microsandbox --home {home} --format json");
    assert_eq!(there.json(&line)["added"], json!(["app:1"]));
}

fn a_full_disk_leaves_no_record() {
    let disk = Mounted::tmpfs_with("size=8m,nr_inodes=200");
    let env = TestEnv::new().with_home(&disk.path().join("home"));
    load(&env, &app());
    serve(&env, "");
    let other = disk.path().join("other");
    let line = format!("--home {}", other.display());
    let filler = disk.path().join("filler");
    let mut bytes = 8 << 20;
    let file = File::create(&filler).unwrap();
    // Names need inodes and no bytes; the record and the descriptor need bytes.
    while bytes >= 4096 {
        let at = file.metadata().unwrap().len();
        let full = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), at, bytes);
        if full.is_err() {
            bytes /= 2;
        }
    }
    env.msb(&format!("store serve microsandbox {line}"))
        .failure(&["No space left on device"]);
    let at = |path: &Path| other.join(path.strip_prefix(env.home()).unwrap());
    let (_, _, vmdk) = names(&env, "app:1");
    assert!(!at(&app_record(&env)).exists() && !at(&vmdk).exists());
    drop(file);
    fs::remove_file(filler).unwrap();
    assert_eq!(serve(&env, &line)["added"], json!(["app:1"]));
    env.msb("image verify").success();
}

fn a_home_of_another_user_is_not_served() {
    use std::os::unix::process::CommandExt as _;
    let env = loaded(&[app()]);
    fs::set_permissions(env.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = env.command(["store", "serve", "microsandbox"]);
    crate::env::Run::of(command.uid(65_534).gid(65_534)).failure(&[
        "Permission denied",
        "hint: run it as the owner of that directory, or choose another one",
    ]);
}

fn two_who_serve_at_once_leave_whole_files() {
    let env = loaded(&[app(), Image::new("other:1", &[LAYERS[0], "x = y"])]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| env.msb("store serve microsandbox").success());
        }
    });
    let mut present = serve(&env, "")["present"].as_array().unwrap().clone();
    present.sort_by_key(Value::to_string);
    assert_eq!(present, [json!("app:1"), json!("other:1")]);
    env.msb("image verify").success();
}
