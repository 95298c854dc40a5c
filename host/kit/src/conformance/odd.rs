//! Unusual requests: odd registries, challenges, users, settings and attempts.

use serde_json::json;

use super::probe::question;
use msb_host::credential::{Action, CredentialRequest};

/// A question and what it is called.
type OddRequest = (String, CredentialRequest);

/// Returns unusual requests.
pub(super) fn odd_questions() -> Vec<OddRequest> {
    let mut questions = about_registries();
    questions.extend(with_challenges());
    questions.extend(about_repositories_and_users());
    questions.extend(with_settings());
    for action in [Action::Push, Action::Login] {
        let request = CredentialRequest { action, ..usual() };
        questions.push((format!("{action:?}"), request));
    }
    for attempt in [0, 2, u32::MAX] {
        let request = CredentialRequest { attempt, ..usual() };
        questions.push((format!("attempt {attempt}"), request));
    }
    questions
}

fn usual() -> CredentialRequest {
    question("registry.example.com")
}

/// Most of these never come from the host, which has one canonical form for each registry.
fn about_registries() -> Vec<OddRequest> {
    let label = "l".repeat(63);
    let registries = [
        "localhost",
        "host:0",
        "host:65535",
        "127.0.0.1:5000",
        "[2001:db8::1]",
        "[fe80::1%25eth0]:5000",
        "xn--bcher-kva.example.com",
        "b\u{fc}cher.example.com",
        "UPPER.example.com",
        "not.one.of.anybodys.example.com",
        ".",
        "..",
        "",
        "../../etc/passwd",
        "a b\"c'd\\e",
        "\u{1b}[2J\u{202e}\0\n",
        "%2e%2e%2f",
        "user:password@host",
        &[label.as_str(); 4].join("."),
        &"x".repeat(10_000),
    ];
    let asked = registries.iter().map(|registry| {
        let shown: String = registry.chars().take(40).collect();
        (format!("registry {shown:?}"), question(registry))
    });
    asked.collect()
}

fn with_challenges() -> impl Iterator<Item = OddRequest> {
    let elsewhere = "Bearer realm=\"http://elsewhere.example.com/\u{1b}[2J\"";
    let challenges = [
        ("no challenge", Vec::new()),
        ("an empty challenge", vec![String::new()]),
        (
            "a challenge without an end",
            vec!["Bearer realm=\"".to_owned()],
        ),
        ("a challenge full of commas", vec![",".repeat(10_000)]),
        ("a challenge of 1 MiB", vec!["B".repeat(1 << 20)]),
        (
            "1,000 challenges",
            vec!["Basic realm=\"x\"".to_owned(); 1000],
        ),
        (
            "a challenge that names another server",
            vec![elsewhere.to_owned()],
        ),
    ];
    challenges.into_iter().map(|(what, challenges)| {
        let request = CredentialRequest {
            challenges,
            ..usual()
        };
        (what.to_owned(), request)
    })
}

fn about_repositories_and_users() -> Vec<OddRequest> {
    let mut questions = Vec::new();
    for (what, repository) in [
        ("no repository", None),
        ("a repository that leads out", Some("../../x".to_owned())),
        ("a long repository", Some("x/".repeat(5000))),
    ] {
        let request = CredentialRequest {
            repository,
            ..usual()
        };
        questions.push((what.to_owned(), request));
    }
    for (what, username) in [
        ("a long user name", "n".repeat(10_000)),
        ("an empty user name", String::new()),
        (
            "a user name with an escape sequence",
            "\u{1b}[2J:\0".to_owned(),
        ),
    ] {
        let request = CredentialRequest {
            username: Some(username),
            ..usual()
        };
        questions.push((what.to_owned(), request));
    }
    questions
}

fn with_settings() -> impl Iterator<Item = OddRequest> {
    let settings = [
        (
            "settings of other types",
            json!({"username": 7, "password_env": [], "secret_name": {}}),
        ),
        ("settings that are a text", json!("x")),
        (
            "a secret name that leads out",
            json!({"username": "u", "secret_name": "../../x"}),
        ),
        (
            "a variable that is none",
            json!({"username": "u", "password_env": "=\0"}),
        ),
    ];
    settings.into_iter().map(|(what, settings)| {
        let request = CredentialRequest {
            settings: Some(settings),
            ..usual()
        };
        (what.to_owned(), request)
    })
}
