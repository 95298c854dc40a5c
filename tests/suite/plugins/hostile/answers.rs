//! Answers that are lies, texts that act on a terminal, and providers.

use super::{FAULT, Scene, plain, pull, raised_by, with_provider};
use crate::archive;
use crate::plugins::{component, row};
use crate::tests;

tests! {
    entries_that_are_not_there_are_a_fault_of_the_plugin;
    lies_about_digests_are_found_out;
    escape_sequences_never_reach_the_terminal;
    a_provider_is_contained_in_the_same_ways;
    one_that_does_not_support_an_archive_keeps_no_other_from_it;
}

fn entries_that_are_not_there_are_a_fault_of_the_plugin() {
    let scene = Scene::new();
    for (how, entry) in [
        ("out-of-range", 4_000_000_000),
        ("layer-out-of-range", u32::MAX),
    ] {
        let words = format!(
            "error: plugin `rogue` 0.1.0 gave an answer that msb refuses\n\
             \x20 caused by: its answer is not valid: it points to entry {entry} of an archive with 3\n\
             {FAULT}"
        );
        scene.fails(how, &words);
    }
    scene.still_loads();
}

fn lies_about_digests_are_found_out() {
    let scene = Scene::new();
    let nothing = archive::sha256(b"");
    let mended =
        "hint: the archive is damaged or was put together wrongly; save or copy it again\n";
    for (how, what, bytes) in [
        (
            "lie-about-config",
            "the configuration",
            scene.image.config_bytes(),
        ),
        (
            "lie-about-layer",
            "layer `layer.tar`",
            scene.image.layers[0].clone(),
        ),
    ] {
        let words = format!(
            "error: {what} does not match its digest: {nothing} is stated, {} is there\n{mended}",
            archive::sha256(&bytes)
        );
        scene.fails(how, &words);
    }
    let words = format!(
        "error: plugin `rogue` 0.1.0 found the input malformed\n\
         \x20 caused by: `sha256:../../../etc/passwd` is not a digest: the value has the wrong length\n\
         {mended}"
    );
    scene.fails("bad-digest", &words);
    scene.load("lie-about-size").failure(&[
        "error: could not load layer `layer.tar`\n  caused by: it is longer than 1 bytes\n",
        mended,
    ]);
    scene.env.assert_clean();
    scene.still_loads();
}

fn escape_sequences_never_reach_the_terminal() {
    let scene = Scene::new();
    let words = "error: plugin `rogue` 0.1.0 found the input malformed\n\
         \x20 caused by: \\u{1b}[2Jall is well\n\
         hint: the archive is damaged or was put together wrongly; save or copy it again\n";
    scene.fails("escape", words);
    let run = scene
        .load("escape-layer")
        .failure(&["\\u{1b}[31mred\\r\\n"]);
    assert_eq!(run.stdout, "");
    scene.env.assert_clean();
    let run = scene.still_loads();
    for words in [
        "warning: plugin rogue: \\u{1b}[2Jall is well",
        "note: \\u{1b}]0;owned\\u{7}all is well",
        "without the reference `\\u{1b}[31mred:1`",
    ] {
        assert!(run.stderr.contains(words), "no {words} in {run:#?}");
    }
    // Its version and its title are its own words, too.
    let version = b"\x07version\x1b[2J6.6.6";
    let section = [&[0, u8::try_from(version.len()).unwrap()][..], version].concat();
    let mut bytes = [std::fs::read(component("misbehaving")).unwrap(), section].concat();
    let title = b"Breaks the rules";
    let at = bytes
        .windows(title.len())
        .position(|it| it == title)
        .unwrap();
    bytes[at..at + title.len()].copy_from_slice(b"\x1b[31mBreaks rule");
    let path = scene.env.write("red.wasm", &bytes);
    scene.env.msb("plugin rm rogue").success();
    let install = format!("plugin install {} --name rogue", path.display());
    plain(scene.env.msb(&install)).success();
    assert_eq!(row(&scene.env, "rogue")["version"], "\u{1b}[2J6.6.6");
    for command in ["plugin ls", "plugin inspect rogue"] {
        let run = plain(scene.env.msb(command)).success();
        assert!(run.stdout.contains("\\u{1b}[2J6.6.6"), "{run:#?}");
        let shows_title = run.stdout.contains("\\u{1b}[31mBreaks rule");
        assert_eq!(shows_title, command != "plugin ls", "{run:#?}");
    }
    scene
        .load("loop")
        .failure(&["plugin `rogue` \\u{1b}[2J6.6.6 met its limit"]);
}

fn a_provider_is_contained_in_the_same_ways() {
    let (env, registry) = with_provider(&["clock"]);
    for (what, words) in [
        (
            "loop",
            raised_by("compute_secs", "it computed for longer than its 3 s"),
        ),
        (
            "allocate",
            raised_by("memory_mib", "it asked for more than its 32 MiB of memory"),
        ),
        (
            "flood",
            raised_by("host_calls", "it called the host more than 10000 times"),
        ),
        (
            "hoard",
            "it held on to more than 16 MiB of secrets".to_owned(),
        ),
        (
            "recurse",
            "call stack exhausted, which holds 512 KiB".to_owned(),
        ),
        ("panic", "a panic on purpose".to_owned()),
        (
            "huge",
            "it gave more than its 4 MiB in one answer or call".to_owned(),
        ),
        ("escape", "the user name has a control character".to_owned()),
        ("two-lines", "the token has a control character".to_owned()),
    ] {
        let lines: Vec<&str> = words
            .lines()
            .map(|line| line.trim().trim_start_matches("error: "))
            .collect();
        let named = [&["plugin `rogue` 0.1.0 "][..], &lines].concat();
        pull(&env, &registry, what, "").failure(&named);
        env.assert_clean();
    }
    pull(&env, &registry, "good", "").success();
}

fn one_that_does_not_support_an_archive_keeps_no_other_from_it() {
    let scene = Scene::new();
    // Docker's format knows what Docker wrote before 1.10, and does not read it.
    let old = ["repositories"];
    for how in ["nothing-of-the-kind", "escape"] {
        scene.load_with(how, &old).failure(&[
            "plugin `docker-archive` ",
            "does not support this input",
            "before version 1.10",
        ]);
    }
    // What is wrong with the other plugin is said.
    scene
        .load_with("panic", &old)
        .failure(&["plugin `rogue` 0.1.0 did not finish"]);
    scene.load_with("honest", &old).success();
    assert_eq!(scene.env.references(), ["good:1"]);
}
