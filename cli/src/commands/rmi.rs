//! `msb rmi`, `msb image rm`

use std::time::Duration;

use msb_host::progress::LogLevel;
use msb_host::{Error, Reference, Removed};

use super::prune::without_room;
use crate::commands;
use crate::complete::images;
use crate::error::CommandError;
use crate::size;
use crate::ui::Ui;

/// Remove one or more cached images and their layers (layers shared with other images are kept).
///
/// An image that has several references loses only the one that is named.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb rmi python
  msb rmi alpine ubuntu   # Remove multiple")]
pub(crate) struct Args {
    /// The images: references, digests, or the first digits of one.
    #[arg(required = true, value_name = "REF", add = images())]
    references: Vec<String>,
    /// Remove even if the image is used by existing sandboxes.
    #[arg(short, long)]
    force: bool,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command. What cannot be removed does not keep the others.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let msb = commands::open()?;
    remove_each(ui, &args.references, |selector| {
        msb.remove(selector).force(args.force).run()
    })
}

fn remove_each(
    ui: Ui,
    selectors: &[String],
    remove: impl Fn(&str) -> Result<Removed, Error>,
) -> Result<(), CommandError> {
    commands::each(
        ui,
        "images could not be removed",
        selectors,
        |selector| match remove(selector) {
            Ok(removed) => {
                report(ui, selector, &removed);
                Ok(())
            }
            Err(Error::Store(error)) if error.is_full() => Err(without_room(&error)),
            Err(error) => Err(error.into()),
        },
    )
}

fn report(ui: Ui, selector: &str, removed: &Removed) {
    let verb = match removed.image {
        Some(_) => "Removed",
        None => "Untagged",
    };
    // For an image that was named by its ID: the references that are gone with it.
    let mut names: Vec<String> = removed.untagged.iter().map(Reference::familiar).collect();
    if names.is_empty() {
        names.push(selector.to_owned());
    }
    for name in names {
        ui.success(verb, &name, "", Duration::ZERO);
    }
    match removed.bytes {
        Some(0) => {}
        Some(bytes) => ui.log(
            LogLevel::Info,
            &format!("{} are free now", size::bytes(bytes)),
        ),
        None => ui.note("another msb is using the store; `msb image prune` will free the space"),
    }
}

#[cfg(test)]
mod tests {
    use msb_host::store::StoreError;

    use super::*;
    use crate::error::Exit;

    #[test]
    fn one_that_cannot_be_removed_does_not_keep_the_others() {
        let full = |_: &str| StoreError::Io {
            operation: "write",
            path: "/x".into(),
            source: std::io::ErrorKind::StorageFull.into(),
        };
        let missing = |selector: &str| StoreError::NotFound(selector.to_owned());
        let selectors = ["a", "b", "c"].map(str::to_owned);
        for (failure, exit) in [
            (&full as &dyn Fn(&str) -> StoreError, Exit::Failure),
            (&missing, Exit::NotFound),
        ] {
            let tried = std::cell::RefCell::new(Vec::new());
            let remove = |selector: &str| {
                tried.borrow_mut().push(selector.to_owned());
                if selector == "b" {
                    return Err(failure(selector).into());
                }
                Ok(Removed {
                    untagged: Vec::new(),
                    image: None,
                    layers: 0,
                    bytes: Some(0),
                    users: Vec::new(),
                })
            };
            let ui = Ui::new(None).quiet(true);
            let error = remove_each(ui, &selectors, remove).map_err(|error| error.exit());
            assert_eq!(error, Err(exit));
            assert_eq!(tried.take(), selectors);
        }
        let only = ["b".to_owned()];
        let error = remove_each(Ui::new(None).quiet(true), &only, |_| Err(full("b").into()));
        let shown = format!("{:?}", error.err());
        assert!(shown.contains("remove something else"), "{shown}");
    }
}
