//! Where Docker and Podman keep logins, and the order in which these places count.
//!
//! Sources: docker/cli `cli/config` (`DOCKER_AUTH_CONFIG`, `DOCKER_CONFIG`), containers/common
//! `pkg/auth` and containers-auth.json(5).

use msb_plugin::credential::Error;
use msb_plugin::system::{Env, Files, Refusal, Reveal, Secret};
use zeroize::Zeroizing;

use crate::file::Config;

/// Docker's file where `DOCKER_CONFIG` is set, and where it is not.
pub(crate) const DOCKER: [&str; 2] = ["$DOCKER_CONFIG/config.json", "~/.docker/config.json"];

/// Podman's files. The third is where it keeps the logins of root without `XDG_RUNTIME_DIR`; those
/// of other users without it cannot be found, as a plugin does not know the number of the user.
pub(crate) const PODMAN: [&str; 5] = [
    "$REGISTRY_AUTH_FILE",
    "$XDG_RUNTIME_DIR/containers/auth.json",
    "/run/containers/0/auth.json",
    "$XDG_CONFIG_HOME/containers/auth.json",
    "~/.config/containers/auth.json",
];

/// A place where logins may be.
#[derive(Debug)]
pub(crate) enum Place {
    /// The value of a variable.
    Inline(Secret),
    /// A file.
    File(&'static str),
    /// A file that may belong to another tool, and need not be meant for msb.
    Guess(&'static str),
}

/// What was found in a place.
pub(crate) struct Document {
    /// What it is called, for messages.
    pub(crate) name: String,
    text: Zeroizing<Vec<u8>>,
    /// Whether helpers that it names are asked.
    helpers: bool,
}

/// Returns the places in the order in which they count.
pub(crate) fn all<S: Env>(system: &S) -> impl Iterator<Item = Result<Place, Error>> {
    let [docker_named, docker_home] = DOCKER;
    let [
        registry_auth_file,
        runtime_dir,
        root_dir,
        config_named,
        config_home,
    ] = PODMAN;
    // Each is looked for when its turn has come, and mostly it does not come.
    let inline = move || match system.variable("DOCKER_AUTH_CONFIG") {
        Ok(Some(text)) if !text.is_empty() => Some(Ok(Place::Inline(text))),
        Ok(_) => None,
        Err(refusal) => Some(Err(refusal.into())),
    };
    let file = |path| Some(Ok(Place::File(path)));
    let docker = move || match is_set(system, "DOCKER_CONFIG") {
        Ok(true) => file(docker_named),
        Ok(false) => file(docker_home),
        Err(error) => Some(Err(error)),
    };
    let podman = move || -> Vec<Result<Place, Error>> {
        let places = || {
            if is_set(system, "REGISTRY_AUTH_FILE")? {
                return Ok(vec![Place::File(registry_auth_file)]);
            }
            // Podman looks nowhere else then either.
            if is_set(system, "DOCKER_CONFIG")? {
                return Ok(Vec::new());
            }
            let runtime = if is_set(system, "XDG_RUNTIME_DIR")? {
                Place::File(runtime_dir)
            } else {
                Place::Guess(root_dir)
            };
            let config = if is_set(system, "XDG_CONFIG_HOME")? {
                config_named
            } else {
                config_home
            };
            Ok(vec![runtime, Place::File(config)])
        };
        places().map_or_else(
            |error| vec![Err(error)],
            |places| places.into_iter().map(Ok).collect(),
        )
    };
    std::iter::once_with(inline)
        .chain(std::iter::once_with(docker))
        .flatten()
        .chain(std::iter::once_with(podman).flatten())
}

fn is_set<S: Env>(system: &S, name: &str) -> Result<bool, Error> {
    Ok(system
        .variable(name)?
        .is_some_and(|value| !value.is_empty()))
}

impl Place {
    /// Reads what is there, `None` where there is nothing.
    pub(crate) fn load<S: Files + Reveal>(self, system: &S) -> Result<Option<Document>, Error> {
        let (file, guess) = match self {
            Self::Inline(text) => {
                return Ok(Some(Document {
                    name: "$DOCKER_AUTH_CONFIG".to_owned(),
                    text: system.reveal(&text)?,
                    helpers: false,
                }));
            }
            Self::File(path) => (system.file(path), false),
            Self::Guess(path) => (system.file(path), true),
        };
        let file = match file {
            Err(Refusal::Failed(_) | Refusal::Invalid(_)) if guess => return Ok(None),
            file => file?,
        };
        let Some(file) = file.filter(|file| file.owned || !guess) else {
            return Ok(None);
        };
        Ok(Some(Document {
            name: file.path,
            text: system.reveal(&file.contents)?,
            helpers: true,
        }))
    }
}

impl Document {
    /// Parses it. An empty one says nothing.
    pub(crate) fn parse(&self) -> Result<Config<'_>, Error> {
        let mut config = Config::parse(&self.text, &self.name)?;
        if !self.helpers {
            config.forget_helpers();
        }
        Ok(config)
    }
}
