//! `msb image diff`

use msb_host::{Change, Difference, FileEntry};

use super::DataFormat;
use super::ls::rooted;
use crate::commands;
use crate::error::CommandError;
use crate::escape::escaped_bytes;
use crate::listing::Listing;
use crate::size;
use crate::ui::{Role, Ui};

/// Show in what the files of two images differ.
///
/// Each line has a path: `A` was added, `C` was changed, `D` is gone in the second image. What changed
/// follows in brackets. The exit code is 0 whether there are differences or not.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb image diff alpine:3.22 alpine:3.23
  msb image diff --ignore-times app:1 app:2   # Two builds of the same files
  msb image diff --format json app:1 app:2")]
pub(crate) struct Args {
    /// The first image: a reference, a digest, or the first digits of one.
    #[arg(value_name = "REF")]
    first: String,
    /// The image that is compared with it.
    #[arg(value_name = "REF")]
    second: String,
    /// Leave out what differs in its time alone.
    #[arg(long)]
    ignore_times: bool,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: Args) -> Result<(), CommandError> {
    let msb = commands::open()?;
    let listing = match args.format {
        Some(DataFormat::Json) => Listing::array(ui),
        None => Listing::lines(ui),
    };
    let shown = listing.clone();
    let visit = move |change: Change| match args.format {
        Some(DataFormat::Json) => shown.value(&change),
        None => shown.line(&line(ui, &change)),
    };
    msb.diff(args.first, args.second, visit)
        .ignore_times(args.ignore_times)
        .run()?;
    listing.finish()
}

fn line(ui: Ui, change: &Change) -> String {
    let (letter, role) = match change {
        Change::Added(_) => ("A", Role::Done),
        Change::Changed { .. } => ("C", Role::Warning),
        Change::Removed(_) => ("D", Role::Error),
    };
    let path = escaped_bytes(&rooted(&change.entry().path));
    let mut line = ui.coloured(role, &format!("{letter} {path}")).into_owned();
    if let Change::Changed {
        before,
        after,
        differences,
    } = change
    {
        let told = differences.iter().map(|it| told(*it, before, after));
        let told = told.collect::<Vec<_>>().join(", ");
        line += &ui.coloured(Role::Aside, &format!(" ({told})"));
    }
    line
}

/// Returns a difference with what was and what is, if that is short.
fn told(difference: Difference, before: &FileEntry, after: &FileEntry) -> String {
    let from_to = |text: &dyn Fn(&FileEntry) -> String| {
        format!("{} {} -> {}", difference.name(), text(before), text(after))
    };
    match difference {
        Difference::Type => from_to(&|entry| entry.kind.name().to_owned()),
        Difference::Mode => from_to(&|entry| format!("{:04o}", entry.permissions)),
        Difference::Owner => from_to(&|entry| format!("{}:{}", entry.uid, entry.gid)),
        Difference::Size => from_to(&|entry| size::bytes(entry.size_bytes)),
        Difference::Target => {
            from_to(&|entry| escaped_bytes(entry.link_target.as_deref().unwrap_or_default()))
        }
        Difference::Device => from_to(&|entry| {
            let device = entry.device.unwrap_or_default();
            format!("{}:{}", device.major, device.minor)
        }),
        _ => difference.name().to_owned(),
    }
}
