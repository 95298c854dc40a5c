//! Compiled components, kept for the next start of msb: `cache/plugins`.
//!
//! Owns the folder and what is in it: a key, and files of compiled code that are sealed under it.
//! A file is read and checked to its last bit before any of it is used; one that this user's msb
//! has not written is compiled again. Knows nothing of plugins.

mod native;
mod seal;

use std::fs::{DirBuilder, File, FileTimes};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use wasmtime::Engine;
use wasmtime::component::Component;

pub(super) use self::seal::open_ours;
use self::seal::{Key, Subject};
use super::plugin_state::PluginState;
use crate::digest::{self, Algorithm, Digest};
use crate::fs::atomic::{self, Mode};
use crate::fs::{self, PRIVATE_FILE};
use crate::home;
use crate::ownership::{self, Untrusted};
use crate::store;

/// Bytes that all files together may have. What was not used for longest is dropped.
const MAX_TOTAL: u64 = 256 << 20;
/// The part of a disk's free space that one file may take. On a disk that is nearly full, an image
/// needs the space more: the component is compiled again next time.
const SHARE: u64 = 16;
/// How often the use of a file is noted, which costs a write.
const NOTED: Duration = Duration::from_hours(24);
/// How names of compiled code end.
const SUFFIX: &str = ".compiled";
const PRIVATE: u32 = 0o700;
/// The mode of a folder that only its owner can write to now, with a key that others may know.
const CLOSED: u32 = 0o755;

/// The folder of compiled components.
pub(super) struct CompiledCode {
    folder: PathBuf,
    key: Key,
    engine: Digest,
}

/// What is kept of a component.
pub(super) enum Kept {
    /// Nothing.
    Nothing,
    /// Compiled code for this engine.
    Code(Component),
    /// A file that is not used, and why.
    Refused(PathBuf, String),
}

impl CompiledCode {
    /// Opens the folder, and makes it if there is none. Where others could change what is in it,
    /// nothing is read or written; the error says why.
    pub(super) fn open(folder: &Path, engine: &Engine) -> Result<Self, String> {
        let folder = private_folder(folder)?;
        let key = Key::open(&folder).map_err(|error| {
            format!("could not read the key in `{}`: {error}", folder.display())
        })?;
        Ok(Self {
            folder,
            key,
            engine: id(engine),
        })
    }

    /// Returns what a plugin keeps from one run to the next, which is in the same folder, sealed under
    /// the same key.
    pub(super) fn state(&self, plugin: &str) -> Option<PluginState> {
        PluginState::new(&self.folder, plugin, self.key.hmac())
    }

    /// Returns the answers of a plugin that are kept by the host, in the same way.
    pub(super) fn answers(&self, plugin: &str) -> Option<PluginState> {
        PluginState::of_answers(&self.folder, plugin, self.key.hmac())
    }

    /// Looks for the compiled code of a component.
    pub(super) fn find(&self, engine: &Engine, component: &Digest) -> Kept {
        let subject = self.subject(component);
        let path = self.path(subject);
        let (file, sealed) = match read(&path) {
            Ok(read) => read,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Kept::Nothing,
            Err(wrong) => return Kept::Refused(path, wrong.to_string()),
        };
        let Some(proven) = self.key.prove(subject, sealed) else {
            let why = "it is damaged, or was not written by an msb of this user";
            return Kept::Refused(path, why.to_owned());
        };
        note_use(&file);
        match native::component(engine, &proven) {
            Ok(component) => Kept::Code(component),
            Err(error) => Kept::Refused(path, format!("{error:#}")),
        }
    }

    /// Keeps the compiled code of a component, in the place of what was there.
    ///
    /// # Errors
    /// When the disk is too full to spend space on it, or the file cannot be written.
    pub(super) fn keep(&self, component: &Digest, compiled: &Component) -> io::Result<()> {
        let code = compiled.serialize().map_err(io::Error::other)?;
        let subject = self.subject(component);
        self.write(subject, &self.key.seal(subject, &code))
    }

    /// Keeps code that a process of ours has made, and returns the component. `not_kept` is told where
    /// the code cannot be kept.
    pub(super) fn adopt(
        &self,
        engine: &Engine,
        component: &Digest,
        code: &[u8],
        not_kept: impl FnOnce(io::Error),
    ) -> wasmtime::Result<Component> {
        let subject = self.subject(component);
        let sealed = self.key.seal(subject, code);
        if let Err(error) = self.write(subject, &sealed) {
            not_kept(error);
        }
        proven(engine, &self.key, subject, sealed)
    }

    fn write(&self, subject: Subject<'_>, sealed: &[u8]) -> io::Result<()> {
        let path = self.path(subject);
        let free = free_space(&self.folder)?;
        if sealed.len() as u64 > free / SHARE {
            let (length, folder) = (sealed.len(), self.folder.display());
            let why = format!("it has {length} bytes, and the disk of `{folder}` only {free} free");
            return Err(io::Error::new(io::ErrorKind::StorageFull, why));
        }
        self.make_room(sealed.len() as u64, &path);
        if fs::link_metadata(&path).is_ok_and(|there| there.is_dir()) {
            remove(&path)?;
        }
        atomic::write(&path, Mode::Exactly(PRIVATE_FILE), sealed)
    }

    /// Drops what was not used for longest until `wanted` more bytes fit, and what msb once kept
    /// here in another layout. What cannot be dropped stays.
    fn make_room(&self, wanted: u64, replaced: &Path) {
        let _ = remove(&self.folder.join(home::FORMER_CODE));
        atomic::remove_left(&self.folder, None);
        let Ok(entries) = fs::entries(&self.folder) else {
            return;
        };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in entries.flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_string_lossy();
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let Ok(changed) = metadata.modified() else {
                continue;
            };
            if name.ends_with(SUFFIX) && path != replaced {
                files.push((changed, metadata.len(), path));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files {
            if total.saturating_add(wanted) <= MAX_TOTAL {
                break;
            }
            let _ = remove(&path);
            total = total.saturating_sub(length);
        }
    }

    fn subject<'a>(&'a self, component: &'a Digest) -> Subject<'a> {
        Subject {
            engine: &self.engine,
            component,
        }
    }

    fn path(&self, subject: Subject<'_>) -> PathBuf {
        // A part of the engine's digest is enough to tell engines apart; the seal has all of it.
        let (component, engine) = (subject.component.hex(), subject.engine.short());
        self.folder.join(format!("{component}-{engine}{SUFFIX}"))
    }
}

impl std::fmt::Debug for CompiledCode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CompiledCode")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Returns the component of code that a process of ours has made, where nothing can be kept: under a
/// key that is for this once.
pub(super) fn adopt_unkept(
    engine: &Engine,
    component: &Digest,
    code: &[u8],
) -> wasmtime::Result<Component> {
    let key = Key::random()?;
    let id = id(engine);
    let subject = Subject {
        engine: &id,
        component,
    };
    proven(engine, &key, subject, key.seal(subject, code))
}

fn proven(
    engine: &Engine,
    key: &Key,
    subject: Subject<'_>,
    sealed: Vec<u8>,
) -> wasmtime::Result<Component> {
    let proven = key
        .prove(subject, sealed)
        .ok_or_else(|| wasmtime::Error::msg("its code is damaged"))?;
    native::component(engine, &proven)
}

/// Makes `path` a directory of this user with mode 0700, and returns where it is. If others had
/// access to it until now, its key is given up, and with it all that is there.
fn private_folder(path: &Path) -> Result<PathBuf, String> {
    let untrusted = |error: Untrusted| error.to_string();
    let failed = |error: io::Error| format!("could not use `{}`: {error}", path.display());
    ownership::trusted_parent(path).map_err(untrusted)?;
    if fs::link_metadata(path).is_err() {
        let parent = path.parent().unwrap_or(path);
        store::create_directory(parent)
            .map_err(io::Error::other)
            .map_err(failed)?;
        match DirBuilder::new().mode(PRIVATE).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(error));
            }
            _ => {}
        }
    }
    // A link may lead here: what counts is where it ends.
    let end = fs::canonicalize(path).map_err(|error| failed(error.source))?;
    let metadata = fs::link_metadata(&end).map_err(|error| failed(error.source))?;
    if !metadata.is_dir() || !ownership::is_ours(&metadata) {
        return Err(format!(
            "`{}` is not a directory of this user",
            end.display()
        ));
    }
    ownership::trusted_parent(&end).map_err(untrusted)?;
    if metadata.mode() & 0o777 != PRIVATE {
        let set_mode = |mode| fs::set_mode(&end, mode).map_err(io::Error::from);
        // Whoever could write here could put a key here as well. The mode says that until the key
        // is gone, also to the next process if this one is killed.
        set_mode(CLOSED)
            .and_then(|()| Key::remove(&end))
            .and_then(|()| set_mode(PRIVATE))
            .map_err(failed)?;
    }
    ownership::trusted_directory(path).map_err(untrusted)
}

/// Returns a file of ours and all that is in it.
fn read(path: &Path) -> io::Result<(File, Vec<u8>)> {
    let file = seal::open_ours(path, 0o022)?;
    let length = file.metadata()?.len();
    if length > MAX_TOTAL {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1);
    (&file).take(MAX_TOTAL).read_to_end(&mut bytes)?;
    Ok((file, bytes))
}

/// Notes that a file is of use, as the time of its last change. Without that it is dropped sooner.
fn note_use(file: &File) {
    let now = SystemTime::now();
    let noted = file.metadata().and_then(|metadata| metadata.modified());
    let is_recent =
        noted.is_ok_and(|noted| now.duration_since(noted).is_ok_and(|passed| passed < NOTED));
    if !is_recent {
        let _ = file.set_times(FileTimes::new().set_modified(now));
    }
}

/// Returns how many bytes a user without privileges may still write to a disk.
fn free_space(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Removes what may be gone already.
fn remove(path: &Path) -> io::Result<()> {
    store::remove(path).map_err(io::Error::other)
}

/// Returns what an engine must have in common with the one that has compiled: its version, its
/// settings and the features of the processor, as a digest.
fn id(engine: &Engine) -> Digest {
    struct Sink(digest::Hasher);
    impl Hasher for Sink {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut sink = Sink(digest::Hasher::new(Algorithm::Sha256));
    engine.precompile_compatibility_hash().hash(&mut sink);
    sink.0.finish()
}

#[cfg(test)]
#[path = "compiled/tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
