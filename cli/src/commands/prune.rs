//! `msb image prune`

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use msb_host::image::{self, PruneOptions, PruneReport};

use super::{DataFormat, open_store};
use crate::error::CommandError;
use crate::interrupt::cancel_on_signal;
use crate::ui::Ui;
use crate::{progress, size};

/// Remove cached images that are not used by any sandbox, then clean up dangling image artifacts.
///
/// Images used by existing sandboxes are never removed. Use `msb rmi --force` for these.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb image prune
  msb image prune --yes
  msb image prune --format json")]
pub(crate) struct Args {
    /// Skip the confirmation prompt.
    #[arg(short, long)]
    yes: bool,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(args: &Args, ui: Ui) -> Result<(), CommandError> {
    if !args.yes && !confirmed()? {
        ui.status("Aborted.");
        return Ok(());
    }
    let cancel = cancel_on_signal();
    let (_, store) = open_store()?;
    let shown = progress::start(ui, args.quiet);
    let report = image::prune(
        &store,
        PruneOptions::default(),
        shown.progress().as_ref(),
        &cancel,
    );
    shown.finish();
    let report = report?;
    if args.format == Some(DataFormat::Json) {
        return ui.json(&report);
    }
    if args.quiet {
        return Ok(());
    }
    let nothing = PruneReport {
        skipped_in_use: report.skipped_in_use,
        ..PruneReport::default()
    };
    if report == nothing {
        ui.status("Nothing to prune.");
        return Ok(());
    }
    ui.success("Pruned", "image cache", "", std::time::Duration::ZERO);
    let lines = text(&report);
    ui.data(lines.iter().map(String::as_str))
}

fn confirmed() -> Result<bool, CommandError> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(CommandError::new(
            "non-interactive terminal; use --yes to prune cached images",
        ));
    }
    let failed = |error: io::Error| CommandError::new(format!("could not ask: {error}"));
    let mut stderr = io::stderr();
    write!(
        stderr,
        "Remove all cached images not used by sandboxes? [y/N] "
    )
    .and_then(|()| stderr.flush())
    .map_err(failed)?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn text(report: &PruneReport) -> Vec<String> {
    let mut lines = vec![
        format!("Image refs:  {}", report.image_refs_removed),
        format!("Manifests:   {}", report.manifests_removed),
        format!("Layers:      {}", report.layers_removed),
        format!("Reclaimed:   {}", size::bytes(report.bytes_reclaimed)),
    ];
    if report.skipped_in_use > 0 {
        lines.push(format!("In use:      {}", report.skipped_in_use));
    }
    lines
}
