//! What msb advises: each test meets an error, does what its hint says, and is better off.
//!
//! That no hint is without a test is looked at in `docs`: `docs/hints.md` lists them.

mod archives;
mod logins;
mod plugins;
mod registries;

use crate::env::Run;

/// Returns the tests of hints.
pub(crate) fn all() -> Vec<crate::Test> {
    [
        archives::all(),
        logins::tests(),
        plugins::tests(),
        registries::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Asserts that a run has failed, and that it advises this.
#[track_caller]
fn advises(run: Run, hint: &str) {
    run.failure(&[&format!("\nhint: {hint}")]);
}
