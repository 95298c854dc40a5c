//! What to do about plugins: those that fail, and those that cannot be installed.

use msb_host::archive::Contents;
use msb_host::installed::{InstalledError, SignatureError};
use msb_host::plugin::{CompileLimit, Failure, FormatError, PluginError, Refusal};
use msb_host::registry::DownloadError;
use msb_plugin_kit::scaffold::ScaffoldError;

use super::image::{DAMAGED_ARCHIVE, for_archive, for_store};
use super::registry::{for_certificate, for_proxy, for_registry};

pub(super) fn for_installed(error: &InstalledError) -> Option<String> {
    let hint = match error {
        InstalledError::Store(error) => return for_store(error),
        InstalledError::Registry(error) => return for_registry(error),
        InstalledError::Download(DownloadError::Certificate { host, source, .. }) => {
            return Some(for_certificate(host, source));
        }
        InstalledError::Download(DownloadError::Proxy { url, source }) => {
            let host = url.expose().host_str().unwrap_or_default();
            return Some(for_proxy(host, source));
        }
        InstalledError::Download(DownloadError::Incomplete { .. }) => {
            "install it again with its whole address: `msb plugin remove NAME`, then `msb plugin \
             install ADDRESS --name NAME`"
        }
        InstalledError::Plugin(error) => return for_plugin(error),
        InstalledError::Lock { .. } => {
            "fix the file, or move it away and install the plugins again"
        }
        InstalledError::LockVersion { .. } => "use the newer msb",
        InstalledError::NotInstalled { installed, .. } if installed.is_empty() => {
            "no plugin is installed: `msb plugin install` installs one"
        }
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
                "if the change is intended: `msb plugin update {name}`"
            ));
        }
        InstalledError::Unlike { name, locked, .. } => {
            return Some(format!(
                "put the component with the digest {locked} back there; or, if the change is intended, \
                 `msb plugin update {name}` in the home that the lock is of, and keep its lock"
            ));
        }
        InstalledError::OtherDigest { .. } => "leave the digest out, or give the one that it has",
        InstalledError::NotLocked { .. } => {
            "install it without --locked first (and without MSB_PLUGIN_LOCKED), and keep the new \
             plugins.lock"
        }
        InstalledError::Forbidden { .. } => {
            "the administrator of this machine decides this; ask them"
        }
        InstalledError::Destination { .. } => {
            "name a tag or digest of its repository, a range like '^1.2', or another source"
        }
        InstalledError::Frozen { .. } => {
            "leave out --locked, or unset MSB_PLUGIN_LOCKED, where plugins may change"
        }
        InstalledError::Exceeds { name, .. } => {
            return Some(format!(
                "take a plugins.lock that was agreed to; or look at the plugin and agree again: `msb \
                 plugin rm {name}`, then `msb plugin install`"
            ));
        }
        InstalledError::Gone { digest, .. } => {
            return Some(format!(
                "put the component with the digest {digest} back there; or take another one: `msb \
                 plugin rm` and `msb plugin install`"
            ));
        }
        InstalledError::Signature { source, .. } => for_signature(source),
        InstalledError::NotGranted { has, .. } if has.is_empty() => "it has nothing",
        InstalledError::NotGranted { has, .. } => {
            return Some(format!("it has {}", has.join(", ")));
        }
        InstalledError::Raced { .. } => "try again",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns what to do about what is not taken for signed.
fn for_signature(error: &SignatureError) -> &'static str {
    match error {
        SignatureError::OtherKind { .. } => {
            "sign what is in a registry with `cosign sign --key`, and name the key of cosign"
        }
        SignatureError::TrustRoot { .. } => {
            "`plugins.trust_root` in config.json and --trust-root name a file as `cosign trusted-root \
             create` writes it; without one, msb trusts the public instance of Sigstore"
        }
        _ => {
            "do not use it unless you know why; `plugins.signatures` in config.json, --key and \
             --identity say whose are wanted"
        }
    }
}

pub(crate) fn for_scaffold(error: &ScaffoldError) -> Option<String> {
    let hint = match error {
        ScaffoldError::Name(_) => {
            "a name has lower-case ASCII letters, digits and single dashes, at most 32 of them, \
             begins with a letter and does not end with a dash"
        }
        ScaffoldError::OfMsb(_) => {
            "choose another name: a plugin with this one cannot be installed"
        }
        ScaffoldError::Occupied(_) => "name another directory with --path",
        _ => return None,
    };
    Some(hint.to_owned())
}

pub(super) fn for_format(error: &FormatError) -> Option<String> {
    let hint = match error {
        FormatError::NoSuchFormat { offered, .. } => {
            return Some(format!(
                "formats that can be written: {}",
                offered.join(", ")
            ));
        }
        FormatError::Unrecognised { contents, .. } => return Some(for_contents(contents.as_ref())),
        FormatError::Plugin(error) => return for_plugin(error),
        FormatError::Archive(error) => return for_archive(error),
        FormatError::Engine(_) => "point MSB_HOME to a directory that you may write to",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns how an image comes of what an archive seems to hold instead of one.
fn for_contents(contents: Option<&Contents>) -> String {
    let hint = match contents {
        Some(Contents::RootFilesystem) => {
            "this looks like a root filesystem, as `docker export` writes it: write the image with \
             `docker save` instead, or \
             make one of it: `docker import FILE NAME`, then `docker save NAME | msb load`"
        }
        Some(Contents::BuildContext) => {
            "this looks like what an image is built from: `docker build --tag NAME .`, then \
             `docker save NAME | msb load`"
        }
        Some(Contents::HelmChart) => {
            "this looks like a chart of Helm, which names images and has none in it"
        }
        Some(Contents::Archive { path }) => {
            return format!(
                "there is another archive in this one: take it out with `tar -xf`, and load `{path}`"
            );
        }
        _ => {
            "msb loads what `docker save`, `podman save`, `skopeo copy` and `msb save` write, which \
             has a `manifest.json` or an `index.json` at the top"
        }
    };
    hint.to_owned()
}

pub(super) fn for_plugin(error: &PluginError) -> Option<String> {
    let hint = match &*error.failure {
        Failure::Mismatch(_) => {
            "the plugin was made for another version of msb; install one for this version"
        }
        Failure::NewerWasi(_) => {
            "build the plugin for WASI 0.2 (in Rust for the target `wasm32-wasip2`), or without WASI"
        }
        Failure::TooNew(_) => {
            "update msb, or install a version of the plugin that was made for this one"
        }
        Failure::Compiling(CompileLimit::Time(_)) => {
            return Some(format!(
                "it bundles a language such as Python, or was made to waste time; if you trust its author, \
                 give it more time in config.json: {{\"plugins\": {{\"limits\": {{\"{}\": \
                 {{\"compile_secs\": 60}}}}}}}}",
                error.plugin
            ));
        }
        Failure::Compiling(_) => {
            "do not use it: it was made to waste memory, or contains far too much; tell its author"
        }
        Failure::Crashed { .. } | Failure::Answer(_) => {
            "this is a fault of the plugin, not of what it was given; tell its author"
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
