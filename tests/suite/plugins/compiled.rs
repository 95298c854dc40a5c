//! Compiled plugins: what this user's msb has written is used, and nothing else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::archive::Image;
use crate::env::{Run, TestEnv};

crate::tests! {
    flipped_bits_are_compiled_away;
    code_of_another_home_is_not_run;
    a_home_that_others_may_write_to_has_no_compiled_code;
    a_home_of_another_user_has_no_compiled_code needs Root;
    modes_do_not_depend_on_the_umask;
    a_shared_folder_is_used_through_a_link;
}

const AGAIN: &str = "is compiled again";

/// Returns a home with an archive to load, and the compiled plugin that reads it.
fn loaded() -> (TestEnv, PathBuf) {
    let env = TestEnv::untouched();
    env.write(
        "in.tar",
        &Image::new("app:1", &["etc/\netc/hosts = here"]).docker(),
    );
    load(&env);
    let file = code(&env);
    (env, file)
}

fn load(env: &TestEnv) -> Run {
    let run = env.msb("load --info -i in.tar").success();
    assert_eq!(env.references(), ["app:1"]);
    run
}

fn folder(env: &TestEnv) -> PathBuf {
    env.home().join("cache/plugins")
}

fn code(env: &TestEnv) -> PathBuf {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder(env))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "compiled"))
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn flipped_bits_are_compiled_away() {
    let (env, file) = loaded();
    let sound = std::fs::read(&file).unwrap();
    let bits = sound.len() * 8;
    for bit in [0, 300, 700, bits / 3, bits / 2, bits - 1] {
        let mut damaged = sound.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&file, damaged).unwrap();
        let run = load(&env);
        assert!(run.stderr.contains(AGAIN), "bit {bit}: {run:?}");
        assert!(run.stderr.contains(&*file.to_string_lossy()), "{run:?}");
        let run = load(&env);
        assert!(!run.stderr.contains(AGAIN), "bit {bit}: {run:?}");
    }
    std::fs::write(&file, &sound[..100]).unwrap();
    // Only those who ask hear of it.
    let run = env.msb("load -i in.tar").success();
    assert!(!run.stderr.contains("compiled"), "{run:?}");
}

fn code_of_another_home_is_not_run() {
    let ((env, file), (_other, theirs)) = (loaded(), loaded());
    assert_eq!(file.file_name(), theirs.file_name());
    std::fs::copy(theirs, file).unwrap();
    assert!(load(&env).stderr.contains(AGAIN));
}

fn a_home_that_others_may_write_to_has_no_compiled_code() {
    let env = TestEnv::untouched();
    env.write(
        "in.tar",
        &Image::new("app:1", &["etc/\netc/hosts = here"]).docker(),
    );
    std::fs::create_dir(env.home()).unwrap();
    set_mode(env.home(), 0o777);
    let run = load(&env);
    let why = "compiled plugins are not kept: other users may write to";
    assert!(run.stderr.contains(why), "{run:?}");
    assert!(!folder(&env).exists());
    assert!(
        !env.msb("load -i in.tar")
            .success()
            .stderr
            .contains("not kept")
    );
}

fn a_home_of_another_user_has_no_compiled_code() {
    let (env, file) = loaded();
    let before = std::fs::metadata(&file).unwrap().modified().unwrap();
    std::os::unix::fs::lchown(env.home(), Some(65_534), None).unwrap();
    let run = load(&env);
    assert!(
        run.stderr.contains("belongs to the user with the ID 65534"),
        "{run:?}"
    );
    assert_eq!(
        std::fs::metadata(&file).unwrap().modified().unwrap(),
        before
    );
}

fn modes_do_not_depend_on_the_umask() {
    for mask in ["000", "077", "027"] {
        let env = TestEnv::untouched();
        env.write(
            "in.tar",
            &Image::new("app:1", &["etc/\netc/hosts = here"]).docker(),
        );
        let script = format!("umask {mask}; exec \"$0\" \"$@\"");
        Run::of(&mut env.shell(&script, ["load", "-i", "in.tar"])).success();
        assert_eq!(mode(&folder(&env)), 0o700, "umask {mask}");
        assert_eq!(mode(&folder(&env).join("key")), 0o600, "umask {mask}");
        assert_eq!(mode(&code(&env)), 0o600, "umask {mask}");
        assert_eq!(mode(&env.home().join("cache")), 0o755, "umask {mask}");
    }
}

fn a_shared_folder_is_used_through_a_link() {
    let ((env, file), shared) = (loaded(), tempfile::tempdir().unwrap());
    let place = shared.path().join("plugins");
    std::fs::rename(folder(&env), &place).unwrap();
    std::os::unix::fs::symlink(&place, folder(&env)).unwrap();
    let before = std::fs::metadata(&file).unwrap().modified().unwrap();
    let run = load(&env);
    assert!(!run.stderr.contains("compiled"), "{run:?}");
    assert_eq!(
        std::fs::metadata(&file).unwrap().modified().unwrap(),
        before
    );
    // Not where others could put another folder in its place.
    set_mode(shared.path(), 0o777);
    let run = load(&env);
    assert!(run.stderr.contains("not kept"), "{run:?}");
}
