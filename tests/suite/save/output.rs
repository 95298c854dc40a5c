//! Where `save` writes to: files, links, pipes, and what is in the way.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Stdio;

use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::tests;

tests! {
    an_output_that_cannot_be_is_refused_before_anything_is_written;
    the_mode_of_a_replaced_file_stays;
    a_link_is_followed_to_what_it_leads_to;
    a_link_of_another_user_in_a_shared_folder_is_not_followed needs Root;
    a_closed_standard_output_is_an_error;
    a_save_that_is_killed_leaves_nothing;
}

fn loaded() -> TestEnv {
    let env = TestEnv::new();
    let image = Image::new("sample:1", &["etc/hosts = here", "srv/new = y"]);
    env.write("in.tar", &image.docker());
    env.msb("load -q -i in.tar").success();
    env
}

fn names(env: &TestEnv, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(env.path(folder)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn an_output_that_cannot_be_is_refused_before_anything_is_written() {
    let env = loaded();
    std::fs::create_dir(env.path("folder")).unwrap();
    symlink("folder", env.path("link")).unwrap();
    for format in ["docker", "oci"] {
        for (target, words) in [
            ("folder", ["Is a directory", "--output folder/image.tar"]),
            ("folder/", ["Is a directory", "--output folder/image.tar"]),
            ("link", ["Is a directory", "--output link/image.tar"]),
            ("new/", ["Is a directory", "hint: "]),
            (
                "missing/out.tar",
                ["No such file or directory", "mkdir -p missing"],
            ),
            ("in.tar/out.tar", ["Not a directory", "in.tar/out.tar"]),
        ] {
            let run = env
                .msb(&format!("save --format {format} -o {target} sample:1"))
                .failure(&words);
            assert!(!run.stderr.contains("layer "), "{run:?}");
            assert!(!run.stderr.contains("msb-save"), "{run:?}");
        }
        assert_eq!(names(&env, "folder"), [""; 0]);
        // What the hints say helps.
        env.msb(&format!(
            "save --format {format} --output folder/image.tar sample:1"
        ))
        .success();
        std::fs::remove_file(env.path("folder/image.tar")).unwrap();
    }
    std::fs::create_dir_all(env.path("missing")).unwrap();
    env.msb("save -o missing/out.tar sample:1").success();
}

fn the_mode_of_a_replaced_file_stays() {
    let env = loaded();
    for mode in [0o600, 0o640, 0o664] {
        let path = env.write("out.tar", b"before");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        env.msb("save -o out.tar sample:1").success();
        let metadata = std::fs::metadata(&path).unwrap();
        assert!(metadata.len() > 1024);
        assert_eq!(metadata.mode() & 0o777, mode);
    }
    // A new one has what the umask leaves.
    let script = "umask 027; exec \"$0\" save -o new.tar sample:1";
    Run::of(&mut env.shell(script, [""; 0])).success();
    let mode = std::fs::metadata(env.path("new.tar")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o640);
}

fn a_link_is_followed_to_what_it_leads_to() {
    let env = loaded();
    std::fs::create_dir(env.path("folder")).unwrap();
    symlink("folder/target.tar", env.path("link")).unwrap();
    for before in [None, Some("before")] {
        if let Some(before) = before {
            env.write("folder/target.tar", before.as_bytes());
        }
        env.msb("save -o link sample:1").success();
        assert!(
            std::fs::symlink_metadata(env.path("link"))
                .unwrap()
                .is_symlink()
        );
        assert!(
            std::fs::metadata(env.path("folder/target.tar"))
                .unwrap()
                .len()
                > 1024
        );
        assert_eq!(names(&env, "folder"), ["target.tar"]);
    }
    env.msb("save -o /dev/stdout sample:1").success();
}

fn a_link_of_another_user_in_a_shared_folder_is_not_followed() {
    let env = loaded();
    std::fs::create_dir(env.path("shared")).unwrap();
    let victim = env.write("victim", b"kept");
    let link = env.path("shared/image.tar");
    symlink(&victim, &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(65_534), Some(65_534)).unwrap();
    let shared = std::fs::Permissions::from_mode(0o1777);
    std::fs::set_permissions(env.path("shared"), shared).unwrap();
    env.msb("save -o shared/image.tar sample:1")
        .failure(&["shared/image.tar", "another user"]);
    assert_eq!(std::fs::read(&victim).unwrap(), b"kept");
    assert_eq!(names(&env, "shared"), ["image.tar"]);
}

fn a_closed_standard_output_is_an_error() {
    let env = loaded();
    let run = |line: &str| Run::of(&mut env.shell(&format!("\"$0\" {line}"), [""; 0]));
    for line in [
        "save sample:1",
        "images",
        "image inspect sample:1",
        "images --format json",
    ] {
        run(&format!("{line} >&-")).failure(&[
            "standard output",
            "closed",
            "hint: redirect it to a file, a pipe or /dev/null instead of closing it",
        ]);
        // What the hint says helps.
        run(&format!("{line} >/dev/null")).success();
        run(&format!("{line} <>/dev/null >&0")).success();
    }
    run("save -o out.tar sample:1 >&-").success();
    run("load -i in.tar >&-").success();
}

/// Kills a save at every moment of its life, and looks for what it leaves.
fn a_save_that_is_killed_leaves_nothing() {
    let env = TestEnv::new();
    let big = "x".repeat(8 << 20);
    env.write(
        "in.tar",
        &Image::new("big:1", &[&format!("big = {big}")]).docker(),
    );
    env.msb("load -q -i in.tar").success();
    std::fs::create_dir(env.path("out")).unwrap();
    let mut killed = 0;
    for wait in 0..40 {
        let mut child = env
            .command(["save", "-q", "-o", "out/new.tar", "big:1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait * 4));
        killed += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        let left = names(&env, "out");
        assert!(left.is_empty() || left == ["new.tar"], "{left:?}");
        let _ = std::fs::remove_file(env.path("out/new.tar"));
    }
    assert!(killed > 0, "each save was faster than its end");
}
