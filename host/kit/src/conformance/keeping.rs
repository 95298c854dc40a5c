//! Whether what a credential provider keeps comes back, and goes away.

use secrecy::ExposeSecret as _;

use super::answers::Candidate;
use super::canary::{CANARY, USER};
use super::fake_environment::Scenario;
use super::leaks::says_nothing;
use super::probe::{Ended, question};
use super::report::{Cases, Check};
use msb_host::credential::{Action, CredentialRequest, RegistryAuth};
use msb_host::plugin::Capability;

/// Has logins kept, given, listed and forgotten, as far as the plugin claims to.
pub(super) fn keeping(candidate: &Candidate<'_>) -> Check {
    const NAME: &str = "keeping";
    if !candidate.description.operations.store {
        return Check::skipped(NAME, "it does not claim to keep anything");
    }
    let mut cases = Cases::of(NAME, "logins kept and forgotten");
    for (what, password) in [
        ("a password", CANARY.to_owned()),
        (
            "a password of odd characters",
            format!(" {CANARY}:\"\\'{{}}%00\u{e9}\u{4e2d} "),
        ),
    ] {
        let registry = candidate.own_registry();
        if let Err(why) = candidate.set(Scenario::Bare, &registry) {
            return Check::failed(NAME, why);
        }
        candidate.harness.fake.take_found();
        let request = CredentialRequest {
            action: Action::Login,
            ..question(&registry)
        };
        match kept(candidate, &request, &password) {
            Ok(()) => cases.note::<&str>(what, Ok(())),
            Err(_)
                if candidate
                    .harness
                    .fake
                    .take_found()
                    .contains(&Capability::Http) =>
            {
                return Check::skipped(
                    NAME,
                    "it keeps logins on a server, and the kit has none that does",
                );
            }
            Err(Problem::Unkept(why)) => {
                return Check::skipped(NAME, format!("it did not keep the login: {why}"));
            }
            Err(Problem::Wrong(why)) => cases.note(what, Err(why)),
        }
    }
    cases.end()
}

/// Why a login did not come back.
enum Problem {
    /// It was not taken.
    Unkept(String),
    /// Something else came of it.
    Wrong(String),
}

fn kept(
    candidate: &Candidate<'_>,
    request: &CredentialRequest,
    password: &str,
) -> Result<(), Problem> {
    let wrong = |why: String| Err(Problem::Wrong(why));
    let probe = candidate.probe();
    let login = RegistryAuth::Basic {
        username: USER.to_owned(),
        password: password.to_owned().into(),
    };
    let observed = probe.store(request, &login);
    says_nothing(observed.texts.iter()).map_err(Problem::Wrong)?;
    match observed.ended {
        Ended::Answered(()) => {}
        Ended::Broken(why) => return wrong(why),
        refused @ Ended::Refused(..) => return Err(Problem::Unkept(refused.words())),
    }
    let observed = probe.get(request);
    says_nothing(observed.texts.iter()).map_err(Problem::Wrong)?;
    match observed.ended {
        Ended::Answered(answer) => match &answer.credential {
            RegistryAuth::Basic {
                username,
                password: found,
            } if username == USER && found.expose_secret() == password => {}
            _ => return wrong("another login came back than was kept".to_owned()),
        },
        ended => {
            return wrong(format!(
                "it was kept, and asking for it ends in {}",
                ended.words()
            ));
        }
    }
    let operations = candidate.description.operations;
    if operations.list {
        match probe.list().ended {
            Ended::Answered(entries) => {
                let listed = entries
                    .iter()
                    .any(|entry| entry.registry == request.registry);
                if !listed {
                    return wrong("it was kept, and is not in the list".to_owned());
                }
            }
            ended => return wrong(format!("listing it ends in {}", ended.words())),
        }
    }
    if operations.erase {
        if let ended @ (Ended::Refused(..) | Ended::Broken(_)) = probe.erase(request).ended {
            return wrong(format!("forgetting it ends in {}", ended.words()));
        }
        match probe.get(request).ended {
            Ended::Refused("not-found" | "not-mine", _) => {}
            ended => {
                return wrong(format!(
                    "it was forgotten, and asking ends in {}",
                    ended.words()
                ));
            }
        }
        match probe.erase(request).ended {
            Ended::Refused("not-found", _) => {}
            ended => {
                return wrong(format!(
                    "forgetting what is not there ends in {}, not in `not-found`",
                    ended.words()
                ));
            }
        }
    }
    Ok(())
}
