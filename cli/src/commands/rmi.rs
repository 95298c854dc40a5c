//! `msb rmi`

use msb_host::image::{self, RemoveOptions, Removed};
use msb_host::store::Store;

use super::open_store;
use crate::error::CommandError;
use crate::ui::Ui;

/// Remove one or more cached images and their layers.
///
/// Layers that other images have are kept. Of an image with several references only the one that
/// is named goes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb rmi python
  msb rmi alpine ubuntu   # Remove multiple")]
pub(crate) struct Args {
    /// Images to remove: references, digests or IDs.
    #[arg(required = true, value_name = "REF")]
    references: Vec<String>,
    /// Remove even if the image is used by existing sandboxes.
    #[arg(short, long)]
    force: bool,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(args: &Args, ui: Ui) -> Result<(), CommandError> {
    let (_, store) = open_store()?;
    let mut failed = 0;
    for reference in &args.references {
        match remove(&store, reference, args.force) {
            Ok(removed) if !args.quiet => report(reference, &removed, ui),
            Ok(_) => {}
            // With one image to remove its error is the error of the command.
            Err(error) if args.references.len() == 1 => return Err(error),
            Err(error) => {
                failed += 1;
                ui.error(&error);
            }
        }
    }
    match failed {
        0 => Ok(()),
        failed => Err(CommandError::new(format!(
            "{failed} of {} images could not be removed",
            args.references.len()
        ))),
    }
}

fn remove(store: &Store, reference: &str, force: bool) -> Result<Removed, CommandError> {
    Ok(image::remove(store, reference, RemoveOptions { force })?)
}

fn report(reference: &str, removed: &Removed, ui: Ui) {
    let verb = if removed.image.is_some() {
        "Removed"
    } else {
        "Untagged"
    };
    ui.success(verb, reference, "", std::time::Duration::ZERO);
    if removed.image.is_some() && removed.bytes.is_none() {
        ui.notice("another msb is using the store; the files go with the next `msb image prune`");
    }
}
