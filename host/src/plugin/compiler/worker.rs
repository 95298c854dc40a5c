//! The process that compiles: it takes a component from its input, and writes code to its output.

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{Asked, MEMORY, asked, status};
use crate::plugin::{MAX_COMPONENT, engine};

/// Makes this process a compiler of plugins if another has started it as one, and returns how it is to
/// end then. An executable that is named by [`MsbBuilder::compiler`](crate::MsbBuilder::compiler) calls
/// this before anything else; for any other use of it, this returns `None` and does nothing.
pub fn compile_if_asked() -> Option<ExitCode> {
    let asked = asked(std::env::args_os().skip(1))?;
    Some(compile(&asked).unwrap_or(ExitCode::FAILURE))
}

fn compile(asked: &Asked) -> io::Result<ExitCode> {
    bound(asked.compute.as_secs())?;
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(MAX_COMPONENT)
        .read_to_end(&mut bytes)?;
    let code =
        engine::compiling(asked.quickly).and_then(|engine| engine.precompile_component(&bytes));
    let (status, answer) = match code {
        Ok(code) => (status::CODE, code),
        Err(error) if is_of_memory(&error) => (status::MEMORY, Vec::new()),
        Err(error) => (status::UNUSABLE, format!("{error:#}").into_bytes()),
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(&answer)?;
    stdout.flush()?;
    Ok(status.into())
}

/// Takes from this process what it does not need. What it has already counts, and nothing gives it
/// back.
fn bound(compute: u64) -> io::Result<()> {
    // The signal of the soft limit says that it was the time; that of the hard one could be of anything.
    limit(Resource::RLIMIT_CPU, compute, compute.saturating_add(1))?;
    limit(Resource::RLIMIT_DATA, MEMORY, MEMORY)?;
    limit(Resource::RLIMIT_CORE, 0, 0)?;
    // It writes to a pipe, and to no file.
    limit(Resource::RLIMIT_FSIZE, 0, 0)
}

/// Sets a limit, unless there is a tighter one already.
fn limit(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let (_, most) = getrlimit(resource)?;
    Ok(setrlimit(resource, soft.min(most), hard.min(most))?)
}

fn is_of_memory(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| {
        let text = cause.to_string();
        text.contains("Cannot allocate memory") || text.contains("out of memory")
    })
}
