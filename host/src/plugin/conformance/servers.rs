//! What a credential provider makes of servers that answer otherwise than it was thought.

use std::time::Duration;

use super::answers::Asked;
use super::asking::{Asker, question, registries};
use super::leaks::says_nothing;
use super::report::{Cases, Check};
use super::server::Play;
use super::stage::Scene;
use crate::plugin::{Capability, Inspection, credential};

/// How long a call may take by the clock when the server never answers.
const WALL: Duration = Duration::from_secs(2);

/// Has every server answer in every wrong way.
pub(super) fn servers(asked: &Asked<'_>, inspection: &Inspection) -> Vec<Check> {
    let names = ["hostile-answers", "slow-server"];
    let skip = |why: &str| names.map(|name| Check::skipped(name, why)).into();
    if !asked.grants.allow(Capability::Http) {
        return skip("it asks no server");
    }
    let Some(asking) = asked_of(asked) else {
        return skip("it asked no server; see whether it needs --settings or --grant");
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
        if cases.are_enough() || asked.lab.cancel.is_cancelled() {
            break;
        }
        let what = format!("{play:?}");
        if let Err(why) = asked.set(Scene::Documents, &asking) {
            return vec![Check::failed("hostile-answers", why)];
        }
        asked.lab.stage.server().play(play);
        let told = asked.asker().get(&question(&asking));
        let ended = told.ended.allowed();
        cases.note(&what, ended.and_then(|()| says_nothing(told.texts.iter())));
    }
    vec![cases.end(), slow(asked, inspection, &asking)]
}

/// Returns a registry for which a server is asked.
fn asked_of(asked: &Asked<'_>) -> Option<String> {
    registries(&asked.description.registries)
        .into_iter()
        .find(|registry| {
            let _ = asked.set(Scene::Documents, registry);
            asked.lab.stage.take_found();
            asked.asker().get(&question(registry));
            asked.lab.stage.take_found().contains(&Capability::Http)
        })
}

/// Has the server never answer, within a smaller budget.
fn slow(asked: &Asked<'_>, inspection: &Inspection, registry: &str) -> Check {
    const NAME: &str = "slow-server";
    if let Err(why) = asked.set(Scene::Documents, registry) {
        return Check::failed(NAME, why);
    }
    let mut package = asked.lab.package(inspection, asked.grants.clone());
    package.limits.wall = Some(WALL);
    let Some(hurried) = credential::providers(&asked.lab.runtime, &[package]).pop() else {
        return Check::skipped(NAME, "it is no provider");
    };
    asked.lab.stage.server().play(Play::Silent);
    let asker = Asker {
        lab: asked.lab,
        provider: hurried.as_ref(),
    };
    let told = asker.get(&question(registry));
    match told
        .ended
        .allowed()
        .and_then(|()| says_nothing(told.texts.iter()))
    {
        Ok(()) => Check::passed(NAME, format!("it ends in {}", told.ended.words())),
        Err(why) => Check::failed(NAME, why),
    }
}
