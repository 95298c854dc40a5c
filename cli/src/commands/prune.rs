//! `msb image prune`

use std::error::Error as _;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use msb_host::store::StoreError;
use msb_host::{Error, PruneReport};

use super::DataFormat;
use crate::commands;
use crate::error::CommandError;
use crate::interrupt::Interrupt;
use crate::page::Page;
use crate::progress::{self, Work};
use crate::size;
use crate::ui::Ui;

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
    /// Show what would be removed, without removing it.
    #[arg(long)]
    dry_run: bool,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    if !args.yes && !args.dry_run && !confirmed(ui)? {
        ui.status("Aborted.");
        return Ok(());
    }
    let prune = commands::open()?.prune().dry_run(args.dry_run);
    let interrupt = Interrupt::watch();
    let report = progress::during(ui, Work::Prune, |progress| {
        prune
            .progress(Arc::clone(progress))
            .cancel(interrupt.cancel())
            .run()
    });
    let report = match report {
        // The usual advice is to do what has just failed.
        Err(Error::Store(error)) if error.is_full() => return Err(without_room(&error)),
        report => interrupt.settle(report)?,
    };
    if args.format == Some(DataFormat::Json) {
        return ui.json(&report);
    }
    if is_empty(&report) {
        ui.status("Nothing to prune.");
    } else if args.dry_run {
        ui.status("Nothing was removed. A prune would remove:");
    } else {
        ui.success("Pruned", "image cache", "", Duration::ZERO);
    }
    if args.quiet {
        return Ok(());
    }
    ui.data(&text(&report))
}

/// Returns the error of a disk so full that nothing can be removed by msb.
pub(super) fn without_room(error: &StoreError) -> CommandError {
    let shown = CommandError::new(error.to_string());
    let shown = match error.source() {
        Some(source) => shown.because(source),
        None => shown,
    };
    shown.hint("remove something else from that disk first; some hundred KiB are enough")
}

/// Asks the user. Without a terminal, it is an error.
fn confirmed(ui: Ui) -> Result<bool, CommandError> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(CommandError::new(
            "non-interactive terminal; use --yes to prune cached images",
        ));
    }
    ui.prompt("Remove all cached images not used by sandboxes? [y/N] ");
    let mut answer = String::new();
    stdin
        .lock()
        .read_line(&mut answer)
        .map_err(|error| CommandError::new("could not read the answer").because(&error))?;
    if !answer.ends_with('\n') {
        // The end of the input leaves the cursor behind the question.
        ui.prompt("\n");
    }
    Ok(means_yes(&answer))
}

fn means_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Returns whether there was nothing to remove.
fn is_empty(report: &PruneReport) -> bool {
    let nothing = PruneReport {
        skipped_in_use: report.skipped_in_use,
        ..PruneReport::default()
    };
    *report == nothing
}

fn text(report: &PruneReport) -> String {
    let mut page = Page::new(13);
    if !is_empty(report) {
        page.pair("Image refs", &report.image_refs_removed.to_string());
        page.pair("Manifests", &report.manifests_removed.to_string());
        page.pair("Layers", &report.layers_removed.to_string());
        page.pair("Reclaimed", &size::bytes(report.bytes_reclaimed));
    }
    if report.skipped_in_use > 0 {
        page.pair("In use", &report.skipped_in_use.to_string());
    }
    page.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_room_the_advice_is_not_to_prune() {
        let error = StoreError::Io {
            operation: "write",
            path: "/x".into(),
            source: io::ErrorKind::StorageFull.into(),
        };
        let shown = format!("{:?}", without_room(&error));
        assert!(shown.contains("remove something else"), "{shown}");
        assert!(!shown.contains("msb image prune"), "{shown}");
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        for answer in ["y\n", "Y\n", " yes \n", "YES"] {
            assert!(means_yes(answer), "{answer:?}");
        }
        for answer in ["", "\n", "n\n", "yo\n", "y y\n"] {
            assert!(!means_yes(answer), "{answer:?}");
        }
    }

    #[test]
    fn the_report_says_what_went_and_what_had_to_stay() {
        let report = PruneReport {
            image_refs_removed: 3,
            manifests_removed: 2,
            layers_removed: 5,
            bytes_reclaimed: 14_680_064,
            skipped_in_use: 1,
            ..PruneReport::default()
        };
        assert_eq!(
            text(&report),
            "Image refs:  3\n\
             Manifests:   2\n\
             Layers:      5\n\
             Reclaimed:   14.0 MiB\n\
             In use:      1\n"
        );
        let kept = PruneReport {
            skipped_in_use: 1,
            ..PruneReport::default()
        };
        assert!(is_empty(&kept));
        assert_eq!(text(&kept), "In use:      1\n");
        assert_eq!(text(&PruneReport::default()), "");
    }
}
