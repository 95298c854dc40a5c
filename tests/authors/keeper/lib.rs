//! {{name}}: a credential provider that keeps logins with the program docker-credential-box.

use msb_plugin::credential::{
    Answer, Credential, Description, Error, Operations, Provider, Request,
};
use msb_plugin::system::{Helper, Login};

/// What the provider wishes to be.
const ATTRIBUTES: &[(&str, &str)] = &{{attributes}};

/// The provider.
#[derive(Debug)]
pub struct Keeper;

impl<S: Helper> Provider<S> for Keeper {
    fn describe() -> Description {
        let description = Description::new("{{name}}", "a box")
            .operations(Operations::STORE)
            .operations(Operations::ERASE)
            .registry("*")
            .need("helper", Some("box"), "logins are kept there");
        let wishes = ATTRIBUTES.iter();
        wishes.fold(description, |description, (key, value)| {
            description.attribute(*key, *value)
        })
    }

    fn get(system: &S, request: &Request) -> Result<Answer, Error> {
        match system.helper_login("box", &request.registry)? {
            Some(Login { username, secret }) => {
                Ok(Answer::new(Credential::Basic(username, secret)).source("the box"))
            }
            None => Err(Error::NotFound),
        }
    }

    fn store(system: &S, request: &Request, credential: Credential) -> Result<(), Error> {
        let Credential::Basic(username, secret) = credential else {
            return Err(Error::Unsupported);
        };
        Ok(system.helper_store("box", &request.registry, Login { username, secret })?)
    }

    fn erase(system: &S, request: &Request) -> Result<(), Error> {
        if system.helper_login("box", &request.registry)?.is_none() {
            return Err(Error::NotFound);
        }
        Ok(system.helper_erase("box", &request.registry)?)
    }
}

msb_plugin::export_provider!(Keeper);
