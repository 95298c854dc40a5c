//! Talking to the user: at a login and with the permission, and at no other time.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::auth::{
    Answer, LoginInstruction, LoginPrompt, LoginQuestion, PromptError, ProviderError, SecretString,
};
use crate::cancel::Cancel;
use crate::plugin::PluginBudget;
use crate::plugin::test_bench::{Bench, request};

/// A user who answers every question in the same way, or never.
#[derive(Debug, Default)]
struct User {
    answer: Option<String>,
    heard: Mutex<Vec<String>>,
    /// The last question is not waited for any more.
    left: Mutex<bool>,
}

impl LoginPrompt for User {
    fn show(&self, provider: &str, instruction: &LoginInstruction) -> Result<(), PromptError> {
        let LoginInstruction { text, url, code } = instruction;
        let heard = format!("{provider}: {text} {url:?} {code:?}");
        self.heard.lock().unwrap().push(heard);
        Ok(())
    }

    fn ask(
        &self,
        provider: &str,
        question: &LoginQuestion,
        cancel: &Cancel,
    ) -> Result<SecretString, PromptError> {
        let heard = format!("{provider}: {} {}", question.text, question.is_secret);
        self.heard.lock().unwrap().push(heard);
        if let Some(answer) = &self.answer {
            return Ok(answer.as_str().into());
        }
        while !cancel.is_cancelled() {
            std::thread::sleep(Duration::from_millis(5));
        }
        *self.left.lock().unwrap() = true;
        Err(PromptError::NoAnswer)
    }
}

fn user(answer: &str) -> Arc<User> {
    Arc::new(User {
        answer: Some(answer.to_owned()),
        ..User::default()
    })
}

fn log_in(
    bench: &Bench,
    grants: &[&str],
    user: &Arc<User>,
    (what, argument): (&str, &str),
) -> Result<Answer, ProviderError> {
    let provider = bench.provider(grants, PluginBudget::CREDENTIAL);
    let prompt: Arc<dyn LoginPrompt> = Arc::clone(user) as _;
    provider.log_in(&request(what, argument), &prompt, &bench.context())
}

#[test]
fn the_user_is_talked_to_at_a_login_and_with_the_permission_alone() {
    let bench = Bench::new(&[]);
    let user = user("an answer");
    for (what, argument) in [
        ("show", "text"),
        ("ask", "?"),
        ("ask-secret", "?"),
        ("wait", "0"),
    ] {
        bench.is_denied(&["clock"], what, argument, "prompt");
        let error = log_in(&bench, &["clock"], &user, (what, argument)).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("msb plugin grant rogue prompt`"),
            "{error}"
        );
        // A pull talks to no one, and says how it can be done.
        let words = bench.words(&["prompt"], what, argument);
        let told = format!(
            "unavailable: plugin `rogue` can talk to the user only while they log in; log in with \
             `msb registry login {what}`"
        );
        assert_eq!(words, told);
    }
    assert!(user.heard.lock().unwrap().is_empty());
    let page = "enter it|https://id.example.com/device|WDJB-MJHT";
    log_in(&bench, &["prompt"], &user, ("show", page)).unwrap();
    let asked = log_in(&bench, &["prompt"], &user, ("ask", "Name:")).unwrap_err();
    assert_eq!(asked.to_string(), "an answer");
    let waited = log_in(&bench, &["prompt"], &user, ("wait", "0")).unwrap_err();
    assert_eq!(waited.to_string(), "waited");
    let heard = [
        "rogue: enter it Some(\"https://id.example.com/device\") Some(\"WDJB-MJHT\")",
        "rogue: Name: false",
    ];
    assert_eq!(*user.heard.lock().unwrap(), heard);
}

#[test]
fn a_secret_that_is_typed_is_a_handle() {
    let bench = Bench::new(&[]);
    let typed = user("hunter2-of-the-user");
    let answer = log_in(&bench, &["prompt"], &typed, ("ask-secret", "Code:")).unwrap();
    assert_eq!(answer.source.as_deref(), Some("19"));
    assert_eq!(super::password(Ok(answer)), "hunter2-of-the-user");
    assert_eq!(*typed.heard.lock().unwrap(), ["rogue: Code: true"]);
    let long = user(&"x".repeat((256 << 10) + 1));
    let error = log_in(&bench, &["prompt"], &long, ("ask-secret", "Code:")).unwrap_err();
    assert_eq!(error.to_string(), "too large: a secret has at most 256 KiB");
    let long = user(&"x".repeat((4 << 10) + 1));
    let error = log_in(&bench, &["prompt"], &long, ("ask", "Name:")).unwrap_err();
    assert_eq!(error.to_string(), "too large: an answer has at most 4 KiB");
}

#[test]
fn what_is_shown_has_limits() {
    let bench = Bench::new(&[]);
    let user = user("an answer");
    let long = "x".repeat((4 << 10) + 1);
    let code = format!("text|https://a.example|{}", "x".repeat(65));
    for (what, argument, words) in [
        (
            "show",
            long.as_str(),
            "too large: a text for the user has at most 4 KiB",
        ),
        (
            "ask",
            &long,
            "too large: a text for the user has at most 4 KiB",
        ),
        (
            "show",
            "text|javascript:alert(1)",
            "invalid: what the user is to open is not",
        ),
        (
            "show",
            "text|file:///etc/passwd",
            "invalid: what the user is to open is not",
        ),
        (
            "show",
            "text|https://a.example/\u{1b}[2J",
            "invalid: what the user is to open is not",
        ),
        ("show", &code, "invalid: a code has at most 64 bytes"),
        (
            "show",
            "text|https://a.example|A\nB",
            "invalid: a code has at most 64 bytes",
        ),
        (
            "show-forever",
            "",
            "too large: there are at most 32 instructions and questions",
        ),
        ("wait", "301", "invalid: a wait is of at most 300 seconds"),
        (
            "wait-forever",
            "",
            "too large: there are at most 1000 waits",
        ),
    ] {
        let error = log_in(&bench, &["prompt"], &user, (what, argument)).unwrap_err();
        assert!(error.to_string().starts_with(words), "{what}: {error}");
    }
}

#[test]
fn a_login_may_take_longer_than_another_call_and_ends_when_it_is_cancelled() {
    let bench = Bench::new(&[]);
    let silent = Arc::new(User::default());
    let prompt: Arc<dyn LoginPrompt> = Arc::clone(&silent) as _;
    let hurried = PluginBudget {
        wall: Some(Duration::from_millis(200)),
        ..PluginBudget::CREDENTIAL
    };
    let provider = bench.provider(&["prompt"], hurried);
    let error = provider.log_in(&request("wait", "1"), &prompt, &bench.context());
    assert_eq!(error.unwrap_err().to_string(), "waited");
    for (what, argument) in [("wait", "300"), ("ask", "Name:")] {
        let cancel = Cancel::default();
        let mut context = bench.context();
        context.cancel = cancel.clone();
        let raiser = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            cancel.cancel();
        });
        let started = Instant::now();
        let error = provider.log_in(&request(what, argument), &prompt, &context);
        raiser.join().unwrap();
        assert!(
            matches!(error, Err(ProviderError::Cancelled(_))),
            "{error:?}"
        );
        assert!(started.elapsed() < Duration::from_secs(20));
    }
    // The one who asks the user learns that its answer is no longer wanted.
    let started = Instant::now();
    while !*silent.left.lock().unwrap() {
        assert!(started.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
}
