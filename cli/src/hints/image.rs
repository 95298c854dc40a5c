//! What to do about images: archives, layers, and the store that keeps them.

use std::io;
use std::path::Path;

use msb_host::archive::{ArchiveError, Foreign};
use msb_host::image::{FilesError, ImageError, MOUNT_SANDBOX, MergeError, PullError, SaveError};
use msb_host::layer::LayerError;
use msb_host::reference::{ParseReferenceError, Reference};
use msb_host::store::StoreError;

use super::for_reference;
use super::plugin::for_format;
use super::registry::for_registry;
use crate::commands;

pub(super) const DAMAGED_ARCHIVE: &str =
    "the archive is damaged or was put together wrongly; save or copy it again";
/// For what a pipe has let pass.
pub(super) const READ_ONCE: &str =
    "a pipe can be read only once: write the archive to a file and give that with --input";
const CUT_OFF: &str =
    "the archive seems to be cut off, and nothing of it was loaded; save or copy it again";
pub(super) const DAMAGED_STORE: &str =
    "the copy in the store is damaged: `msb image verify --repair` drops it, then load it again";

const REBUILD: &str = "`msb image verify --repair` restores the catalogue";

/// What to do about something that is in order and no image.
pub(super) const NO_IMAGE: &str = "msb keeps images whose layers are tars; artifacts, charts, \
     signatures and build caches are for the tools that made them";

pub(super) fn for_load(error: &ImageError) -> Option<String> {
    let hint = match error {
        ImageError::Archive(error) => return for_archive(error),
        ImageError::Format(error) => return for_format(error),
        ImageError::Store(error) => return for_store(error),
        ImageError::Image { source, .. } => return for_load(source),
        ImageError::Platform { offered, .. } => {
            let platform = offered.iter().find(|platform| platform.can_be_named())?;
            return Some(format!(
                "load an image for another platform with `--platform {platform}`"
            ));
        }
        ImageError::DigestAsTag { tag } => {
            return Some(format!(
                "give a tag: `--tag {}:{}`",
                tag.familiar_name(),
                tag.tag().unwrap_or("latest")
            ));
        }
        ImageError::NotAnImage { .. } => NO_IMAGE,
        ImageError::DocumentDigest { .. }
        | ImageError::Document { .. }
        | ImageError::Manifest { .. }
        | ImageError::LayerDigest { .. }
        | ImageError::DiffId { .. }
        | ImageError::OtherConfig { .. }
        | ImageError::LayerCount { .. }
        | ImageError::NoImages => DAMAGED_ARCHIVE,
        ImageError::Layer { source, .. } => for_layer(source),
        ImageError::MissingLayer { .. } => {
            "save the image with all of its layers, or load the image that it builds on first"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

pub(super) fn for_pull(error: &PullError) -> Option<String> {
    let hint = match error {
        PullError::Registry { source, .. } => return for_registry(source),
        PullError::Store(error) => return for_store(error),
        PullError::NotInStore { reference } => {
            return Some(format!("pull it: `msb pull {}`", reference.familiar()));
        }
        PullError::Image { source, .. } => match &**source {
            ImageError::Archive(error) => return for_archive(error),
            ImageError::Layer { source, .. } if !source.is_output() => {
                "the image is damaged, or was pushed in a form that msb does not know; push it \
                 again, or tell who has pushed it"
            }
            ImageError::DiffId { .. }
            | ImageError::Document { .. }
            | ImageError::Manifest { .. }
            | ImageError::LayerCount { .. } => {
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
        SaveError::AdoptedLayer { image, .. } => Some(format!(
            "`msb pull {image}` or `msb load` makes it whole; `msb image export {image}` writes the \
             root filesystem as it is"
        )),
        SaveError::Output { path, source } => for_output(path, "image.tar", source.kind()),
        _ => None,
    }
}

pub(super) fn for_files(error: &FilesError) -> Option<String> {
    let path = |path: &[u8]| format!("/{}", String::from_utf8_lossy(path));
    match error {
        FilesError::Store(error) => for_store(error),
        FilesError::MissingLayer { .. } | FilesError::Read { .. } => Some(DAMAGED_STORE.to_owned()),
        FilesError::NotFound { image, near, .. } => match near.as_slice() {
            [] => Some(format!(
                "`msb image ls {image} DIRECTORY` lists what there is"
            )),
            near => {
                let near: Vec<String> = near.iter().map(|it| path(it)).collect();
                Some(format!("did you mean `{}`?", near.join("` or `")))
            }
        },
        FilesError::IsADirectory { image, path: at } => {
            Some(format!("list it with `msb image ls {image} {}`", path(at)))
        }
        _ => None,
    }
}

pub(super) fn for_merge(error: &MergeError) -> Option<String> {
    match error {
        MergeError::Store(error) => for_store(error),
        MergeError::MissingLayer { .. } => Some(DAMAGED_STORE.to_owned()),
        MergeError::Layers { source, .. } => Some(for_layer(source).to_owned()),
        MergeError::Write { path, source } => for_output(path, "image.disk", source.kind()),
        _ => None,
    }
}

fn for_output(path: &Path, file: &str, kind: io::ErrorKind) -> Option<String> {
    match kind {
        io::ErrorKind::IsADirectory => Some(format!(
            "name a file: `--output {}`",
            path.join(file).display()
        )),
        io::ErrorKind::NotFound => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty())?;
            Some(format!(
                "create the directory first: `mkdir -p {}`",
                folder.display()
            ))
        }
        _ => None,
    }
}

pub(super) fn for_archive(error: &ArchiveError) -> Option<String> {
    let hint = match error {
        ArchiveError::Open { path, .. } if is_address(path) => {
            "msb loads files, not addresses: `curl --fail --location ADDRESS | msb load`"
        }
        ArchiveError::Empty { .. } => "did the command before the pipe fail?",
        ArchiveError::NotAnArchive { foreign, .. } => for_foreign(*foreign),
        ArchiveError::Tar { source, .. } if source.is_truncated() => CUT_OFF,
        ArchiveError::Tar { .. } => DAMAGED_ARCHIVE,
        ArchiveError::Read { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => {
            CUT_OFF
        }
        ArchiveError::Consumed { .. } => READ_ONCE,
        ArchiveError::Decompress { .. } => {
            "the compressed archive is damaged, and nothing of it was loaded; make it again, or copy \
             it again from where it is whole"
        }
        ArchiveError::Layer { .. } | ArchiveError::Damaged { .. } => DAMAGED_STORE,
        ArchiveError::Convert { source, .. } => for_layer(source),
        ArchiveError::Store(error) => return for_store(error),
        _ => return None,
    };
    Some(hint.to_owned())
}

fn is_address(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.starts_with("http://") || text.starts_with("https://")
}

/// Returns how an archive comes of a file that is something else.
fn for_foreign(foreign: Option<Foreign>) -> &'static str {
    match foreign {
        Some(Foreign::Utf16 | Foreign::MangledText) => {
            "let docker write the file itself: `docker save --output FILE IMAGE`; a redirection in \
             PowerShell changes the bytes"
        }
        Some(Foreign::Html) => {
            "the server has answered with a page in place of the file, perhaps one for logging in; \
             open the address in a browser, or look into the file"
        }
        Some(Foreign::Json) => {
            "look into the file: it may be what a server had to say; of an OCI layout, name the \
             folder, not its index.json"
        }
        Some(Foreign::GitPointer) => "`git lfs pull` fetches the file",
        Some(Foreign::Zip | Foreign::SevenZip | Foreign::Rar) => {
            "unpack it first, and load the archive or the folder that was in it"
        }
        Some(Foreign::Lz4) => "decompress it: `lz4 -dc FILE | msb load`",
        Some(Foreign::Lzip) => "decompress it: `lzip -dc FILE | msb load`",
        Some(Foreign::Lzma) => "decompress it: `xz -dc --format=lzma FILE | msb load`",
        Some(Foreign::Compress) => "decompress it: `gzip -dc FILE | msb load`",
        _ => {
            "msb loads what `docker save`, `podman save`, `skopeo copy` and `msb save` write: a tar \
             archive, which may be compressed with gzip, zstd, xz or bzip2, or a directory with \
             what is in one"
        }
    }
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
        StoreError::NotFound(name) => match name.parse::<Reference>() {
            // What is pasted is as easily mistaken here as where images are pulled.
            Err(error @ ParseReferenceError::Pasted { .. }) => return Some(for_reference(&error)),
            _ => {
                return Some(match commands::similar(name).as_slice() {
                    [] => "`msb images` lists what there is".to_owned(),
                    names => format!("did you mean {}?", names.join(" or ")),
                });
            }
        },
        StoreError::DigestAsName { name } => {
            return Some(format!(
                "give a tag: `{}:{}`",
                name.familiar_name(),
                name.tag().unwrap_or("latest")
            ));
        }
        StoreError::Ambiguous { .. } => "give more digits of the ID, or a reference",
        StoreError::InUse { sandboxes, .. }
            if let Some(directory) = sandboxes
                .iter()
                .find_map(|sandbox| sandbox.strip_prefix(MOUNT_SANDBOX)) =>
        {
            return Some(format!("unmount it first: `msb image umount {directory}`"));
        }
        StoreError::InUse { .. } => {
            "remove the sandbox first, or remove the image all the same with --force"
        }
        StoreError::SeveralReferences { .. } => "name one of them, or remove all with --force",
        StoreError::OverBudget { .. } => {
            "remove sandboxes that are not needed any more, or raise `store.max_bytes` in config.json"
        }
        StoreError::OldFormat { .. } => {
            "point MSB_HOME to another directory and load the images there"
        }
        StoreError::Format { .. } => "use the newer msb, or point MSB_HOME to another store",
        StoreError::DamagedBlob { .. } => DAMAGED_STORE,
        StoreError::DamagedCatalogue { .. }
        | StoreError::LostImages { .. }
        | StoreError::DamagedImage { .. } => REBUILD,
        _ => return None,
    };
    Some(hint.to_owned())
}
