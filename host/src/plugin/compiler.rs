//! Compiling what strangers have written: for 10 s unless the user has set more, and never in more than
//! 512 MiB.
//!
//! Owns the process that compiles, which bounds itself before it reads a byte. A program that has no
//! executable for it compiles on a thread, for as long as it is willing to wait.

mod worker;

use std::ffi::OsString;
use std::io::{self, Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::sys::signal::Signal;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::error::{CompileLimit, Failure};
use super::structure::Structure;
use crate::cancel::Cancel;

pub use worker::compile_if_asked;

/// The first argument of a process that compiles; the second is how long it may, in seconds.
const ARGUMENT: &str = "--compile-plugin-from-stdin";
/// The third argument where the code need not be fast.
const QUICKLY: &str = "--quickly";
/// The processor's time that compiling a plugin may take, unless the user has set another.
pub(super) const COMPUTE: Duration = Duration::from_secs(10);
/// Bytes of its memory.
const MEMORY: u64 = 512 << 20;
/// How much longer it may take by the clock, on a machine that has much else to do.
const WALL: u32 = 12;
/// Threads of the process.
const THREADS: usize = 4;
/// Bytes of functions from which on it is compiled quickly: a runtime of Python has some 10 MiB.
const LARGE: u64 = 3 << 20;
/// Bytes of what the compiler may answer.
const MAX_CODE: u64 = 256 << 20;
/// Bytes that are read of its last words.
const MAX_WORDS: u64 = 4 << 10;
/// How often the process that waits for the compiler checks for cancellation.
const LOOK: Duration = Duration::from_millis(20);
/// What the compiler has for calls within itself: as much as the thread that a process begins with.
const STACK: usize = 8 << 20;

/// How the process ends where it has an answer: code, a reason, or no memory.
mod status {
    pub(super) const CODE: u8 = 0;
    pub(super) const UNUSABLE: u8 = 3;
    pub(super) const MEMORY: u8 = 4;
}

/// Compiles in a process of its own, and returns the code.
pub(super) fn in_process(
    executable: &Path,
    bytes: Bytes,
    structure: Structure,
    compute: Duration,
    cancel: &Cancel,
) -> Result<Vec<u8>, Failure> {
    let mut command = Command::new(executable);
    command.arg0("msb").arg(ARGUMENT);
    command.arg(compute.as_secs().to_string());
    if structure.code > LARGE {
        command.arg(QUICKLY);
    }
    let threads = thread::available_parallelism().map_or(1, usize::from);
    command
        .env("RAYON_NUM_THREADS", threads.min(THREADS).to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C of a terminal is for the one that waits, which ends it.
        .process_group(0);
    let mut process = Process(command.spawn().map_err(Failure::Compiler)?);
    let child = &mut process.0;
    if let Some(mut stdin) = child.stdin.take() {
        // What ends early does not read to the end; how it ends says why.
        spawn(move || drop(stdin.write_all(&bytes)))?;
    }
    let answer = reading(child.stdout.take(), MAX_CODE)?;
    let words = reading(child.stderr.take(), MAX_WORDS)?;
    let started = Instant::now();
    let answer = wait(&answer, cancel, || {
        (started.elapsed() > compute.saturating_mul(WALL))
            .then_some(Failure::Compiling(CompileLimit::Time(compute)))
    })?;
    // It has closed its output, so that it ends now; what it does not end with is its own fault.
    let answer = answer.map_err(Failure::Compiler)?;
    let ended = wait(&ending(process)?, cancel, || None)?.map_err(Failure::Compiler)?;
    let words = words.recv_timeout(LOOK).ok().and_then(Result::ok);
    judge(ended, answer, &words.unwrap_or_default(), compute)
}

/// Compiles on a thread of this process, which is left behind when the user does not want to wait, or
/// when it takes longer than `limit`.
pub(super) fn in_thread(
    engine: &Engine,
    bytes: Bytes,
    limit: Option<Duration>,
    cancel: &Cancel,
) -> Result<Component, Failure> {
    let (done, answer) = mpsc::channel();
    let engine = engine.clone();
    spawn(move || {
        let _ = done.send(Component::from_binary(&engine, &bytes));
    })?;
    let started = Instant::now();
    wait(&answer, cancel, || {
        let limit = limit.filter(|limit| started.elapsed() > *limit)?;
        Some(Failure::Compiling(CompileLimit::Wall(limit)))
    })?
    .map_err(|error| Failure::Unusable(format!("{error:#}")))
}

/// Says what became of a process that has ended.
fn judge(
    ended: ExitStatus,
    answer: Vec<u8>,
    words: &[u8],
    compute: Duration,
) -> Result<Vec<u8>, Failure> {
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let words = said(words);
    if let Some(signal) = ended.signal() {
        // An allocation that fails ends a program by an abort, after it has said so; and the system
        // kills what takes the memory of others.
        let of_memory = words.contains("memory allocation of") || signal == Signal::SIGKILL as i32;
        return Err(match signal {
            signal if signal == Signal::SIGXCPU as i32 => {
                Failure::Compiling(CompileLimit::Time(compute))
            }
            _ if of_memory => Failure::Compiling(CompileLimit::Memory),
            signal => Failure::Unusable(format!(
                "the compiler has failed at it (signal {signal}): {words}"
            )),
        });
    }
    match ended.code().and_then(|code| u8::try_from(code).ok()) {
        Some(status::CODE) if answer.len() as u64 <= MAX_CODE => Ok(answer),
        Some(status::CODE | status::MEMORY) => Err(Failure::Compiling(CompileLimit::Memory)),
        Some(status::UNUSABLE) => Err(Failure::Unusable(said(&answer))),
        _ => Err(Failure::Compiler(io::Error::other(format!(
            "the process that compiles plugins ended with {ended}: {words}"
        )))),
    }
}

/// Waits for what a thread sends, until the user does not want to or `late` has an error.
fn wait<T>(
    answer: &mpsc::Receiver<T>,
    cancel: &Cancel,
    late: impl Fn() -> Option<Failure>,
) -> Result<T, Failure> {
    loop {
        cancel
            .check()
            .map_err(|cancelled| Failure::Stopped(cancelled.into()))?;
        match answer.recv_timeout(LOOK) {
            Ok(answer) => return Ok(answer),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                if let Some(failure) = late() {
                    return Err(failure);
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(Failure::Unusable(
                    "the compiler has failed at it".to_owned(),
                ));
            }
        }
    }
}

/// Reads a stream to its end, or up to one byte more than `limit`.
fn reading(
    stream: Option<impl Read + Send + 'static>,
    limit: u64,
) -> Result<mpsc::Receiver<io::Result<Vec<u8>>>, Failure> {
    let (done, answer) = mpsc::channel();
    spawn(move || {
        let mut bytes = Vec::new();
        let read = stream.map_or(Ok(0), |stream| {
            stream.take(limit + 1).read_to_end(&mut bytes)
        });
        let _ = done.send(read.map(|_| bytes));
    })?;
    Ok(answer)
}

/// Waits for the end of a process.
fn ending(mut process: Process) -> Result<mpsc::Receiver<io::Result<ExitStatus>>, Failure> {
    let (done, answer) = mpsc::channel();
    let deadline = Instant::now() + COMPUTE;
    spawn(move || {
        let ended = loop {
            match process.0.try_wait() {
                Ok(None) if Instant::now() > deadline => {
                    let _ = process.0.kill();
                    break process.0.wait();
                }
                Ok(None) => thread::sleep(Duration::from_millis(1)),
                Ok(Some(ended)) => break Ok(ended),
                Err(error) => break Err(error),
            }
        };
        let _ = done.send(ended);
    })?;
    Ok(answer)
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    thread::Builder::new()
        .name("plugin-compiler".to_owned())
        .stack_size(STACK)
        .spawn(work)
        .map(drop)
        .map_err(Failure::Setup)
}

/// A process that does not outlive its parent.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a process that compiles is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    compute: Duration,
    quickly: bool,
}

/// Returns what these arguments ask for, if they are those of a process that compiles.
fn asked(mut arguments: impl Iterator<Item = OsString>) -> Option<Asked> {
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let compute = arguments.next()?.to_str()?.parse().ok()?;
    let quickly = match arguments.next() {
        None => false,
        Some(argument) => (argument == QUICKLY).then_some(true)?,
    };
    Some(Asked {
        compute: Duration::from_secs(compute),
        quickly,
    })
}

#[cfg(test)]
#[path = "compiler/tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
