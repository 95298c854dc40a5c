//! `msb image verify`

use msb_host::image::{self, Damage, VerifiedImage, VerifyOptions, VerifyReport};

use super::{DataFormat, open_store, short_digest};
use crate::error::CommandError;
use crate::interrupt::Interrupt;
use crate::page::Page;
use crate::progress::{self, Work};
use crate::size;
use crate::ui::Ui;

/// Check that stored images are still what was loaded.
///
/// The tar of each layer is rebuilt and compared with its digest, and so is everything else that
/// is stored of an image. Without any REF all images are checked, and the catalogue with them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 1 means that something is damaged, whether it was dropped or not.

Examples:
  msb image verify
  msb image verify python --format json
  msb image verify --repair && echo whole")]
pub(crate) struct Args {
    /// The images: references, digests, or the first digits of one [default: all].
    #[arg(value_name = "REF")]
    references: Vec<String>,
    /// Drop what is damaged, so that loading the image again makes it anew.
    #[arg(long)]
    repair: bool,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
    /// Show nothing but errors.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let store = open_store()?;
    let options = VerifyOptions {
        repair: args.repair,
    };
    let interrupt = Interrupt::watch();
    let report = progress::during(ui, Work::Verify, |progress| {
        let cancel = interrupt.cancel();
        image::verify(&store, &args.references, options, progress, cancel)
    });
    let report = interrupt.settle(report)?;
    match args.format {
        Some(DataFormat::Json) => ui.json(&report)?,
        None if args.quiet => {}
        None => ui.data(&text(&report))?,
    }
    if report.is_sound() {
        return Ok(());
    }
    let damaged = report.images.iter().filter(|image| !image.sound).count();
    let message = match damaged {
        0 => "the catalogue is damaged".to_owned(),
        count => format!("damage in {}", counted(count, "image")),
    };
    let hint = if args.repair {
        "what was damaged is gone: load the images again to make it anew"
    } else {
        "`msb image verify --repair` drops what is damaged; then load the images again"
    };
    Err(CommandError::new(message).hint(hint))
}

fn text(report: &VerifyReport) -> String {
    let mut page = Page::new(0);
    for image in &report.images {
        page.line(&heading(image));
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
    let state = if image.sound { "sound" } else { "damaged" };
    format!(
        "{state:<8}  {}  {}",
        short_digest(&image.digest),
        image.reference
    )
}

fn detail(page: &mut Page, damage: &Damage) {
    page.line(&format!("  {}", damage.file.display()));
    let end = if damage.dropped { " (dropped)" } else { "" };
    page.line(&format!("    {}{end}", damage.what));
}
