//! What to do about images: archives, layers, and the store that keeps them.

use std::io;

use msb_host::archive::ArchiveError;
use msb_host::image::{LoadError, PullError, SaveError};
use msb_host::layer::LayerError;
use msb_host::store::StoreError;

use super::plugin::for_format;
use super::registry::for_registry;

pub(super) const DAMAGED_ARCHIVE: &str =
    "the archive is damaged or was put together wrongly; save or copy it again";
const CUT_OFF: &str = "the archive seems to be cut off; save or copy it again";
const DAMAGED_STORE: &str =
    "the copy in the store is damaged: `msb image verify --repair` drops it, then load it again";

pub(super) fn for_load(error: &LoadError) -> Option<String> {
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

pub(super) fn for_pull(error: &PullError) -> Option<String> {
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

pub(super) fn for_save(error: &SaveError) -> Option<String> {
    match error {
        SaveError::Store(error) => for_store(error),
        SaveError::Format(error) => for_format(error),
        SaveError::Archive(error) => for_archive(error),
        SaveError::MissingLayer { .. } => Some(DAMAGED_STORE.to_owned()),
        _ => None,
    }
}

pub(super) fn for_archive(error: &ArchiveError) -> Option<String> {
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

pub(super) fn for_layer(error: &LayerError) -> &'static str {
    match error {
        LayerError::Erofs(_) | LayerError::DamagedRecipe(_) | LayerError::Image { .. } => {
            DAMAGED_STORE
        }
        _ => DAMAGED_ARCHIVE,
    }
}

pub(super) fn for_store(error: &StoreError) -> Option<String> {
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
