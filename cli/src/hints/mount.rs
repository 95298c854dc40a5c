//! What to do about mounts, and about the layers that other programs use.

use std::io;

use msb_host::image::{AdoptError, MountImageError, ServeError};
use msb_host::mount::MountError;

use super::image::{DAMAGED_STORE, for_merge, for_store};

const ONE_FILESYSTEM: &str = "a hard link does not leave its filesystem: use one home for both programs, or put \
     MSB_HOME on the filesystem of the other home and pull the images there";

pub(super) fn for_mount(error: &MountImageError) -> Option<String> {
    match error {
        MountImageError::Store(error) => for_store(error),
        MountImageError::MissingLayer { .. } | MountImageError::DamagedLayer { .. } => {
            Some(DAMAGED_STORE.to_owned())
        }
        MountImageError::NotRoot { image } if image.is_empty() => {
            Some("run it as root, with MSB_HOME set to this store".to_owned())
        }
        MountImageError::NotRoot { image } => Some(format!(
            "run it as root, with MSB_HOME set to this store; without root, `msb image ls {image}` looks \
             inside, and `msb image export {image} | tar -x -C DIR` unpacks it"
        )),
        MountImageError::NoDirectory { directory } => Some(format!(
            "create the directory first: `mkdir -p {}`",
            directory.display()
        )),
        MountImageError::IsMount { directory } => Some(format!(
            "choose another directory, or unmount it first: `msb image umount {}`",
            directory.display()
        )),
        MountImageError::NotEmpty { .. } => Some("choose an empty directory".to_owned()),
        MountImageError::NotMounted { .. } => {
            Some("`findmnt --types erofs,overlay` lists what is mounted".to_owned())
        }
        MountImageError::NotOurs { directory, .. } => Some(format!(
            "if it is to go, unmount it with the tool of the system: `umount {}`",
            directory.display()
        )),
        MountImageError::Mount(MountError::Unmount { at, source })
            if source.kind() == io::ErrorKind::ResourceBusy =>
        {
            Some(format!(
                "a program is at work in it: `fuser --mount --verbose {}` names it",
                at.display()
            ))
        }
        MountImageError::Mount(MountError::NoProgram { .. }) => Some(
            "install `dmsetup` and `losetup`: packages `dmsetup` and `mount` of Debian, `device-mapper` and \
             `util-linux-core` of Fedora"
                .to_owned(),
        ),
        MountImageError::Mount(MountError::NoDeviceMapper(_)) => Some(
            "if the kernel has it as a module, `modprobe dm-verity` loads it; without it, mount the image \
             without --verity, and check the store with `msb image verify`"
                .to_owned(),
        ),
        MountImageError::Mount(MountError::Device { .. }) => Some(
            "the kernel must have loop devices and dm-verity (`modprobe dm-verity`), and this process the \
             right to set devices up: in a container, neither is a matter of course"
                .to_owned(),
        ),
        MountImageError::RootHash { image, .. } => Some(format!(
            "the store has another image than the one with that root hash, or a changed one: `msb image \
             verify {image}` tells"
        )),
        MountImageError::Mount(MountError::Mount { .. }) => Some(
            "the kernel must have EROFS and overlayfs, and this process the right to mount: in a \
             container, neither is a matter of course"
                .to_owned(),
        ),
        _ => None,
    }
}

pub(super) fn for_adopt(error: &AdoptError) -> Option<String> {
    match error {
        AdoptError::Store(error) => for_store(error),
        AdoptError::NotFound { .. } => Some(
            "`msb image adopt` takes all that microsandbox has; --home names its home if that is another one"
                .to_owned(),
        ),
        AdoptError::OtherFilesystem { .. } => Some(ONE_FILESYSTEM.to_owned()),
        AdoptError::Layer { .. } | AdoptError::Document(_) | AdoptError::Digest { .. } => Some(
            "what microsandbox has of this image cannot be used: pull it with `msb pull`".to_owned(),
        ),
        AdoptError::Busy { .. } => Some("wait until it has ended, and run this again".to_owned()),
        _ => None,
    }
}

pub(super) fn for_serve(error: &ServeError) -> Option<String> {
    match error {
        ServeError::Store(error) => for_store(error),
        ServeError::Merge(error) => for_merge(error),
        ServeError::NoContainerd { .. } => Some(
            "name the `root` of containerd's configuration with --containerd-root: what it refers to \
             must be known before anything is removed"
                .to_owned(),
        ),
        ServeError::OtherFilesystem { .. } => Some(ONE_FILESYSTEM.to_owned()),
        ServeError::Busy { .. } => Some("wait until it has ended, and run this again".to_owned()),
        ServeError::File(error) if error.source.kind() == io::ErrorKind::PermissionDenied => {
            Some("run it as the owner of that directory, or choose another one".to_owned())
        }
        _ => None,
    }
}
