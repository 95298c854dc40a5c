//! The credential store of the operating system as a plugin of msb: what `msb registry login`
//! keeps, and what microsandbox's own `registry login` has kept before.
//!
//! It passes passwords on without reading them. An item is the JSON object that microsandbox
//! writes; service and account are those of microsandbox as well.

use msb_plugin::credential::{
    Answer, Credential, Description, Error, Operations, Provider, Request,
};
use msb_plugin::system::{Keychain as Items, Login};

/// The service under which microsandbox and msb keep the logins of registries.
const SERVICE: &str = "dev.microsandbox.registry";

/// Docker Hub in its one spelling.
const HUB: &str = "docker.io";

/// What people have typed for Docker Hub. microsandbox keeps a login under the very word that it
/// was given.
const HUB_SPELLINGS: [&str; 3] = [
    "index.docker.io",
    "https://index.docker.io/v1/",
    "registry-1.docker.io",
];

/// The provider.
#[derive(Debug)]
pub struct Keychain;

impl<S: Items> Provider<S> for Keychain {
    fn describe() -> Description {
        Description::new("keychain", "the credential store of the system")
            .attribute("tier", "ambient")
            .attribute("reads", "keyring")
            .operations(Operations::STORE)
            .operations(Operations::ERASE)
            .registry("*")
            .need(
                "keychain",
                Some(SERVICE),
                "logins of registries are kept there",
            )
    }

    fn get(system: &S, request: &Request) -> Result<Answer, Error> {
        for account in accounts(&request.registry) {
            let Some(item) = system.item(SERVICE, &account)? else {
                continue;
            };
            if request
                .username
                .as_ref()
                .is_none_or(|wanted| *wanted == item.username)
            {
                let credential = Credential::Basic(item.username, item.secret);
                return Ok(Answer::new(credential).source(source(&account)));
            }
        }
        Err(Error::NotFound)
    }

    fn store(system: &S, request: &Request, credential: Credential) -> Result<(), Error> {
        let Credential::Basic(username, secret) = credential else {
            return Err(Error::Unsupported);
        };
        Ok(system.put_item(SERVICE, &request.registry, Login { username, secret })?)
    }

    /// Forgets every spelling: what would be found again is not forgotten.
    fn erase(system: &S, request: &Request) -> Result<(), Error> {
        let mut found = false;
        for account in accounts(&request.registry) {
            found |= system.remove_item(SERVICE, &account)?;
        }
        if found { Ok(()) } else { Err(Error::NotFound) }
    }
}

msb_plugin::export_provider!(Keychain);

/// Returns the accounts under which a registry may be found, the right one first.
fn accounts(registry: &str) -> Vec<String> {
    let others = if registry == HUB {
        HUB_SPELLINGS.map(str::to_owned).to_vec()
    } else {
        vec![format!("https://{registry}")]
    };
    [registry.to_owned()].into_iter().chain(others).collect()
}

fn source(account: &str) -> String {
    format!("the keychain ({SERVICE}, {account})")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use msb_plugin::fake::{FakeSystem, bytes_of};
    use msb_plugin::system::{Refusal, Secret};

    use super::*;

    fn found(system: &FakeSystem, request: &Request) -> Option<(String, Vec<u8>)> {
        match Keychain::get(system, request) {
            Ok(Answer {
                credential: Credential::Basic(username, password),
                ..
            }) => Some((username, bytes_of(&password))),
            Err(Error::NotFound) => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_item_of_a_registry_is_found_with_one_call() {
        let system = FakeSystem::new().item(SERVICE, "ghcr.io", "ann", "opensesame");
        let login = found(&system, &Request::pull("ghcr.io"));
        assert_eq!(login, Some(("ann".to_owned(), b"opensesame".to_vec())));
        assert_eq!(system.calls().len(), 1);
    }

    #[test]
    fn items_under_every_spelling_of_docker_hub_are_found() {
        for account in HUB_SPELLINGS.into_iter().chain([HUB]) {
            let system = FakeSystem::new().item(SERVICE, account, "ann", "x");
            assert!(found(&system, &Request::pull(HUB)).is_some(), "{account}");
            assert!(
                found(&system, &Request::pull("ghcr.io")).is_none(),
                "{account}"
            );
        }
    }

    #[test]
    fn an_item_under_the_address_of_a_registry_is_found() {
        let system = FakeSystem::new().item(SERVICE, "https://ghcr.io", "ann", "x");
        assert!(found(&system, &Request::pull("ghcr.io")).is_some());
        assert_eq!(system.calls().len(), 2);
    }

    #[test]
    fn the_item_of_another_user_is_skipped() {
        let system = FakeSystem::new().item(SERVICE, HUB, "ann", "x").item(
            SERVICE,
            "index.docker.io",
            "bob",
            "y",
        );
        let login = found(&system, &Request::pull(HUB).username("bob"));
        assert_eq!(login, Some(("bob".to_owned(), b"y".to_vec())));
        assert!(found(&system, &Request::pull(HUB).username("eve")).is_none());
    }

    #[test]
    fn a_login_is_kept_under_the_one_spelling() {
        let system = FakeSystem::new();
        let credential = Credential::Basic("ann".to_owned(), Secret::new("a:b\u{e9}"));
        Keychain::store(&system, &Request::pull(HUB), credential).unwrap();
        let kept = system.item_of(SERVICE, HUB).unwrap();
        assert_eq!(kept, ("ann".to_owned(), "a:b\u{e9}".into()));
    }

    #[test]
    fn a_token_is_not_kept() {
        let credential = Credential::IdentityToken(Secret::new("x"));
        let result = Keychain::store(&FakeSystem::new(), &Request::pull(HUB), credential);
        assert!(matches!(result, Err(Error::Unsupported)));
    }

    #[test]
    fn what_is_erased_is_not_found_under_any_spelling() {
        let system = FakeSystem::new().item(SERVICE, HUB, "ann", "x").item(
            SERVICE,
            "registry-1.docker.io",
            "bob",
            "y",
        );
        let request = Request::pull(HUB);
        Keychain::erase(&system, &request).unwrap();
        assert!(found(&system, &request).is_none());
        assert!(matches!(
            Keychain::erase(&system, &request),
            Err(Error::NotFound)
        ));
    }

    #[test]
    fn a_store_that_does_not_answer_is_asked_once() {
        let refusal = Refusal::Unavailable("no answer after 5 s".to_owned());
        let system = FakeSystem::new().refuse("keychain", refusal);
        let result = Keychain::get(&system, &Request::pull(HUB));
        assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
        assert_eq!(system.calls().len(), 1);
    }
}
