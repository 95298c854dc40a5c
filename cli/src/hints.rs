//! From an error of the host to what the user can do about it.
//!
//! The host says what happened and why; what to do depends on the commands there are, so it is
//! said here. An error without a good advice gets none.

use std::io;

use msb_host::Error;
use msb_host::archive::ArchiveError;
use msb_host::auth::{AuthError, KeepError, ProviderError};
use msb_host::image::{LoadError, PullError, SaveError};
use msb_host::layer::LayerError;
use msb_host::limits::Limit;
use msb_host::plugin::{Failure, FormatError, InstalledError, PluginError, Refusal};
use msb_host::registry::{Origin, RegistryError, Stranger, VerifyError};
use msb_host::settings::SettingsError;
use msb_host::store::StoreError;

use crate::error::{chain, io_kind};

const DAMAGED_ARCHIVE: &str =
    "the archive is damaged or was put together wrongly; save or copy it again";
const CUT_OFF: &str = "the archive seems to be cut off; save or copy it again";
const DAMAGED_STORE: &str =
    "the copy in the store is damaged: `msb image verify --repair` drops it, then load it again";

const ENTRY: &str = "an entry has a `username` and one of `\"store\": \"keyring\"`, `password_env` \
                     and `secret_name`";

/// Returns what led to an error although it is not in its chain: a chain has one end, and several
/// plugins may have something to say.
pub(crate) fn causes(error: &Error) -> Vec<String> {
    match error {
        Error::Load(LoadError::Format(FormatError::Unrecognised { said }))
        | Error::Format(FormatError::Unrecognised { said }) => {
            let line = |error| {
                let texts: Vec<String> = chain(error).map(ToString::to_string).collect();
                texts.join(": ")
            };
            said.iter().map(|error| line(error)).collect()
        }
        Error::Pull(PullError::Registry { source, .. }) => match &**source {
            RegistryError::Denied { host, identity, .. } => without_credentials(host, identity),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Returns who was asked for credentials and had none.
fn without_credentials(host: &str, identity: &Stranger) -> Vec<String> {
    if identity.with_credentials || identity.tried.is_empty() {
        return Vec::new();
    }
    let failed = identity.tried.iter().filter(|tried| tried.failed);
    let mut lines: Vec<String> = failed
        .map(|tried| format!("`{}`: {}", tried.provider, tried.said))
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
        Error::Keep(KeepError::Store { registry, source }) => {
            return for_missing_store(registry, source);
        }
        Error::Keep(error) => for_keep(error),
        Error::Auth(error) => for_auth(error),
        Error::Load(error) => for_load(error),
        Error::Pull(error) => for_pull(error),
        Error::Registry(error) => for_registry(error),
        Error::Save(error) => for_save(error),
        Error::Store(error) => for_store(error),
        Error::Format(error) => for_format(error),
        Error::Settings(error) => for_settings(error),
        Error::Installed(error) => for_installed(error),
        Error::Platform(_) => Some("write it like linux/amd64 or linux/arm/v7".to_owned()),
        Error::Reference(_) => {
            Some("write it like python, python:3.13 or ghcr.io/my-org/my-image:v1".to_owned())
        }
        _ => None,
    };
    let specific = for_limit(error).or(specific);
    // A full disk explains whatever else went wrong.
    match for_system(error) {
        Some(hint) => vec![hint],
        None => specific.into_iter().collect(),
    }
}

fn for_installed(error: &InstalledError) -> Option<String> {
    let hint = match error {
        InstalledError::Store(error) => return for_store(error),
        InstalledError::Registry(error) => return for_registry(error),
        InstalledError::Plugin(error) => return for_plugin(error),
        InstalledError::Lock { .. } => {
            "mend the file, or move it away and install the plugins again"
        }
        InstalledError::LockVersion { .. } => "use the newer msb",
        InstalledError::NotInstalled { installed, .. } => {
            return Some(format!("there are {}", installed.join(", ")));
        }
        InstalledError::Builtin { name, .. } => {
            return Some(format!(
                "`msb plugin disable {name}` keeps it from being used"
            ));
        }
        InstalledError::Source(_) => {
            "name a file, an HTTPS address, or a reference like ghcr.io/my-org/plugin:1"
        }
        InstalledError::Name { .. } => "give it another name with --name",
        InstalledError::Taken { name, .. } => {
            return Some(format!(
                "give this one another name with --name, or remove the other one first: \
                 `msb plugin rm {name}`"
            ));
        }
        InstalledError::Provided { by, .. } => {
            return Some(format!(
                "disable the other one first: `msb plugin disable {by}`"
            ));
        }
        InstalledError::Changed { name, .. } => {
            return Some(format!(
                "if the change is meant to be: `msb plugin update {name}`"
            ));
        }
        InstalledError::NotLocked { .. } => {
            "install it without --locked first (and without MSB_PLUGIN_LOCKED), and keep the new \
             plugins.lock"
        }
        InstalledError::Signature { .. } => {
            "do not use it unless you know why; `plugins.signatures` in config.json and --key say \
             which keys are wanted"
        }
        InstalledError::NotGranted { has, .. } if has.is_empty() => "it has nothing",
        InstalledError::NotGranted { has, .. } => {
            return Some(format!("it has {}", has.join(", ")));
        }
        InstalledError::Raced { .. } => "try again",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn for_load(error: &LoadError) -> Option<String> {
    let hint = match error {
        LoadError::Archive(error) => return for_archive(error),
        LoadError::Format(error) => return for_format(error),
        LoadError::Store(error) => return for_store(error),
        LoadError::Platform { offered, .. } => {
            let platform = offered.first()?;
            return Some(format!(
                "load an image for another platform with `--platform {platform}`"
            ));
        }
        LoadError::DocumentDigest { .. }
        | LoadError::Document { .. }
        | LoadError::ManifestType { .. }
        | LoadError::ManifestAndIndex { .. }
        | LoadError::LayerDigest { .. }
        | LoadError::DiffId { .. }
        | LoadError::OtherConfig { .. }
        | LoadError::LayerCount { .. }
        | LoadError::NoImages => DAMAGED_ARCHIVE,
        LoadError::Layer { source, .. } => for_layer(source),
        LoadError::MissingLayer { .. } => {
            "save the image with all of its layers, or load the image that it builds on first"
        }
        LoadError::NoLayers { .. } => "msb loads images that have a root filesystem, no other kind",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn for_pull(error: &PullError) -> Option<String> {
    let hint = match error {
        PullError::Registry { source, .. } => return for_registry(source),
        PullError::Store(error) => return for_store(error),
        PullError::Image { source, .. } => match &**source {
            LoadError::Archive(error) => return for_archive(error),
            LoadError::Layer { source, .. } if !source.is_output() => {
                "the image is damaged, or was pushed in a form that msb does not know; push it \
                 again, or tell who has pushed it"
            }
            LoadError::DiffId { .. }
            | LoadError::Document { .. }
            | LoadError::LayerCount { .. }
            | LoadError::NoLayers { .. } => {
                "the image was put together wrongly; tell who has pushed it"
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(hint.to_owned())
}

fn for_registry(error: &RegistryError) -> Option<String> {
    let hint = match error {
        RegistryError::Platform { offered, .. } => {
            let platform = offered.first()?;
            return Some(format!(
                "pull the image for another platform with `--platform {platform}`"
            ));
        }
        RegistryError::Denied { host, .. } => {
            return Some(format!(
                "look at the name; if the image is not for everybody, log in with \
                 `msb registry login {host}`"
            ));
        }
        RegistryError::Credentials { host, origin, .. } => {
            return Some(for_refused(host, origin.as_deref()));
        }
        RegistryError::Auth { source, .. } => return for_auth(source),
        RegistryError::RateLimited { host, .. } => {
            return Some(format!(
                "try again later, or log in with `msb registry login {host}`, for whom the limit \
                 is often higher"
            ));
        }
        RegistryError::NotFound { .. } => "look at the name and the tag",
        RegistryError::Certificate { .. } => {
            "name the CA that the registry's certificate comes from with `--ca-certs PATH`, or for \
             good with `registries.ca_certs` in config.json"
        }
        RegistryError::ClientCertificate { host, .. } => {
            return Some(format!(
                "name the certificate that you have for this registry, and its key, in \
                 config.json: {{\"registries\": {{\"hosts\": {{\"{host}\": {{\"client_cert\": PATH, \
                 \"client_key\": PATH}}}}}}}}"
            ));
        }
        RegistryError::PlainHttp { .. } => {
            "if you trust the network between here and there, use `--insecure`"
        }
        RegistryError::Connect { .. } => {
            "look at the name of the registry, at the network and at the proxy; a registry that \
             speaks plain HTTP needs `--insecure`"
        }
        RegistryError::Status {
            status: 400..=407 | 409..=424 | 426..=498,
            ..
        } => "the registry does not want this request; ask those who run it",
        RegistryError::Realm { .. } => {
            "do not trust this registry, unless it is yours: then let it name a token service on \
             its own host, or one that is reached over HTTPS"
        }
        RegistryError::Token { .. }
        | RegistryError::Malformed { .. }
        | RegistryError::Redirect { .. } => {
            "is there a registry at this address, and nothing in between? otherwise tell those who \
             run it"
        }
        RegistryError::Broken { .. }
        | RegistryError::Stalled { .. }
        | RegistryError::Status { .. }
        | RegistryError::Elsewhere { .. } => {
            "try again later: what was received is kept, and the same command goes on from there"
        }
        RegistryError::Digest { .. } | RegistryError::Size { .. } => {
            "the registry, or something on the way, changes what it hands out; tell who runs it"
        }
        RegistryError::NoImage { .. } => {
            "msb pulls images that have a root filesystem, no other kind"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns what to do about credentials that a registry does not take.
fn for_refused(host: &str, origin: Option<&Origin>) -> String {
    let again = format!("log in again with `msb registry login {host}`");
    match origin.map(|origin| origin.provider.as_str()) {
        Some("env") => format!("set the variable anew, or {again}"),
        Some("secret-file") => format!("write the file anew, or {again}"),
        _ => again,
    }
}

fn for_auth(error: &AuthError) -> Option<String> {
    if let Some(hint) = error.hint() {
        return Some(hint.to_owned());
    }
    let hint = match error {
        AuthError::Settings { .. } => ENTRY,
        AuthError::Configured { provider, .. } if provider == "env" => {
            "set the variable, or take the entry out of config.json"
        }
        AuthError::Configured { .. } => "put it there, or take the entry out of config.json",
        AuthError::Unanswered { .. } => {
            "the provider is disabled: enable it, or take the entry out"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn for_keep(error: &KeepError) -> Option<String> {
    let hint = match error {
        KeepError::Path { registry, .. } => {
            return Some(format!("log in with `msb registry login {registry}`"));
        }
        KeepError::NotARegistry(_) => "write it like ghcr.io or registry.local:5000",
        KeepError::Verify(VerifyError::Registry(error)) => return for_verify(error),
        KeepError::Settings(error) => return for_settings(error),
        _ => return None,
    };
    Some(hint.to_owned())
}

fn for_verify(error: &RegistryError) -> Option<String> {
    let hint = match error {
        RegistryError::Credentials { .. } | RegistryError::Denied { .. } => {
            "nothing was stored: look at the name and the password, which many registries want a \
             token for"
        }
        RegistryError::NotFound { .. } | RegistryError::Connect { .. } => {
            "look at the name of the registry; `--no-verify` stores the credentials without \
             trying them, `--insecure` speaks plain HTTP"
        }
        error => return for_registry(error),
    };
    Some(hint.to_owned())
}

/// Returns what to do where the system has no store of credentials that works.
fn for_missing_store(registry: &str, source: &ProviderError) -> Vec<String> {
    let own = source.hint().map(str::to_owned);
    let entry = |key: &str, value: &str| {
        format!(
            "{{\"registries\": {{\"auth\": {{\"{registry}\": {{\"username\": \"NAME\", \"{key}\": \
             \"{value}\"}}}}}}}}"
        )
    };
    own.into_iter()
        .chain([
            format!(
                "let a variable have the password, as in CI: {} in config.json",
                entry("password_env", "VARIABLE")
            ),
            format!(
                "or a file below secrets/registries in the home of msb: {}",
                entry("secret_name", "FILE")
            ),
            "or let msb write that file, as plain text that only you can read: `--store file`"
                .to_owned(),
        ])
        .collect()
}

/// Returns how to raise the cap that an error names. All of them name it in the same words.
fn for_limit(error: &Error) -> Option<String> {
    let limit = chain(error).find_map(|error| {
        let text = error.to_string();
        let (_, name) = text.rsplit_once("limit `")?;
        Limit::by_name(name.split('`').next()?)
    })?;
    Some(format!(
        "if this is meant to be, raise the limit in config.json: {{\"limits\": {{\"{}\": NUMBER}}}}",
        limit.name()
    ))
}

fn for_settings(error: &SettingsError) -> Option<String> {
    match error {
        SettingsError::UnknownLimit { .. } => {
            let names: Vec<&str> = Limit::ALL.into_iter().map(Limit::name).collect();
            Some(format!("limits are {}", names.join(", ")))
        }
        SettingsError::Invalid { .. } => {
            Some("mend the file, or let MSB_CONFIG_PATH name another one".to_owned())
        }
        _ => None,
    }
}

fn for_save(error: &SaveError) -> Option<String> {
    match error {
        SaveError::Store(error) => for_store(error),
        SaveError::Format(error) => for_format(error),
        SaveError::Archive(error) => for_archive(error),
        SaveError::MissingLayer { .. } => Some(DAMAGED_STORE.to_owned()),
        _ => None,
    }
}

fn for_archive(error: &ArchiveError) -> Option<String> {
    let hint = match error {
        ArchiveError::Empty { .. } => "did the command in front of the pipe fail?",
        ArchiveError::NotAnArchive { .. } => {
            "msb loads what `docker save`, `podman save`, `skopeo copy` and `msb save` write: a tar \
             archive, compressed with gzip or zstd or not at all, or an OCI layout directory"
        }
        ArchiveError::Tar { .. } => CUT_OFF,
        ArchiveError::Read { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => {
            CUT_OFF
        }
        ArchiveError::Passed { .. } => {
            "a pipe can be read only once: write the archive to a file and give that with --input"
        }
        ArchiveError::Compression { .. } => {
            "decompress the archive first, or compress it with gzip or zstd"
        }
        ArchiveError::PathEscape { .. } => {
            "no image needs this; do not trust where the archive comes from"
        }
        ArchiveError::Layer { .. } | ArchiveError::Damaged { .. } => DAMAGED_STORE,
        ArchiveError::Convert { source, .. } => for_layer(source),
        ArchiveError::Store(error) => return for_store(error),
        _ => return None,
    };
    Some(hint.to_owned())
}

fn for_layer(error: &LayerError) -> &'static str {
    match error {
        LayerError::Erofs(_) | LayerError::DamagedRecipe(_) | LayerError::Image { .. } => {
            DAMAGED_STORE
        }
        _ => DAMAGED_ARCHIVE,
    }
}

fn for_format(error: &FormatError) -> Option<String> {
    let hint = match error {
        FormatError::NoSuchFormat { offered, .. } => {
            return Some(format!(
                "formats that can be written: {}",
                offered.join(", ")
            ));
        }
        FormatError::Unrecognised { .. } => {
            "msb loads archives of images, which have a `manifest.json` or an `index.json` at the \
             top, not those of filesystems, such as `docker export` writes"
        }
        FormatError::Plugin(error) => return for_plugin(error),
        FormatError::Archive(error) => return for_archive(error),
        FormatError::Engine(_) => "let MSB_HOME name a directory that you may write to",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn for_plugin(error: &PluginError) -> Option<String> {
    let hint = match &*error.failure {
        Failure::Mismatch(_) => {
            "the plugin was made for another version of msb; install one for this version"
        }
        Failure::Crashed { .. } | Failure::Answer(_) => {
            "this is a fault of the plugin, whatever the archive holds; tell its author"
        }
        Failure::Stopped(_) => {
            let more = error.setting().map_or_else(String::new, |setting| {
                format!(", and `{setting}` in config.json gives it more")
            });
            return Some(format!(
                "either what it was given is far out of the ordinary{more}, or this is a fault of \
                 the plugin"
            ));
        }
        Failure::Refused(Refusal::Malformed(_) | Refusal::Missing(_)) => DAMAGED_ARCHIVE,
        Failure::Host(error) => return for_archive(error),
        _ => return None,
    };
    Some(hint.to_owned())
}

fn for_store(error: &StoreError) -> Option<String> {
    let hint = match error {
        StoreError::NotFound(_) => "`msb images` lists what there is",
        StoreError::Ambiguous { .. } => "give more digits of the ID, or a reference",
        StoreError::InUse { .. } => {
            "remove the sandbox first, or remove the image all the same with --force"
        }
        StoreError::SeveralReferences { .. } => "name one of them, or remove all with --force",
        StoreError::OldFormat { .. } => {
            "let MSB_HOME name another directory and load the images there"
        }
        StoreError::Format { .. } => "use the newer msb, or let MSB_HOME name another store",
        StoreError::NoHome => "let MSB_HOME name a directory for the store",
        StoreError::DamagedBlob { .. } => DAMAGED_STORE,
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns what to do about a failure of the operating system.
fn for_system(error: &Error) -> Option<String> {
    let place = if concerns_output(error) {
        "choose another place with --output"
    } else {
        "let MSB_HOME name a directory elsewhere"
    };
    match io_kind(error) {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => Some(format!(
            "free some space, for instance with `msb image prune`, or {place}"
        )),
        Some(io::ErrorKind::BrokenPipe) if concerns_output(error) => {
            Some("whoever reads the archive has gone away".to_owned())
        }
        Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
            if concerns_output(error) || concerns_store(error) =>
        {
            Some(place.to_owned())
        }
        // The wording of SQLite, whose errors are none of the operating system.
        None if chain(error).any(|error| error.to_string().contains("disk is full")) => {
            Some(format!("free some space, or {place}"))
        }
        _ => None,
    }
}

/// Returns whether it is the archive being written that failed.
fn concerns_output(error: &Error) -> bool {
    matches!(
        error,
        Error::Save(
            SaveError::Output { .. }
                | SaveError::Archive(ArchiveError::Write { .. })
                | SaveError::Format(FormatError::Archive(ArchiveError::Write { .. }))
        )
    )
}

/// Returns whether it is the store that failed.
fn concerns_store(error: &Error) -> bool {
    match error {
        Error::Store(_)
        | Error::Load(LoadError::Store(_) | LoadError::Archive(ArchiveError::Store(_)))
        | Error::Pull(PullError::Store(_))
        | Error::Save(SaveError::Store(_)) => true,
        Error::Pull(PullError::Image { source, .. }) => match &**source {
            LoadError::Layer { source, .. } => source.is_output(),
            LoadError::Archive(ArchiveError::Store(_)) => true,
            _ => false,
        },
        Error::Load(
            LoadError::Layer { source, .. }
            | LoadError::Archive(ArchiveError::Convert { source, .. }),
        ) => source.is_output(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
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
        assert_hint(StoreError::NoHome, "MSB_HOME");
        let in_use = StoreError::InUse {
            image: "x".to_owned(),
            sandboxes: vec!["box".to_owned()],
        };
        assert_hint(in_use, "--force");
        let platform = LoadError::Platform {
            wanted: msb_host::platform::Platform::new("linux", "amd64", None),
            offered: vec![msb_host::platform::Platform::new(
                "linux",
                "arm",
                Some("v7"),
            )],
        };
        assert_hint(platform, "--platform linux/arm/v7");
        let empty = ArchiveError::Empty {
            name: "standard input".to_owned(),
        };
        assert_hint(LoadError::from(empty), "pipe");
        let cut = ArchiveError::Read {
            name: "a.tar".to_owned(),
            source: io(io::ErrorKind::UnexpectedEof),
        };
        assert_hint(LoadError::from(cut), "cut off");
    }

    #[test]
    fn a_full_disk_points_to_what_is_on_it() {
        let store = StoreError::Io {
            operation: "write",
            path: "/x".into(),
            source: io(io::ErrorKind::StorageFull),
        };
        assert_hint(LoadError::from(store), "MSB_HOME");
        let output = SaveError::Output {
            path: "/x".into(),
            source: io(io::ErrorKind::StorageFull),
        };
        assert_hint(output, "--output");
        let layer = LoadError::Layer {
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
        assert_eq!(hints(&LoadError::from(error).into()), Vec::<String>::new());
    }
}
