//! Sidecars of images: when they are written, and what they are written from.

use rusqlite::Connection;

use super::restore::{closed, contents, repaired};
use super::*;

fn digest_of(store: &Store, name: &str) -> Digest {
    let expected = super::image(name, &["d"]).manifest_digest;
    assert!(store.has_image(&expected).unwrap());
    expected
}

#[test]
fn a_sidecar_is_not_written_from_a_row_that_makes_no_sense() {
    for change in [
        "config_digest = 'nonsense'",
        // Of another type than its column.
        "created_at = x'ff'",
    ] {
        let (_directory, home, _) = closed();
        let store = Store::open(&home).unwrap();
        let image = store.find("two").unwrap().image;
        let digest = image.digest.to_string();
        Connection::open(home.catalogue())
            .unwrap()
            .execute(
                &format!("UPDATE msb_image SET {change} WHERE digest = ?1"),
                [&digest],
            )
            .unwrap();
        // Each of them changes the image, and marks its sidecar.
        store.release("other").unwrap();
        add(&store, "three", &["d"], &["two"]);
        assert!(
            home.sidecar(&digest_of(&store, "three")).exists(),
            "{change}"
        );
        drop(store);
        let store = repaired(&home);
        let found = store.images().unwrap();
        let found = found.iter().find(|found| found.digest == image.digest);
        assert_eq!(
            found.unwrap().config_digest,
            image.config_digest,
            "{change}"
        );
    }
}

#[test]
fn a_sidecar_that_another_process_is_writing_is_not_missing() {
    let (_directory, home, _) = closed();
    let store = Store::open(&home).unwrap();
    let sidecar = home.sidecar(&store.find("two").unwrap().image.digest);
    let aside = sidecar.with_extension("aside");
    let turn = crate::store::lock::turn_to_write(&home).unwrap();
    std::fs::rename(&sidecar, &aside).unwrap();
    std::thread::scope(|scope| {
        let check = scope.spawn(|| store.check_sidecars(false));
        // A check that does not wait for the turn ends by now.
        std::thread::sleep(std::time::Duration::from_millis(200));
        std::fs::rename(&aside, &sidecar).unwrap();
        drop(turn);
        assert_eq!(check.join().unwrap().unwrap(), []);
    });
}

#[test]
fn a_sidecar_that_is_missing_or_damaged_is_written_again() {
    let (_directory, home, before) = closed();
    let images = sidecar::list(&home).unwrap();
    assert_eq!(images.len(), 4);
    for image in images {
        let path = home.sidecar(&image);
        let whole = std::fs::read(&path).unwrap();
        for place in (0..whole.len()).step_by(whole.len() / 20) {
            let mut bytes = whole.clone();
            bytes[place] ^= 4;
            std::fs::write(&path, bytes).unwrap();
            let store = Store::open(&home).unwrap();
            assert_eq!(
                store.check_sidecars(true).unwrap(),
                std::slice::from_ref(&image)
            );
            assert_eq!(contents(&store), before);
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
        std::fs::remove_file(&path).unwrap();
        let store = Store::open(&home).unwrap();
        assert_eq!(
            store.check_sidecars(true).unwrap(),
            std::slice::from_ref(&image)
        );
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }
}

#[test]
fn sidecars_follow_every_change() {
    let store = TestStore::new();
    let written = || {
        let home = store.store.home();
        let read = |image: &Digest| sidecar::read(&home.sidecar(image), image).unwrap();
        let images = sidecar::list(home).unwrap();
        images.iter().map(read).collect::<Vec<_>>()
    };
    let sound = || {
        assert_eq!(store.store.check_catalogue().unwrap(), [""; 0]);
        assert_eq!(store.store.check_sidecars(false).unwrap(), []);
        let names = written().into_iter().flat_map(|rows| rows.names);
        let mut names: Vec<_> = names.map(|row| row.name).collect();
        names.sort();
        names
    };
    store.add("one", &["a"], &["app", "app:1"]);
    assert_eq!(
        sound(),
        ["docker.io/library/app:1", "docker.io/library/app:latest"]
    );
    // A name moves.
    store.add("two", &["b"], &["app"]);
    assert_eq!(written().len(), 2);
    assert_eq!(sound().len(), 2);
    store.store.use_image("devbox", "app").unwrap();
    sound();
    store.store.forget("app", true).unwrap();
    assert_eq!(sound(), ["docker.io/library/app:1"]);
    assert_eq!(written().len(), 2, "it is in use");
    store.store.release("devbox").unwrap();
    sound();
    store
        .store
        .prune(false, &Silent, &Cancel::default())
        .unwrap();
    assert_eq!(written(), []);
}

#[test]
fn a_catalogue_of_before_gets_sidecars_when_it_is_opened() {
    let (_directory, home, before) = closed();
    let catalogue = Connection::open(home.catalogue()).unwrap();
    catalogue
        .execute_batch("DROP TABLE msb_stale_sidecar; PRAGMA user_version = 0;")
        .unwrap();
    drop(catalogue);
    std::fs::remove_dir_all(home.sidecars()).unwrap();
    let store = Store::open(&home).unwrap();
    assert_eq!(sidecar::list(&home).unwrap().len(), 4);
    assert_eq!(contents(&store), before);
}
