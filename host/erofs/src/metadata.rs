//! What an inode carries besides its names and contents: owner, permissions, time, device number.

use super::tree::Xattrs;

/// What every kind of inode carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permission, setuid, setgid and sticky bits: `0o7777` at most, no file type.
    pub permissions: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change of the contents.
    pub mtime: Timestamp,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

/// A point in time as EROFS stores it: seconds since the epoch, and nanoseconds below a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01, negative before.
    pub seconds: i64,
    /// 0 to 999,999,999, counted forward from `seconds` also when those are negative.
    pub nanoseconds: u32,
}

/// A device number. EROFS stores 12 bits of major and 20 bits of minor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl Device {
    /// The largest major number that EROFS stores.
    pub const MAJOR_MAX: u32 = (1 << 12) - 1;
    /// The largest minor number that EROFS stores.
    pub const MINOR_MAX: u32 = (1 << 20) - 1;

    /// Returns the 32 bits that stand for the device on disk (`new_encode_dev` in the kernel).
    pub(super) fn encode(self) -> u32 {
        self.minor & 0xff | self.major << 8 | (self.minor & !0xff) << 12
    }

    /// Returns the device that 32 bits on disk stand for.
    pub(super) fn decode(bits: u32) -> Self {
        Self {
            major: bits >> 8 & Self::MAJOR_MAX,
            minor: bits & 0xff | bits >> 12 & !0xff & Self::MINOR_MAX,
        }
    }
}
