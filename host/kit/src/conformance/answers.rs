//! What a credential provider must make of questions: an answer or an error of the contract, the
//! same each time, and never the login of another user.

use std::sync::Arc;

use super::fake_environment::Scenario;
use super::harness::Harness;
use super::odd::odd_questions;
use super::probe::{Ended, Probe, configurations, question, registries};
use super::report::{Cases, Check};
use msb_host::auth::{Operations, Provider, pattern_matches as matches};
use msb_host::credential::{Action, CredentialRequest, Outcome, RegistryAuth};
use msb_host::plugin::{CredentialDescription, Grants, Inspection, providers};

/// Returns the plugin as a provider.
pub(super) fn provider(
    harness: &Harness<'_>,
    inspection: &Inspection,
    grants: &Grants,
) -> Option<Arc<dyn Provider>> {
    let package = harness.package(inspection, grants.clone());
    providers(&harness.runtime, &[package]).pop()
}

/// The provider in question, and what it says of itself.
pub(super) struct Candidate<'a> {
    pub(super) harness: &'a Harness<'a>,
    pub(super) provider: &'a dyn Provider,
    pub(super) description: &'a CredentialDescription,
    pub(super) grants: &'a Grants,
}

impl Candidate<'_> {
    pub(super) fn probe(&self) -> Probe<'_> {
        Probe {
            harness: self.harness,
            provider: self.provider,
        }
    }

    /// Sets the stage.
    pub(super) fn set(&self, scenario: Scenario, registry: &str) -> Result<(), String> {
        let home = self.harness.runtime.home();
        self.harness
            .fake
            .set(scenario, registry, self.grants, &home)
            .map_err(|error| format!("the kit could not set its stage: {error}"))
    }

    /// Returns every registry with everything that may be configured of it.
    pub(super) fn questions(&self) -> Vec<(String, CredentialRequest)> {
        let mut questions = Vec::new();
        for registry in registries(&self.description.registries) {
            for settings in configurations() {
                let what = match &settings {
                    None => registry.clone(),
                    Some(settings) => format!("{registry} with {settings}"),
                };
                let request = CredentialRequest {
                    settings,
                    ..question(&registry)
                };
                questions.push((what, request));
            }
        }
        questions
    }

    /// Sets a scene in which it has something else to say to a question than that it has no login, if
    /// there is one.
    fn has_login(&self, request: &CredentialRequest) -> Result<bool, String> {
        for scenario in [Scenario::Documents, Scenario::Token] {
            self.set(scenario, &request.registry)?;
            if !matches!(self.probe().get(request).ended, Ended::Refused(..)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns a registry that it is asked about.
    pub(super) fn own_registry(&self) -> String {
        let patterns = &self.description.registries;
        registries(patterns)
            .into_iter()
            .find(|registry| patterns.iter().any(|pattern| matches(pattern, registry)))
            .unwrap_or_else(|| "registry.example.com".to_owned())
    }
}

/// Asks unusual requests, with everything granted.
pub(super) fn requests(candidate: &Candidate<'_>) -> Check {
    let mut cases = Cases::of("requests", "questions answered or refused");
    let probe = candidate.probe();
    let operations = candidate.description.operations;
    for (what, request) in odd_questions() {
        if cases.are_enough() || candidate.harness.cancel.is_cancelled() {
            break;
        }
        if let Err(why) = candidate.set(Scenario::Documents, &candidate.own_registry()) {
            return Check::failed("requests", why);
        }
        cases.note(&what, probe.get(&request).ended.allowed());
        if operations.report {
            for outcome in [Outcome::Accepted, Outcome::Rejected] {
                let ended = probe.report(&request, outcome).ended;
                cases.note(&format!("report, {what}"), ended.allowed());
            }
        }
        if operations.erase {
            cases.note(
                &format!("erase, {what}"),
                probe.erase(&request).ended.allowed(),
            );
        }
    }
    cases.end()
}

/// Asks for a user name that does not exist.
pub(super) fn username(candidate: &Candidate<'_>) -> Check {
    const NOBODY: &str = "nobody-of-the-kit";
    let mut cases = Cases::of("username", "questions for a user that there is not").or_none(
        "it has no login that it could withhold; show it one with --file, --answer or --env",
    );
    for (what, request) in candidate.questions() {
        match candidate.has_login(&request) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(why) => return Check::failed("username", why),
        }
        let request = CredentialRequest {
            username: Some(NOBODY.to_owned()),
            ..request
        };
        let ended = match candidate.probe().get(&request).ended {
            Ended::Answered(answer) => match answer.credential {
                RegistryAuth::Basic { username, .. } if username != NOBODY => Err(format!(
                    "`{NOBODY}` is wanted, and it gives the login of `{username}`"
                )),
                _ => Ok(()),
            },
            ended => ended.allowed(),
        };
        cases.note(&what, ended);
        if cases.are_enough() || candidate.harness.cancel.is_cancelled() {
            break;
        }
    }
    cases.end()
}

/// Asks with nothing granted. A denied capability must be said to be, or the user gets a pull
/// without a login and never learns why.
pub(super) fn ungranted(candidate: &Candidate<'_>) -> Vec<Check> {
    let mut cases = Cases::of(
        "ungranted",
        "questions answered or refused without any grant",
    );
    let mut denials = Cases::of("denials", "denied capabilities passed on")
        .or_none("it came to nothing that needs a grant");
    let probe = candidate.probe();
    for (what, request) in candidate.questions() {
        if cases.are_enough() || denials.are_enough() || candidate.harness.cancel.is_cancelled() {
            break;
        }
        if let Err(why) = candidate.set(Scenario::Documents, &request.registry) {
            return vec![Check::failed("ungranted", why)];
        }
        let observed = probe.get(&request);
        cases.note(&what, observed.ended.allowed());
        if let Some(wish) = observed.refused.first() {
            denials.note(&what, is_passed_on(wish, &observed.ended, &observed.texts));
        }
    }
    if candidate.description.operations.list {
        let observed = probe.list();
        cases.note("list", observed.ended.allowed());
        if let Some(wish) = observed.refused.first() {
            denials.note("list", is_passed_on(wish, &observed.ended, &observed.texts));
        }
    }
    vec![cases.end(), denials.end()]
}

/// Returns an error unless a denial is in what the user gets to see.
fn is_passed_on<T>(wish: &str, ended: &Ended<T>, texts: &[(&str, String)]) -> Result<(), String> {
    match ended {
        Ended::Answered(_) => Err(format!(
            "`{wish}` was denied, and it answers as if nothing had been"
        )),
        Ended::Refused(word @ ("not-mine" | "not-found" | "unsupported"), _) => Err(format!(
            "`{wish}` was denied, and it says `{word}`: nothing reports it"
        )),
        Ended::Refused(..) => {
            let observed = texts
                .iter()
                .any(|(_, text)| text.contains("msb plugin grant"));
            let lost = || {
                format!(
                    "`{wish}` was denied, and how to grant it is not passed on: {}",
                    ended.words()
                )
            };
            observed.then_some(()).ok_or_else(lost)
        }
        // Counted elsewhere.
        Ended::Broken(_) => Ok(()),
    }
}

/// Calls what the plugin does not claim to do.
pub(super) fn unclaimed(candidate: &Candidate<'_>) -> Check {
    let mut cases = Cases::of("unclaimed", "operations that it does not claim refused")
        .or_none("it claims them all");
    let probe = candidate.probe();
    let request = CredentialRequest {
        action: Action::Login,
        ..question(&candidate.own_registry())
    };
    if let Err(why) = candidate.set(Scenario::Documents, &request.registry) {
        return Check::failed("unclaimed", why);
    }
    let Operations {
        store,
        erase,
        list,
        report,
        login: _,
    } = candidate.description.operations;
    if !store {
        let login = RegistryAuth::Basic {
            username: "user".to_owned(),
            password: "password".to_owned().into(),
        };
        cases.note(
            "store",
            is_unsupported(&probe.store(&request, &login).ended),
        );
    }
    if !erase {
        cases.note("erase", is_unsupported(&probe.erase(&request).ended));
    }
    if !list {
        cases.note("list", is_unsupported(&probe.list().ended));
    }
    if !report {
        let observed = probe.report(&request, Outcome::Accepted);
        cases.note("report", is_unsupported(&observed.ended));
    }
    cases.end()
}

fn is_unsupported<T>(ended: &Ended<T>) -> Result<(), String> {
    match ended {
        Ended::Refused("unsupported", _) => Ok(()),
        ended => Err(format!(
            "it ends in {}, not in `unsupported`",
            ended.words()
        )),
    }
}
