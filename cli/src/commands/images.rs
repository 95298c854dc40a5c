//! `msb images`, and `msb image ls` without an image

use msb_host::image::NO_REFERENCE;
use msb_host::{ImageList, ImageSummary};

use super::{DataFormat, short_digest};
use crate::commands;
use crate::error::CommandError;
use crate::escape::escaped;
use crate::ui::Ui;
use crate::{size, table, time};

/// List the images in the local cache, the newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb images
  msb images --format json
  msb images -q               # References only")]
pub(crate) struct Args {
    /// Output format.
    #[arg(long, value_enum)]
    pub(super) format: Option<DataFormat>,
    /// Show only image references, and the digests of images without one.
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let list = commands::open()?.images().run()?;
    show(ui, args, &list)?;
    match list.incomplete {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

fn show(ui: Ui, args: &Args, list: &ImageList) -> Result<(), CommandError> {
    let images = &list.images;
    match (args.format, args.quiet) {
        (Some(DataFormat::Json), true) => ui.json(&references(images)),
        (Some(DataFormat::Json), false) => {
            let rows: Vec<_> = images.iter().flat_map(ImageSummary::rows).collect();
            ui.json(&rows)
        }
        (None, true) => ui.data(&lines(&references(images))),
        (None, false) if images.is_empty() => {
            if list.incomplete.is_none() {
                ui.status("No images found.");
            }
            Ok(())
        }
        (None, false) => ui.table(&table::lines(
            &["REFERENCE", "DIGEST", "SIZE", "CREATED"],
            &images.iter().flat_map(rows).collect::<Vec<_>>(),
        )),
    }
}

/// Returns what each image can be named by.
fn references(images: &[ImageSummary]) -> Vec<String> {
    let names = |image: &ImageSummary| {
        if image.references.is_empty() {
            return vec![image.digest.to_string()];
        }
        image.references.iter().map(ToString::to_string).collect()
    };
    images.iter().flat_map(names).collect()
}

fn lines(texts: &[String]) -> String {
    texts
        .iter()
        .flat_map(|text| [escaped(text), "\n".into()])
        .collect()
}

fn rows(image: &ImageSummary) -> Vec<Vec<String>> {
    let row = |reference: &str| {
        vec![
            escaped(reference).into_owned(),
            short_digest(&image.digest),
            size::bytes(image.size_bytes),
            escaped(&time::local(&image.created_at)).into_owned(),
        ]
    };
    if image.references.is_empty() {
        return vec![row(NO_REFERENCE)];
    }
    image
        .references
        .iter()
        .map(|reference| row(&reference.familiar()))
        .collect()
}
