//! Reading files: permission `files`.
//!
//! A path is never put together from what a guest says without the grants having covered it
//! component by component, and what lies there must be a plain file.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::off_thread::off_thread;
use super::secret::{MAX_SECRET, Value};
use crate::fs;
use crate::plugin::access::Access;
use crate::plugin::bindings::msb::plugin::files::{self, File};
use crate::plugin::bindings::msb::plugin::types::Refusal;
use crate::plugin::grant::Capability;
use crate::plugin::grants::Links;
use crate::plugin::guest::Guest;
use crate::plugin::kept_answers::Input;
use crate::plugin::symbolic_path::{self, Root, SymbolicPath};

/// How long a file may take to be read: network file systems hang.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was read of a file.
struct Contents {
    bytes: Vec<u8>,
    owned: bool,
    private: bool,
}

impl files::Host for Guest {
    async fn read(&mut self, path: String) -> wasmtime::Result<Result<Option<File>, Refusal>> {
        self.host_waits(async |guest| {
            let symbolic = match symbolic_path::path(&path) {
                Ok(symbolic) => symbolic,
                Err(problem) => {
                    return Ok(Err(Refusal::Invalid(format!(
                        "`{path}` is not a path: {problem}"
                    ))));
                }
            };
            let Some(links) = guest.access.grants.allow_file(&symbolic) else {
                return Ok(Err(guest.denied(Capability::Files, Some(&path))));
            };
            let base = match base(&symbolic, &guest.access) {
                Ok(Some(base)) => base,
                Ok(None) => {
                    guest.note_input(Input::file(&path, None));
                    return Ok(Ok(None));
                }
                Err(refusal) => return Ok(Err(refusal)),
            };
            let above = match links {
                Links::Followed => None,
                Links::Inside(above) => Some(join(&base, &symbolic.components[..above])),
            };
            let whole = join(&base, &symbolic.components);
            let shown = whole.display().to_string();
            let answer = off_thread(PATIENCE, move || read(&whole, above.as_deref())).await;
            match answer {
                Err(_) => Ok(Err(Refusal::Unavailable(format!(
                    "reading `{shown}` takes too long"
                )))),
                Ok(Err(refusal)) => Ok(Err(refusal)),
                Ok(Ok(None)) => {
                    guest.note_input(Input::file(&path, None));
                    Ok(Ok(None))
                }
                Ok(Ok(Some(contents))) => {
                    if let Some(fake) = guest.access.environment.fake() {
                        fake.file_read();
                    }
                    guest.note_input(Input::file(&path, Some(&contents.bytes)));
                    Ok(Ok(Some(File {
                        contents: guest.keep(Value::new(contents.bytes))?,
                        path: shown,
                        owned: contents.owned,
                        private: contents.private,
                    })))
                }
            }
        })
        .await?
    }
}

/// Returns what is in a file that a guest has read before, `Some(None)` where there is none any more;
/// `None` where it may not or cannot be read.
pub(in crate::plugin) async fn contents(
    access: &Access,
    path: &str,
) -> Option<Option<Zeroizing<Vec<u8>>>> {
    let symbolic = symbolic_path::path(path).ok()?;
    let links = access.grants.allow_file(&symbolic)?;
    let Some(base) = base(&symbolic, access).ok()? else {
        return Some(None);
    };
    let above = match links {
        Links::Followed => None,
        Links::Inside(above) => Some(join(&base, &symbolic.components[..above])),
    };
    let whole = join(&base, &symbolic.components);
    let read = off_thread(PATIENCE, move || read(&whole, above.as_deref())).await;
    let contents = read.ok()?.ok()?;
    Some(contents.map(|contents| Zeroizing::new(contents.bytes)))
}

/// Returns what the root of a path stands for; `None` where its variable is not set.
fn base(path: &SymbolicPath, access: &Access) -> Result<Option<PathBuf>, Refusal> {
    let named = |name: &str, value: Option<OsString>| {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let base = PathBuf::from(value);
        if base.is_absolute() {
            Ok(Some(base))
        } else {
            Err(Refusal::Invalid(format!(
                "`{name}` is not set to an absolute path"
            )))
        }
    };
    match &path.root {
        Root::Absolute => Ok(Some(access.environment.root())),
        Root::MsbHome => Ok(Some(access.msb_home.clone())),
        Root::UserHome => named("HOME", access.environment.get("HOME")),
        Root::Variable(name) => named(name, access.environment.get(name)),
    }
}

fn join(base: &std::path::Path, components: &[String]) -> PathBuf {
    components
        .iter()
        .fold(base.to_owned(), |path, component| path.join(component))
}

/// Reads a plain file; below `inside`, if that is given, wherever links lead.
fn read(
    path: &std::path::Path,
    inside: Option<&std::path::Path>,
) -> Result<Option<Contents>, Refusal> {
    let failed = |error: io::Error| {
        if matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        ) {
            return Ok(None);
        }
        Err(Refusal::Failed(format!(
            "could not read `{}`: {error}",
            path.display()
        )))
    };
    let mut target = path.to_owned();
    if let Some(inside) = inside {
        let resolved =
            fs::canonicalize(inside).and_then(|inside| Ok((inside, fs::canonicalize(path)?)));
        let (inside, real) = match resolved {
            Ok(resolved) => resolved,
            Err(error) => return failed(error.source),
        };
        if !real.starts_with(&inside) {
            return Err(Refusal::Invalid(format!(
                "`{}` is a link that leads out of `{}`",
                path.display(),
                inside.display()
            )));
        }
        target = real;
    }
    // A pipe must not hold us up, and a terminal must not become ours.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let flags = if inside.is_some() {
        flags | rustix::fs::OFlags::NOFOLLOW
    } else {
        flags
    };
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(&target)
        .and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = match opened {
        Ok(opened) => opened,
        Err(error) => return failed(error),
    };
    if !metadata.is_file() {
        return Err(Refusal::Invalid(format!(
            "`{}` is not a file",
            path.display()
        )));
    }
    let mut bytes = Vec::new();
    if let Err(error) = file.take(MAX_SECRET as u64 + 1).read_to_end(&mut bytes) {
        return failed(error);
    }
    if bytes.len() > MAX_SECRET {
        return Err(Refusal::TooLarge(format!(
            "`{}` is larger than 1 MiB",
            path.display()
        )));
    }
    Ok(Some(Contents {
        bytes,
        owned: metadata.uid() == rustix::process::geteuid().as_raw(),
        // None of the six bits of group and others.
        private: metadata.mode().trailing_zeros() >= 6,
    }))
}
