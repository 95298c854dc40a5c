//! `image cat`, and files of images for programs.

use std::io::Read as _;
use std::process::Command;

use serde_json::json;

use super::inside::{loaded, sample};
use crate::archive::Image;
use crate::cli::terminal::Terminal;
use crate::env::Run;
use crate::tests;
use crate::tools;

tests! {
    a_file_comes_bit_for_bit;
    links_are_followed_within_the_image_alone;
    what_cannot_be_shown_is_told_with_a_cure;
    a_terminal_gets_text_and_nothing_that_it_would_obey needs Tmux;
    a_damaged_store_is_told;
    what_is_kept_of_an_image_is_taken_from_the_budget;
    a_reader_that_has_seen_enough_is_no_failure;
    files_of_an_image_can_be_read_by_programs;
}

fn a_file_comes_bit_for_bit() {
    let contents: Vec<String> = (0..300_000)
        .map(|number| format!("{number}\u{0}\n"))
        .collect();
    let contents = contents.concat();
    let env = loaded(&Image::new(
        "app:1",
        &[&format!("data = {}", contents.replace('\n', "\r"))],
    ));
    let expected = contents.replace('\n', "\r");
    let output = env
        .command(["image", "cat", "app:1", "data"])
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(output.stdout == expected.as_bytes());
    let empty = loaded(&Image::new("app:1", &["empty = "]));
    assert_eq!(empty.msb("image cat app:1 empty").success().stdout, "");
}

fn links_are_followed_within_the_image_alone() {
    let secret = tempfile::tempdir().unwrap();
    std::fs::write(secret.path().join("secret"), "of the host").unwrap();
    let outside = secret.path().display();
    let many: Vec<String> = (1..=42)
        .map(|number| format!("l{number} -> l{}\n", number - 1))
        .collect();
    let many = many.concat();
    let layer = format!(
        "etc/\netc/release = in the image\nabsolute -> /etc/release\nup -> ../../../etc/release\n\
         by-directory -> etc\ndangling -> {outside}/secret\nself -> self\na -> b\nb -> a\n\
         root -> /\nl0 = reached\n{many}"
    );
    let env = loaded(&Image::new("app:1", &[&layer]));
    for path in [
        "absolute",
        "/up",
        "by-directory/release",
        "root/root/up",
        "../../etc/release",
        "etc//./release",
    ] {
        let run = env.msb(&format!("image cat app:1 {path}")).success();
        assert_eq!(run.stdout, "in the image", "{path}");
    }
    assert_eq!(env.msb("image cat app:1 l40").success().stdout, "reached");
    for path in ["l41", "self", "a", "self/x"] {
        env.msb(&format!("image cat app:1 {path}"))
            .failure(&["more than 40 symbolic links lead to `/"]);
    }
    let run = env
        .msb("image cat app:1 dangling")
        .failure(&["is not in `app:1`"]);
    assert!(!run.stdout.contains("of the host"), "{run:?}");
    // A link that leads nowhere can still be listed.
    for path in ["dangling", "self"] {
        env.msb(&format!("image ls app:1 {path}")).success();
    }
}

fn what_cannot_be_shown_is_told_with_a_cure() {
    let env = loaded(&sample());
    env.msb("image cat app:1 /etc/paswd").failure(&[
        "`/etc/paswd` is not in `app:1`",
        "hint: did you mean `/etc/passwd`?",
    ]);
    env.msb("image ls app:1 /nothing/at/all").failure(&[
        "`/nothing` is not in `app:1`",
        "hint: `msb image ls app:1 DIRECTORY` lists what there is",
    ]);
    env.msb("image cat app:1 etc").failure(&[
        "`/etc` in `app:1` is a directory",
        "hint: list it with `msb image ls app:1 /etc`",
    ]);
    // What the hints say helps.
    env.msb("image cat app:1 /etc/passwd").success();
    env.msb("image ls app:1 /").success();
    env.msb("image ls app:1 /etc").success();
    env.msb("image cat app:1 dev/null")
        .failure(&["`/dev/null` in `app:1` is a character device, which has no contents"]);
    for path in ["etc/hosts/", "etc/hosts/x", "etc/hosts/."] {
        for command in ["cat", "ls"] {
            env.msb(&format!("image {command} app:1 {path}"))
                .failure(&["`/etc/hosts` in `app:1` is not a directory"]);
        }
    }
    for line in [
        "ls nothing:1 /",
        "cat nothing:1 x",
        "diff app:1 nothing:1",
        "diff nothing:1 app:1",
    ] {
        env.msb(&format!("image {line}"))
            .failure(&["image not found: nothing:1", "`msb images` lists"]);
    }
}

fn a_terminal_gets_text_and_nothing_that_it_would_obey() {
    let layer = "text = one\ttwo\u{1b}[31mred\nbinary = a\u{0}b";
    let env = loaded(&Image::new("app:1", &[layer]));
    let terminal = Terminal::new(&env);
    terminal.enter("msb image cat app:1 text; echo; echo exit $?");
    let screen = terminal.wait_for("exit 0");
    assert!(screen.contains("\\u{1b}[31mred"), "{screen}");
    terminal.enter("msb image cat app:1 binary; echo exit $?");
    let screen = terminal.wait_for("exit 1");
    assert!(screen.contains("`binary` is not text"), "{screen}");
    assert!(
        screen.contains("hint: redirect it: `msb image cat"),
        "{screen}"
    );
    // What the hint says helps.
    terminal.enter("msb image cat app:1 binary > out; echo written $?");
    terminal.wait_for("written 0");
    assert_eq!(std::fs::read(env.path("out")).unwrap(), b"a\0b");
}

fn a_damaged_store_is_told() {
    let env = loaded(&sample());
    let details = env.json("image inspect app:1 --format json");
    let layer = details["layers"][1]["erofs_path"].as_str().unwrap();
    std::fs::write(
        layer,
        vec![0; usize::try_from(std::fs::metadata(layer).unwrap().len()).unwrap()],
    )
    .unwrap();
    for line in [
        "ls app:1 /",
        "cat app:1 etc/hosts",
        "diff app:1 app:1",
        "export app:1 -o out.tar",
    ] {
        env.msb(&format!("image {line}")).failure(&[
            "hint: the copy in the store is damaged: `msb image verify --repair` drops it",
        ]);
    }
    std::fs::remove_file(layer).unwrap();
    for line in [
        "ls app:1 /",
        "cat app:1 etc/hosts",
        "diff app:1 app:1",
        "export app:1 -o out.tar",
    ] {
        env.msb(&format!("image {line}"))
            .failure(&["of `app:1` is missing or damaged in the store"]);
    }
    assert!(!env.path("out.tar").exists());
}

fn what_is_kept_of_an_image_is_taken_from_the_budget() {
    let many: Vec<String> = (0..5000)
        .map(|number| format!("file{number} = \n"))
        .collect();
    let many = many.concat();
    let env = loaded(&Image::new("app:1", &[&many]));
    let settings = json!({"limits": {"memory_bytes": 100_000}});
    env.write_settings(settings);
    for line in [
        "ls app:1 /",
        "ls -R app:1",
        "cat app:1 file1",
        "diff app:1 app:1",
    ] {
        env.msb(&format!("image {line}")).failure(&[
            "takes more than 100000 bytes of memory",
            "hint: if this is intended, raise the limit in config.json: {\"limits\": \
             {\"memory_bytes\": NUMBER}}",
        ]);
    }
}

fn a_reader_that_has_seen_enough_is_no_failure() {
    let many: Vec<String> = (0..50_000)
        .map(|number| format!("file{number} = x\n"))
        .collect();
    let many = many.concat();
    let env = loaded(&Image::new(
        "app:1",
        &[&format!("big = {}\n{many}", "x".repeat(8 << 20))],
    ));
    for line in [
        "image ls -R app:1",
        "image ls -R --format json app:1",
        "image ls -q app:1",
        "image cat app:1 big",
    ] {
        let run = Command::new("bash")
            .args(["-c", &format!("set -o pipefail; \"$0\" {line} | head -c 5")])
            .arg(tools::msb())
            .current_dir(env.path(""))
            .env("MSB_HOME", env.home())
            .output()
            .unwrap();
        let run = Run::from(run).success();
        assert_eq!((run.stdout.len(), run.stderr.as_str()), (5, ""), "{line}");
    }
}

fn files_of_an_image_can_be_read_by_programs() {
    let env = loaded(&sample());
    let msb = msb_host::Msb::builder().home(env.home()).open().unwrap();
    let names: Vec<Vec<u8>> = msb
        .list_files("app:1", "/etc")
        .run()
        .unwrap()
        .iter()
        .map(|entry| entry.name().to_owned())
        .collect();
    assert_eq!(names, [&b"hosts"[..], b"motd", b"passwd"]);
    let mut file = msb.open_file("app:1", "bin/tool").run().unwrap();
    assert_eq!(file.entry().path, b"usr/bin/tool");
    // The layers stay while the file is open.
    env.msb("rmi app:1").success();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "#!/bin/sh");
}
