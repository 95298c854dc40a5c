//! What programs rely on: the keys of JSON, exit codes, logs and progress. Source: `docs/json.md`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::tests;

tests! {
    documented_json_is_what_is_printed;
    every_exit_code_has_its_test;
    failures_end_with_the_number_of_their_kind;
    a_load_says_what_it_has_loaded;
    a_pull_says_what_it_has_pulled;
    progress_is_lines_of_json_when_asked;
    progress_may_be_left_out;
    a_variable_says_how_much_is_shown;
}

pub(crate) const DOCUMENT: &str = include_str!("../../../docs/json.md");

fn image(name: &str) -> Image {
    Image::new(name, &["etc/\netc/hosts = here", "srv/data = data"])
}

fn loaded() -> TestEnv {
    let env = TestEnv::new();
    env.write("in.tar", &image("app:1").docker());
    env.msb("load -q -i in.tar").success();
    env
}

/// Returns the keys of each section, with their types.
fn documented() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut sections = BTreeMap::new();
    for section in DOCUMENT.split("\n## ").skip(1) {
        let (heading, text) = section.split_once('\n').unwrap();
        let Some(command) = heading.strip_prefix("`msb ") else {
            continue;
        };
        let rows = text.lines().filter(|line| line.starts_with("| `"));
        let keys = rows.map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            (cells[0].trim_matches('`').to_owned(), cells[1].to_owned())
        });
        sections.insert(command.trim_matches('`').to_owned(), keys.collect());
    }
    sections
}

fn documented_json_is_what_is_printed() {
    let registry = Registry::start();
    registry.put_image("app", "2", &image(""));
    let env = loaded();
    let documented = documented();
    let mut seen = 0;
    for (command, keys) in &documented {
        let line = command
            .replace("pull REF…", &format!("pull {}/app:2", registry.host()))
            .replace("load ", "load -i in.tar ")
            .replace("NAME…", "other:1")
            .replace("REF", "app:1")
            .replace("image untag other:1", "image untag app:1")
            .replace("prune --yes", "prune --yes --dry-run");
        let printed = env.json(&line);
        let object = match &printed {
            Value::Array(items) => items.first().unwrap_or_else(|| panic!("{line}: nothing")),
            object => object,
        };
        let object = object
            .as_object()
            .unwrap_or_else(|| panic!("{line}: {printed}"));
        let mut found: Vec<&String> = object.keys().collect();
        found.sort();
        assert_eq!(found, keys.keys().collect::<Vec<_>>(), "{line}");
        for (key, kind) in keys {
            let value = &object[key];
            let is_it = kind.split(" or ").any(|kind| match kind {
                "string" => value.is_string(),
                "integer" => value.is_u64(),
                "boolean" => value.is_boolean(),
                "array" => value.is_array(),
                "object" => value.is_object(),
                "null" => value.is_null(),
                "any" => true,
                kind => panic!("{kind}"),
            });
            assert!(is_it, "{line}: `{key}` is {value}, not {kind}");
        }
        // What a later command needs is there again.
        env.msb("load -q -i in.tar").success();
        seen += 1;
    }
    assert!(seen >= 13, "{documented:#?}");
}

fn every_exit_code_has_its_test() {
    let section = DOCUMENT
        .split("\n## ")
        .find(|it| it.starts_with("Exit codes"))
        .unwrap();
    let sources = crate::docs::all_sources();
    let defined = crate::docs::defined(&sources);
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut codes = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        codes.push(cells[0].parse::<u8>().unwrap());
        let test = cells[2].trim_matches(['`', ' ', '|']);
        assert!(defined.contains(test), "no `fn {test}`");
    }
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 10, 125, 130]);
}

fn failures_end_with_the_number_of_their_kind() {
    let registry = Registry::start();
    let guarded = Registry::start();
    registry.put_image("app", "1", &image(""));
    guarded.put_image("app", "1", &image(""));
    guarded.challenge(&[r#"Basic realm="tests""#], None);
    let gone = {
        let registry = Registry::start();
        registry.host()
    };
    let env = loaded();
    let (open, closed) = (registry.host(), guarded.host());
    for (line, code) in [
        (format!("pull -q {open}/app:1"), 0),
        ("image inspect nothing".to_owned(), 3),
        ("rmi nothing".to_owned(), 3),
        ("rmi nothing neither".to_owned(), 3),
        ("save -o out.tar nothing".to_owned(), 3),
        ("image history nothing".to_owned(), 3),
        ("image ls nothing".to_owned(), 3),
        ("image cat nothing /etc/hosts".to_owned(), 3),
        ("image diff app:1 nothing".to_owned(), 3),
        ("image disk -o x.raw nothing".to_owned(), 3),
        ("image export -o x.tar nothing".to_owned(), 3),
        ("pull --policy never nothing".to_owned(), 3),
        (format!("pull {open}/app:2"), 3),
        (format!("pull {closed}/app:1"), 4),
        (format!("pull {gone}/app:1"), 5),
        (
            format!("pull --tls-verify=true --policy always {gone}/app:1 {gone}/app:2"),
            5,
        ),
        (format!("pull {open}/app:2 {closed}/app:1"), 1),
        (format!("plugin install --yes {open}/plugin:1"), 3),
        (format!("plugin install --yes {closed}/plugin:1"), 4),
        (format!("plugin install --yes {gone}/plugin:1"), 5),
        ("load -i nothing.tar".to_owned(), 1),
        ("image exists nothing".to_owned(), 1),
        ("image exists app:1".to_owned(), 0),
    ] {
        let run = env.msb(&line);
        assert_eq!(run.code, Some(code), "{line}: {run:?}");
    }
    for (host, code) in [(closed, 4), (gone, 5)] {
        let login = format!("registry login {host} -u ann --password-stdin --store file");
        let run = env.msb_with_input(&login, b"wrong");
        assert_eq!(run.code, Some(code), "{login}: {run:?}");
    }
}

fn a_load_says_what_it_has_loaded() {
    let env = TestEnv::new();
    env.write("in.tar", &image("app:1").docker());
    let report = env.json("load -i in.tar --tag other:2 --format json");
    let [one] = report["images"].as_array().unwrap().as_slice() else {
        panic!("{report}");
    };
    assert_eq!(one["references"], json!(["app:1", "other:2"]));
    assert_eq!(one["id"], image("app:1").id());
    assert_eq!(one["already_present"], false);
    assert_eq!(report["failed"], json!([]));
    assert_eq!(
        env.json("load -i in.tar --format json")["images"][0]["already_present"],
        true
    );
}

fn a_pull_says_what_it_has_pulled() {
    let registry = Registry::start();
    let digest = registry.put_image("app", "1", &image(""));
    let env = TestEnv::new();
    let name = format!("{}/app:1", registry.host());
    let missing = format!("{}/app:2", registry.host());
    let run = env.msb(&format!("pull --format json {name} {missing}"));
    assert_eq!(run.code, Some(3), "{run:?}");
    let pulled: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(pulled.as_array().map(Vec::len), Some(1));
    assert_eq!(pulled[0]["reference"], name);
    assert_eq!(pulled[0]["registry_digest"], digest);
    assert_eq!(pulled[0]["tag_confirmed"], true);
    let again = env.json(&format!("pull --format json {name}"));
    assert_eq!(again[0]["already_present"], true);
    assert_eq!(again[0]["tag_confirmed"], false);
}

/// Returns the lines of stderr, each of which is JSON.
fn events(run: &Run) -> Vec<Value> {
    let lines = run.stderr.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

fn progress_is_lines_of_json_when_asked() {
    let registry = Registry::start();
    registry.put_image("app", "1", &image(""));
    let env = TestEnv::new();
    let name = format!("{}/app:1", registry.host());
    let run = env.msb(&format!("pull --progress json {name}")).success();
    let all = events(&run);
    let documented = DOCUMENT.split("| `event` | other keys |").nth(1).unwrap();
    let documented = documented.split("\n## ").next().unwrap();
    for event in &all {
        let event = event["event"].as_str().unwrap();
        assert!(documented.contains(&format!("`{event}`")), "{event}");
    }
    let count = |name: &str| all.iter().filter(|event| event["event"] == name).count();
    assert_eq!(count("layer_started"), 2, "{all:#?}");
    assert_eq!(count("layer_finished"), 2);
    assert!(count("phase") > 0);
    let run = env.msb(&format!("pull --progress json {}/app:2", registry.host()));
    let all = events(&run);
    let last = all.last().unwrap();
    assert_eq!(
        (&last["event"], &last["exit_code"]),
        (&json!("error"), &json!(3))
    );
    assert!(last["hints"][0].is_string(), "{last}");
}

fn progress_may_be_left_out() {
    let env = TestEnv::new();
    env.write("in.tar", &image("app:1").docker());
    let run = env.msb("load --progress none -i in.tar").success();
    assert!(
        run.stderr.contains("Loaded") && !run.stderr.contains("layer "),
        "{run:?}"
    );
    env.msb("rmi -q app:1").success();
    let run = env.msb("load --progress plain -i in.tar").success();
    assert_eq!(run.stderr.matches("\nlayer ").count() + 1, 2, "{run:?}");
}

fn a_variable_says_how_much_is_shown() {
    let env = TestEnv::new();
    env.write("in.tar", &image("app:1").docker());
    let run = |level: &str, line: &str| {
        let mut command = env.command(line.split(' '));
        Run::of(command.env("MSB_LOG", level)).success().stderr
    };
    assert!(run("info", "load -i in.tar").contains("info: Reading archive"));
    assert!(!run("warn", "load -i in.tar").contains("info: "));
    assert!(!run("trace", "load -i in.tar --warn").contains("info: "));
    assert!(!run("nonsense", "load -i in.tar").contains("info: "));
}
