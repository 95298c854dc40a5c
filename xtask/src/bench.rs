//! `cargo xtask bench`: not there yet.

use crate::command::Result;

/// Runs the command.
pub(crate) fn run(_arguments: &[String]) -> Result<()> {
    Err("this command is not there yet".into())
}
