//! Running a program with a deadline: found in `PATH`, in a process group of its own, all of which
//! is killed when the time is over.
//!
//! Knows nothing of what the program says.

use std::ffi::OsStr;
use std::io::{Read, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::cancel::Cancel;
use crate::plugin::bindings::msb::plugin::types::Refusal;

/// Bytes that are read of what a program says.
const MAX_STDOUT: u64 = 1 << 20;
/// Bytes that are kept of what it says beside.
const MAX_STDERR: u64 = 64 << 10;
/// Bytes that are read at a time.
const PIECE: usize = 8 << 10;
/// How often the program is looked after.
const LOOK: Duration = Duration::from_millis(10);
/// How long the pipes of a program that has ended may stay open: it may have left children.
const GRACE: Duration = Duration::from_millis(500);

/// What a program printed, and whether it succeeded.
pub struct HelperOutput {
    /// It ended with exit code 0.
    pub success: bool,
    /// What it wrote: credentials, so it does not print.
    pub stdout: Zeroizing<Vec<u8>>,
    /// What it complained about.
    pub stderr: Vec<u8>,
}

/// Why a program gave no output.
pub(super) enum HelperFailure {
    /// It could not be started.
    Start(std::io::Error),
    /// It took too long.
    Late,
    /// It said too much.
    TooMuch,
    /// The user asked to stop.
    Cancelled,
}

impl HelperFailure {
    pub(super) fn refusal(&self, program: &str, limit: Duration) -> Refusal {
        match self {
            Self::Start(error) => {
                Refusal::Unavailable(format!("could not run `{program}`: {error}"))
            }
            Self::Late => Refusal::Unavailable(format!(
                "`{program}` did not answer within {:.1} s and was stopped",
                limit.as_secs_f64()
            )),
            Self::TooMuch => Refusal::TooLarge(format!("`{program}` said more than 1 MiB")),
            Self::Cancelled => Refusal::Unavailable(format!("`{program}` was stopped")),
        }
    }
}

/// Finds a program in `PATH`. Relative directories in it are skipped: what they mean depends
/// on where msb was started.
pub(super) fn find(program: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .find(|path| {
            crate::fs::metadata(path)
                .is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o111 != 0)
        })
}

/// Runs a program with one argument, gives it `input` and waits for its end.
pub(super) fn run(
    program: &Path,
    argument: &str,
    input: Zeroizing<Vec<u8>>,
    limit: Duration,
    cancel: &Cancel,
) -> Result<HelperOutput, HelperFailure> {
    let deadline = Instant::now() + limit;
    let mut child = Command::new(program)
        .arg(argument)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(HelperFailure::Start)?;
    if let Some(mut stdin) = child.stdin.take() {
        // On a thread: a program that does not read must not hold us up. Whether it has read is
        // its own matter.
        spawn(move || drop(stdin.write_all(&input)));
    }
    let stdout = child
        .stdout
        .take()
        .map(|pipe| Gathered::of(pipe, MAX_STDOUT));
    let stderr = child
        .stderr
        .take()
        .map(|pipe| Gathered::of(pipe, MAX_STDERR));
    let success = wait(&mut child, deadline, cancel);
    if success.is_err() {
        kill(&mut child);
    }
    let success = success?;
    // Where its output has not ended, children of it hold the pipe: what it has said is there.
    let until = Instant::now() + GRACE;
    let said = |pipe: Option<Gathered>| pipe.map(|pipe| pipe.until(until)).unwrap_or_default();
    let (stdout, stderr) = (said(stdout), said(stderr));
    if stdout.len() as u64 > MAX_STDOUT {
        return Err(HelperFailure::TooMuch);
    }
    Ok(HelperOutput {
        success,
        stdout,
        stderr: stderr.to_vec(),
    })
}

fn wait(child: &mut Child, deadline: Instant, cancel: &Cancel) -> Result<bool, HelperFailure> {
    loop {
        if let Some(status) = child.try_wait().map_err(HelperFailure::Start)? {
            return Ok(status.success());
        }
        if cancel.is_cancelled() {
            return Err(HelperFailure::Cancelled);
        }
        if Instant::now() >= deadline {
            return Err(HelperFailure::Late);
        }
        std::thread::sleep(LOOK);
    }
}

/// Kills a program and what it has started.
fn kill(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// What comes out of a pipe, on a thread.
struct Gathered {
    /// `None` once it was taken.
    bytes: Arc<Mutex<Option<Zeroizing<Vec<u8>>>>>,
    /// Closed at the end of the pipe.
    end: mpsc::Receiver<()>,
}

impl Gathered {
    /// Reads a pipe to its end, a byte more than `limit` at most; what comes after is thrown away, so
    /// that the program can end.
    fn of(mut pipe: impl Read + Send + 'static, limit: u64) -> Self {
        let (sender, end) = mpsc::channel();
        let bytes = Arc::new(Mutex::new(Some(Zeroizing::default())));
        let gathered = Arc::clone(&bytes);
        spawn(move || {
            let mut left = limit + 1;
            let mut piece = Zeroizing::new(vec![0; PIECE]);
            loop {
                let count = match pipe.read(&mut piece) {
                    Ok(0) => break,
                    Ok(count) => count,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(_) => break,
                };
                let taken = count.min(usize::try_from(left).unwrap_or(usize::MAX));
                left -= taken as u64;
                let mut bytes = gathered.lock().unwrap_or_else(PoisonError::into_inner);
                if let (Some(bytes), Some(piece)) = (&mut *bytes, piece.get(..taken)) {
                    let bytes: &mut Vec<u8> = bytes;
                    bytes.extend_from_slice(piece);
                }
            }
            drop(sender);
        });
        Self { bytes, end }
    }

    /// Returns what has come by the end of the pipe, or until then.
    fn until(self, until: Instant) -> Zeroizing<Vec<u8>> {
        let left = until.saturating_duration_since(Instant::now());
        let _ = self.end.recv_timeout(left);
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.take().unwrap_or_default()
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) {
    // Without a thread the pipe is dropped, and the program meets a closed one.
    let _ = std::thread::Builder::new()
        .name("plugin-pipe".to_owned())
        .spawn(work);
}

/// Returns the last words of a standard error for a message, `: <words>`, or nothing.
pub(super) fn quoted_tail(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let words = text.trim();
    if words.is_empty() {
        return String::new();
    }
    let skipped = words.chars().count().saturating_sub(500);
    format!(": {}", words.chars().skip(skipped).collect::<String>())
}

impl std::fmt::Debug for HelperOutput {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("HelperOutput")
            .field("success", &self.success)
            .finish_non_exhaustive()
    }
}
