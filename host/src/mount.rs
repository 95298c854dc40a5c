//! Filesystems on this machine: mounting them, and what is mounted.
//!
//! Owns the calls and the programs that mount, and the table of mounts of the kernel. Knows nothing of
//! images.

pub(crate) mod mapper;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    UnmountFlags,
};

use crate::fs::{self, FileError};

/// Where the kernel tells what is mounted. See `proc_pid_mountinfo(5)`.
const TABLE: &str = "/proc/self/mountinfo";
/// Bytes of what a program says that are shown.
const SAID: usize = 500;

/// Something that could not be mounted or unmounted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// A filesystem could not be mounted.
    #[error("could not mount {what} at `{}`", at.display())]
    Mount {
        /// The file or the filesystem.
        what: String,
        /// Where.
        at: PathBuf,
        /// What the kernel, or the program that mounts, has said.
        #[source]
        source: io::Error,
    },
    /// A filesystem could not be unmounted.
    #[error("could not unmount `{}`", at.display())]
    Unmount {
        /// Where it is mounted.
        at: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A program that sets devices up is not there.
    #[error("the program `{program}` is not there, which sets up devices for dm-verity")]
    NoProgram {
        /// Its name.
        program: &'static str,
    },
    /// The kernel maps no devices.
    #[error("the kernel has no device mapper, which dm-verity is a part of")]
    NoDeviceMapper(#[source] io::Error),
    /// A device could not be set up.
    #[error("could not set up a device for {what}")]
    Device {
        /// What it is to show.
        what: String,
        /// What the program that sets it up has said.
        #[source]
        source: io::Error,
    },
    /// What is mounted could not be read.
    #[error("could not read the table of mounts, `{TABLE}`")]
    Table(#[source] io::Error),
}

/// A line of the table of mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mounted {
    /// Where it is mounted.
    pub(crate) at: PathBuf,
    /// What is mounted, by the name that it was given.
    pub(crate) source: OsString,
}

/// Mounts the EROFS image in a file, read-only: as a file where the kernel can (Linux 6.12), else
/// through a loop device that goes with the mount.
pub(crate) fn erofs(image: &Path, at: &Path) -> Result<(), MountError> {
    let as_file = rustix::mount::mount(image, at, "erofs", flags(), None);
    if as_file.is_ok() {
        return Ok(());
    }
    let mut command = Command::new("mount");
    command.args(["-t", "erofs", "-o", "ro,loop,nosuid,nodev"]);
    let mounted = run(command.arg(image).arg(at), b"");
    mounted.map(drop).map_err(|source| MountError::Mount {
        what: format!("`{}`", image.display()),
        at: at.to_owned(),
        source,
    })
}

/// Mounts the EROFS image in a file whose data is in other files, its devices in their order. The kernel
/// must take files for both (Linux 6.12).
pub(crate) fn erofs_over(image: &Path, devices: &[PathBuf], at: &Path) -> Result<(), MountError> {
    // One option may have 256 bytes here, and in the older call all of them together a page.
    let mount = || -> rustix::io::Result<()> {
        let context = rustix::mount::fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_set_string(&context, "source", image)?;
        for device in devices {
            rustix::mount::fsconfig_set_string(&context, "device", device)?;
        }
        rustix::mount::fsconfig_set_flag(&context, "ro")?;
        rustix::mount::fsconfig_create(&context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV;
        let mounted = rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&mounted, "", rustix::fs::CWD, at, flags)
    };
    mount().map_err(|error| MountError::Mount {
        what: format!("`{}`", image.display()),
        at: at.to_owned(),
        source: error.into(),
    })
}

/// Mounts the EROFS image on a block device, read-only.
pub(crate) fn erofs_device(device: &Path, at: &Path) -> Result<(), MountError> {
    rustix::mount::mount(device, at, "erofs", flags(), None).map_err(|error| MountError::Mount {
        what: format!("`{}`", device.display()),
        at: at.to_owned(),
        source: error.into(),
    })
}

/// Mounts an empty filesystem in memory that no other namespace of mounts shows.
pub(crate) fn private_tmpfs(at: &Path) -> Result<(), MountError> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let mounted = rustix::mount::mount("msb", at, "tmpfs", flags, Some(c"mode=0700,size=1m"));
    let failed = |error: rustix::io::Errno| MountError::Mount {
        what: "a tmpfs".to_owned(),
        at: at.to_owned(),
        source: error.into(),
    };
    mounted.map_err(failed)?;
    let private = rustix::mount::mount_change(at, MountPropagationFlags::PRIVATE);
    if private.is_err() {
        let _ = unmount_lazily(at);
    }
    private.map_err(failed)
}

/// Mounts directories over each other, read-only, the top one first. They are named as seen from
/// `below`, which keeps the list short: the kernel takes a page of it.
pub(crate) fn overlay(
    source: &str,
    below: &Path,
    lower: &[String],
    at: &Path,
) -> Result<(), MountError> {
    let mut command = Command::new("mount");
    command
        // With the newer calls of the kernel, an option may have 256 bytes.
        .env("LIBMOUNT_FORCE_MOUNT2", "always")
        .current_dir(below)
        .args(["-i", "-t", "overlay", "-o"])
        .arg(format!("ro,nosuid,nodev,lowerdir={}", lower.join(":")));
    let mounted = run(command.arg(source).arg(at), b"");
    mounted.map(drop).map_err(|error| MountError::Mount {
        what: format!("an overlay of {} layers", lower.len()),
        at: at.to_owned(),
        source: error,
    })
}

/// Unmounts a filesystem that nothing is at work in.
pub(crate) fn unmount(at: &Path) -> Result<(), MountError> {
    rustix::mount::unmount(at, UnmountFlags::NOFOLLOW).map_err(|error| unmounting(at, error))
}

/// Unmounts a filesystem and all that is mounted in it: at once for those who look there, and for those
/// who are at work in it when they have ended.
pub(crate) fn unmount_lazily(at: &Path) -> Result<(), MountError> {
    let flags = UnmountFlags::NOFOLLOW | UnmountFlags::DETACH;
    rustix::mount::unmount(at, flags).map_err(|error| unmounting(at, error))
}

/// Returns all that is mounted, what was mounted last at the end.
pub(crate) fn table() -> Result<Vec<Mounted>, MountError> {
    let bytes = fs::read(Path::new(TABLE));
    let bytes = bytes.map_err(|FileError { source, .. }| MountError::Table(source))?;
    Ok(parse(&bytes))
}

fn flags() -> MountFlags {
    MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV
}

fn unmounting(at: &Path, error: rustix::io::Errno) -> MountError {
    MountError::Unmount {
        at: at.to_owned(),
        source: error.into(),
    }
}

/// Runs a program with something on its standard input, and returns what it printed, or what it said if
/// it failed.
fn run(command: &mut Command, input: &[u8]) -> io::Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("LC_ALL", "C")
        .spawn()?;
    // One that does not read has failed, and says why. A table is short enough for a pipe to hold, or the
    // program reads it before it says anything.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input));
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String = said.trim().chars().take(SAID).collect();
    Err(io::Error::other(if said.is_empty() {
        let program = command.get_program().display();
        format!("the program `{program}` failed: {}", output.status)
    } else {
        said
    }))
}

fn parse(table: &[u8]) -> Vec<Mounted> {
    let lines = table.split(|byte| *byte == b'\n');
    let mounted = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        // Optional fields end with a hyphen, after which are type and source.
        let end = fields.iter().skip(6).position(|field| *field == b"-")? + 6;
        Some(Mounted {
            at: PathBuf::from(unescaped(fields.get(4)?)),
            source: unescaped(fields.get(end + 2)?),
        })
    };
    lines.filter_map(mounted).collect()
}

/// Takes the octal numbers out of a field that stand for spaces, tabs, line ends and backslashes.
fn unescaped(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let number = digits.and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        if let Some(number) = number {
            bytes.push(number);
            rest = after.get(3..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    OsString::from_vec(bytes)
}

/// Returns whether a name of what is mounted begins like this.
pub(crate) fn begins_with(source: &OsStr, prefix: &OsStr) -> bool {
    source.as_bytes().starts_with(prefix.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_with_and_without_optional_fields() {
        let table =
            b"36 35 98:0 /mnt1 /mnt/a\\040b rw,noatime master:1 - overlay msb:sha256:ab ro\n\
                      37 35 0:1 / /proc rw - proc proc rw\n\nnonsense\n";
        let mounted = |at: &str, source: &str| Mounted {
            at: at.into(),
            source: source.into(),
        };
        assert_eq!(
            parse(table),
            [
                mounted("/mnt/a b", "msb:sha256:ab"),
                mounted("/proc", "proc")
            ]
        );
    }

    #[test]
    fn a_field_that_is_escaped_wrongly_is_taken_as_it_is() {
        for (field, expected) in [
            (&b"a\\134b"[..], "a\\b"),
            (b"\\9", "\\9"),
            (b"\\999", "\\999"),
            (b"\\", "\\"),
        ] {
            assert_eq!(unescaped(field), expected);
        }
    }
}
