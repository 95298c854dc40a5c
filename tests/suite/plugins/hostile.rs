//! Ten ways of a plugin to do harm, through the command line: each is contained, the message says
//! which plugin met which limit and what raises it, and the store is as if nothing had been.

use serde_json::{Value, json};

use super::{component, row};
use crate::archive::{self, Image};
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::tests;

tests! {
    a_loop_without_end_is_stopped_and_its_setting_named;
    memory_without_end_is_refused_and_its_setting_named;
    a_recursion_without_end_is_a_crash_with_its_functions;
    a_flood_of_calls_is_stopped_and_its_setting_named;
    texts_without_end_are_stopped_or_cut;
    a_panic_is_shown_with_its_words_and_functions;
    entries_that_are_not_there_are_a_fault_of_the_plugin;
    lies_about_digests_are_found_out;
    calls_without_a_grant_are_denied_with_the_command_that_grants;
    escape_sequences_never_reach_the_terminal;
    a_provider_is_contained_in_the_same_ways;
    a_setting_that_is_named_gives_more;
    plugins_of_msb_have_limits_that_can_be_set_as_well;
    limits_that_make_no_sense_are_named;
    one_that_does_not_support_an_archive_keeps_no_other_from_it;
}

/// A home with a format that does what the first entry of an archive says.
struct Scene {
    env: TestEnv,
    image: Image,
}

/// What is said of a limit that can be raised.
fn raised_by(setting: &str, limit: &str) -> String {
    let setting = format!("plugins.limits.rogue.{setting}");
    format!(
        "error: plugin `rogue` 0.1.0 met its limit, `{setting}`\n\
         \x20 caused by: it was stopped\n\
         \x20 caused by: {limit}\n\
         hint: either what it was given is far out of the ordinary, and `{setting}` in config.json \
         gives it more, or this is a fault of the plugin\n"
    )
}

const FAULT: &str =
    "hint: this is a fault of the plugin, not of what it was given; tell its author\n";

impl Scene {
    fn new() -> Self {
        let scene = Self {
            env: TestEnv::new(),
            image: Image::new("good:1", &["etc/\netc/hosts = here"]),
        };
        scene.limits(
            "rogue",
            &json!({"memory_mib": 32, "compute_secs": 3, "host_calls": 10_000}),
        );
        let path = component("misbehaving");
        let install = format!("plugin install {} --name rogue", path.display());
        plain(scene.env.msb(&install)).success();
        scene
    }

    fn limits(&self, plugin: &str, limits: &Value) {
        configure(&self.env, &json!({"limits": {plugin: limits}}));
    }

    /// Has the format do what it should not.
    fn load(&self, how: &str) -> Run {
        self.load_with(how, &[])
    }

    /// As [`load`](Self::load), from an archive that has more files.
    fn load_with(&self, how: &str, more: &[&str]) -> Run {
        let mut files = vec![
            (how.to_owned(), Vec::new()),
            ("config.json".to_owned(), self.image.config_bytes()),
            ("layer.tar".to_owned(), self.image.layers[0].clone()),
        ];
        files.extend(more.iter().map(|name| ((*name).to_owned(), b"{}".to_vec())));
        let path = self.env.write("hostile.tar", &archive::archive(&files));
        plain(self.env.msb(&format!("load -i {}", path.display())))
    }

    /// Asserts that this ends in an error, in just these words, and that nothing is left of it.
    #[track_caller]
    fn fails(&self, how: &str, words: &str) {
        let run = self.load(how);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{run:#?}");
        assert_eq!(run.stderr, words, "{how}");
        self.env.assert_clean();
    }

    /// Asserts that the store takes a good image of the same plugin, and that it is whole.
    #[track_caller]
    fn still_loads(&self) -> Run {
        let run = self.load("honest").success();
        assert_eq!(self.env.references(), ["good:1"]);
        self.env.msb("image verify").success();
        self.env.assert_nothing_in_flight();
        run
    }
}

fn configure(env: &TestEnv, plugins: &Value) {
    let settings = json!({"plugins": plugins});
    env.write_settings(settings);
}

/// Asserts that a run shows nothing that acts on a terminal, and not too much.
#[track_caller]
fn plain(run: Run) -> Run {
    for text in [&run.stdout, &run.stderr] {
        let control = |character: char| character.is_control() && character != '\n';
        assert!(!text.contains(control), "{run:#?}");
        assert!(text.len() < 10_000, "{} bytes", text.len());
    }
    run
}

fn a_loop_without_end_is_stopped_and_its_setting_named() {
    let scene = Scene::new();
    scene.fails(
        "loop",
        &raised_by("compute_secs", "it computed for longer than its 3 s"),
    );
    scene.still_loads();
}

fn memory_without_end_is_refused_and_its_setting_named() {
    let scene = Scene::new();
    let limit = "it asked for more than its 32 MiB of memory";
    scene.fails("allocate", &raised_by("memory_mib", limit));
    scene.still_loads();
}

fn a_recursion_without_end_is_a_crash_with_its_functions() {
    let scene = Scene::new();
    let calls = ["misbehaving::recurses"; 6].join(" < ");
    let words = format!(
        "error: plugin `rogue` 0.1.0 did not finish\n\
         \x20 caused by: it crashed: wasm trap: call stack exhausted, which holds 512 KiB (in {calls})\n\
         {FAULT}"
    );
    scene.fails("recurse", &words);
    scene.still_loads();
}

fn a_flood_of_calls_is_stopped_and_its_setting_named() {
    let scene = Scene::new();
    let limit = "it called the host more than 10000 times";
    scene.fails("flood", &raised_by("host_calls", limit));
    scene.still_loads();
}

fn texts_without_end_are_stopped_or_cut() {
    let scene = Scene::new();
    let words = format!(
        "error: plugin `rogue` 0.1.0 did not finish\n  caused by: {}\n",
        "x".repeat(4096)
    );
    scene.fails("huge", &words);
    let limit = "it asked for more than its 32 MiB of memory";
    scene.fails("huger", &raised_by("memory_mib", limit));
    scene.limits("rogue", &json!({"memory_mib": 256}));
    scene.fails(
        "huger",
        "error: plugin `rogue` 0.1.0 did not finish\n\
         \x20 caused by: it was stopped\n\
         \x20 caused by: it gave more than its 64 MiB in one answer or call\n\
         hint: either what it was given is far out of the ordinary, or this is a fault of the plugin\n",
    );
    scene.still_loads();
}

fn a_panic_is_shown_with_its_words_and_functions() {
    let scene = Scene::new();
    let run = scene.load("panic").failure(&[
        "error: plugin `rogue` 0.1.0 did not finish\n  caused by: it crashed: panicked at ",
        "a panic on purpose (in misbehaving::panics_in_a_function_with_a_name < ",
        FAULT,
    ]);
    assert_eq!(run.stderr.lines().count(), 3, "{run:#?}");
    scene.env.assert_clean();
    scene
        .load("trap")
        .failure(&["it crashed: wasm trap: ", "unreachable", FAULT]);
    scene.env.assert_clean();
    scene.still_loads();
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

/// Has a provider do what it should not while an image is pulled, and returns how that ended.
fn pull(env: &TestEnv, registry: &Registry, what: &str, argument: &str) -> Run {
    let settings = json!({
        "settings": {"rogue": {"what": what, "argument": argument}},
        "limits": {"rogue": {"memory_mib": 32, "compute_secs": 3, "host_calls": 10_000, "wall_secs": 20}},
    });
    configure(env, &settings);
    let run = plain(env.msb(&format!("pull {}/app:1", registry.host())));
    assert!(!run.stderr.contains("secret\""), "{run:#?}");
    run
}

/// A registry that wants a password, and a provider that was granted this.
fn with_provider(grants: &[&str]) -> (TestEnv, Registry) {
    let (env, registry) = (TestEnv::new(), Registry::start());
    registry.put_image("app", "1", &Image::new("", &["etc/\netc/hosts = here"]));
    registry.challenge(&[r#"Basic realm="tests""#], None);
    // user:secret
    registry.accept_password("dXNlcjpzZWNyZXQ=");
    let path = component("misbehaving-credentials");
    let mut install = format!("plugin install {} --name rogue", path.display());
    for grant in grants {
        install.extend([" --grant ", grant]);
    }
    plain(env.msb(&install)).success();
    (env, registry)
}

fn calls_without_a_grant_are_denied_with_the_command_that_grants() {
    let (env, registry) = with_provider(&["clock"]);
    let server = registry.url("/");
    for (what, argument, grant) in [
        ("env", "HOME", "env=HOME"),
        ("files", "/etc/hostname", "files=/etc/hostname"),
        ("keychain", "login", "keychain=login"),
        ("helper", "pass", "helper=pass"),
        ("http", &server, "http="),
        ("reveal", "", "reveal"),
    ] {
        let before = registry.requests().len();
        let denied = format!("msb plugin grant rogue {grant}");
        pull(&env, &registry, what, argument).failure(&["`rogue`", "denied: ", &denied]);
        env.assert_clean();
        let asked = registry.requests();
        let mut since = asked[before..].iter();
        assert!(since.all(|request| request.path != "/"), "{asked:#?}");
    }
    pull(&env, &registry, "good", "").success();
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

fn a_setting_that_is_named_gives_more() {
    let scene = Scene::new();
    scene.limits("rogue", &json!({"host_calls": 100}));
    scene.load("chatter").failure(&[
        "hint: either what it was given is far out of the ordinary, and \
             `plugins.limits.rogue.host_calls` in config.json gives it more, or this is a fault of \
             the plugin",
    ]);
    scene.limits("rogue", &json!({"host_calls": 100_000}));
    let run = scene.load("chatter").failure(&["said it all"]);
    assert!(!run.stderr.contains("plugins.limits"), "{run:#?}");
}

fn plugins_of_msb_have_limits_that_can_be_set_as_well() {
    let scene = Scene::new();
    let archive = scene.env.write("good.tar", &scene.image.docker());
    let load = format!("load -i {}", archive.display());
    scene.limits("docker-archive", &json!({"host_calls": 1}));
    plain(scene.env.msb(&load)).failure(&[
        "plugin `docker-archive` ",
        "met its limit, `plugins.limits.docker-archive.host_calls`",
        "it called the host more than 1 times",
    ]);
    scene.env.assert_clean();
    scene.limits("docker-archive", &json!({"memory_mib": 1}));
    plain(scene.env.msb(&load)).failure(&[
        "`plugins.limits.docker-archive.memory_mib`",
        "it asked for more than its 1 MiB of memory",
    ]);
    scene.env.assert_clean();
    scene.limits("docker-archive", &json!({"memory_mib": 64}));
    scene.env.msb(&load).success();
}

fn limits_that_make_no_sense_are_named() {
    let scene = Scene::new();
    for (limits, at, words) in [
        (
            json!({"memory": 5}),
            "plugins.limits.rogue.memory",
            "unknown field `memory`",
        ),
        (
            json!({"compute_secs": 0}),
            "plugins.limits.rogue.compute_secs",
            "nonzero",
        ),
        (
            json!({"wall_secs": "5 s"}),
            "plugins.limits.rogue.wall_secs",
            "invalid type",
        ),
        (
            json!({"host_calls": -1}),
            "plugins.limits.rogue.host_calls",
            "invalid value",
        ),
        (json!(7), "plugins.limits.rogue", "invalid type"),
    ] {
        scene.limits("rogue", &limits);
        plain(scene.env.msb("plugin ls")).failure(&["config.json", at, words]);
    }
    scene.limits("Rogue", &json!({}));
    scene
        .env
        .msb("plugin ls")
        .failure(&["plugins.limits.Rogue", "not the name of a plugin"]);
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
