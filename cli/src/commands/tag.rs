//! `msb image tag`, `msb image untag`

use std::time::Duration;

use msb_host::store::MovedReference;
use msb_host::{Digest, Reference};
use serde::Serialize;

use super::DataFormat;
use crate::commands;
use crate::complete::images;
use crate::error::CommandError;
use crate::ui::Ui;

/// Give an image further names.
///
/// A name that another image has is taken from that, which is kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb image tag alpine:3.20 base
  msb image tag 04dfab13c6f1 my-app:latest ghcr.io/my-org/my-app:v1")]
pub(crate) struct TagArgs {
    /// The image: a reference, a digest, or the first digits of one.
    #[arg(value_name = "IMAGE", add = images())]
    image: String,
    /// The names that it gets.
    #[arg(required = true, value_name = "REF", add = images())]
    names: Vec<String>,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
}

/// Take names from images, which are kept even without any.
///
/// `msb rmi` removes an image with its last name. An ID or a digest takes all names of its image.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb image untag my-app:latest
  msb image untag base ghcr.io/my-org/my-app:v1")]
pub(crate) struct UntagArgs {
    /// The names, or the ID of an image that is to lose all of its names.
    #[arg(required = true, value_name = "REF", add = images())]
    names: Vec<String>,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
}

/// What `image tag` prints as JSON.
#[derive(Serialize)]
struct TaggedData {
    digest: String,
    moved: Vec<MovedData>,
    references: Vec<String>,
}

/// A name that led to another image before.
#[derive(Serialize)]
pub(super) struct MovedData {
    previous_digest: String,
    reference: String,
}

/// What `image untag` prints as JSON, for each image.
#[derive(Serialize)]
struct UntaggedData {
    digest: String,
    references: Vec<String>,
    untagged: Vec<String>,
}

impl MovedData {
    /// Returns what is printed of names that have moved.
    pub(super) fn of(moved: &[MovedReference]) -> Vec<Self> {
        let moved = moved.iter();
        moved
            .map(|moved| Self {
                previous_digest: moved.previous.to_string(),
                reference: moved.reference.familiar(),
            })
            .collect()
    }
}

/// Runs `image tag`.
pub(crate) fn tag(ui: Ui, args: &TagArgs) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let names = args
        .names
        .iter()
        .map(|text| text.parse::<Reference>())
        .collect::<Result<Vec<_>, _>>()?;
    let tagged = commands::open()?.tag(&args.image, names.clone()).run()?;
    if args.format == Some(DataFormat::Json) {
        return ui.json(&TaggedData {
            digest: tagged.image.to_string(),
            moved: MovedData::of(&tagged.moved),
            references: familiar(&names),
        });
    }
    note_moved(ui, &tagged.moved);
    for name in &names {
        ui.success("Tagged", &name.familiar(), "", Duration::ZERO);
    }
    Ok(())
}

/// Runs `image untag`. A name that is not there does not keep the others.
pub(crate) fn untag(ui: Ui, args: &UntagArgs) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let msb = commands::open()?;
    let mut done = Vec::new();
    let result = commands::each(ui, "names could not be removed", &args.names, |name| {
        let untagged = msb.untag(name).run()?;
        for name in &untagged.untagged {
            ui.success("Untagged", &name.familiar(), "", Duration::ZERO);
        }
        if untagged.left.is_empty() {
            note_nameless(ui, &untagged.image);
        }
        done.push(UntaggedData {
            digest: untagged.image.to_string(),
            references: familiar(&untagged.left),
            untagged: familiar(&untagged.untagged),
        });
        Ok(())
    });
    if args.format == Some(DataFormat::Json) {
        ui.json(&done)?;
    }
    result
}

/// Says how to go on with images that have lost their name to another one.
pub(super) fn note_moved(ui: Ui, moved: &[MovedReference]) {
    for moved in moved {
        ui.note(&format!(
            "{} named image {} before, which is kept; `msb image prune --dangling` removes images \
             without a name",
            moved.reference,
            moved.previous.short()
        ));
    }
}

fn note_nameless(ui: Ui, image: &Digest) {
    ui.note(&format!(
        "image {} has no name now; `msb rmi {0}` removes it",
        image.short()
    ));
}

fn familiar(names: &[Reference]) -> Vec<String> {
    names.iter().map(Reference::familiar).collect()
}
