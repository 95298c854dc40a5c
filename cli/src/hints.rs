//! From an error of the host to what the user can do about it.
//!
//! The host says what happened and why; what to do depends on the commands there are, so it is
//! said here. An error without a good advice gets none.

mod auth;
mod image;
mod mount;
mod plugin;
mod registry;
mod system;

use msb_host::Error;
use msb_host::auth::LoginError;
use msb_host::hosts::HostsError;
use msb_host::image::{ImageError, PullError};
use msb_host::installed::InstalledError;
use msb_host::limits::Limit;
use msb_host::plugin::FormatError;
use msb_host::reference::{Instead, ParseReferenceError};
use msb_host::registry::{DeniedIdentity, DownloadError, RegistryErrorKind, VerifyError};
use msb_host::settings::{RegistriesProblem, SettingsError};

use self::auth::{for_auth, for_keep, for_missing_store};
use self::image::{for_files, for_load, for_merge, for_pull, for_save, for_store};
use self::mount::{for_adopt, for_mount, for_serve};
pub(crate) use self::plugin::for_scaffold;
use self::plugin::{for_format, for_installed};
use self::registry::{for_hosts, for_pem, for_registry};
use self::system::for_system;
use crate::error::chain;

/// Returns what led to an error although it is not in its chain: a chain has one end, and several
/// plugins may have something to say.
pub(crate) fn causes(error: &Error) -> Vec<String> {
    match error {
        Error::Load(ImageError::Format(FormatError::Unrecognised { said, .. }))
        | Error::Format(FormatError::Unrecognised { said, .. }) => {
            let line = |error| {
                let texts: Vec<String> = chain(error).map(ToString::to_string).collect();
                texts.join(": ")
            };
            said.iter().map(|error| line(error)).collect()
        }
        Error::Pull(PullError::Registry { source, .. }) => match &source.kind {
            RegistryErrorKind::Denied { identity, .. } => {
                without_credentials(&source.host, identity)
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Returns who was asked for credentials and had none.
fn without_credentials(host: &str, identity: &DeniedIdentity) -> Vec<String> {
    if identity.with_credentials || identity.tried.is_empty() {
        return Vec::new();
    }
    let failed = identity.tried.iter().filter(|tried| tried.failed);
    let mut lines: Vec<String> = failed
        .map(|tried| format!("`{}`: {}", tried.provider, tried.message))
        .collect();
    let empty: Vec<String> = identity
        .tried
        .iter()
        .filter(|tried| !tried.failed)
        .map(|tried| format!("`{}`", tried.provider))
        .collect();
    if !empty.is_empty() {
        lines.push(format!("no credentials for {host} in {}", empty.join(", ")));
    }
    lines
}

/// Returns sentences that tell what to do, the most helpful first.
pub(crate) fn hints(error: &Error) -> Vec<String> {
    let specific = match error {
        Error::Keep(LoginError::Store { registry, source }) => {
            return for_missing_store(registry, source);
        }
        Error::Keep(error) => for_keep(error),
        Error::Auth(error) => for_auth(error),
        Error::Load(error) => for_load(error),
        Error::Pull(error) => for_pull(error),
        Error::Registry(error) => for_registry(error),
        Error::Save(error) => for_save(error),
        Error::Files(error) => for_files(error),
        Error::Adopt(error) => for_adopt(error),
        Error::Serve(error) => for_serve(error),
        Error::Mount(error) => for_mount(error),
        Error::Merge(error) => for_merge(error),
        Error::Store(error) => for_store(error),
        Error::Home(_) => Some("point MSB_HOME to a directory for the store".to_owned()),
        Error::Format(error) => for_format(error),
        Error::Settings(error) => for_settings(error),
        Error::Installed(error) => for_installed(error),
        Error::Platform(_) => Some("write it like linux/amd64, arm64 or linux/arm/v7".to_owned()),
        Error::Reference(error) => Some(for_reference(error)),
        _ => None,
    };
    let of_pem = chain(error).find_map(|error| error.downcast_ref().and_then(for_pem));
    let of_file = of_pem.or_else(|| of_hosts(error).and_then(for_hosts));
    // What does not fit from a pipe does from a file, with the limits as they are.
    let specific = match specific {
        Some(hint) if hint == image::READ_ONCE => Some(hint),
        specific => for_limit(error).or(of_file).or(specific),
    };
    // A full disk explains whatever else went wrong.
    match for_system(error) {
        Some(hint) => vec![hint],
        None => specific.into_iter().collect(),
    }
}

/// Returns the error of files that say how registries are asked, which those that carry it pass on as
/// their own.
fn of_hosts(error: &Error) -> Option<&HostsError> {
    match error {
        Error::Hosts(error)
        | Error::Pull(PullError::Hosts(error))
        | Error::Keep(LoginError::Verify(VerifyError::Hosts(error)))
        | Error::Installed(
            InstalledError::Hosts(error) | InstalledError::Download(DownloadError::Hosts(error)),
        ) => Some(error),
        _ => None,
    }
}

/// Returns how to raise the cap that an error names. All of them name it in the same words.
fn for_limit(error: &Error) -> Option<String> {
    let limit = chain(error).find_map(|error| {
        let text = error.to_string();
        let (_, name) = text.rsplit_once("limit `")?;
        Limit::by_name(name.split('`').next()?)
    })?;
    Some(format!(
        "if this is intended, raise the limit in config.json: {{\"limits\": {{\"{}\": NUMBER}}}}",
        limit.name()
    ))
}

fn for_reference(error: &ParseReferenceError) -> String {
    let instead = match error {
        ParseReferenceError::Pasted { pasted, .. } => pasted.instead.as_ref(),
        _ => None,
    };
    match instead {
        Some(Instead::Reference(reference)) => format!("write `{reference}`"),
        Some(Instead::Load(path)) => {
            format!("what is on this machine is loaded, not pulled: `msb load --input {path}`")
        }
        Some(Instead::Transfer(name)) => {
            format!("what another engine has here is saved by it: `docker save {name} | msb load`")
        }
        _ => "write it like python, python:3.13 or ghcr.io/my-org/my-image:v1".to_owned(),
    }
}

fn for_settings(error: &SettingsError) -> Option<String> {
    match error {
        SettingsError::UnknownLimit { .. } => {
            let names: Vec<&str> = Limit::ALL.into_iter().map(Limit::name).collect();
            Some(format!("limits are {}", names.join(", ")))
        }
        SettingsError::Registries {
            source: RegistriesProblem::NotAHost,
            ..
        } => Some(auth::HOST.to_owned()),
        error if error.is_of_system() => Some(
            "fix the file as root: its settings are those of everyone on this machine".to_owned(),
        ),
        SettingsError::Empty { .. } => Some("write `{}` into it, or delete it".to_owned()),
        SettingsError::Invalid { .. } => {
            Some("fix the file, or point MSB_CONFIG_PATH to another one".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use msb_host::archive::ArchiveError;
    use msb_host::home::NoHomeError;
    use msb_host::image::SaveError;
    use msb_host::layer::LayerError;
    use msb_host::store::StoreError;

    use super::*;

    fn io(kind: io::ErrorKind) -> io::Error {
        kind.into()
    }

    /// Asserts that an error's only hint contains a text.
    fn assert_hint(error: impl Into<Error>, part: &str) {
        let error = error.into();
        let hints = hints(&error);
        assert_eq!(hints.len(), 1, "{error}: {hints:?}");
        assert!(hints.concat().contains(part), "{error}: {hints:?}");
    }

    #[test]
    fn errors_with_a_cure_name_it() {
        assert_hint(StoreError::NotFound("x".to_owned()), "msb images");
        assert_hint(NoHomeError, "MSB_HOME");
        let in_use = StoreError::InUse {
            image: "x".to_owned(),
            sandboxes: vec!["box".to_owned()],
        };
        assert_hint(in_use, "--force");
        let platform = ImageError::Platform {
            wanted: msb_host::platform::Platform::new("linux", "amd64", None),
            offered: vec![msb_host::platform::Platform::new(
                "linux",
                "arm",
                Some("v7"),
            )],
        };
        assert_hint(platform, "--platform linux/arm/v7");
        // What an archive says need not be a name that the option takes.
        let unnamed = ImageError::Platform {
            wanted: msb_host::platform::Platform::new("linux", "amd64", None),
            offered: vec![
                msb_host::platform::Platform::new("", "", None),
                msb_host::platform::Platform::new("linux", "a b", None),
                msb_host::platform::Platform::new("linux", "s390x", None),
            ],
        };
        assert_hint(unnamed, "--platform linux/s390x");
        let empty = ArchiveError::Empty {
            name: "standard input".to_owned(),
        };
        assert_hint(ImageError::from(empty), "pipe");
        let cut = ArchiveError::Read {
            name: "a.tar".to_owned(),
            source: io(io::ErrorKind::UnexpectedEof),
        };
        assert_hint(ImageError::from(cut), "cut off");
    }

    #[test]
    fn a_disk_that_fails_is_called_so() {
        let failed = |number| StoreError::Io {
            operation: "read",
            path: "/x".into(),
            source: io::Error::from_raw_os_error(number),
        };
        assert_hint(
            ImageError::from(failed(5)),
            "the log of the system (`dmesg`)",
        );
        assert_hint(failed(24), "allow more open files: `ulimit -n 4096`");
        assert_hint(failed(23), "or raise `fs.file-max` with `sysctl`");
    }

    #[test]
    fn a_full_disk_points_to_what_is_on_it() {
        let store = StoreError::Io {
            operation: "write",
            path: "/x".into(),
            source: io(io::ErrorKind::StorageFull),
        };
        assert_hint(ImageError::from(store), "MSB_HOME");
        let output = SaveError::Output {
            path: "/x".into(),
            source: io(io::ErrorKind::StorageFull),
        };
        assert_hint(output, "--output");
        let layer = ImageError::Layer {
            name: "l".to_owned(),
            source: LayerError::Output(io(io::ErrorKind::StorageFull)),
        };
        assert_hint(layer, "msb image prune");
    }

    #[test]
    fn a_format_that_is_not_there_is_followed_by_those_that_are() {
        let error = FormatError::NoSuchFormat {
            name: "zip".to_owned(),
            offered: vec!["docker".to_owned(), "oci".to_owned()],
        };
        assert_hint(SaveError::from(error), "docker, oci");
    }

    #[test]
    fn an_input_that_may_not_be_read_is_no_matter_of_the_store() {
        let error = ArchiveError::Open {
            path: "/x".into(),
            source: io(io::ErrorKind::PermissionDenied),
        };
        assert_eq!(hints(&ImageError::from(error).into()), Vec::<String>::new());
    }
}
