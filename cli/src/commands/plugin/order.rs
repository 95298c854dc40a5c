//! `msb plugin order`

use msb_host::plugin::Position;

use super::{changed, done};
use crate::error::CommandError;
use crate::ui::Ui;

/// Have a plugin asked before or after another one.
///
/// `plugins.order` in config.json comes before this order.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("place").required(true), after_help = "\
Examples:
  msb plugin order vault --before keychain")]
pub(crate) struct Args {
    /// The plugin.
    name: String,
    /// The one that it comes before.
    #[arg(long, value_name = "PLUGIN", group = "place")]
    before: Option<String>,
    /// The one that it comes after.
    #[arg(long, value_name = "PLUGIN", group = "place")]
    after: Option<String>,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let (position, word) = match (&args.before, &args.after) {
        (Some(other), _) => (Position::Before(other.clone()), "before"),
        (None, other) => (Position::After(other.clone().unwrap_or_default()), "after"),
    };
    changed(ui, |bench, progress, interrupt| {
        let cancel = interrupt.cancel();
        bench
            .installed
            .reorder(&args.name, &position, progress, cancel)
    })?;
    let aside = format!("{word} {}", position.other());
    done(ui, "Ordered", &args.name, &aside);
    Ok(())
}
