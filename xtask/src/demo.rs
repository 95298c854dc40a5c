//! `cargo xtask demo`: not there yet.

use crate::command::Result;

/// Runs the command.
pub(crate) fn run() -> Result<()> {
    Err("this command is not there yet".into())
}
