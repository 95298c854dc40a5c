//! `msb image history`

use msb_host::HistoryStep;

use super::DataFormat;
use crate::commands;
use crate::complete::images;
use crate::error::CommandError;
use crate::escape::escaped;
use crate::table::{self, Cut, Table};
use crate::ui::Ui;
use crate::{size, time};

/// The most columns of a command, unless it is shown in full.
const COMMAND: usize = 45;

/// Show the steps in which an image was made, the last one first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Sizes are those of the layers as tar archives, not compressed.

Examples:
  msb image history python
  msb image history python --no-trunc
  msb image history python --format json")]
pub(crate) struct Args {
    /// The image: a reference, a digest, or the first digits of one.
    #[arg(value_name = "REF", add = images())]
    reference: String,
    /// Do not shorten commands and digests.
    #[arg(long)]
    no_trunc: bool,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let steps = commands::open()?.history(&args.reference).run()?;
    match args.format {
        Some(DataFormat::Json) => ui.json(&steps),
        None => ui.table(Table {
            header: &["LAYER", "CREATED", "SIZE", "CREATED BY"],
            rows: steps.iter().map(|step| row(step, args.no_trunc)).collect(),
            cuts: if args.no_trunc { &[] } else { &[(3, Cut::End)] },
        }),
    }
}

fn row(step: &HistoryStep, in_full: bool) -> Vec<String> {
    let created = step.created.as_deref().map(time::local);
    let command = step.created_by.as_deref().or(step.comment.as_deref());
    let command = escaped(command.unwrap_or_default());
    vec![
        match &step.diff_id {
            Some(diff_id) if in_full => diff_id.to_string(),
            Some(diff_id) => diff_id.short().to_owned(),
            None => "-".to_owned(),
        },
        escaped(created.as_deref().unwrap_or("-")).into_owned(),
        step.size_bytes
            .map_or_else(|| "missing".to_owned(), size::bytes),
        if in_full {
            command.into_owned()
        } else {
            table::cut_end(&command, COMMAND)
        },
    ]
}
