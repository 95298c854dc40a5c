//! `msb plugin test` with what the author gives it: variables, files and answers of servers as they are
//! in reality.

use serde_json::json;

use super::{ended, names, test};
use crate::env::TestEnv;
use crate::plugins::tokens;
use crate::tests;

tests! {
    a_variable_that_the_author_sets_is_no_secret;
    a_file_of_a_shape_of_its_own_is_shown_by_the_author;
    a_server_that_answers_in_its_own_way_is_shown_by_the_author;
    a_user_who_logs_in_is_shown_by_the_author;
    examples_whose_registries_have_one_user_withhold_it_from_others needs Openssl;
}

fn a_variable_that_the_author_sets_is_no_secret() {
    let env = TestEnv::new();
    let settings = r#"{"deed":"leak-error"}"#;
    let run = test(
        &env,
        "misbehaving-credentials",
        &[
            "--settings",
            settings,
            "--grant",
            "reveal",
            "--env",
            "MISBEHAVING_NAME=a-plain-value",
        ],
    );
    let leaks = "skipped    leaks                it looked at nothing that it was granted";
    assert!(run.stdout.contains(leaks), "{run:#?}");
}

fn a_file_of_a_shape_of_its_own_is_shown_by_the_author() {
    let env = TestEnv::new();
    env.write("sample", b"{{registry}} is opened by {{secret}}\n");
    let settings = r#"{"deed":"leak-own"}"#;
    let granted = [
        "--settings",
        settings,
        "--grant",
        "files=~/.misbehaving",
        "--grant",
        "reveal",
        "--format",
        "json",
    ];
    let run = test(&env, "misbehaving-credentials", &granted);
    assert!(ended(&run, "skipped").contains("leaks"), "{run:#?}");
    let shown = [&granted[..], &["--file", "~/.misbehaving=sample"]].concat();
    let run = test(&env, "misbehaving-credentials", &shown);
    assert!(ended(&run, "failed").contains("leaks"), "{run:#?}");
}

fn a_server_that_answers_in_its_own_way_is_shown_by_the_author() {
    let env = TestEnv::new();
    env.write(
        "login.json",
        br#"{"auth": {"client_token": "{{secret}}", "lease_duration": 600}}"#,
    );
    let settings = json!({
        "address": "https://vault.example.com",
        "registries": {"ghcr.io": "secret/data/{{registry}}"},
    });
    let settings = settings.to_string();
    let arguments = [
        "--settings",
        &settings,
        "--grant",
        "http=POST@https://vault.example.com/v1/auth/approle/login",
        "--grant",
        "http=GET@https://vault.example.com/v1/secret/data/",
        "--format",
        "json",
    ];
    let run = test(&env, "vault-approle", &arguments);
    let unshown = ended(&run, "skipped");
    assert!(
        unshown.contains("leaks") && unshown.contains("username"),
        "{run:#?}"
    );
    let login = "https://vault.example.com/v1/auth/approle/login=login.json";
    let shown = [&arguments[..], &["--answer", login]].concat();
    let run = test(&env, "vault-approle", &shown);
    assert_eq!(ended(&run, "failed"), names(&[]), "{run:#?}");
    assert_eq!(
        ended(&run, "skipped"),
        names(&["keeping", "login"]),
        "{run:#?}"
    );
    for (answer, words) in [
        ("https://a.example", "is not of the form URL=SAMPLE"),
        (
            "a.example=login.json",
            "`a.example` is not an address that a plugin asks",
        ),
        (
            "https://a.example=nowhere.json",
            "could not read `nowhere.json`",
        ),
    ] {
        let shown = [&arguments[..], &["--answer", answer]].concat();
        test(&env, "vault-approle", &shown).failure(&[words]);
    }
}

fn a_user_who_logs_in_is_shown_by_the_author() {
    let env = TestEnv::new();
    env.write(
        "device.json",
        br#"{"device_code": "{{secret}}", "user_code": "ABCD", "verification_uri": "https://id.example.com/",
            "interval": 1}"#,
    );
    env.write(
        "token.json",
        br#"{"access_token": "{{secret}}", "refresh_token": "{{secret}}", "expires_in": 600}"#,
    );
    let settings = |scope: &str| {
        let server = json!({
            "device_endpoint": "https://id.example.com/oauth/device",
            "token_endpoint": "https://id.example.com/oauth/token",
            "client_id": "kit", "username": "kit-user", "scope": scope,
        });
        json!({"registries": {"ghcr.io": server}}).to_string()
    };
    let settings = settings("all");
    let fixed = ["--format", "json", "--settings", &settings];
    let answers = [
        "--registry",
        "ghcr.io",
        "--answer",
        "https://id.example.com/oauth/device=device.json",
        "--answer",
        "https://id.example.com/oauth/token=token.json",
    ];
    let run = test(&env, "device-login", &[&fixed[..], &answers[..]].concat());
    assert_eq!(ended(&run, "failed"), names(&[]), "{run:#?}");
    assert!(ended(&run, "passed").contains("login"), "{run:#?}");
    // Three users, and a pull after the one who was let in.
    assert!(run.stdout.contains("logins borne: 4"), "{run:#?}");
    // A provider that shows a secret, and one that hides that there is no terminal.
    for (deed, words) in [
        ("login-leak", "a secret is in its instruction"),
        ("login-mute", "that there is no terminal is not passed on"),
        (
            "login-forgets",
            "it has logged the user in, and asking for credentials",
        ),
    ] {
        let settings = json!({"deed": deed}).to_string();
        let arguments = [
            "--format",
            "json",
            "--settings",
            &settings,
            "--grant",
            "reveal",
            "--grant",
            "prompt",
        ];
        let run = test(&env, "misbehaving-credentials", &arguments);
        assert!(ended(&run, "failed").contains("login"), "{deed}: {run:#?}");
        assert!(run.stdout.contains(words), "{deed}: {run:#?}");
    }
}

fn examples_whose_registries_have_one_user_withhold_it_from_others() {
    let env = TestEnv::new();
    let key = tokens::key_pair(&env);
    let account = json!({"private_key": key, "client_email": "kit@example.com"});
    env.write("account.json", account.to_string().as_bytes());
    // `AWS:password` in Base64.
    env.write(
        "token.json",
        br#"{"authorizationData": [{"authorizationToken": "QVdTOnBhc3N3b3Jk"}]}"#,
    );
    let app = json!({
        "app": 7, "installation": 42, "key_file": "~/key.pem", "registries": ["ghcr.io"],
    });
    for (name, settings, arguments) in [
        (
            "ecr",
            json!({"registries": {"ghcr.io": "eu-west-1"}}),
            &[
                "--answer",
                "https://api.ecr.eu-west-1.amazonaws.com/=token.json",
            ][..],
        ),
        (
            "gcp",
            json!({"registries": ["ghcr.io"], "key_file": "~/account.json"}),
            &[
                "--grant",
                "files=~/account.json",
                "--file",
                "~/account.json=account.json",
            ],
        ),
        (
            "github-app",
            app,
            &["--grant", "files=~/key.pem", "--file", "~/key.pem=key.pem"],
        ),
    ] {
        let settings = settings.to_string();
        let fixed = ["--format", "json", "--settings", &settings];
        let run = test(&env, name, &[&fixed, arguments].concat());
        assert!(
            ended(&run, "passed").contains("username"),
            "{name}: {run:#?}"
        );
    }
}
