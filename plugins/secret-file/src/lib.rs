//! Passwords in files of msb's home, as a plugin of msb: what the user has set under
//! `registries.auth` as `username` and `secret_name`.
//!
//! It passes the contents on without reading them, and a file that others can read, or that is
//! somebody else's, is not used.

use msb_plugin::credential::{Answer, Credential, Description, Error, Provider, Request};
use msb_plugin::system::{File, Files, Settings};
use serde::Deserialize;

/// The folder of the secrets, in the words of `wit/files.wit`.
const FOLDER: &str = "msb:secrets/registries";

/// The longest name of a secret, in bytes: what file systems take.
const LONGEST: usize = 255;

/// The provider.
#[derive(Debug)]
pub struct SecretFile;

/// What `registries.auth` says of a registry, as far as this provider cares.
#[derive(Deserialize)]
struct Entry {
    username: Option<String>,
    secret_name: Option<String>,
}

impl<S: Files + Settings> Provider<S> for SecretFile {
    fn describe() -> Description {
        Description::new("secret-file", "files in the secrets folder of msb")
            .attribute("tier", "configured")
            .attribute("reads", "secret_name")
            .registry("*")
            .need(
                "files",
                Some("msb:secrets/registries/*"),
                "the password of a registry is in the file that `secret_name` names",
            )
    }

    fn get(system: &S, request: &Request) -> Result<Answer, Error> {
        let registry = &request.registry;
        let Some(Entry {
            username,
            secret_name: Some(name),
        }) = system.registry_as()?
        else {
            return Err(Error::NotFound);
        };
        let Some(username) = username else {
            return Err(Error::misconfigured(format!(
                "`secret_name` is set for {registry}, and `username` is not"
            )));
        };
        if request
            .username
            .as_ref()
            .is_some_and(|wanted| *wanted != username)
        {
            return Err(Error::NotFound);
        }
        if !is_file_name(&name) {
            return Err(Error::misconfigured(format!(
                "`secret_name` for {registry} is {name:?}, which is not the name of a file"
            ))
            .hint("name a file in secrets/registries, without its folder"));
        }
        let path = format!("{FOLDER}/{name}");
        let Some(file) = system.file(&path)? else {
            return Err(Error::misconfigured(format!(
                "there is no {path}, which `secret_name` names for {registry}"
            ))
            .hint(format!(
                "write the password of {username} to it, with mode 0600"
            )));
        };
        usable(&file, registry)?;
        let password = file.contents.trimmed();
        if password.is_empty() {
            return Err(Error::misconfigured(format!(
                "{}, which `secret_name` names for {registry}, is empty",
                file.path
            )));
        }
        Ok(Answer::new(Credential::Basic(username, password)).source(file.path))
    }
}

msb_plugin::export_provider!(SecretFile);

/// Refuses a file whose contents others know or have chosen.
fn usable(file: &File, registry: &str) -> Result<(), Error> {
    let path = &file.path;
    if !file.owned {
        return Err(Error::misconfigured(format!(
            "{path}, which `secret_name` names for {registry}, belongs to another user"
        ))
        .hint(format!("chown it: {path}")));
    }
    if !file.private {
        return Err(Error::misconfigured(format!(
            "{path}, which `secret_name` names for {registry}, can be read by others"
        ))
        .hint(format!("chmod 600 {path}")));
    }
    Ok(())
}

/// Whether a name is that of a file in a folder, and of none elsewhere.
fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST
        && name != "."
        && name != ".."
        && !name.contains(['/', '\\', ':', '*'])
        && !name.contains(char::is_control)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use msb_plugin::credential::Problem;
    use msb_plugin::fake::{FakeSystem, bytes_of};

    use super::*;

    const PATH: &str = "msb:secrets/registries/ghcr";

    fn configured() -> FakeSystem {
        FakeSystem::new().registry(r#"{"username":"ann","secret_name":"ghcr"}"#)
    }

    fn get(system: &FakeSystem) -> Result<Answer, Error> {
        SecretFile::get(system, &Request::pull("ghcr.io"))
    }

    fn misconfigured(system: &FakeSystem) -> Problem {
        match get(system) {
            Err(Error::Misconfigured(problem)) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_is_the_password_without_the_end_of_its_line() {
        for (contents, password) in [
            ("opensesame", "opensesame"),
            ("opensesame\n", "opensesame"),
            ("opensesame\r\n\n", "opensesame"),
            (" open sesame:\n", " open sesame:"),
        ] {
            let answer = get(&configured().file(PATH, contents)).unwrap();
            assert_eq!(answer.source.as_deref(), Some(PATH));
            let Credential::Basic(username, secret) = answer.credential else {
                panic!("{contents:?}");
            };
            assert_eq!(username, "ann");
            assert_eq!(bytes_of(&secret), password.as_bytes());
        }
    }

    #[test]
    fn a_file_that_is_missing_or_empty_is_named() {
        let missing = misconfigured(&configured());
        assert!(missing.message.contains(PATH), "{missing:?}");
        assert!(missing.message.contains("`secret_name`"), "{missing:?}");
        assert!(missing.message.contains("ghcr.io"), "{missing:?}");
        let empty = misconfigured(&configured().file(PATH, "\n"));
        assert!(
            empty.message.contains(PATH) && empty.message.contains("empty"),
            "{empty:?}"
        );
    }

    #[test]
    fn a_file_of_another_user_is_not_used() {
        let problem = misconfigured(&configured().file_of(PATH, "x", false, true));
        assert!(
            problem.message.contains("belongs to another user"),
            "{problem:?}"
        );
        assert_eq!(problem.hint.unwrap(), format!("chown it: {PATH}"));
    }

    #[test]
    fn a_file_that_others_can_read_is_not_used() {
        let problem = misconfigured(&configured().file_of(PATH, "x", true, false));
        assert!(
            problem.message.contains("can be read by others"),
            "{problem:?}"
        );
        assert_eq!(problem.hint.unwrap(), format!("chmod 600 {PATH}"));
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused_unread() {
        let long = "n".repeat(256);
        for name in [
            "",
            ".",
            "..",
            "../x",
            "/etc/passwd",
            "a/b",
            "a\\\\b",
            "C:x",
            "*",
            &long,
        ] {
            let json = format!(r#"{{"username":"ann","secret_name":"{name}"}}"#);
            let system = FakeSystem::new().registry(json);
            let problem = misconfigured(&system);
            assert!(
                problem.message.contains("not the name of a file"),
                "{problem:?}"
            );
            let advised = "name a file in secrets/registries, without its folder";
            assert_eq!(problem.hint.unwrap(), advised);
            assert_eq!(system.calls(), [""; 0], "{name}");
        }
    }

    #[test]
    fn a_registry_without_a_file_is_left_to_others() {
        for json in [r#"{"username":"ann","store":"keyring"}"#, "{}"] {
            let system = FakeSystem::new().registry(json);
            assert!(matches!(get(&system), Err(Error::NotFound)));
        }
        assert!(matches!(get(&FakeSystem::new()), Err(Error::NotFound)));
    }

    #[test]
    fn another_user_is_left_to_others() {
        let system = configured().file(PATH, "x");
        let request = Request::pull("ghcr.io").username("bob");
        assert!(matches!(
            SecretFile::get(&system, &request),
            Err(Error::NotFound)
        ));
    }
}
