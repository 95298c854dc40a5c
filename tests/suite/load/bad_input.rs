//! Bad input: one clear message with its causes and a hint, exit code 1, and nothing is left.

mod cases;

use std::io::Read as _;
use std::process::Stdio;

use serde_json::json;

use self::cases::{cases, image};
use crate::archive::{Image, other_architecture};
use crate::env::TestEnv;
use crate::tests;

tests! {
    what_cannot_be_loaded_is_refused_with_words_and_leaves_nothing;
    the_same_holds_for_a_pipe;
    an_input_that_is_not_there;
    an_image_for_another_platform_loads_when_asked_for;
    what_cannot_be_saved_is_refused_and_leaves_no_file;
    a_reader_that_goes_away_ends_save_with_a_message;
    a_store_of_a_newer_format_is_not_touched;
    hostile_names_are_escaped;
    a_home_that_cannot_be_made;
}

fn what_cannot_be_loaded_is_refused_with_words_and_leaves_nothing() {
    for case in cases() {
        let env = TestEnv::new();
        env.write("in.tar", &case.archive);
        eprintln!("{}", case.name);
        let words: Vec<&str> = case.words.iter().map(String::as_str).collect();
        env.msb("load -i in.tar").failure(&words);
        env.assert_clean();
    }
}

fn the_same_holds_for_a_pipe() {
    for case in cases() {
        let env = TestEnv::new();
        eprintln!("{}", case.name);
        let words: Vec<&str> = case.words.iter().map(String::as_str).collect();
        env.msb_with_input("load", &case.archive).failure(&words);
        env.assert_clean();
    }
}

fn an_input_that_is_not_there() {
    let env = TestEnv::new();
    env.msb("load -i nowhere.tar")
        .failure(&["could not open `nowhere.tar`", "caused by: No such file"]);
    env.assert_clean();
}

fn an_image_for_another_platform_loads_when_asked_for() {
    let env = TestEnv::new();
    let mut image = image();
    image.config["architecture"] = json!(other_architecture());
    env.write("in.tar", &image.docker());
    let advised = format!(
        "hint: load an image for another platform with `--platform linux/{}`",
        other_architecture()
    );
    env.msb("load -i in.tar").failure(&[&advised]);
    let line = format!("load -i in.tar --platform linux/{}", other_architecture());
    env.msb(&line).success();
    let row = &env.json("images --format json")[0];
    assert_eq!(row["architecture"], other_architecture());
    env.msb("load -i in.tar --platform nonsense")
        .failure(&["`nonsense` is not a platform", "hint: "]);
}

fn what_cannot_be_saved_is_refused_and_leaves_no_file() {
    let env = TestEnv::new();
    env.write("in.tar", &image().docker());
    env.msb("load -q -i in.tar").success();
    env.msb("save -o out.tar nothing")
        .failure(&["image not found: nothing", "hint: "]);
    env.msb("save --format zip -o out.tar bad:1").failure(&[
        "no format `zip`",
        "hint: ",
        "docker, oci",
    ]);
    env.msb("save -o missing/out.tar bad:1")
        .failure(&["missing/out.tar", "No such file"]);
    // A bit that flipped in the store is found while the layer is rebuilt.
    let details = env.json("image inspect bad:1 --format json");
    let path = details["layers"][0]["erofs_path"].as_str().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[4096] ^= 1;
    std::fs::write(path, bytes).unwrap();
    env.msb("save -o out.tar bad:1")
        .failure(&["is damaged", "hint: "]);
    std::fs::remove_file(path).unwrap();
    env.msb("save -o out.tar bad:1")
        .failure(&["missing or damaged in the store", "hint: "]);
    assert!(!env.path("out.tar").exists());
    let left: Vec<_> = std::fs::read_dir(env.path("")).unwrap().collect();
    assert!(!format!("{left:?}").contains("msb-save"), "{left:?}");
    // What is missing is made by loading again.
    env.msb("load -q -i in.tar").success();
    env.msb("save -o out.tar bad:1").success();
}

fn a_reader_that_goes_away_ends_save_with_a_message() {
    let env = TestEnv::new();
    let big = "x".repeat(4 << 20);
    env.write(
        "in.tar",
        &Image::new("big:1", &[&format!("big = {big}")]).docker(),
    );
    env.msb("load -q -i in.tar").success();
    let mut child = env
        .command(["save", "big:1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(
        stderr.contains("could not write `standard output`"),
        "{stderr}"
    );
    assert!(
        stderr.contains("hint: the reader closed the pipe"),
        "{stderr}"
    );
    assert!(
        stderr.contains("Broken pipe") && !stderr.contains("panicked"),
        "{stderr}"
    );
}

fn a_store_of_a_newer_format_is_not_touched() {
    let env = TestEnv::new();
    env.write("in.tar", &image().docker());
    env.msb("load -q -i in.tar").success();
    let catalogue = rusqlite::Connection::open(env.home().join("db/images.db")).unwrap();
    let newer = "UPDATE msb_store SET value = '99' WHERE key = 'format'; PRAGMA user_version = 99;";
    catalogue.execute_batch(newer).unwrap();
    env.msb("images").failure(&["has format 99", "hint: "]);
    env.msb("load -i in.tar").failure(&["has format 99"]);
}

fn hostile_names_are_escaped() {
    let env = TestEnv::new();
    let mut image = image();
    image.config["config"]["Env"] = json!(["\u{1b}]0;owned\u{7}=1"]);
    image.name = Some("\u{1b}[31mred".to_owned());
    env.write("in.tar", &image.docker());
    let run = env.msb("load -i in.tar").success();
    assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
    assert!(run.stderr.contains("\\u{1b}[31mred"), "{run:?}");
    let id = image.id();
    let run = env.msb(&format!("image inspect {id}")).success();
    assert!(!run.stdout.contains(['\u{1b}', '\u{7}']), "{run:?}");
    let run = env
        .msb("image inspect \u{1b}[2J")
        .failure(&["image not found"]);
    assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
}

fn a_home_that_cannot_be_made() {
    let env = TestEnv::untouched();
    let file = env.write("file", b"not a directory");
    let env = env.with_home(&file.join("home"));
    env.msb("images")
        .failure(&["could not create", "caused by: "]);
}
