//! Opening a store.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use rusqlite::Connection;

use super::*;
use crate::home::NoHomeError;

#[test]
fn a_store_of_a_newer_msb_is_left_alone() {
    for found in ["4", "something"] {
        let store = TestStore::new();
        store.add("app", &["a"], &["app"]);
        let catalogue = Connection::open(store.path("db/images.db")).unwrap();
        catalogue
            .execute("UPDATE msb_store SET value = ?1", [found])
            .unwrap();
        catalogue.pragma_update(None, "user_version", 4).unwrap();
        let error = Store::open(store.store.home()).unwrap_err();
        assert!(
            matches!(error, StoreError::Format { found, known: 3, .. } if found > 3),
            "{error}"
        );
        let kept: String = catalogue
            .query_row("SELECT value FROM msb_store", [], |row| row.get(0))
            .unwrap();
        assert_eq!(kept, found);
    }
}

#[test]
fn a_new_home_may_be_opened_by_many_at_once() {
    for _ in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path().join("new"));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| Store::open(&home).unwrap().images().unwrap());
            }
        });
    }
}

#[test]
fn a_file_that_is_no_database_is_an_error_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("db")).unwrap();
    // Before the catalogue had a file of its own, it was in the other one.
    for name in ["db/msb.db", "db/images.db"] {
        let path = directory.path().join(name);
        std::fs::write(&path, "x".repeat(5000)).unwrap();
        let error = Store::open(&Home::at(directory.path())).unwrap_err();
        let is_ours = name == "db/images.db";
        assert_eq!(error.is_of_catalogue(), is_ours, "{error}");
        assert!(error.to_string().contains(name), "{error}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_format_that_the_header_contradicts_is_damage() {
    let store = TestStore::new();
    store.add("app", &["a"], &["app"]);
    Connection::open(store.path("db/images.db"))
        .unwrap()
        .execute("UPDATE msb_store SET value = '7'", [])
        .unwrap();
    let error = Store::open(store.store.home()).unwrap_err();
    assert!(
        matches!(error, StoreError::DamagedCatalogue { .. }),
        "{error}"
    );
}

/// Runs a test once more in a process that may read a home and not write it.
pub(super) fn read_only_child(test: &str, module: &str, home: &Path) {
    let executable = tempfile::tempdir().unwrap();
    let copy = executable.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let is_root = rustix::process::getuid().is_root();
    for path in [executable.path(), home] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let directories: Vec<PathBuf> = walkdir::WalkDir::new(home)
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().is_dir())
        .map(walkdir::DirEntry::into_path)
        .collect();
    let set = |mode| {
        for path in &directories {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set(0o555);
    let mut command = Command::new(copy);
    let (_, module) = module.split_once("::").unwrap();
    command
        .args([&format!("{module}::{test}"), "--exact", "--nocapture"])
        .env(CHILD, home);
    if is_root {
        // Modes do not hold root back.
        command.uid(65534).gid(65534);
    }
    // A process that another test has just begun may have the copy open for a moment.
    let status = loop {
        match command.status() {
            Err(busy) if busy.kind() == ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(5));
            }
            ended => break ended,
        }
    };
    set(0o755);
    assert!(status.unwrap().success());
}

#[test]
fn a_store_that_cannot_be_written_can_be_read() {
    if let Some(home) = child_argument() {
        let store = Store::open(&Home::at(home)).unwrap();
        assert_eq!(
            crate::image::list(&store, &crate::image::ListOptions::default())
                .unwrap()
                .images
                .len(),
            1
        );
        let details = crate::image::inspect(&store, "app").unwrap();
        assert_eq!(details.used_by, ["sandbox"]);
        let _lease = store.lease(&Silent, &Cancel::default()).unwrap();
        let image = store.find("app").unwrap().image;
        assert!(is_whole(&store, &image));
        let _pins = pin(&store, &["a"]);
        let rehearsal = crate::image::PruneOptions {
            dry_run: true,
            ..Default::default()
        };
        let would =
            crate::image::prune(&store, &rehearsal, &crate::context::Context::default()).unwrap();
        assert_eq!((would.manifests_removed, would.skipped_in_use), (0, 1));
        assert!(store.staging(&Cancel::default()).is_err());
        assert!(store.forget("app", true).is_err());
        assert!(store.use_image("another", "app").is_err());
        return;
    }
    let test = TestStore::new();
    test.add("app", &["a"], &["app"]);
    test.store.use_image("sandbox", "app").unwrap();
    let TestStore { store, directory } = test;
    drop(store);
    read_only_child(
        "a_store_that_cannot_be_written_can_be_read",
        module_path!(),
        directory.path(),
    );
}

#[test]
fn a_store_of_before_sidecars_that_cannot_be_written_is_in_order() {
    if let Some(home) = child_argument() {
        let store = Store::open(&Home::at(home)).unwrap();
        assert_eq!(store.check_catalogue().unwrap(), [""; 0]);
        assert_eq!(store.check_sidecars(false).unwrap(), []);
        let would = store.prune(true, &Silent, &Cancel::default()).unwrap();
        assert_eq!(would.images, 1);
        return;
    }
    let test = TestStore::new();
    test.add("app", &["a"], &["app"]);
    let TestStore { store, directory } = test;
    let home = store.home().clone();
    drop(store);
    rusqlite::Connection::open(home.catalogue())
        .unwrap()
        .execute_batch("DROP TABLE msb_stale_sidecar; PRAGMA user_version = 0;")
        .unwrap();
    std::fs::remove_dir_all(home.sidecars()).unwrap();
    read_only_child(
        "a_store_of_before_sidecars_that_cannot_be_written_is_in_order",
        module_path!(),
        directory.path(),
    );
}

#[test]
fn what_is_only_in_the_log_yet_can_be_read_where_nothing_can_be_written() {
    if let Some(home) = child_argument() {
        let store = Store::open(&Home::at(home)).unwrap();
        assert!(store.find("app").is_ok());
        return;
    }
    let test = TestStore::new();
    test.add("app", &["a"], &["app"]);
    // With the store open here the log is not merged into the database.
    assert!(test.path("db/images.db-wal").metadata().unwrap().len() > 0);
    read_only_child(
        "what_is_only_in_the_log_yet_can_be_read_where_nothing_can_be_written",
        module_path!(),
        &test.path(""),
    );
}

#[test]
fn without_any_home_there_is_a_clear_error() {
    const TEST: &str = "open::without_any_home_there_is_a_clear_error";
    if let Some(expected) = child_argument() {
        let root = Home::resolve().map(|home| home.root().to_owned());
        if expected.as_os_str() == "none" {
            assert!(matches!(root, Err(NoHomeError)));
        } else {
            assert_eq!(root.unwrap(), expected);
        }
        return;
    }
    for (msb_home, home, expected) in [
        (Some("/srv/msb"), Some("/home/me"), "/srv/msb"),
        (None, Some("/home/me"), "/home/me/.microsandbox"),
        (Some(""), Some("/home/me"), "/home/me/.microsandbox"),
        (None, None, "none"),
        (Some(""), Some(""), "none"),
    ] {
        let status = child(TEST, Path::new(expected), |command| {
            command.env_remove("MSB_HOME").env_remove("HOME");
            command.envs(msb_home.map(|value| ("MSB_HOME", value)));
            command.envs(home.map(|value| ("HOME", value)));
        });
        assert!(status.success(), "{expected}");
    }
}
