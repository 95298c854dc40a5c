//! The system calls that touch files: what they are called, where their paths are, and which errors
//! they can end with.

use std::fmt;

/// A system call that touches files.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub(crate) number: libc::c_long,
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
    pub(crate) operands: &'static [Operand],
}

/// What a call does to a file: decides which errors make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Opens it, or makes it.
    Open,
    /// Makes or changes a name or a mode.
    Name,
    /// Takes bytes from it.
    Read,
    /// Gives it bytes or room.
    Write,
    /// Makes it durable.
    Sync,
    /// Removes a name.
    Remove,
    /// Asks what it is.
    Look,
    /// Locks it.
    Lock,
}

/// Where a call has a file among its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// A descriptor.
    Descriptor(usize),
    /// A path, from the current directory.
    Path(usize),
    /// A directory and a path from there.
    At(usize, usize),
    /// The descriptor of a shared mapping: flags, descriptor.
    Shared(usize, usize),
    /// A descriptor that is locked if the command is to do so: descriptor, command.
    Locked(usize, usize),
}

/// An error that a call is made to end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk is broken.
    Eio,
    /// The disk is full.
    Enospc,
    /// The process has all files open that it may have.
    Emfile,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Eio, Self::Enospc, Self::Emfile];

    /// Returns whether a call can end like this.
    pub fn fits(self, kind: Kind) -> bool {
        match self {
            Self::Eio => kind != Kind::Lock,
            Self::Enospc => matches!(kind, Kind::Open | Kind::Name | Kind::Write | Kind::Sync),
            Self::Emfile => kind == Kind::Open,
        }
    }

    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Eio => libc::EIO,
            Self::Enospc => libc::ENOSPC,
            Self::Emfile => libc::EMFILE,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Eio => "EIO",
            Self::Enospc => "ENOSPC",
            Self::Emfile => "EMFILE",
        })
    }
}

macro_rules! calls {
    ($($(#[$attribute:meta])* $number:ident $name:literal $kind:ident $($operand:ident($($argument:literal),+))+;)*) => {
        /// The calls that are counted.
        pub const CALLS: &[Call] = &[$(
            $(#[$attribute])*
            Call {
                number: libc::$number,
                name: $name,
                kind: Kind::$kind,
                operands: &[$(Operand::$operand($($argument),+)),+],
            },
        )*];
    };
}

calls! {
    SYS_openat "openat" Open At(0, 1);
    SYS_openat2 "openat2" Open At(0, 1);
    #[cfg(target_arch = "x86_64")]
    SYS_open "open" Open Path(0);
    #[cfg(target_arch = "x86_64")]
    SYS_creat "creat" Open Path(0);
    SYS_read "read" Read Descriptor(0);
    SYS_pread64 "pread64" Read Descriptor(0);
    SYS_readv "readv" Read Descriptor(0);
    SYS_preadv "preadv" Read Descriptor(0);
    SYS_preadv2 "preadv2" Read Descriptor(0);
    SYS_getdents64 "getdents64" Read Descriptor(0);
    SYS_write "write" Write Descriptor(0);
    SYS_pwrite64 "pwrite64" Write Descriptor(0);
    SYS_writev "writev" Write Descriptor(0);
    SYS_pwritev "pwritev" Write Descriptor(0);
    SYS_pwritev2 "pwritev2" Write Descriptor(0);
    SYS_copy_file_range "copy_file_range" Write Descriptor(0) Descriptor(2);
    SYS_sendfile "sendfile" Write Descriptor(0) Descriptor(1);
    SYS_splice "splice" Write Descriptor(0) Descriptor(2);
    SYS_ftruncate "ftruncate" Write Descriptor(0);
    SYS_truncate "truncate" Write Path(0);
    SYS_fallocate "fallocate" Write Descriptor(0);
    SYS_mmap "mmap" Write Shared(3, 4);
    SYS_fsync "fsync" Sync Descriptor(0);
    SYS_fdatasync "fdatasync" Sync Descriptor(0);
    SYS_sync_file_range "sync_file_range" Sync Descriptor(0);
    SYS_syncfs "syncfs" Sync Descriptor(0);
    #[cfg(target_arch = "x86_64")]
    SYS_rename "rename" Name Path(0) Path(1);
    #[cfg(not(target_arch = "riscv64"))]
    SYS_renameat "renameat" Name At(0, 1) At(2, 3);
    SYS_renameat2 "renameat2" Name At(0, 1) At(2, 3);
    #[cfg(target_arch = "x86_64")]
    SYS_link "link" Name Path(0) Path(1);
    SYS_linkat "linkat" Name At(0, 1) At(2, 3);
    #[cfg(target_arch = "x86_64")]
    SYS_symlink "symlink" Name Path(1);
    SYS_symlinkat "symlinkat" Name At(1, 2);
    #[cfg(target_arch = "x86_64")]
    SYS_mkdir "mkdir" Name Path(0);
    SYS_mkdirat "mkdirat" Name At(0, 1);
    #[cfg(target_arch = "x86_64")]
    SYS_chmod "chmod" Name Path(0);
    SYS_fchmod "fchmod" Name Descriptor(0);
    SYS_fchmodat "fchmodat" Name At(0, 1);
    SYS_fchown "fchown" Name Descriptor(0);
    SYS_fchownat "fchownat" Name At(0, 1);
    SYS_utimensat "utimensat" Name At(0, 1);
    #[cfg(target_arch = "x86_64")]
    SYS_unlink "unlink" Remove Path(0);
    SYS_unlinkat "unlinkat" Remove At(0, 1);
    #[cfg(target_arch = "x86_64")]
    SYS_rmdir "rmdir" Remove Path(0);
    SYS_statx "statx" Look At(0, 1);
    #[cfg(target_arch = "x86_64")]
    SYS_stat "stat" Look Path(0);
    #[cfg(target_arch = "x86_64")]
    SYS_lstat "lstat" Look Path(0);
    SYS_fstat "fstat" Look Descriptor(0);
    SYS_newfstatat "newfstatat" Look At(0, 1);
    #[cfg(target_arch = "x86_64")]
    SYS_access "access" Look Path(0);
    SYS_faccessat "faccessat" Look At(0, 1);
    SYS_faccessat2 "faccessat2" Look At(0, 1);
    #[cfg(target_arch = "x86_64")]
    SYS_readlink "readlink" Look Path(0);
    SYS_readlinkat "readlinkat" Look At(0, 1);
    SYS_flock "flock" Lock Descriptor(0);
    SYS_fcntl "fcntl" Lock Locked(0, 1);
}
