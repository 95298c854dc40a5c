//! `msb image exists`

use serde_json::json;

use super::DataFormat;
use crate::commands;
use crate::complete::images;
use crate::error::{CommandError, Exit};
use crate::ui::Ui;

/// Say by the exit code whether an image is in the local cache.
///
/// 0: it is. 1: it is not. 125: the store cannot say. Nothing is printed without --format, as with
/// podman.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb image exists alpine || msb pull alpine
  msb image exists alpine --format json")]
pub(crate) struct Args {
    /// The image: a reference, a digest, or the first digits of one.
    #[arg(value_name = "REF", add = images())]
    reference: String,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let exists =
        || -> Result<bool, CommandError> { Ok(commands::open()?.exists(&args.reference).run()?) };
    let exists = exists().map_err(|error| error.exiting(Exit::Unanswered))?;
    if args.format == Some(DataFormat::Json) {
        ui.json(&json!({ "exists": exists }))?;
    }
    if exists {
        Ok(())
    } else {
        Err(CommandError::No)
    }
}
