//! `msb plugin grant`, `msb plugin revoke`

use msb_host::plugin::Grant;

use super::{changed, done};
use crate::error::CommandError;
use crate::ui::Ui;

/// What is given to a plugin, or taken from it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plugin.
    name: String,
    /// Permissions: env=NAME, files=PATH, keychain=SERVICE, helper=NAME, http=SERVER, clock, reveal.
    #[arg(required = true, value_name = "PERMISSION")]
    grants: Vec<Grant>,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args, give: bool) -> Result<(), CommandError> {
    let changed = changed(ui, |bench, progress, interrupt| {
        let cancel = interrupt.cancel();
        bench
            .installed
            .change_grants(&args.name, &args.grants, give, progress, cancel)
    })?;
    for grant in &args.grants {
        if changed.contains(grant) {
            let verb = if give { "Granted" } else { "Revoked" };
            done(ui, verb, &args.name, &grant.to_string());
        } else if give {
            ui.note(&format!("`{}` has `{grant}` already", args.name));
        } else {
            ui.note(&format!("`{}` does not have `{grant}`", args.name));
        }
    }
    Ok(())
}
