//! What a runtime needs to start an image: which files are its drives, in which order, and what the
//! kernel of a virtual machine is told.
//!
//! Knows nothing of the programs that start machines: they number virtio drives alike, as `/dev/vda`,
//! `/dev/vdb` and so on, in the order in which they are given.

use std::path::PathBuf;

use serde::Serialize;

use super::merged::MergedImage;
use super::verified::lossy;

/// The most bytes of a command line that a kernel takes on each processor: what arm64 and x86-64 have in
/// common (`COMMAND_LINE_SIZE`).
const COMMAND_LINE_SIZE: usize = 2048;

/// How a virtual machine gets the root filesystem of an image. Its JSON form is part of the command
/// line's contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuntimeDetails {
    /// The files that are its drives, read-only, in this order: virtio-blk drives of Firecracker, Cloud
    /// Hypervisor, QEMU and libkrun.
    pub drives: Vec<Drive>,
    /// What the kernel is told with these drives; `None` if it is longer than kernels take. Then the
    /// image is to be one disk.
    pub kernel_command_line: Option<String>,
    /// What the kernel is told if the image is one disk, the first drive: a file of `msb image disk`.
    pub disk_kernel_command_line: String,
    /// The options of a mount of the first drive on this machine, with files as the other ones: for
    /// kernels since 6.12.
    pub mount_options: String,
}

/// A file as a drive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drive {
    /// What Linux calls it in the machine.
    pub device: String,
    /// The file.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// Its length in bytes.
    pub size_bytes: u64,
}

impl RuntimeDetails {
    /// Returns what a machine needs that has the merged image and its devices.
    pub(super) fn of_merged(merged: &MergedImage) -> Self {
        let devices = merged.devices.iter();
        let devices = devices.map(|device| (device.path.clone(), device.size_bytes));
        let first = (merged.path.clone(), merged.size_bytes);
        let drives: Vec<Drive> = std::iter::once(first)
            .chain(devices)
            .enumerate()
            .map(|(number, (path, size_bytes))| Drive {
                device: device(number),
                path,
                size_bytes,
            })
            .collect();
        Self::of(drives, merged.mount_options.clone())
    }

    /// Returns what a machine needs for an image whose only layer is its root filesystem.
    pub(super) fn of_layer(path: PathBuf, size_bytes: u64) -> Self {
        let drive = Drive {
            device: device(0),
            path,
            size_bytes,
        };
        Self::of(vec![drive], "ro".to_owned())
    }

    fn of(drives: Vec<Drive>, mount_options: String) -> Self {
        let root = "root=/dev/vda rootfstype=erofs ro".to_owned();
        let others = drives.iter().skip(1);
        let flags: Vec<String> = others
            .map(|drive| format!("device={}", drive.device))
            .collect();
        let with_drives = if flags.is_empty() {
            root.clone()
        } else {
            format!("{root} rootflags={}", flags.join(","))
        };
        Self {
            drives,
            kernel_command_line: Some(with_drives).filter(|line| line.len() < COMMAND_LINE_SIZE),
            disk_kernel_command_line: root,
            mount_options,
        }
    }
}

/// Returns what Linux calls the virtio drive of a number, counted from 0: `vda` to `vdz`, `vdaa` and so
/// on (`virtblk_name_format` in `drivers/block/virtio_blk.c`).
fn device(number: usize) -> String {
    let mut letters = Vec::new();
    let mut left = number + 1;
    while left > 0 {
        let letter = u8::try_from((left - 1) % 26).unwrap_or_default();
        letters.push(char::from(b'a' + letter));
        left = (left - 1) / 26;
    }
    let letters: String = letters.into_iter().rev().collect();
    format!("/dev/vd{letters}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_are_called_as_linux_calls_them() {
        for (number, name) in [
            (0, "/dev/vda"),
            (25, "/dev/vdz"),
            (26, "/dev/vdaa"),
            (51, "/dev/vdaz"),
            (52, "/dev/vdba"),
            (701, "/dev/vdzz"),
            (702, "/dev/vdaaa"),
        ] {
            assert_eq!(device(number), name);
        }
    }

    #[test]
    fn a_command_line_that_no_kernel_takes_is_left_out() {
        let drives = |count: usize| -> Vec<Drive> {
            (0..count)
                .map(|number| Drive {
                    device: device(number),
                    path: "/x".into(),
                    size_bytes: 1,
                })
                .collect()
        };
        let details = RuntimeDetails::of(drives(3), "ro".to_owned());
        let expected =
            "root=/dev/vda rootfstype=erofs ro rootflags=device=/dev/vdb,device=/dev/vdc";
        assert_eq!(details.kernel_command_line.as_deref(), Some(expected));
        let details = RuntimeDetails::of(drives(1), "ro".to_owned());
        let expected = "root=/dev/vda rootfstype=erofs ro";
        assert_eq!(details.kernel_command_line.as_deref(), Some(expected));
        let details = RuntimeDetails::of(drives(128), "ro".to_owned());
        assert_eq!(details.kernel_command_line, None);
        assert_eq!(details.disk_kernel_command_line, expected);
    }
}
