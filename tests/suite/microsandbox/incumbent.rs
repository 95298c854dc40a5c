//! msb and microsandbox in one home, with the code of microsandbox itself: `cargo xtask incumbent`
//! builds it, says where it is, and runs these tests. What decides is tested without it in
//! `sandboxes`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::tests;

tests! {
    a_home_that_msb_used_first_serves_microsandbox;
    a_home_that_microsandbox_used_first_serves_msb;
    microsandbox_finds_and_reads_what_msb_serves;
    what_microsandbox_removes_is_not_lost_to_msb;
    microsandbox_merges_the_layers_of_msb_again;
    microsandbox_reads_and_merges_layers_that_depend_on_others;
    msb_adopts_what_microsandbox_has_pulled;
}

/// Returns the program that does to a home what microsandbox does, where it was built.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::var_os("MSB_INCUMBENT").map(PathBuf::from)
}

/// Runs microsandbox on the home of msb.
fn theirs(env: &TestEnv, line: &str) -> Run {
    let mut command = Command::new(program().unwrap());
    command
        .arg(env.home())
        .args(line.split_whitespace())
        .current_dir(env.path(""))
        .env_clear()
        .env("HOME", env.path("user-home"))
        .env("MSB_HOME", env.home())
        .stdin(Stdio::null());
    Run::of(&mut command)
}

/// Returns the names that microsandbox has for images, sorted.
fn their_references(env: &TestEnv) -> Vec<String> {
    let mut names: Vec<String> = theirs(env, "list")
        .success()
        .stdout
        .lines()
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

fn images() -> [Image; 3] {
    let base = "etc/\netc/base = base";
    [
        Image::new("ours:1", &[base, "etc/own = ours"]),
        Image::new("theirs:1", &[base, "etc/own = theirs"]),
        Image::new("shared:1", &[base, "etc/own = shared"]),
    ]
}

/// Names in an archive, which microsandbox keeps as they are.
const THEIRS: [&str; 2] = ["shared:1", "theirs:1"];

fn msb_loads(env: &TestEnv) {
    for name in ["ours", "shared"] {
        env.msb(&format!("load -q -i {name}.tar")).success();
    }
}

fn they_load(env: &TestEnv) {
    for name in ["theirs", "shared"] {
        theirs(env, &format!("load {name}.tar")).success();
    }
}

fn home() -> TestEnv {
    let env = TestEnv::untouched();
    for image in images() {
        let name = image.name.clone().unwrap();
        env.write(&name.replace(":1", ".tar"), &image.docker());
    }
    env
}

/// Asserts that microsandbox can give all of its images back.
fn assert_theirs_are_whole(env: &TestEnv) {
    assert_eq!(their_references(env), THEIRS);
    let other = TestEnv::new();
    for reference in THEIRS {
        let saved = other.path("saved.tar");
        theirs(env, &format!("save {reference} {}", saved.display())).success();
        other.msb("load -q -i saved.tar").success();
        std::fs::remove_file(saved).unwrap();
    }
    assert_eq!(other.references(), ["shared:1", "theirs:1"]);
}

#[track_caller]
fn assert_ours_are_whole(env: &TestEnv) {
    assert_eq!(env.references(), ["ours:1", "shared:1"]);
    env.msb("image verify").success();
    for image in images()
        .iter()
        .filter(|it| it.name.as_deref() != Some("theirs:1"))
    {
        let name = image.name.as_deref().unwrap();
        let shown = env.json(&format!("image inspect {name} --format json"));
        assert_eq!(shown["id"], image.id());
        env.msb(&format!("save -q -o saved.tar {name}")).success();
    }
}

/// What holds once both have used the home, whichever came first.
fn both_go_on(env: &TestEnv) {
    assert_ours_are_whole(env);
    assert_theirs_are_whole(env);
    env.msb("image prune --yes").success();
    assert_eq!(env.references(), [] as [String; 0]);
    assert_theirs_are_whole(env);
    msb_loads(env);
    assert_ours_are_whole(env);
    for reference in THEIRS {
        theirs(env, &format!("remove {reference}")).success();
    }
    theirs(env, "prune").success();
    assert_eq!(their_references(env), [] as [String; 0]);
    // They may have taken files of layers along: those are absent, and made again.
    msb_loads(env);
    assert_ours_are_whole(env);
    they_load(env);
    assert_theirs_are_whole(env);
}

fn a_home_that_msb_used_first_serves_microsandbox() {
    let env = home();
    msb_loads(&env);
    they_load(&env);
    both_go_on(&env);
}

fn a_home_that_microsandbox_used_first_serves_msb() {
    let env = home();
    they_load(&env);
    msb_loads(&env);
    both_go_on(&env);
}

const SERVED: [&str; 2] = [
    "etc/\netc/old = 1\netc/kept = kept\nbin/\nbin/sh = shell\nbin/link -> sh",
    "etc/\netc/.wh.old = \nopt/\nopt/.wh..wh..opq = \nopt/new = 2",
];

/// A home with an image that msb has loaded and serves.
fn served() -> (TestEnv, String) {
    let env = TestEnv::untouched();
    env.write("app.tar", &Image::new("app:1", &SERVED).docker());
    env.msb("load -q -i app.tar").success();
    let report = env.json("store serve microsandbox --format json");
    assert_eq!(report["added"], serde_json::json!(["app:1"]), "{report}");
    let shown = env.json("image inspect app:1 --format json");
    let digest = shown["digest"].as_str().unwrap().to_owned();
    (env, digest)
}

fn their_answer(env: &TestEnv, line: &str) -> String {
    theirs(env, line).success().stdout.trim().to_owned()
}

fn microsandbox_finds_and_reads_what_msb_serves() {
    let (env, digest) = served();
    assert_eq!(their_references(&env), [] as [String; 0]);
    // However the user writes it.
    assert_eq!(their_answer(&env, "cached docker.io/library/app:1"), digest);
    assert_eq!(their_answer(&env, "cached app:1"), digest);
    assert_eq!(their_answer(&env, "cached other:1"), "no");
    assert_eq!(their_references(&env), ["app:1", "docker.io/library/app:1"]);
    let shown = their_answer(&env, "inspect app:1");
    let mut lines = shown.lines();
    let config = r#"["A=1"] Some(["/bin/sh"]) None"#;
    assert_eq!(lines.next(), Some(config));
    let diff_ids = Image::new("app:1", &SERVED).config["rootfs"]["diff_ids"].clone();
    assert_eq!(serde_json::json!(lines.collect::<Vec<_>>()), diff_ids);
    let read = their_answer(&env, "read app:1");
    for line in [
        "bin/sh RegularFile 100644 0 shell",
        "bin/link Symlink 120777 0 sh",
        "etc/old CharDevice 20000 0",
        "opt/new RegularFile 100644 0 2",
    ] {
        assert!(read.lines().any(|it| it == line), "{line}: {read}");
    }
    // Being in the database of microsandbox is not a use yet.
    env.msb("image verify").success();
    theirs(&env, "save app:1 saved.tar").success();
    let other = TestEnv::new();
    let saved = std::fs::read(env.path("saved.tar")).unwrap();
    other.write("saved.tar", &saved);
    other.msb("load -q -i saved.tar").success();
    assert_eq!(
        other.msb("image ls app:1 -R -q").success().stdout,
        env.msb("image ls app:1 -R -q").success().stdout
    );
}

fn what_microsandbox_removes_is_not_lost_to_msb() {
    for line in ["remove app:1", "prune"] {
        let (env, digest) = served();
        assert_eq!(their_answer(&env, "cached app:1"), digest);
        theirs(&env, line).success();
        assert_eq!(their_references(&env), [] as [String; 0]);
        assert_eq!(their_answer(&env, "cached app:1"), "no", "{line}");
        for directory in ["layers", "fsmeta", "vmdk", "manifests"] {
            let entries = env.home().join("cache").join(directory).read_dir().unwrap();
            for entry in entries {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let is_theirs = [".erofs", ".vmdk", ".json"]
                    .iter()
                    .any(|end| name.ends_with(end))
                    && !name.ends_with(".msb.erofs");
                assert!(!is_theirs, "{line}: {directory}/{name}");
            }
        }
        env.msb("image verify").success();
        env.msb("save -q -o saved.tar app:1").success();
        let report = env.json("store serve microsandbox --format json");
        assert_eq!(report["added"], serde_json::json!(["app:1"]));
        assert_eq!(their_answer(&env, "cached app:1"), digest);
    }
}

fn microsandbox_merges_the_layers_of_msb_again() {
    let (env, digest) = served();
    assert_eq!(their_answer(&env, "cached app:1"), digest);
    theirs(&env, "rebuild app:1").success();
    assert_eq!(their_answer(&env, "cached app:1"), digest);
    env.msb("image verify --repair").success();
    // Theirs stays: it is over the same layers.
    let report = env.json("store serve microsandbox --format json");
    assert_eq!(report["present"], serde_json::json!(["app:1"]), "{report}");
    assert_eq!(their_answer(&env, "cached app:1"), digest);
    theirs(&env, "prune").success();
    env.msb("image verify").success();
}

/// One layer over two others: its files are two, and microsandbox takes each for the layer of its image.
fn microsandbox_reads_and_merges_layers_that_depend_on_others() {
    let env = TestEnv::untouched();
    let upper = "bin/same => bin/sh\netc/new/deep = 2";
    for name in ["one", "two"] {
        let lower = format!("etc/\nbin/\nbin/sh = shell of {name}");
        let image = Image::new(&format!("{name}:1"), &[&lower, upper]);
        env.write("in.tar", &image.docker());
        env.msb("load -q -i in.tar").success();
    }
    let report = env.json("store serve microsandbox --format json");
    assert_eq!(report["unserved"], serde_json::json!([]), "{report}");
    for name in ["one", "two"] {
        let image = format!("{name}:1");
        let shown = env.json(&format!("image inspect {image} --format json"));
        let digest = shown["digest"].as_str().unwrap();
        assert_eq!(their_answer(&env, &format!("cached {image}")), digest);
        let line = format!("bin/same RegularFile 100644 0 shell of {name}");
        let read = their_answer(&env, &format!("read {image}"));
        assert!(read.lines().any(|it| it == line), "{read}");
        theirs(&env, &format!("rebuild {image}")).success();
        assert_eq!(their_answer(&env, &format!("cached {image}")), digest);
        theirs(&env, &format!("save {image} saved.tar")).success();
        let other = TestEnv::new();
        other.write("saved.tar", &std::fs::read(env.path("saved.tar")).unwrap());
        other.msb("load -q -i saved.tar").success();
        let same = format!("image cat {image} /bin/same");
        assert_eq!(
            other.msb(&same).success().stdout,
            format!("shell of {name}")
        );
    }
    let report = env.json("store serve microsandbox --format json");
    assert_eq!(report["present"].as_array().unwrap().len(), 2, "{report}");
    theirs(&env, "prune").success();
    assert_eq!(their_references(&env), [] as [String; 0]);
    env.msb("image verify").success();
    let report = env.json("store serve microsandbox --format json");
    assert_eq!(report["added"].as_array().unwrap().len(), 2, "{report}");
}

fn msb_adopts_what_microsandbox_has_pulled() {
    let env = TestEnv::untouched();
    let layers = [SERVED[0], SERVED[1], "many = m\nmore => many"];
    env.write("app.tar", &Image::new("app:1", &layers).docker());
    theirs(&env, "load app.tar").success();
    let report = env.json("image adopt --format json");
    let adopted = &report["adopted"][0];
    assert_eq!(
        adopted["references"],
        serde_json::json!(["app:1"]),
        "{report}"
    );
    assert_eq!(adopted["id"], Image::new("app:1", &layers).id());
    assert_eq!(adopted["unproven"].as_array().unwrap().len(), 3);
    assert_eq!(env.references(), ["app:1"]);
    assert_eq!(env.msb("image cat app:1 /opt/new").success().stdout, "2");
    assert_eq!(
        env.msb("image cat app:1 /bin/link").success().stdout,
        "shell"
    );
    env.msb("image ls app:1 /etc/old").failure(&["etc/old"]);
    env.msb("image verify").success();
    // Its own files are not ours to remove, and ours not its.
    theirs(&env, "prune").success();
    env.msb("image verify").success();
    assert_eq!(env.msb("image cat app:1 /opt/new").success().stdout, "2");
    env.msb("save -o saved.tar app:1")
        .failure(&["there is no tar of it"]);
    env.msb("load -q -i app.tar").success();
    env.msb("save -q -o saved.tar app:1").success();
    env.msb("image verify").success();
}
