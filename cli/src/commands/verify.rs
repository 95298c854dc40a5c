//! `msb image verify`

use msb_host::{Damage, VerifiedImage, VerifyReport};

use super::{DataFormat, short_digest};
use crate::commands;
use crate::complete::images;
use crate::error::CommandError;
use crate::page::Page;
use crate::progress::Work;
use crate::size;
use crate::ui::Ui;

/// Check that stored images are still what was loaded.
///
/// The tar of each layer is rebuilt and compared with its digest, and so is everything else that
/// is stored of an image. Without any REF all images are checked, and the catalogue with them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 1 means that something is damaged or cannot be read, whether it was dropped, restored
or left.

Examples:
  msb image verify
  msb image verify python --format json
  msb image verify --repair && echo whole
  msb image verify --repair --force   # Also what sandboxes use")]
pub(crate) struct Args {
    /// The images: references, digests, or the first digits of one [default: all].
    #[arg(value_name = "REF", add = images())]
    references: Vec<String>,
    /// Remove damaged files, which loading the image again restores, and rebuild a damaged or lost
    /// catalogue.
    #[arg(long)]
    repair: bool,
    /// Remove damaged layers even if sandboxes use them.
    #[arg(long, requires = "repair")]
    force: bool,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
    /// Show only errors.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let verify = commands::open()?.verify(&args.references);
    let verify = verify.repair(args.repair).force(args.force);
    let report = commands::perform(ui, Work::Verify, verify)?;
    match args.format {
        Some(DataFormat::Json) => ui.json(&report)?,
        None if args.quiet => {}
        None => ui.data(&text(&report))?,
    }
    if report.is_sound() {
        return Ok(());
    }
    Err(failure(&report, args.repair))
}

/// Returns what is to be told of a report that is not sound, and what to do next.
fn failure(report: &VerifyReport, repair: bool) -> CommandError {
    let count = |is_counted: &dyn Fn(&VerifiedImage) -> bool| {
        counted(
            report
                .images
                .iter()
                .filter(|image| is_counted(image))
                .count(),
            "image",
        )
    };
    let is_any = |is_it: fn(&Damage) -> bool| report.damage().any(is_it);
    let in_images = report.images.iter().flat_map(|image| &image.damage);
    let message = if in_images.clone().any(proven) {
        format!(
            "damage in {}",
            count(&|image| image.damage.iter().any(proven))
        )
    } else if in_images.count() > 0 {
        format!(
            "could not read all of {}",
            count(&VerifiedImage::is_unreadable)
        )
    } else {
        // All of it is in the report; the first finding says what kind of damage it is.
        let first = report.store.first();
        let what = first.map_or_else(String::new, |damage| {
            format!("`{}`: {}", damage.file.display(), damage.what)
        });
        if report.store.iter().all(|damage| damage.repaired) {
            format!("the catalogue was damaged, and is restored: {what}")
        } else {
            format!("the catalogue is damaged: {what}")
        }
    };
    let mut error = CommandError::new(message);
    if is_any(|damage| damage.unreadable) {
        error = error.hint(
            "what cannot be read is not dropped: look at the cause, such as a failing disk or too \
             few open files, and verify again",
        );
    }
    if is_any(|damage| !damage.in_use_by.is_empty()) {
        error = error
            .hint("`msb image verify --repair --force` drops layers although a sandbox uses them");
    }
    if !repair && is_any(proven) {
        error = error.hint(
            "`msb image verify --repair` restores the catalogue and drops what is damaged; then \
             load the images again",
        );
    } else if is_any(|damage| damage.dropped) {
        error = error.hint("the damaged files were removed; load the images again to restore them");
    } else if is_any(|damage| proven(damage) && !damage.repaired && damage.in_use_by.is_empty()) {
        error = error.hint("load the images that are missing again");
    }
    error
}

fn proven(damage: &Damage) -> bool {
    !damage.unreadable
}

fn text(report: &VerifyReport) -> String {
    let mut page = Page::new(0);
    for image in &report.images {
        page.line(&heading(image));
        if !image.unproven.is_empty() {
            page.line(&format!(
                "  {} adopted from microsandbox: as they were then, their diff_ids unproven",
                counted(image.unproven.len(), "layer")
            ));
        }
        for damage in &image.damage {
            detail(&mut page, damage);
        }
    }
    for damage in &report.store {
        detail(&mut page, damage);
    }
    page.line(&format!(
        "{}, {}, {} of tar",
        counted(report.images.len(), "image"),
        counted(report.layers, "layer"),
        size::bytes(report.bytes)
    ));
    page.into_text()
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

fn heading(image: &VerifiedImage) -> String {
    let state = if image.sound {
        "sound"
    } else if image.is_unreadable() {
        "unreadable"
    } else {
        "damaged"
    };
    format!(
        "{state:<10}  {}  {}",
        short_digest(&image.digest),
        image.reference
    )
}

fn detail(page: &mut Page, damage: &Damage) {
    page.line(&format!("  {}", damage.file.display()));
    let end = if damage.dropped {
        " (dropped)".to_owned()
    } else if damage.repaired {
        " (repaired)".to_owned()
    } else if damage.in_use_by.is_empty() {
        String::new()
    } else {
        format!(" (kept: used by sandbox {})", damage.in_use_by.join(", "))
    };
    page.line(&format!("    {}{end}", damage.what));
}
