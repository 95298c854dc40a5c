//! `msb df`

use msb_host::DiskUsage;
use msb_host::image::ImageUsage;

use super::DataFormat;
use crate::commands;
use crate::error::CommandError;
use crate::escape::escaped;
use crate::progress::Work;
use crate::table::{Cut, Table};
use crate::ui::Ui;
use crate::{size, time};

/// Show what the home of msb takes of the disk, and what of it can go.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Sizes are those on the disk. What images share counts once. What RECLAIMABLE says of images,
`msb image prune` frees; `msb image prune --dangling` removes only images without a name.

Examples:
  msb df
  msb df --verbose           # Each image
  msb df --format json")]
pub(crate) struct Args {
    /// Show what each image takes, and when it was last used.
    #[arg(short, long)]
    verbose: bool,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let df = commands::open()?.disk_usage();
    let usage = commands::perform(ui, Work::Measure, df)?;
    if args.format == Some(DataFormat::Json) {
        return ui.json(&usage);
    }
    ui.table(parts(&usage))?;
    if args.verbose && !usage.by_image.is_empty() {
        ui.data("\n")?;
        ui.table(images(&usage.by_image))?;
    }
    Ok(())
}

/// Returns the table of all that is there.
fn parts(usage: &DiskUsage) -> Table<'_> {
    let bytes = size::bytes;
    let noun = if usage.images == 1 { "image" } else { "images" };
    let of_images = format!("{} {noun}, {} in use", usage.images, usage.images_in_use);
    let rows = [
        ("Images", bytes(usage.images_bytes), of_images),
        (
            "  shared",
            bytes(usage.shared_bytes),
            "needed by several images".to_owned(),
        ),
        (
            "  merged",
            bytes(usage.merged_bytes),
            "filesystems of whole images".to_owned(),
        ),
        (
            "Parts",
            bytes(usage.parts_bytes),
            "layers that a pull can continue".to_owned(),
        ),
        (
            "In flight",
            bytes(usage.in_flight_bytes),
            "being made now".to_owned(),
        ),
        (
            "Plugins",
            bytes(usage.plugins_bytes),
            "installed and compiled".to_owned(),
        ),
        ("Catalogue", bytes(usage.catalogue_bytes), String::new()),
        ("Total", bytes(usage.total_bytes), String::new()),
        (
            "Reclaimable",
            bytes(usage.reclaimable_bytes),
            format!(
                "with `msb image prune`; {} of it dangling",
                bytes(usage.dangling_bytes)
            ),
        ),
    ];
    Table {
        header: &["WHAT", "SIZE", "NOTE"],
        rows: rows
            .into_iter()
            .map(|(name, size, note)| vec![name.to_owned(), size, note])
            .collect(),
        cuts: &[(2, Cut::End)],
    }
}

/// Returns the table of images.
fn images(images: &[ImageUsage]) -> Table<'_> {
    let row = |image: &ImageUsage| {
        vec![
            escaped(&image.references.join(", ")).into_owned(),
            size::bytes(image.size_bytes),
            size::bytes(image.unique_bytes),
            escaped(&time::local(&image.last_used_at)).into_owned(),
            escaped(&image.used_by.join(", ")).into_owned(),
        ]
    };
    Table {
        header: &["IMAGE", "SIZE", "UNIQUE", "LAST USED", "USED BY"],
        rows: images.iter().map(row).collect(),
        cuts: &[(0, Cut::Start), (4, Cut::End)],
    }
}
