//! `msb plugin push`

use std::path::PathBuf;
use std::time::Duration;

use msb_host::Reference;
use msb_host::installed;

use crate::commands::connection::Connection;
use crate::error::CommandError;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::ui::Ui;

/// Put a plugin into a registry, for others to install.
///
/// The same file always has the same digest there. `SOURCE_DATE_EPOCH` is the time that is written
/// into it; otherwise none is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb plugin push vault.wasm ghcr.io/my-org/vault:1.2")]
pub(crate) struct Args {
    /// The component.
    file: PathBuf,
    /// Where to.
    #[arg(value_name = "REF")]
    reference: String,
    #[command(flatten)]
    connection: Connection,
    /// Print only the digest.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let quiet = ui.quiet(args.quiet);
    let reference: Reference = args.reference.parse()?;
    let plugins = args.connection.open()?.plugin_sources()?;
    let interrupt = Interrupt::watch();
    let digest = progress::during(quiet, Work::Push, |progress| {
        let network = plugins.network_to_push(&interrupt.context(progress));
        let (runtime, cancel) = (plugins.installed().runtime(), interrupt.cancel());
        installed::push(&args.file, &reference, &network, runtime, progress, cancel)
    });
    let digest = interrupt.settle(digest)?;
    quiet.success("Pushed", &reference.familiar(), "", Duration::ZERO);
    ui.data(&format!("{digest}\n"))
}
