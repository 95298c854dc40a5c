//! `msb plugin rm`, `msb plugin enable`, `msb plugin disable`

use super::{changed, done};
use crate::error::CommandError;
use crate::ui::Ui;

/// Remove plugins, and what they were permitted.
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    /// The plugins.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// The plugins that are to be used or not.
#[derive(Debug, clap::Args)]
pub(crate) struct EnableArgs {
    /// The plugins, those that ship with msb too.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// Removes plugins.
pub(crate) fn remove(ui: Ui, args: &RemoveArgs) -> Result<(), CommandError> {
    for name in &args.names {
        changed(ui, |bench, progress, interrupt| {
            bench.installed.remove(name, progress, interrupt.cancel())
        })?;
        done(ui, "Removed", name, "");
    }
    Ok(())
}

/// Has plugins used or not.
pub(crate) fn enable(ui: Ui, args: &EnableArgs, enabled: bool) -> Result<(), CommandError> {
    for name in &args.names {
        let is_new = changed(ui, |bench, progress, interrupt| {
            bench
                .installed
                .enable(name, enabled, progress, interrupt.cancel())
        })?;
        let aside = if is_new { "" } else { "as before" };
        done(
            ui,
            if enabled { "Enabled" } else { "Disabled" },
            name,
            aside,
        );
    }
    Ok(())
}
