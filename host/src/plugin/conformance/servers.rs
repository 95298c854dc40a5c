//! What a credential provider makes of servers that answer otherwise than it was thought.

use std::sync::Arc;
use std::time::Duration;

use super::answers::Candidate;
use super::asking::{Asker, question, registries};
use super::leaks::says_nothing;
use super::report::{Cases, Check};
use super::server::Play;
use super::stage::Scene;
use crate::auth::Provider;
use crate::plugin::{Capability, Inspection, credential};

/// How long a call may take by the clock.
const WALL: Duration = Duration::from_secs(2);

/// Has every server answer in every wrong way.
pub(super) fn servers(candidate: &Candidate<'_>, inspection: &Inspection) -> Vec<Check> {
    let names = ["hostile-answers", "slow-server"];
    let skip = |why: &str| names.map(|name| Check::skipped(name, why)).into();
    if !candidate.grants.allow(Capability::Http) {
        return skip("it asks no server");
    }
    let Some(asking) = asked_of(candidate) else {
        return skip("it asked no server; see whether it needs --settings or --grant");
    };
    let Some(hurried) = hurried(candidate, inspection) else {
        return skip("it is no provider");
    };
    let asker = Asker {
        lab: candidate.lab,
        provider: hurried.as_ref(),
    };
    let mut cases = Cases::of("hostile-answers", "wrong answers of a server borne");
    let mut plays = vec![
        Play::Missing,
        Play::Rubbish,
        Play::OtherTypes,
        Play::Deep,
        Play::Empty,
        Play::Huge,
        Play::Redirect,
        Play::BreaksOff,
        Play::NotHttp,
        Play::Closes,
    ];
    plays.extend([204, 400, 401, 403, 429, 500, 503].map(Play::Status));
    for play in plays {
        if cases.are_enough() || candidate.lab.cancel.is_cancelled() {
            break;
        }
        let what = format!("{play:?}");
        if let Err(why) = candidate.set(Scene::Documents, &asking) {
            return vec![Check::failed("hostile-answers", why)];
        }
        candidate.lab.stage.server().play(play);
        let told = asker.get(&question(&asking));
        let ended = says_nothing(told.texts.iter());
        cases.note(&what, ended.and_then(|()| told.ended.allowed()));
    }
    vec![cases.end(), slow(candidate, &asker, &asking)]
}

/// Returns the provider with a smaller budget: what hangs here hangs for good.
fn hurried(candidate: &Candidate<'_>, inspection: &Inspection) -> Option<Arc<dyn Provider>> {
    let mut package = candidate.lab.package(inspection, candidate.grants.clone());
    package.limits.wall = Some(WALL);
    credential::providers(&candidate.lab.runtime, &[package]).pop()
}

/// Returns a registry for which a server is candidate.
fn asked_of(candidate: &Candidate<'_>) -> Option<String> {
    registries(&candidate.description.registries)
        .into_iter()
        .find(|registry| {
            let _ = candidate.set(Scene::Documents, registry);
            candidate.lab.stage.take_found();
            candidate.asker().get(&question(registry));
            candidate.lab.stage.take_found().contains(&Capability::Http)
        })
}

/// Has the server never answer.
fn slow(candidate: &Candidate<'_>, asker: &Asker<'_>, registry: &str) -> Check {
    const NAME: &str = "slow-server";
    if let Err(why) = candidate.set(Scene::Documents, registry) {
        return Check::failed(NAME, why);
    }
    candidate.lab.stage.server().play(Play::Silent);
    let told = asker.get(&question(registry));
    match says_nothing(told.texts.iter()).and_then(|()| told.ended.allowed()) {
        Ok(()) => Check::passed(NAME, format!("it ends in {}", told.ended.words())),
        Err(why) => Check::failed(NAME, why),
    }
}
