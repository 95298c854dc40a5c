//! Running a command and letting one of its calls go wrong.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::calls::{CALLS, Call, Fault, Kind, Operand};
use crate::notify::{Handover, Listener, Question, kill};

/// What a path of a call may have at most.
const LONGEST_PATH: usize = 4096;
const PAGE: u64 = 4096;

/// Which call goes wrong, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// None: calls are counted.
    Count,
    /// The Nth call that can end like this does so; from 1.
    Fail(Fault, usize),
    /// The process is killed in front of the Nth call; from 1.
    Kill(usize),
}

/// What became of a command.
#[derive(Debug)]
pub struct Walked {
    /// Its end and what it wrote.
    pub output: Output,
    /// The calls that it made below the folders, in order, until the end or the kill.
    pub kinds: Vec<Kind>,
    /// The call that went wrong, as `write of /home/cache/tmp/1`, if it was reached.
    pub hit: Option<String>,
}

impl Walked {
    /// Returns how many of its calls can end like this.
    pub fn count(&self, fault: Fault) -> usize {
        self.kinds.iter().filter(|kind| fault.fits(**kind)).count()
    }
}

/// Runs a command whose calls below some folders are counted. All of its threads and children are
/// followed. Standard input must have been set; what it writes is collected.
///
/// # Errors
/// When the command cannot be started, or the kernel has no seccomp.
pub fn run(command: &mut Command, below: &[PathBuf], plan: Plan) -> io::Result<Walked> {
    let handover = Handover::new()?;
    handover.prepare(command);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let ours = handover.ours()?;
    std::thread::scope(|scope| {
        // Its first calls must be answered before `spawn` returns.
        let watcher = scope.spawn(move || {
            let listener = Handover::receive(&ours)?;
            watch(&listener, below, plan)
        });
        let child = command.spawn();
        drop(handover.close());
        let output = child?.wait_with_output()?;
        let (kinds, hit) = watcher
            .join()
            .map_err(|_| io::Error::other("the watcher panicked"))??;
        Ok(Walked { output, kinds, hit })
    })
}

fn watch(
    listener: &Listener,
    below: &[PathBuf],
    plan: Plan,
) -> io::Result<(Vec<Kind>, Option<String>)> {
    let (mut kinds, mut fitting, mut hit) = (Vec::new(), 0, None);
    while let Some(question) = listener.next()? {
        let call = CALLS.iter().find(|call| call.number == question.number);
        let found = call.and_then(|call| Some((call, touched(call, &question, below)?)));
        let Some((call, path)) = found else {
            listener.answer(&question, None)?;
            continue;
        };
        kinds.push(call.kind);
        let said = || Some(format!("{} of {}", call.name, path.display()));
        match plan {
            Plan::Fail(fault, number) if fault.fits(call.kind) => {
                fitting += 1;
                if fitting == number {
                    hit = said();
                    listener.answer(&question, Some(fault.number()))?;
                    continue;
                }
            }
            Plan::Kill(number) if kinds.len() == number => {
                hit = said();
                kill(process_of(question.thread));
                continue;
            }
            _ => {}
        }
        listener.answer(&question, None)?;
    }
    Ok((kinds, hit))
}

/// Returns the path that a call touches, if it is below one of the folders.
fn touched(call: &Call, question: &Question, below: &[PathBuf]) -> Option<PathBuf> {
    let paths = call
        .operands
        .iter()
        .filter_map(|operand| path(*operand, question));
    let mut paths = paths.filter(|path| below.iter().any(|folder| path.starts_with(folder)));
    paths.next()
}

fn path(operand: Operand, question: &Question) -> Option<PathBuf> {
    let thread = question.thread;
    let argument = |place: usize| question.arguments.get(place).copied().unwrap_or_default();
    match operand {
        Operand::Descriptor(place) => descriptor(thread, argument(place)),
        Operand::Path(place) => at(thread, libc::AT_FDCWD, argument(place)),
        Operand::At(folder, place) => at(thread, argument(folder) as i32, argument(place)),
        Operand::Shared(flags, place) => {
            let is_shared = argument(flags) & libc::MAP_SHARED as u64 != 0;
            let is_file = argument(flags) & libc::MAP_ANONYMOUS as u64 == 0;
            (is_shared && is_file).then(|| descriptor(thread, argument(place)))?
        }
        Operand::Locked(place, command) => {
            let locks = [libc::F_SETLK, libc::F_SETLKW, libc::F_OFD_SETLK];
            locks
                .contains(&(argument(command) as i32))
                .then(|| descriptor(thread, argument(place)))?
        }
    }
}

fn descriptor(thread: libc::pid_t, number: u64) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{thread}/fd/{}", number as i32)).ok()
}

fn at(thread: libc::pid_t, folder: i32, address: u64) -> Option<PathBuf> {
    let name = text(thread, address)?;
    if name.is_absolute() {
        return Some(name);
    }
    let base = if folder == libc::AT_FDCWD {
        fs::read_link(format!("/proc/{thread}/cwd")).ok()?
    } else {
        fs::read_link(format!("/proc/{thread}/fd/{folder}")).ok()?
    };
    Some(base.join(name))
}

/// Returns the text at an address of another process.
fn text(thread: libc::pid_t, address: u64) -> Option<PathBuf> {
    if address == 0 {
        return Some(PathBuf::new());
    }
    let memory = fs::File::open(format!("/proc/{thread}/mem")).ok()?;
    let (mut bytes, mut address) = (Vec::new(), address);
    while bytes.len() < LONGEST_PATH {
        // Page by page: the next one may not be there.
        let mut page = [0; PAGE as usize];
        let left = (PAGE - address % PAGE) as usize;
        let read = memory.read_at(&mut page[..left], address).ok()?;
        match page[..read].iter().position(|byte| *byte == 0) {
            Some(end) => {
                bytes.extend(&page[..end]);
                return Some(PathBuf::from(
                    <std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes),
                ));
            }
            None if read == 0 => return None,
            None => bytes.extend(&page[..read]),
        }
        address += read as u64;
    }
    None
}

/// Returns the process that a thread is of.
fn process_of(thread: libc::pid_t) -> libc::pid_t {
    let status = fs::read_to_string(Path::new("/proc").join(thread.to_string()).join("status"));
    status
        .ok()
        .and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
            line.trim().parse().ok()
        })
        .unwrap_or(thread)
}
