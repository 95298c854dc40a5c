//! Whether a credential provider says what must not be said, and the same each time.
//!
//! Whatever it may look at holds the canary. It belongs into the answer and nowhere else.

use super::answers::Candidate;
use super::canary::found_in;
use super::fake_environment::Scenario;
use super::probe::Ended;
use super::report::{Cases, Check, CheckOutcome};

/// Asks in every scene, twice, and searches all that is said.
pub(super) fn leaks(candidate: &Candidate<'_>) -> Vec<Check> {
    let mut leaks = Cases::of("leaks", "questions answered without a word of a secret");
    let mut again = Cases::of("answers-again", "answers the same twice");
    let mut reached = false;
    let probe = candidate.probe();
    candidate.harness.fake.take_found();
    for scenario in [
        Scenario::Bare,
        Scenario::Token,
        Scenario::Documents,
        Scenario::Rubbish,
    ] {
        for (what, request) in candidate.questions() {
            if leaks.are_enough() || again.are_enough() || candidate.harness.cancel.is_cancelled() {
                break;
            }
            if let Err(why) = candidate.set(scenario, &request.registry) {
                return vec![Check::failed("leaks", why)];
            }
            let what = format!("{}, {what}", words(scenario));
            let observed = probe.get(&request);
            let second = probe.get(&request);
            reached |= matches!(&observed.ended, Ended::Answered(_));
            let said = observed.texts.iter().chain(&second.texts);
            let ended = says_nothing(said).and_then(|()| observed.ended.allowed());
            leaks.note(&what, ended);
            again.note(
                &what,
                is_same(&observed.ended.whole(), &second.ended.whole()),
            );
        }
        if candidate.description.operations.list {
            let observed = probe.list();
            let what = format!("{}, list", words(scenario));
            let ended = says_nothing(observed.texts.iter());
            leaks.note(&what, ended.and_then(|()| observed.ended.allowed()));
        }
    }
    let found = candidate.harness.fake.take_found();
    let leaks = leaks.end();
    if !reached && leaks.outcome != CheckOutcome::Failed {
        // Who never had a login has kept nothing to itself.
        let why = if found.is_empty() {
            "it looked at nothing that it was granted; see whether it needs --settings, --grant or \
             --env"
        } else {
            "it never found a login in what it looked at; show it one with --file or --answer"
        };
        return vec![Check::skipped("leaks", why), again.end()];
    }
    vec![leaks, again.end()]
}

fn words(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Bare => "nothing there",
        Scenario::Token => "tokens there",
        Scenario::Documents => "documents there",
        Scenario::Rubbish => "rubbish there",
    }
}

/// Returns an error if the canary is in a text.
pub(super) fn says_nothing<'a>(
    mut said: impl Iterator<Item = &'a (&'static str, String)>,
) -> Result<(), String> {
    let leak = said.find_map(|(place, text)| Some((place, found_in(text)?)));
    match leak {
        // The text itself is not repeated: it may be a real secret that the author has set.
        Some((place, form)) => Err(format!("a secret is in its {place}, {form}")),
        None => Ok(()),
    }
}

fn is_same(first: &str, second: &str) -> Result<(), &'static str> {
    if first == second {
        Ok(())
    } else {
        Err("the second answer is another one")
    }
}
