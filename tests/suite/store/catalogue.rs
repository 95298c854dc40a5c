//! A catalogue that is damaged or lost: every command says so, and what it advises brings back all
//! that was there.

use std::path::PathBuf;

use msb_host::home::Home;
use msb_host::store::Store;
use rusqlite::Connection;
use serde_json::Value;

use crate::archive::{Image, gzip};
use crate::env::{Run, TestEnv};
use crate::tests;

tests! {
    a_lost_catalogue_is_noticed_by_every_command_and_comes_back;
    a_damaged_catalogue_comes_back_when_the_advice_is_followed;
    images_that_the_catalogue_does_not_list_are_not_pruned;
    an_image_that_cannot_be_brought_back_is_loaded_again_as_advised;
    a_bad_row_harms_its_image_alone_and_rmi_removes_it;
    a_path_outside_of_the_store_is_damage_and_stays;
    layers_in_use_are_dropped_by_force_only;
    what_cannot_be_opened_is_unreadable_and_stays;
}

const ADVICE: &str = "hint: `msb image verify --repair` restores the catalogue";

fn loaded() -> TestEnv {
    let env = TestEnv::new();
    for (name, layers) in [
        ("app:1", ["base/ \nbase/x = 1", "base/y = 2"]),
        ("app:2", ["base/ \nbase/x = 1", "z = 3"]),
        ("ghcr.io/org/other:v1", ["q = 1", "r = 2"]),
    ] {
        let image = Image::new(name, &layers).compressed(gzip);
        env.write("in.tar", &image.oci());
        env.msb("load -q -i in.tar").success();
    }
    store(&env).use_image("devbox", "app:1").unwrap();
    env
}

fn store(env: &TestEnv) -> Store {
    Store::open(&Home::at(env.home())).unwrap()
}

fn catalogue(env: &TestEnv) -> PathBuf {
    env.home().join("db/images.db")
}

/// What there is, as the commands show it.
fn contents(env: &TestEnv) -> Vec<Value> {
    let mut contents = vec![env.json("images --format json")];
    for name in env.references() {
        contents.push(env.json(&format!("image inspect {name} --format json")));
    }
    contents
}

/// Names of files below a directory of the cache.
fn files(env: &TestEnv, name: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(env.home().join("cache").join(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn a_lost_catalogue_is_noticed_by_every_command_and_comes_back() {
    let lose: [fn(&TestEnv); 4] = [
        |env| std::fs::remove_file(catalogue(env)).unwrap(),
        |env| std::fs::write(catalogue(env), "").unwrap(),
        |env| std::fs::write(catalogue(env), "S").unwrap(),
        |env| std::fs::remove_dir_all(env.home().join("db")).unwrap(),
    ];
    for lose in lose {
        let env = loaded();
        let before = contents(&env);
        let kept = (files(&env, "layers"), files(&env, "blobs"));
        lose(&env);
        for line in [
            "images",
            "images -q",
            "images --format json",
            "image inspect app:1",
            "image verify",
            "save app:1 -o out.tar",
            "rmi app:1",
            "image prune --yes",
            "image prune --dry-run",
            "load -i in.tar",
            "pull localhost:1/app:1",
        ] {
            let run = env.msb(line).failure(&["db/images.db", ADVICE]);
            assert_eq!(run.stdout, "", "{line}: {run:?}");
            assert!(!run.stderr.contains("No images found"), "{run:?}");
        }
        assert_eq!((files(&env, "layers"), files(&env, "blobs")), kept);
        let run = env.msb("image verify --repair").failure(&["is restored"]);
        assert_eq!(run.stdout.matches("sound ").count(), 3, "{run:?}");
        assert_eq!(contents(&env), before);
        env.msb("image verify").success();
        env.msb("rmi app:1").failure(&["in use by sandbox devbox"]);
    }
}

/// Does what the hints of a run advise until it advises nothing more.
fn follow(env: &TestEnv, mut run: Run) {
    for _ in 0..3 {
        if !run.stderr.contains("`msb image verify --repair`") {
            return;
        }
        run = env.msb("image verify --repair");
    }
    panic!("no end of it: {run:?}");
}

fn a_damaged_catalogue_comes_back_when_the_advice_is_followed() {
    let env = loaded();
    let before = contents(&env);
    let list = env.json("images --format json");
    let whole = std::fs::read(catalogue(&env)).unwrap();
    let (blocks, bits) = (whole.len() / 4096, whole.len() * 8);
    let mut places = 0;
    let mut damage = |what: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        std::fs::write(catalogue(&env), bytes).unwrap();
        // What a list does not meet, verify finds.
        follow(&env, env.msb("images"));
        follow(&env, env.msb("image verify"));
        assert_eq!(env.json("images --format json"), list, "{what}");
        let run = env.msb("image verify").success();
        assert_eq!(run.stdout.matches("sound ").count(), 3, "{what}");
        places += 1;
    };
    for bit in (3..bits).step_by((bits / 40) | 1) {
        damage(&format!("bit {bit}"), &|bytes| {
            bytes[bit / 8] ^= 1 << (bit % 8);
        });
    }
    for block in 0..blocks.min(24) {
        let start = block * 4096;
        damage(&format!("block {block}"), &|bytes| {
            bytes[start..start + 4096].fill(0xa5);
        });
    }
    assert!(places >= 60, "{places}");
    assert_eq!(contents(&env), before);
}

fn images_that_the_catalogue_does_not_list_are_not_pruned() {
    let env = loaded();
    let before = contents(&env);
    let forget = "PRAGMA foreign_keys = ON; DELETE FROM msb_image WHERE digest IN
                  (SELECT image FROM msb_reference WHERE name LIKE '%app:2')";
    Connection::open(catalogue(&env))
        .unwrap()
        .execute_batch(forget)
        .unwrap();
    let run = env.msb("images").failure(&["has lost 1 image", ADVICE]);
    assert!(
        run.stdout.contains("app:1") && !run.stdout.contains("app:2"),
        "{run:?}"
    );
    for line in ["image prune -y", "image inspect app:2", "rmi app:2"] {
        env.msb(line).failure(&["has lost 1 image", ADVICE]);
    }
    env.msb("image inspect app:1").success();
    env.msb("image verify").failure(&["--repair"]);
    env.msb("image verify --repair").failure(&["is restored"]);
    assert_eq!(contents(&env), before);
}

fn an_image_that_cannot_be_brought_back_is_loaded_again_as_advised() {
    let env = loaded();
    let digest = env.json("image inspect app:2 --format json")["digest"].clone();
    let hex = digest.as_str().unwrap().replace("sha256:", "");
    let sidecar = files(&env, "sidecars");
    let sidecar = sidecar
        .iter()
        .find(|it| it.to_string_lossy().contains(&hex));
    std::fs::write(sidecar.unwrap(), "{}").unwrap();
    std::fs::remove_file(catalogue(&env)).unwrap();
    let run = env.msb("image verify --repair");
    let run = run.failure(&["hint: load the images that are missing again"]);
    let lost = format!("image {} could not be restored", digest.as_str().unwrap());
    assert!(run.stdout.contains(&lost), "{run:?}");
    env.msb("image inspect app:1").success();
    let image = Image::new("app:2", &["base/ \nbase/x = 1", "z = 3"]).compressed(gzip);
    env.write("in.tar", &image.oci());
    env.msb("load -q -i in.tar").success();
    env.msb("image verify").success();
    env.msb("image inspect app:2").success();
}

fn a_bad_row_harms_its_image_alone_and_rmi_removes_it() {
    for change in [
        "msb_image SET config_digest = 'sha256:zz' WHERE digest = ",
        "msb_image_layer SET diff_id = 'x' WHERE image = ",
        "msb_reference SET digest = 'x' WHERE image = ",
    ] {
        let env = loaded();
        let image = "(SELECT image FROM msb_reference WHERE name LIKE '%app:2')";
        Connection::open(catalogue(&env))
            .unwrap()
            .execute_batch(&format!(
                "PRAGMA foreign_keys = OFF; UPDATE {change}{image}"
            ))
            .unwrap();
        let run = env
            .msb("images")
            .failure(&["damaged at image `", "app:2", ADVICE]);
        assert_eq!(run.stdout.lines().count(), 3, "{run:?}");
        env.msb("image inspect app:1").success();
        env.msb("image inspect app:2").failure(&[ADVICE]);
        let run = env.msb("image verify").failure(&["--repair"]);
        assert_eq!(run.stdout.matches("sound ").count(), 2, "{run:?}");
        env.msb("rmi app:2").success();
        env.msb("images").success();
        env.msb("image verify").success();
        assert_eq!(env.references(), ["app:1", "ghcr.io/org/other:v1"]);
    }
}

fn a_path_outside_of_the_store_is_damage_and_stays() {
    let env = loaded();
    let before = contents(&env);
    for name in ["precious.erofs", "precious.recipe"] {
        env.write(name, b"mine");
    }
    let outside = env.path("precious");
    for file in [outside.to_str().unwrap(), "../../../precious"] {
        Connection::open(catalogue(&env))
            .unwrap()
            .execute("UPDATE msb_layer SET file = ?1", [file])
            .unwrap();
        env.msb("image verify").failure(&["--repair"]);
        env.msb("image verify --repair").failure(&["is restored"]);
        assert_eq!(contents(&env), before);
        env.msb("image verify").success();
        assert_eq!(std::fs::read(env.path("precious.erofs")).unwrap(), b"mine");
        assert_eq!(std::fs::read(env.path("precious.recipe")).unwrap(), b"mine");
    }
}

fn layers_in_use_are_dropped_by_force_only() {
    let env = loaded();
    let details = env.json("image inspect app:1 --format json");
    let file = PathBuf::from(details["layers"][0]["erofs_path"].as_str().unwrap());
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[4096] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let run = env
        .msb("image verify --repair")
        .failure(&["damage in 2 images", "`msb image verify --repair --force`"]);
    assert!(
        run.stdout.contains("(kept: used by sandbox devbox)"),
        "{run:?}"
    );
    assert!(file.exists());
    let run = env
        .msb("image verify --repair --force")
        .failure(&["load the images again"]);
    assert!(run.stdout.contains("(dropped)"), "{run:?}");
    assert!(!file.exists());
    assert_eq!(env.msb("image verify --force").code, Some(2));
}

fn what_cannot_be_opened_is_unreadable_and_stays() {
    let env = loaded();
    let kept = [files(&env, "layers"), files(&env, "blobs")].concat();
    // So few open files that layers cannot be opened.
    let mut advised = [0; 2];
    for files_open in 6..14 {
        let script = format!("ulimit -n {files_open}; exec \"$0\" image verify --repair --force");
        let run = Run::of(&mut env.shell(&script, [""; 0]));
        if run.code != Some(0) {
            assert_eq!(run.code, Some(1), "{run:?}");
            assert!(
                run.stderr.contains("Too many open files")
                    || run.stdout.contains("Too many open files"),
                "{run:?}"
            );
            assert!(!run.stdout.contains("(dropped)"), "{run:?}");
            let is_advised = [
                "what cannot be read is not dropped: look at the cause, such as a failing disk or \
                 too few open files, and verify again",
                "allow more open files: `ulimit -n 4096`",
            ]
            .map(|advised| run.stderr.contains(&format!("hint: {advised}")));
            assert!(is_advised.contains(&true), "{run:?}");
            for (count, is_advised) in advised.iter_mut().zip(is_advised) {
                *count += usize::from(is_advised);
            }
        }
        assert_eq!([files(&env, "layers"), files(&env, "blobs")].concat(), kept);
    }
    assert!(advised.iter().all(|count| *count > 0), "{advised:?}");
    env.msb("image verify").success();
}
