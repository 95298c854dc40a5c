//! Docker's and Podman's logins as a plugin of msb: inline in `DOCKER_AUTH_CONFIG`, in Docker's
//! `config.json`, in Podman's `auth.json`, and in the credential helpers that these name.
//!
//! Why it does not use the crate `docker_credential`: that runs helpers itself, and a component
//! starts no processes; and its answers differ from Docker's own in these points (1.4.0):
//!
//! - plain-text `auths` win over `credsStore`; in Docker the store hides them;
//! - an empty helper in `credHelpers` means nothing; in Docker it means the file itself;
//! - keys of `credHelpers` for Docker Hub are compared as they stand;
//! - an empty entry, which Docker writes as a marker, hides one under another spelling of the
//!   registry, and `"auth": ""` and `"identitytoken": ""` count as credentials;
//! - NULs around a password are kept, `registrytoken` is not known, and an `auth` that differs
//!   from `password` is an error;
//! - which of several fitting keys counts is left to the order of a hash map;
//! - a missing file is an unreadable one, Podman's file is looked for in a place of its own, and
//!   `auth.json` has no namespaces.
//!
//! It is the one provider of msb that reads secrets: they stand in the middle of the files. What a
//! helper answers it passes on unread.

mod entry;
mod file;
mod key;
mod places;

use msb_plugin::Level;
use msb_plugin::credential::{
    Answer, Credential, Description, Entry, Error, Operations, Provider, Request,
};
use msb_plugin::system::{Env, Files, Helper, Log, Login, Reveal};

use file::Found;
use places::Place;

/// The provider.
#[derive(Debug)]
pub struct DockerConfig;

/// What a helper gives as the name where the secret is an identity token.
const TOKEN: &str = "<token>";

impl<S: Env + Files + Helper + Reveal + Log> Provider<S> for DockerConfig {
    fn describe() -> Description {
        let podman = "Podman keeps logins in auth.json";
        let description = Description::new("docker-config", "the files of Docker and Podman")
            .attribute("tier", "ambient")
            .operations(Operations::LIST)
            .registry("*")
            .need(
                "env",
                Some("DOCKER_AUTH_CONFIG"),
                "it may hold logins itself",
            )
            .need(
                "env",
                Some("DOCKER_CONFIG"),
                "Docker's files are there if it is set",
            )
            .need(
                "env",
                Some("REGISTRY_AUTH_FILE"),
                "Podman's file is there if it is set",
            )
            .need(
                "env",
                Some("XDG_RUNTIME_DIR"),
                "Podman's file is there if it is set",
            )
            .need(
                "env",
                Some("XDG_CONFIG_HOME"),
                "Podman's file is there if it is set",
            )
            .need(
                "helper",
                Some("*"),
                "Docker's file names programs that keep logins",
            )
            .need("reveal", None, "logins stand in the middle of the files");
        let description = places::DOCKER
            .iter()
            .fold(description, |description, path| {
                description.need("files", Some(path), "Docker keeps logins in config.json")
            });
        places::PODMAN
            .iter()
            .fold(description, |description, path| {
                description.need("files", Some(path), podman)
            })
    }

    /// Looks in one place after the other. A place that is broken does not keep those behind it
    /// from answering; if none does, the first thing that was wrong is the error.
    fn get(system: &S, request: &Request) -> Result<Answer, Error> {
        let mut search = Search {
            system,
            request,
            asked: Vec::new(),
            namespaces: false,
        };
        let mut broken = Vec::new();
        for place in places::all(system) {
            match place.and_then(|place| search.look(place)) {
                Err(Error::NotFound) => {}
                Err(error) => broken.push(error),
                Ok(answer) => {
                    for error in &broken {
                        system.log(Level::Warn, &format!("skipped: {}", error.message()));
                    }
                    return Ok(answer);
                }
            }
        }
        Err(broken.into_iter().next().unwrap_or(Error::NotFound))
    }

    /// Lists what the files say, without asking helpers. As in `get`, a place that is broken does
    /// not hide the others.
    fn list(system: &S) -> Result<Vec<Entry>, Error> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut broken = Vec::new();
        for place in places::all(system) {
            match place.and_then(|place| listed(system, place)) {
                Err(error) => broken.push(error),
                Ok(found) => {
                    for entry in found {
                        if entries.iter().all(|it| it.registry != entry.registry) {
                            entries.push(entry);
                        }
                    }
                }
            }
        }
        match broken.into_iter().next() {
            Some(error) if entries.is_empty() => Err(error),
            first => {
                if let Some(error) = &first {
                    system.log(Level::Warn, &format!("skipped: {}", error.message()));
                }
                Ok(entries)
            }
        }
    }
}

msb_plugin::export_provider!(DockerConfig);

/// Returns what one place says, nothing where there is no file.
fn listed<S: Files + Reveal>(system: &S, place: places::Place) -> Result<Vec<Entry>, Error> {
    let Some(document) = place.load(system)? else {
        return Ok(Vec::new());
    };
    let config = document.parse()?;
    Ok(config.list(&document.name).collect())
}

/// The search for the answer to a request.
struct Search<'a, S> {
    system: &'a S,
    request: &'a Request,
    /// Helpers and servers that were asked: starting a program is slow, and it may ask the user
    /// something.
    asked: Vec<(String, String)>,
    /// Whether a place has logins for some repositories of the registry.
    namespaces: bool,
}

impl<S: Files + Helper + Reveal> Search<'_, S> {
    fn look(&mut self, place: Place) -> Result<Answer, Error> {
        let Some(document) = place.load(self.system)? else {
            return Err(Error::NotFound);
        };
        let config = document.parse()?;
        let Request {
            registry,
            repository,
            ..
        } = self.request;
        self.namespaces |= config.has_namespaces(registry);
        let answer = match config.find(registry, repository.as_deref(), &document.name)? {
            None => return Err(Error::NotFound),
            Some(Found::Credential {
                username,
                credential,
                key,
            }) => {
                self.refuse_others(username.as_deref())?;
                Answer::new(credential).source(format!("{} ({key})", document.name))
            }
            Some(Found::Helper {
                helper,
                server,
                field,
            }) => {
                let call = (helper, server);
                if self.asked.contains(&call) {
                    return Err(Error::NotFound);
                }
                let credential = self.ask(&call.0, &call.1).map_err(|error| {
                    let program = format!("docker-credential-{}", call.0);
                    error.context(&format!("{}: {program} ({field})", document.name))
                });
                let source = format!("docker-credential-{} ({})", call.0, document.name);
                self.asked.push(call);
                Answer::new(credential?).source(source)
            }
        };
        if self.namespaces {
            return Ok(answer.repository_only());
        }
        Ok(answer)
    }

    fn ask(&self, helper: &str, server: &str) -> Result<Credential, Error> {
        let Some(Login { username, secret }) = self.system.helper_login(helper, server)? else {
            return Err(Error::NotFound);
        };
        if username.is_empty() || secret.is_empty() {
            return Err(Error::NotFound);
        }
        if username == TOKEN {
            return Ok(Credential::IdentityToken(secret));
        }
        self.refuse_others(Some(&username))?;
        Ok(Credential::Basic(username, secret))
    }

    /// Refuses a name that is not the one that is asked for, as far as both are known.
    fn refuse_others(&self, username: Option<&str>) -> Result<(), Error> {
        match (username, &self.request.username) {
            (Some(username), Some(wanted)) if username != wanted => Err(Error::NotFound),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
