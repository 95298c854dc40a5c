//! One file, directory or other inode of an image, as it is told to people and programs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use msb_erofs::{Device, InodeId, Kind, Xattrs};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::layer::MergedTree;

pub use msb_erofs::Timestamp;

/// Bytes of memory that an entry takes besides its texts.
const ENTRY: u64 = 192;

/// Something in an image. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Its path from the root of the image, without a slash at its beginning; empty for the root.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: FileKind,
    /// Permission, setuid, setgid and sticky bits: `0o7777` at most.
    pub permissions: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes of a file, or of the target of a symbolic link; 0 for all others.
    pub size_bytes: u64,
    /// Time of the last change of the contents.
    pub mtime: Timestamp,
    /// The target of a symbolic link, as the link has it.
    pub link_target: Option<Box<[u8]>>,
    /// The number of a device.
    pub device: Option<Device>,
    /// The path that this is another name of, as far as that path came before.
    pub hard_link_to: Option<Vec<u8>>,
    /// Extended attributes by their full names, sorted.
    pub xattrs: Xattrs,
    /// The layer that it is from: how many are below that.
    pub layer: usize,
}

/// What something in an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl FileKind {
    /// Returns the name that it has in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::CharDevice => "char-device",
            Self::BlockDevice => "block-device",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
        }
    }

    /// Returns what a sentence calls it.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symbolic link",
            Self::CharDevice => "character device",
            Self::BlockDevice => "block device",
            Self::Fifo => "named pipe",
            Self::Socket => "socket",
        }
    }

    fn of(kind: &Kind) -> Self {
        match kind {
            Kind::File(_) => Self::File,
            Kind::Directory(_) => Self::Directory,
            Kind::Symlink(_) => Self::Symlink,
            Kind::CharDevice(_) => Self::CharDevice,
            Kind::BlockDevice(_) => Self::BlockDevice,
            Kind::Fifo => Self::Fifo,
            Kind::Socket => Self::Socket,
        }
    }
}

impl FileEntry {
    pub(super) fn of(
        tree: &MergedTree,
        path: &[u8],
        hard_link_to: Option<&[u8]>,
        id: InodeId,
    ) -> Self {
        let inode = tree.tree().get(id);
        let (mut size_bytes, mut link_target, mut device) = (0, None, None);
        match &inode.kind {
            Kind::File(extent) => size_bytes = extent.size,
            Kind::Symlink(target) => {
                size_bytes = target.len() as u64;
                link_target = Some(target.clone());
            }
            Kind::CharDevice(number) | Kind::BlockDevice(number) => device = Some(*number),
            _ => {}
        }
        let metadata = &inode.metadata;
        Self {
            path: path.to_owned(),
            kind: FileKind::of(&inode.kind),
            permissions: metadata.permissions,
            uid: metadata.uid,
            gid: metadata.gid,
            size_bytes,
            mtime: metadata.mtime,
            link_target,
            device,
            hard_link_to: hard_link_to.map(<[u8]>::to_owned),
            xattrs: metadata.xattrs.clone(),
            layer: tree.origin(id).map_or(0, |origin| origin.layer.into()),
        }
    }

    /// Returns about how many bytes of memory it takes.
    pub(super) fn memory(&self) -> u64 {
        let xattrs = self.xattrs.iter();
        let xattrs: usize = xattrs.map(|(name, value)| name.len() + value.len()).sum();
        let target = self.link_target.as_ref().map_or(0, |target| target.len());
        ENTRY + (self.path.len() + target + xattrs) as u64
    }

    /// Returns its last name; that of the root is a slash.
    pub fn name(&self) -> &[u8] {
        match self.path.rsplit(|byte| *byte == b'/').next() {
            Some(name) if !name.is_empty() => name,
            _ => b"/",
        }
    }

    /// Returns its mode as `ls -l` writes it: `drwxr-xr-x`.
    pub fn mode_text(&self) -> String {
        let letter = match self.kind {
            FileKind::File => '-',
            FileKind::Directory => 'd',
            FileKind::Symlink => 'l',
            FileKind::CharDevice => 'c',
            FileKind::BlockDevice => 'b',
            FileKind::Fifo => 'p',
            FileKind::Socket => 's',
        };
        let mut text = String::from(letter);
        for (shift, special, set, unset) in [
            (6, 0o4000, 's', 'S'),
            (3, 0o2000, 's', 'S'),
            (0, 0o1000, 't', 'T'),
        ] {
            let bits = self.permissions >> shift;
            text.push(if bits & 4 != 0 { 'r' } else { '-' });
            text.push(if bits & 2 != 0 { 'w' } else { '-' });
            text.push(match (self.permissions & special != 0, bits & 1 != 0) {
                (true, true) => set,
                (true, false) => unset,
                (false, true) => 'x',
                (false, false) => '-',
            });
        }
        text
    }

    /// Returns its time as RFC 3339 in UTC; as seconds after an `@` where that has no year for it.
    pub fn mtime_text(&self) -> String {
        let Timestamp {
            seconds,
            nanoseconds,
        } = self.mtime;
        let moment = i32::try_from(nanoseconds)
            .ok()
            .and_then(|nanoseconds| jiff::Timestamp::new(seconds, nanoseconds).ok());
        match moment {
            Some(moment) => moment.to_string(),
            None => format!("@{seconds}.{nanoseconds:09}"),
        }
    }
}

impl Serialize for FileEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut path = b"/".to_vec();
        path.extend_from_slice(&self.path);
        text_entry(&mut map, "path", &path)?;
        map.serialize_entry("type", self.kind.name())?;
        map.serialize_entry("mode", &format!("{:04o}", self.permissions))?;
        map.serialize_entry("uid", &self.uid)?;
        map.serialize_entry("gid", &self.gid)?;
        map.serialize_entry("size_bytes", &self.size_bytes)?;
        map.serialize_entry("mtime", &self.mtime_text())?;
        if let Some(target) = &self.link_target {
            text_entry(&mut map, "link_target", target)?;
        }
        if let Some(first) = &self.hard_link_to {
            text_entry(&mut map, "hard_link_to", &[b"/", &**first].concat())?;
        }
        if let Some(Device { major, minor }) = self.device {
            map.serialize_entry("device", &format!("{major}:{minor}"))?;
        }
        if !self.xattrs.is_empty() {
            let xattrs = self.xattrs.iter();
            let xattrs: serde_json::Map<String, serde_json::Value> = xattrs
                .map(|(name, value)| {
                    let name = String::from_utf8_lossy(name).into_owned();
                    (name, STANDARD.encode(value).into())
                })
                .collect();
            map.serialize_entry("xattrs_base64", &xattrs)?;
        }
        map.serialize_entry("layer", &self.layer)?;
        map.end()
    }
}

/// JSON has no other text than UTF-8. What is not is given as base64 as well.
fn text_entry<M: serde::ser::SerializeMap>(
    map: &mut M,
    key: &str,
    bytes: &[u8],
) -> Result<(), M::Error> {
    map.serialize_entry(key, &String::from_utf8_lossy(bytes))?;
    if std::str::from_utf8(bytes).is_err() {
        map.serialize_entry(&format!("{key}_base64"), &STANDARD.encode(bytes))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn entry(kind: FileKind, permissions: u16) -> FileEntry {
        FileEntry {
            path: b"a/b".to_vec(),
            kind,
            permissions,
            uid: 1,
            gid: 2,
            size_bytes: 3,
            mtime: Timestamp {
                seconds: -2,
                nanoseconds: 500_000_000,
            },
            link_target: None,
            device: None,
            hard_link_to: None,
            xattrs: Xattrs::default(),
            layer: 4,
        }
    }

    #[test]
    fn modes_are_written_as_ls_writes_them() {
        for (kind, permissions, text) in [
            (FileKind::File, 0o644, "-rw-r--r--"),
            (FileKind::Directory, 0o1777, "drwxrwxrwt"),
            (FileKind::File, 0o4755, "-rwsr-xr-x"),
            (FileKind::File, 0o6644, "-rwSr-Sr--"),
            (FileKind::Symlink, 0o777, "lrwxrwxrwx"),
            (FileKind::CharDevice, 0o1600, "crw------T"),
        ] {
            assert_eq!(entry(kind, permissions).mode_text(), text);
        }
    }

    #[test]
    fn json_has_all_that_is_there_and_bytes_that_are_no_text_as_base64() {
        let mut entry = entry(FileKind::Symlink, 0o777);
        entry.link_target = Some(Box::from(&b"\xff"[..]));
        entry.xattrs = [(&b"user.x"[..], &b"\0"[..])].into_iter().collect();
        let expected = serde_json::json!({
            "path": "/a/b",
            "type": "symlink",
            "mode": "0777",
            "uid": 1,
            "gid": 2,
            "size_bytes": 3,
            "mtime": "1969-12-31T23:59:58.5Z",
            "link_target": "\u{fffd}",
            "link_target_base64": "/w==",
            "xattrs_base64": {"user.x": "AA=="},
            "layer": 4,
        });
        assert_eq!(serde_json::to_value(&entry).unwrap(), expected);
    }

    #[test]
    fn times_beyond_the_years_of_rfc_3339_are_told_in_seconds() {
        let mut entry = entry(FileKind::File, 0);
        entry.mtime.seconds = i64::MAX;
        assert_eq!(entry.mtime_text(), "@9223372036854775807.500000000");
    }

    #[test]
    fn the_last_name_of_a_path_is_its_name() {
        let mut entry = entry(FileKind::File, 0);
        assert_eq!(entry.name(), b"b");
        entry.path.clear();
        assert_eq!(entry.name(), b"/");
    }
}
