//! What the commands print: exit code, stdout and stderr together.

mod lists;

use std::process::Stdio;

use crate::archive::{Image, gzip, zstd};
use crate::env::{Run, TestEnv};
use crate::tests;

tests! {
    load_names_each_reference_and_each_finished_layer;
    loading_again_says_that_everything_is_there;
    quiet_commands_print_nothing_but_data;
    rmi_of_several_goes_on_after_an_error;
    save_to_a_pipe_is_the_same_as_to_a_file;
    long_and_short_forms_are_the_same_command;
    usage_errors_exit_with_two;
    commands_that_need_no_plugin_start_no_engine;
    case_93_an_archive_loads_however_it_comes;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), lists::tests()];
    tests.into_iter().flatten().collect()
}

fn loaded() -> TestEnv {
    let env = TestEnv::new();
    env.write("in.tar", &sample().docker());
    env.msb("load --input in.tar").success();
    env
}

fn sample() -> Image {
    Image::new("sample:1", &["etc/\netc/hosts = here", "srv/new = y"])
}

/// Compares a run with what it should print; what changes from run to run is spelled `[…]`.
#[track_caller]
pub(crate) fn assert_prints(env: &TestEnv, run: &Run, expected: &str) {
    let lines = |text: &str| -> Vec<String> {
        text.trim()
            .lines()
            .map(|line| line.trim().to_owned())
            .collect()
    };
    let (seen, wanted) = (lines(&run.snapshot(env)), lines(expected));
    let matches = seen.len() == wanted.len()
        && seen
            .iter()
            .zip(&wanted)
            .all(|(seen, wanted)| matches(seen, wanted));
    assert!(
        matches,
        "seen:\n{}\nexpected:\n{}",
        seen.join("\n"),
        wanted.join("\n")
    );
}

/// Compares a line with one in which `[…]` stands for anything without a space.
fn matches(line: &str, pattern: &str) -> bool {
    let mut rest = line;
    let mut parts = pattern.split("[…]");
    let Some(first) = parts.next() else {
        return line.is_empty();
    };
    let Some(after) = rest.strip_prefix(first) else {
        return false;
    };
    rest = after;
    for part in parts {
        let word = rest.find(' ').unwrap_or(rest.len());
        let skipped = if part.is_empty() {
            Some(word)
        } else {
            rest.find(part).filter(|position| *position <= word)
        };
        let Some(skipped) = skipped else {
            return false;
        };
        rest = &rest[skipped + part.len()..];
    }
    rest.is_empty()
}

fn load_names_each_reference_and_each_finished_layer() {
    let env = TestEnv::new();
    env.write("in.tar", &sample().docker());
    let run = env.msb("load --input in.tar");
    assert_eq!(run.stdout, "");
    // A machine that is busy adds how long it took.
    assert!(
        run.stderr.contains("\n   ✓ Loaded       sample:1"),
        "{run:?}"
    );
    for layer in ["layer0/layer.tar", "layer1/layer.tar"] {
        let line = run
            .stderr
            .lines()
            .find(|line| line.ends_with(layer))
            .unwrap();
        assert!(line.starts_with("layer ") && line.contains("KiB"), "{line}");
    }
    assert_eq!(run.stderr.lines().count(), 3, "{run:?}");
}

fn loading_again_says_that_everything_is_there() {
    let env = loaded();
    let run = env.msb("load --input in.tar");
    assert_prints(
        &env,
        &run,
        "exit 0
         --- stdout
         --- stderr
            ✓ Loaded       sample:1 (already cached)",
    );
}

fn quiet_commands_print_nothing_but_data() {
    let env = TestEnv::new();
    env.write("in.tar", &sample().docker());
    for line in [
        "load -q -i in.tar",
        "save -q -o out.tar sample:1",
        "rmi -q sample:1",
    ] {
        let run = env.msb(line).success();
        assert_eq!(
            (run.stdout.as_str(), run.stderr.as_str()),
            ("", ""),
            "{line}"
        );
    }
    env.msb("load -q -i in.tar").success();
    assert_eq!(env.msb("images -q").success().stdout, "sample:1\n");
    let run = env.msb("image prune -y -q").success();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
}

fn rmi_of_several_goes_on_after_an_error() {
    let env = loaded();
    assert_prints(
        &env,
        &env.msb("rmi nothing sample:1"),
        "exit 3
         --- stdout
         --- stderr
         error: image not found: nothing
         hint: `msb images` lists what there is
            ✓ Removed      sample:1
         error: 1 of 2 images could not be removed",
    );
    env.assert_clean();
}

fn save_to_a_pipe_is_the_same_as_to_a_file() {
    let env = loaded();
    env.msb("save -o file.tar sample:1").success();
    let mut save = env.command(["save", "sample:1"]);
    let output = save.stdout(Stdio::piped()).output().unwrap();
    assert!(output.status.success());
    assert!(output.stdout == std::fs::read(env.path("file.tar")).unwrap());
}

fn long_and_short_forms_are_the_same_command() {
    let env = loaded();
    for (long, short) in [
        ("image ls", "images"),
        ("image list -q", "images -q"),
        ("image rm nothing", "rmi nothing"),
        ("image remove nothing", "rmi nothing"),
        (
            "image save -o /dev/null sample:1 -q",
            "save -o /dev/null sample:1 -q",
        ),
        ("image load -i in.tar", "load -i in.tar"),
    ] {
        let (long, short) = (env.msb(long), env.msb(short));
        assert_eq!(long.snapshot(&env), short.snapshot(&env));
    }
}

fn usage_errors_exit_with_two() {
    let env = TestEnv::untouched();
    for line in [
        "",
        "nonsense",
        "save",
        "rmi",
        "image",
        "image inspect",
        "images --format yaml",
        "load --input",
        "images --debug --trace",
    ] {
        let run = env.msb(line);
        assert_eq!(run.code, Some(2), "{line}: {run:?}");
        assert_eq!(run.stdout, "", "{line}");
    }
    assert!(!env.home().exists());
}

fn commands_that_need_no_plugin_start_no_engine() {
    let env = loaded();
    let compiled = env.home().join("cache/plugins");
    assert!(compiled.exists(), "load did not cache what it compiled");
    std::fs::remove_dir_all(&compiled).unwrap();
    for line in [
        "images",
        "image inspect sample:1",
        "rmi sample:1",
        "image prune -y",
    ] {
        env.msb(line).success();
        assert!(!compiled.exists(), "{line}");
    }
}

fn case_93_an_archive_loads_however_it_comes() {
    let image = sample();
    let (docker, oci) = (image.docker(), image.clone().compressed(gzip).oci());
    let zstd_layers = image.clone().compressed(zstd).oci();
    for (name, archive) in [
        ("docker.tar", docker.clone()),
        ("docker.tar.gz", gzip(&docker)),
        ("docker.tar.zst", zstd(&docker)),
        ("oci.tar", oci.clone()),
        ("oci.tar.gz", gzip(&oci)),
        ("oci-zstd.tar", zstd_layers),
    ] {
        let env = TestEnv::new();
        env.write(name, &archive);
        env.msb(&format!("load -i {name}")).success();
        let id = &env.json("images --format json")[0]["id"];
        assert_eq!(*id, image.id(), "{name} from a file");
        env.assert_nothing_in_flight();
        let env = TestEnv::new();
        env.msb_with_input("load", &archive).success();
        let id = &env.json("images --format json")[0]["id"];
        assert_eq!(*id, image.id(), "{name} from a pipe");
        env.assert_nothing_in_flight();
    }
    let env = TestEnv::new();
    for (name, contents) in image.oci_files() {
        let path = env.path("layout").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }
    env.msb("load -i layout").success();
    assert_eq!(env.json("images --format json")[0]["id"], image.id());
}
