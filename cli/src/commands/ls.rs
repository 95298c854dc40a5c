//! `msb image ls`

use std::path::PathBuf;

use msb_host::{FileEntry, FileKind};

use super::{DataFormat, images};
use crate::commands;
use crate::error::CommandError;
use crate::escape::escaped_bytes;
use crate::listing::Listing;
use crate::table::{Cut, Table};
use crate::ui::{Role, Ui};
use crate::{size, time};

/// List the images in the local cache, or what lies inside of one.
///
/// With REF, the files of the image are listed without mounting it: mode, owner, size, time, name, and
/// the target of a link. A symbolic link to a directory is followed at the end of PATH.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb image ls
  msb image ls alpine                     # Its root directory
  msb image ls alpine /etc
  msb image ls -R -q alpine /usr          # All paths below
  msb image ls --format json alpine /etc")]
pub(crate) struct Args {
    /// The image to look into: a reference, a digest, or the first digits of one.
    #[arg(value_name = "REF")]
    reference: Option<String>,
    /// What to list in the image.
    #[arg(value_name = "PATH", default_value = "/")]
    path: PathBuf,
    /// List everything below PATH.
    #[arg(short = 'R', long, requires = "reference")]
    recursive: bool,
    #[command(flatten)]
    list: images::Options,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: Args) -> Result<(), CommandError> {
    let Some(reference) = args.reference else {
        return images::list(ui, &[], &args.list);
    };
    let msb = commands::open()?;
    let (format, quiet) = (args.list.format, args.list.quiet);
    if args.recursive {
        let listing = match format {
            Some(DataFormat::Json) => Listing::array(ui),
            None => Listing::lines(ui),
        };
        let shown = listing.clone();
        let visit = move |entry: FileEntry| match (format, quiet) {
            (Some(DataFormat::Json), true) => shown.value(&path(&entry)),
            (Some(DataFormat::Json), false) => shown.value(&entry),
            (None, true) => shown.line(&escaped_bytes(&rooted(&entry.path))),
            (None, false) => shown.line(&line(ui, &entry)),
        };
        msb.walk_files(reference, args.path, visit).run()?;
        return listing.finish();
    }
    let entries = msb.list_files(reference, args.path).run()?;
    match (format, quiet) {
        (Some(DataFormat::Json), true) => ui.json(&entries.iter().map(path).collect::<Vec<_>>()),
        (Some(DataFormat::Json), false) => ui.json(&entries),
        (None, true) => {
            let names = entries
                .iter()
                .map(|entry| escaped_bytes(entry.name()) + "\n");
            ui.data(&names.collect::<String>())
        }
        (None, false) if entries.is_empty() => {
            ui.status("The directory is empty.");
            Ok(())
        }
        (None, false) => ui.table(Table {
            header: &["MODE", "OWNER", "SIZE", "MODIFIED", "NAME"],
            rows: entries
                .iter()
                .map(|entry| {
                    let [mode, owner, size, time] = columns(entry);
                    vec![mode, owner, size, time, name(ui, entry, entry.name())]
                })
                .collect(),
            cuts: &[(4, Cut::End)],
        }),
    }
}

/// Returns the line of an entry whose neighbours are not known yet.
fn line(ui: Ui, entry: &FileEntry) -> String {
    let [mode, owner, size, time] = columns(entry);
    let name = name(ui, entry, &rooted(&entry.path));
    format!("{mode}  {owner:<9}  {size:>10}  {time}  {name}")
}

fn columns(entry: &FileEntry) -> [String; 4] {
    let size = match (&entry.device, entry.kind) {
        (Some(device), _) => format!("{}, {}", device.major, device.minor),
        (None, FileKind::File) => size::bytes(entry.size_bytes),
        (None, _) => "-".to_owned(),
    };
    [
        entry.mode_text(),
        format!("{}:{}", entry.uid, entry.gid),
        size,
        time::local(&entry.mtime_text()),
    ]
}

/// Returns a name in the colour of what it is, and where a link leads.
fn name(ui: Ui, entry: &FileEntry, name: &[u8]) -> String {
    let name = escaped_bytes(name);
    let role = match entry.kind {
        FileKind::Directory => Some(Role::Directory),
        FileKind::Symlink => Some(Role::Link),
        FileKind::File if entry.permissions & 0o111 != 0 => Some(Role::Program),
        FileKind::File => None,
        _ => Some(Role::Device),
    };
    let mut text = match role {
        Some(role) => ui.coloured(role, &name).into_owned(),
        None => name,
    };
    if let Some(target) = &entry.link_target {
        text.extend([" -> ", &escaped_bytes(target)]);
    }
    if let Some(first) = &entry.hard_link_to {
        text.extend([" link to ", &escaped_bytes(&rooted(first))]);
    }
    text
}

fn path(entry: &FileEntry) -> String {
    String::from_utf8_lossy(&rooted(&entry.path)).into_owned()
}

/// Returns a path with the slash at its beginning.
pub(super) fn rooted(path: &[u8]) -> Vec<u8> {
    [b"/", path].concat()
}
