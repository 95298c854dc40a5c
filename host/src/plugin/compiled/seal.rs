//! The proof that compiled code was made by this user's msb: a digest under a key.
//!
//! Owns the key and the layout of a sealed file. [`Proven`] has no other origin than a seal that
//! held, so that what runs natively is what was checked.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::digest::Digest;
use crate::fs::PRIVATE_FILE;
use crate::fs::atomic::{AtomicFile, Mode};
use crate::ownership;

/// What the file of the key is called.
const KEY: &str = "key";
const KEY_LENGTH: usize = 32;
/// HMAC-SHA-256 over all that follows it.
const TAG_LENGTH: usize = 32;
const MAGIC: &[u8; 32] = b"msb compiled component 1\n\0\0\0\0\0\0\0";
/// The tag, the magic bytes and two digests in hexadecimal.
const HEADER_LENGTH: usize = TAG_LENGTH + MAGIC.len() + 2 * 64;

/// What compiled code belongs to: the engine that it is for and the component that it was made of,
/// each by a SHA-256.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) engine: &'a Digest,
    pub(super) component: &'a Digest,
}

/// A key that only this user can read.
pub(super) struct Key(hmac::Key);

/// Compiled code that was made by an msb of this user, for the engine and of the component that
/// were asked for, and of which every bit is as it was then.
pub(super) struct Proven(Vec<u8>);

impl Proven {
    /// Returns what the engine has made.
    pub(super) fn code(&self) -> &[u8] {
        self.0.get(HEADER_LENGTH..).unwrap_or_default()
    }
}

impl Key {
    /// Reads the key in a folder that only this user can change, or makes it. One that others might
    /// know, or that is damaged, is replaced: what it has sealed is then made once more.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(KEY);
        match Self::read(&path) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
            Err(wrong) if wrong.kind() == io::ErrorKind::InvalidData => Self::remove(folder)?,
            read => return read,
        }
        let bytes = random()?;
        let file = AtomicFile::create(&path, Mode::Exactly(PRIVATE_FILE))?;
        file.file().write_all(&bytes)?;
        if file.put_if_free()? {
            Ok(Self::of(&bytes))
        } else {
            // Another process was faster.
            Self::read(&path)
        }
    }

    /// Returns the key itself, from which others are made.
    pub(super) fn hmac(&self) -> &hmac::Key {
        &self.0
    }

    /// Returns a key that is kept nowhere.
    pub(super) fn random() -> io::Result<Self> {
        random().map(|bytes| Self::of(&bytes))
    }

    /// Removes the key in a folder, and so every proof under it.
    pub(super) fn remove(folder: &Path) -> io::Result<()> {
        super::remove(&folder.join(KEY))
    }

    fn read(path: &Path) -> io::Result<Self> {
        let file = open_ours(path, 0o077)?;
        let mut bytes = Vec::with_capacity(KEY_LENGTH + 1);
        file.take(KEY_LENGTH as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() == KEY_LENGTH {
            Ok(Self::of(&bytes))
        } else {
            Err(invalid("its length is wrong"))
        }
    }

    fn of(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Returns the bytes of a file for what the engine has made.
    pub(super) fn seal(&self, subject: Subject<'_>, code: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(HEADER_LENGTH + code.len());
        sealed.extend([0; TAG_LENGTH]);
        sealed.extend(header(subject));
        sealed.extend(code);
        let (tag, message) = sealed.split_at_mut(TAG_LENGTH);
        tag.copy_from_slice(hmac::sign(&self.0, message).as_ref());
        sealed
    }

    /// Returns the code in a file if this key has sealed it for the subject.
    pub(super) fn prove(&self, subject: Subject<'_>, sealed: Vec<u8>) -> Option<Proven> {
        let (tag, message) = sealed.split_at_checked(TAG_LENGTH)?;
        if !message.starts_with(&header(subject)) {
            return None;
        }
        hmac::verify(&self.0, message, tag).ok()?;
        Some(Proven(sealed))
    }
}

fn random() -> io::Result<[u8; KEY_LENGTH]> {
    let mut bytes = [0; KEY_LENGTH];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(bytes)
}

fn header(subject: Subject<'_>) -> Vec<u8> {
    let (engine, component) = (subject.engine.hex(), subject.component.hex());
    [&MAGIC[..], engine.as_bytes(), component.as_bytes()].concat()
}

/// Opens a regular file of this user in which no permission of `forbidden` is set. No link is
/// followed, and no pipe is waited for.
///
/// # Errors
/// [`InvalidData`](io::ErrorKind::InvalidData) where it is something else.
pub(in crate::plugin) fn open_ours(path: &Path, forbidden: u32) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let opened = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = match opened {
        // A link, or a socket.
        Err(error)
            if [rustix::io::Errno::LOOP, rustix::io::Errno::NXIO]
                .iter()
                .any(|errno| error.raw_os_error() == Some(errno.raw_os_error())) =>
        {
            return Err(invalid("it is not a regular file"));
        }
        opened => opened?,
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(invalid("it is not a regular file"));
    }
    if !ownership::is_ours(&metadata) {
        return Err(invalid("it belongs to another user"));
    }
    if metadata.mode() & forbidden != 0 {
        return Err(invalid("other users have access to it"));
    }
    Ok(file)
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
