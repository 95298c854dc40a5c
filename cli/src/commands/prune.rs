//! `msb image prune`

use std::error::Error as _;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use msb_host::store::StoreError;
use msb_host::{Error, ImageFilter, PruneReport};

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
/// Without options, every image goes that no sandbox uses. Images used by existing sandboxes are never
/// removed. Use `msb rmi --force` for these.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb image prune
  msb image prune --yes
  msb image prune --dangling             # Only images without a name
  msb image prune --older-than 30d --dry-run
  msb image prune --keep 3 --filter 'reference=ghcr.io/my-org/*'
  msb image prune --max-size 20GiB
  msb image prune --format json")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Args {
    /// Remove only images without a name.
    #[arg(long)]
    dangling: bool,
    /// Remove only images that were not used for so long: 90s, 45m, 12h, 30d, 8w.
    #[arg(long, value_name = "TIME", value_parser = size::parse_time)]
    older_than: Option<Duration>,
    /// Remove only images that match, as for `msb images`. Of an image with several names, those that match
    /// go.
    #[arg(long = "filter", value_name = "KEY=VALUE")]
    filters: Vec<ImageFilter>,
    /// Keep so many names of each repository: those that were given last.
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Remove the least used images, until all together take no more than this: 500MiB, 20GiB, 20GB.
    #[arg(long, value_name = "SIZE", value_parser = size::parse_bytes)]
    max_size: Option<u64>,
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

impl Args {
    /// Returns the words for what is asked about.
    fn meant(&self) -> &'static str {
        if self.max_size.is_some() {
            "the least used cached images"
        } else if self.dangling {
            "cached images without a name"
        } else if self.older_than.is_some() || self.keep.is_some() || !self.filters.is_empty() {
            "the cached images that match"
        } else {
            "all cached images"
        }
    }
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    if !args.yes && !args.dry_run && !confirmed(ui, args)? {
        ui.status("Aborted.");
        return Ok(());
    }
    let mut prune = commands::open()?.prune().dry_run(args.dry_run);
    if args.dangling {
        prune = prune.filter(ImageFilter::Dangling(true));
    }
    for filter in args.filters.iter().cloned() {
        prune = prune.filter(filter);
    }
    if let Some(time) = args.older_than {
        prune = prune.unused_for(time);
    }
    if let Some(names) = args.keep {
        prune = prune.keep(names);
    }
    if let Some(bytes) = args.max_size {
        prune = prune.max_bytes(bytes);
    }
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
    ui.data(&text(&report, args.dry_run))
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
fn confirmed(ui: Ui, args: &Args) -> Result<bool, CommandError> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(CommandError::new(
            "non-interactive terminal; use --yes to prune cached images",
        ));
    }
    ui.prompt(&format!(
        "Remove {} not used by sandboxes? [y/N] ",
        args.meant()
    ));
    let mut answer = String::new();
    stdin
        .lock()
        .read_line(&mut answer)
        .map_err(|error| CommandError::new("could not read the answer").because(&error))?;
    if !answer.ends_with('\n') {
        // The end of the input leaves the cursor after the question.
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

fn text(report: &PruneReport, is_told_by_name: bool) -> String {
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
    if is_told_by_name {
        page.section("Images");
        for name in &report.removed {
            page.line(name);
        }
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
            text(&report, false),
            "Image refs:  3\n\
             Manifests:   2\n\
             Layers:      5\n\
             Reclaimed:   14.0 MiB\n\
             In use:      1\n"
        );
        let told = text(
            &PruneReport {
                removed: vec!["app:1".to_owned()],
                ..report
            },
            true,
        );
        assert!(told.ends_with("\nImages\n  app:1\n"), "{told}");
        let kept = PruneReport {
            skipped_in_use: 1,
            ..PruneReport::default()
        };
        assert!(is_empty(&kept));
        assert_eq!(text(&kept, false), "In use:      1\n");
        assert_eq!(text(&PruneReport::default(), false), "");
    }
}
