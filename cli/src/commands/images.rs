//! `msb images`

use jiff::Timestamp;
use jiff::tz::TimeZone;
use msb_host::digest::Digest;
use msb_host::image::{self, ImageRow, NO_REFERENCE};

use super::{DataFormat, open_store};
use crate::error::CommandError;
use crate::escape::escaped;
use crate::ui::Ui;
use crate::{size, table};

/// List images in the local cache.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb images
  msb images --format json
  msb images -q               # References only")]
pub(crate) struct Args {
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
    /// Show only image references; digests of images that have none.
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(args: &Args, ui: Ui) -> Result<(), CommandError> {
    let (_, store) = open_store()?;
    let rows: Vec<ImageRow> = image::list(&store)?
        .iter()
        .flat_map(image::ImageSummary::rows)
        .collect();
    if args.format == Some(DataFormat::Json) {
        return ui.json(&rows);
    }
    if args.quiet {
        let names: Vec<String> = rows
            .iter()
            .map(|row| match row.reference.as_str() {
                NO_REFERENCE => row.digest.clone(),
                reference => escaped(reference),
            })
            .collect();
        return ui.data(names.iter().map(String::as_str));
    }
    if rows.is_empty() {
        ui.status("No images found.");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let lines = table::lines(&["REFERENCE", "DIGEST", "SIZE", "CREATED"], &rows);
    ui.data(lines.iter().map(String::as_str))
}

fn cells(row: &ImageRow) -> Vec<String> {
    vec![
        escaped(&row.reference),
        short_digest(&row.digest),
        size::bytes(row.size_bytes),
        local_time(&row.created_at),
    ]
}

/// Returns `sha256:` and the first twelve digits.
pub(super) fn short_digest(digest: &str) -> String {
    match digest.parse::<Digest>() {
        Ok(digest) => format!("{}:{}", digest.algorithm().name(), digest.short()),
        Err(_) => escaped(digest),
    }
}

/// Returns a time of the catalogue as the clock on the wall shows it.
pub(super) fn local_time(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(time) => time
            .to_zoned(TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        Err(_) => escaped(text),
    }
}
