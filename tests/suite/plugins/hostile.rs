//! Ten ways of a plugin to do harm, through the command line: each is contained, the message says
//! which plugin met which limit and what raises it, and the store is as if nothing had been.

mod answers;
mod limits;

use serde_json::{Value, json};

use super::component;
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
    calls_without_a_grant_are_denied_with_the_command_that_grants;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), limits::tests(), answers::tests()];
    tests.into_iter().flatten().collect()
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
