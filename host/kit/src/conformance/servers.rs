//! What a credential provider makes of servers that answer otherwise than it was thought.

use std::sync::Arc;
use std::time::Duration;

use super::answers::Candidate;
use super::fake_environment::Scenario;
use super::leaks::says_nothing;
use super::probe::{Probe, question, registries};
use super::report::{Cases, Check};
use super::server::Mode;
use msb_host::auth::Provider;
use msb_host::plugin::{Capability, Inspection, providers};

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
        return skip("it is not a credential provider");
    };
    let probe = Probe {
        harness: candidate.harness,
        provider: hurried.as_ref(),
    };
    let mut cases = Cases::of("hostile-answers", "wrong answers of a server borne");
    let mut modes = vec![
        Mode::Missing,
        Mode::Rubbish,
        Mode::OtherTypes,
        Mode::Deep,
        Mode::Empty,
        Mode::Huge,
        Mode::Redirect,
        Mode::BreaksOff,
        Mode::NotHttp,
        Mode::Closes,
    ];
    modes.extend([204, 400, 401, 403, 429, 500, 503].map(Mode::Status));
    for mode in modes {
        if cases.are_enough() || candidate.harness.cancel.is_cancelled() {
            break;
        }
        let what = format!("{mode:?}");
        if let Err(why) = candidate.set(Scenario::Documents, &asking) {
            return vec![Check::failed("hostile-answers", why)];
        }
        candidate.harness.fake.server().set_mode(mode);
        let observed = probe.get(&question(&asking));
        let ended = says_nothing(observed.texts.iter());
        cases.note(&what, ended.and_then(|()| observed.ended.allowed()));
    }
    vec![cases.end(), slow(candidate, &probe, &asking)]
}

/// Returns the provider with a smaller budget: what hangs here hangs for good.
fn hurried(candidate: &Candidate<'_>, inspection: &Inspection) -> Option<Arc<dyn Provider>> {
    let mut package = candidate
        .harness
        .package(inspection, candidate.grants.clone());
    package.limits.wall = Some(WALL);
    providers(&candidate.harness.runtime, &[package]).pop()
}

/// Returns a registry for which a server is candidate.
fn asked_of(candidate: &Candidate<'_>) -> Option<String> {
    registries(&candidate.description.registries)
        .into_iter()
        .find(|registry| {
            let _ = candidate.set(Scenario::Documents, registry);
            candidate.harness.fake.take_found();
            candidate.probe().get(&question(registry));
            candidate
                .harness
                .fake
                .take_found()
                .contains(&Capability::Http)
        })
}

/// Has the server never answer.
fn slow(candidate: &Candidate<'_>, probe: &Probe<'_>, registry: &str) -> Check {
    const NAME: &str = "slow-server";
    if let Err(why) = candidate.set(Scenario::Documents, registry) {
        return Check::failed(NAME, why);
    }
    candidate.harness.fake.server().set_mode(Mode::Silent);
    let observed = probe.get(&question(registry));
    match says_nothing(observed.texts.iter()).and_then(|()| observed.ended.allowed()) {
        Ok(()) => Check::passed(NAME, format!("it ends in {}", observed.ended.words())),
        Err(why) => Check::failed(NAME, why),
    }
}
