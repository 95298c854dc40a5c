//! From an error to what the user can do about it.

use std::error::Error as StdError;
use std::io;

use msb_host::Error;
use msb_host::archive::ArchiveError;
use msb_host::image::{LoadError, SaveError};
use msb_host::plugin::{Failure, FormatError, PluginError, Refusal};
use msb_host::store::StoreError;

/// Returns sentences that tell what to do, the most helpful first.
pub(crate) fn for_error(error: &Error) -> Vec<String> {
    let mut hints: Vec<String> = specific(error).into_iter().collect();
    if let Some(kind) = io_kind(error) {
        let hint = match kind {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free some space, or let MSB_HOME name a directory on another disk; \
                 `msb image prune` removes images that no sandbox uses"
            }
            io::ErrorKind::PermissionDenied => {
                "check the owner and mode of the path, or let MSB_HOME name a directory of yours"
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                "let MSB_HOME name a directory that can be written"
            }
            io::ErrorKind::BrokenPipe => "the reader of the output has gone away",
            io::ErrorKind::UnexpectedEof if hints.is_empty() => {
                "the archive may not have been copied to its end; copy or save it again"
            }
            _ => "",
        };
        if !hint.is_empty() {
            hints.push(hint.to_owned());
        }
    }
    hints
}

fn specific(error: &Error) -> Option<String> {
    let hint = match error {
        Error::Load(error) => return for_load(error),
        Error::Save(SaveError::Format(error)) | Error::Format(error) => return for_format(error),
        Error::Save(SaveError::Store(error)) | Error::Store(error) => return for_store(error),
        Error::Save(SaveError::Archive(error)) => return for_archive(error),
        Error::Save(SaveError::MissingLayer { .. }) => {
            "load the image again from where it came from: what is missing is made anew"
        }
        Error::Platform(_) => "write it like linux/amd64 or linux/arm/v7",
        Error::Reference(_) => "write it like python, python:3.13 or ghcr.io/my-org/my-image:v1",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn for_load(error: &LoadError) -> Option<String> {
    Some(match error {
        LoadError::Platform { offered, .. } => match offered.first() {
            Some(platform) => format!("load another platform's image with --platform {platform}"),
            None => return None,
        },
        LoadError::Archive(error) => return for_archive(error),
        LoadError::Format(error) => return for_format(error),
        LoadError::Store(error) => return for_store(error),
        LoadError::DocumentDigest { .. }
        | LoadError::LayerDigest { .. }
        | LoadError::DiffId { .. }
        | LoadError::OtherConfig { .. }
        | LoadError::LayerCount { .. }
        | LoadError::Layer { .. } => {
            "the archive is damaged or was put together wrongly; save it again where it came from"
                .to_owned()
        }
        LoadError::MissingLayer { .. } => {
            "save the whole image again, or first load the image that it builds on".to_owned()
        }
        LoadError::NoLayers { .. } => "only images with a root filesystem can be loaded".to_owned(),
        _ => return None,
    })
}

fn for_archive(error: &ArchiveError) -> Option<String> {
    Some(
        match error {
            ArchiveError::Empty { .. } => {
                "check whether the command in front of the pipe has failed"
            }
            ArchiveError::NotAnArchive { .. } => {
                "msb loads what `docker save`, `podman save`, `skopeo copy` and `msb save` write: \
                 a tar archive, which may be compressed, or a directory"
            }
            ArchiveError::Tar { .. } | ArchiveError::Compression { .. } => {
                "the archive may not have been copied to its end; copy or save it again"
            }
            ArchiveError::PathEscape { .. } => "do not trust where this archive comes from",
            ArchiveError::Damaged { .. } | ArchiveError::Layer { .. } => {
                "remove the image and load it again: the store's copy is damaged"
            }
            _ => return None,
        }
        .to_owned(),
    )
}

fn for_format(error: &FormatError) -> Option<String> {
    Some(match error {
        FormatError::NoSuchFormat { offered, .. } => {
            format!("choose one of: {}", offered.join(", "))
        }
        FormatError::Unrecognised { .. } => {
            "an image archive has a manifest.json (Docker) or an index.json and oci-layout (OCI) \
             at its top"
                .to_owned()
        }
        FormatError::Plugin(error) => return for_plugin(error),
        FormatError::Archive(error) => return for_archive(error),
        _ => return None,
    })
}

fn for_plugin(error: &PluginError) -> Option<String> {
    Some(
        match &*error.failure {
            Failure::Crashed { .. } | Failure::Answer(_) => {
                "this is a fault of the plugin; tell its author"
            }
            Failure::Stopped(_) => {
                "if the input is not out of the ordinary, tell the plugin's author"
            }
            Failure::Refused(Refusal::Malformed(_) | Refusal::Missing(_)) => {
                "the archive is damaged or was put together wrongly; save it again where it came \
                 from"
            }
            _ => return None,
        }
        .to_owned(),
    )
}

fn for_store(error: &StoreError) -> Option<String> {
    Some(
        match error {
            StoreError::NotFound(_) => "`msb images` lists what there is",
            StoreError::Ambiguous { .. } => "give more digits, or a reference",
            StoreError::InUse { .. } => "remove the sandbox first, or use --force",
            StoreError::SeveralReferences { .. } => "name one of them, or remove all with --force",
            StoreError::Format { .. } => "use the newer msb, or let MSB_HOME name another store",
            StoreError::NoHome => "let MSB_HOME name a directory for the store",
            StoreError::DamagedBlob { .. } | StoreError::Damaged(_) => {
                "remove the image and load it again"
            }
            _ => return None,
        }
        .to_owned(),
    )
}

fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        next = error.source();
    }
    None
}
