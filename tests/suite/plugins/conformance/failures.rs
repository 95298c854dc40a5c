//! What breaks the contract, and how the report says it.

use serde_json::{Value, json};

use super::{deed, ended, names, test};
use crate::env::TestEnv;
use crate::tests;

tests! {
    what_is_no_plugin_fails_and_nothing_else_is_tried;
    a_format_fails_where_it_breaks_the_rules;
    a_provider_fails_where_it_breaks_the_rules;
    a_failure_says_what_happened_in_which_case;
}

fn what_is_no_plugin_fails_and_nothing_else_is_tried() {
    let env = TestEnv::new();
    for (name, bytes, words) in [
        ("empty", &b""[..], "an empty file"),
        ("page", b"<html>", "a text, perhaps an error page"),
        ("module", b"\0asm\x01\0\0\0", "it is a core module"),
        (
            "package",
            b"\0asm\x0d\0\x01\0",
            "a package of interfaces (WIT)",
        ),
    ] {
        let file = format!("{name}.wasm");
        env.write(&file, bytes);
        let run = env
            .msb(&format!("plugin test {file}"))
            .failure(&[&format!("`{file}` failed 1 of 1 checks")]);
        let line = run.stdout.lines().nth(1).unwrap();
        assert!(line.starts_with("failed     component "), "{run:#?}");
        assert!(line.contains(words), "{run:#?}");
    }
}

fn a_format_fails_where_it_breaks_the_rules() {
    let env = TestEnv::new();
    let deeds = [
        "escape",
        "layer-greedy",
        "layer-three",
        "out-of-range",
        "panic",
    ];
    let archives = deeds.map(|name| deed(&env, name));
    let mut arguments = vec!["--format", "json", "--keep", "kept"];
    for archive in &archives {
        arguments.extend(["--archive", archive]);
    }
    let run = test(&env, "misbehaving", &arguments);
    assert_eq!(run.code, Some(1));
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    for (check, cases) in [
        (
            "foreign",
            &["an archive of sources: it claims to know it"][..],
        ),
        (
            "samples",
            &[
                "escape.tar: malformed: \u{1b}[2Jall is well",
                "out-of-range.tar: its answer is not valid: it points to entry 4000000000",
                "panic.tar: it crashed: panicked at ",
            ],
        ),
        (
            "made-layers",
            &["layer-greedy.tar, greedy (made by plugin "],
        ),
        ("samples-load", &["layer-three.tar: the configuration "]),
        ("hostile-bytes", &["panic.tar, cut off after "]),
        (
            "hostile-entries",
            &["panic.tar, panic twice, the second one empty: it crashed"],
        ),
        ("write-read", &["an image: it does not read what it wrote"]),
    ] {
        let found = report["checks"].as_array().unwrap().iter();
        let mut found = found.filter(|found| found["name"] == check);
        let found = found
            .next()
            .unwrap_or_else(|| panic!("no {check}: {run:#?}"));
        assert_eq!(found["outcome"], "failed", "{check}");
        let details = found["details"].as_array().unwrap();
        for case in cases {
            let told = |detail: &Value| detail.as_str().unwrap().starts_with(case);
            assert!(details.iter().any(told), "{case}: {details:#?}");
        }
    }
    assert_eq!(ended(&run, "failed").len(), 7, "{run:#?}");
    let kept = std::fs::read_dir(env.path("kept")).unwrap();
    let mut kept: Vec<_> = kept.map(|entry| entry.unwrap().path()).collect();
    kept.sort();
    assert!(kept.len() >= 7, "{kept:?}");
    // What was kept is what it fails with.
    let file = kept
        .iter()
        .find(|path| path.to_str().unwrap().contains("hostile-entries"));
    let file = file.unwrap().to_str().unwrap();
    let run = test(
        &env,
        "misbehaving",
        &["--format", "json", "--archive", file],
    );
    assert!(ended(&run, "failed").contains("samples"), "{run:#?}");
}

fn a_provider_fails_where_it_breaks_the_rules() {
    let env = TestEnv::new();
    let reveal = &["--grant", "reveal"][..];
    let http = &["--grant", "http=https://misbehaving.example.com"][..];
    for (deed, arguments, failed) in [
        ("leak-log", reveal, &["leaks", "login"][..]),
        ("leak-error", reveal, &["leaks", "login"]),
        ("leak-hint", reveal, &["leaks", "login"]),
        ("leak-source", reveal, &["leaks", "login", "username"]),
        ("leak-entry", reveal, &["leaks"]),
        (
            "leak-panic",
            reveal,
            &["leaks", "login", "requests", "username"],
        ),
        ("swallow", &[], &["denials", "login", "username"]),
        ("anyone", &[], &["denials", "login", "username"]),
        ("odd", &[], &["requests"]),
        ("report", &[], &["unclaimed"]),
        ("forget", &[], &["keeping"]),
        (
            "count",
            &["--grant", "keychain=misbehaving"],
            &["answers-again", "denials", "login", "username"],
        ),
        ("echo", http, &["hostile-answers", "leaks", "login"]),
        ("insist", http, &["login", "slow-server", "username"]),
    ] {
        let settings = json!({"deed": deed}).to_string();
        let run = test(
            &env,
            "misbehaving-credentials",
            &[&["--format", "json", "--settings", &settings], arguments].concat(),
        );
        // It looks for a variable while it describes itself.
        let failed = names(&[&["description-alone"], failed].concat());
        assert_eq!(ended(&run, "failed"), failed, "{deed}: {run:#?}");
        assert_eq!(run.code, Some(1), "{deed}");
    }
    let run = test(&env, "misbehaving-credentials", &["--format", "json"]);
    let failed = names(&["description-alone", "leaks", "ungranted"]);
    assert_eq!(ended(&run, "failed"), failed, "{run:#?}");
}

fn a_failure_says_what_happened_in_which_case() {
    let env = TestEnv::new();
    let settings = r#"{"deed":"swallow"}"#;
    let run = test(&env, "misbehaving-credentials", &["--settings", settings])
        .failure(&["misbehaving-credentials.wasm` failed 4 of 17 checks"]);
    let lines: Vec<&str> = run.stdout.lines().collect();
    let at = |start: &str| {
        let found = lines.iter().position(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("no {start:?} in {run:#?}"))
    };
    let denials = at("failed     denials ");
    assert!(
        lines[denials]
            .ends_with("denied capabilities passed on: 0 of 3, and the rest was left out"),
        "{}",
        lines[denials]
    );
    assert_eq!(
        lines[denials + 1].trim(),
        "- docker.io: `env=MISBEHAVING_NAME` was denied, and it says `not-found`: nothing \
         reports it"
    );
    let username = at("failed     username ");
    assert_eq!(
        lines[username + 1].trim(),
        "- docker.io: `nobody-of-the-kit` is wanted, and it gives the login of `kit-user`"
    );
    let archive = deed(&env, "escape");
    let run = test(&env, "misbehaving", &["--archive", &archive]).failure(&[]);
    let said = "           - escape.tar: malformed: \\u{1b}[2Jall is well";
    assert!(run.stdout.lines().any(|line| line == said), "{run:#?}");
    assert!(!run.stdout.contains('\u{1b}'), "{run:#?}");
}
