//! Whether a credential provider says what must not be said, and the same each time.
//!
//! Whatever it may look at holds the canary. It belongs into the answer and nowhere else.

use super::answers::Candidate;
use super::asking::Ended;
use super::canary::found_in;
use super::report::{Cases, Check, Outcome};
use super::stage::Scene;

/// Asks in every scene, twice, and searches all that is said.
pub(super) fn leaks(candidate: &Candidate<'_>) -> Vec<Check> {
    let mut leaks = Cases::of("leaks", "questions answered without a word of a secret");
    let mut again = Cases::of("answers-again", "answers the same twice");
    let mut reached = false;
    let asker = candidate.asker();
    candidate.lab.stage.take_found();
    for scene in [Scene::Bare, Scene::Token, Scene::Documents, Scene::Rubbish] {
        for (what, request) in candidate.questions() {
            if leaks.are_enough() || again.are_enough() || candidate.lab.cancel.is_cancelled() {
                break;
            }
            if let Err(why) = candidate.set(scene, &request.registry) {
                return vec![Check::failed("leaks", why)];
            }
            let what = format!("{}, {what}", words(scene));
            let told = asker.get(&request);
            let second = asker.get(&request);
            reached |= matches!(&told.ended, Ended::Answered(_));
            let said = told.texts.iter().chain(&second.texts);
            let ended = says_nothing(said).and_then(|()| told.ended.allowed());
            leaks.note(&what, ended);
            again.note(&what, is_same(&told.ended.whole(), &second.ended.whole()));
        }
        if candidate.description.operations.list {
            let told = asker.list();
            let what = format!("{}, list", words(scene));
            let ended = says_nothing(told.texts.iter());
            leaks.note(&what, ended.and_then(|()| told.ended.allowed()));
        }
    }
    let found = candidate.lab.stage.take_found();
    let leaks = leaks.end();
    if !reached && leaks.outcome != Outcome::Failed {
        // Who never had a login has kept nothing to itself.
        let why = if found.is_empty() {
            "it looked at nothing that it was granted; see whether it needs --settings, --grant or \
             --env"
        } else {
            "it never found a login in what it looked at; show it one with --file"
        };
        return vec![Check::skipped("leaks", why), again.end()];
    }
    vec![leaks, again.end()]
}

fn words(scene: Scene) -> &'static str {
    match scene {
        Scene::Bare => "nothing there",
        Scene::Token => "tokens there",
        Scene::Documents => "documents there",
        Scene::Rubbish => "rubbish there",
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
