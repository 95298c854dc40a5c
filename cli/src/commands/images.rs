//! `msb images`, and `msb image ls` without an image

use clap::ValueEnum;
use msb_host::image::{ImageRow, NO_REFERENCE};
use msb_host::{Digest, ImageFilter, ImageList, ImageSort, ImageSummary, NamePattern};

use super::{DataFormat, short_digest};
use crate::commands;
use crate::error::CommandError;
use crate::escape::escaped;
use crate::table::{Cut, Table};
use crate::ui::Ui;
use crate::{size, time};

/// List the images in the local cache, the newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Filters, all of which an image must match:
  reference=PATTERN  one of its names matches, as for NAME
  label=KEY[=VALUE]  its configuration has the label
  dangling=BOOL      it has no name (true), or has one (false)
  before=IMAGE       it came into the store before that image
  since=IMAGE        it came into the store after that image

Examples:
  msb images
  msb images alpine 'ghcr.io/my-org/*'
  msb images --filter dangling=true
  msb images --sort size --digests
  msb images --format json
  msb images -q               # References only")]
pub(crate) struct Args {
    /// Show only images with this name: without a tag, under all tags. `*`, `?` and `[a-z]` work as in
    /// file names.
    #[arg(value_name = "NAME")]
    names: Vec<NamePattern>,
    #[command(flatten)]
    options: Options,
}

/// What is shown of which images, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Show only images that match.
    #[arg(short, long = "filter", value_name = "KEY=VALUE")]
    filters: Vec<ImageFilter>,
    /// Change the order.
    #[arg(long, value_enum, value_name = "BY", default_value_t = Sort::Created, hide_default_value = true)]
    sort: Sort,
    /// Show the digests of manifests as well.
    #[arg(long)]
    digests: bool,
    /// Do not shorten names, IDs and digests.
    #[arg(long)]
    no_trunc: bool,
    /// Output format.
    #[arg(long, value_enum)]
    pub(super) format: Option<DataFormat>,
    /// Show only image references, and the digests of images without one.
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// The order of the list.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    /// The newest first (the default).
    Created,
    /// By name.
    #[value(alias = "name", alias = "repository")]
    Reference,
    /// The largest first.
    Size,
    /// By ID.
    Id,
}

impl From<Sort> for ImageSort {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Created => Self::Created,
            Sort::Reference => Self::Reference,
            Sort::Size => Self::Size,
            Sort::Id => Self::Id,
        }
    }
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    list(ui, &args.names, &args.options)
}

/// Lists the images with names like these, or all.
pub(crate) fn list(ui: Ui, names: &[NamePattern], args: &Options) -> Result<(), CommandError> {
    let mut images = commands::open()?.images().sort(args.sort.into());
    for name in names.iter().cloned() {
        images = images.name(name);
    }
    for filter in args.filters.iter().cloned() {
        images = images.filter(filter);
    }
    let list = images.run()?;
    show(ui, args, &list)?;
    match list.incomplete {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

fn show(ui: Ui, args: &Options, list: &ImageList) -> Result<(), CommandError> {
    match (args.format, args.quiet) {
        (Some(DataFormat::Json), true) => ui.json(&references(list)),
        (Some(DataFormat::Json), false) => ui.json(&list.rows()),
        (None, true) => ui.data(&lines(&references(list))),
        (None, false) if list.images.is_empty() => {
            if list.incomplete.is_none() {
                ui.status("No images found.");
            }
            Ok(())
        }
        (None, false) => ui.table(table(args, list)),
    }
}

/// Returns what each image can be named by, in the order of the list.
fn references(list: &ImageList) -> Vec<String> {
    if list.sort == ImageSort::Reference {
        let rows = list.rows().into_iter();
        return rows
            .map(|row| match row.reference.as_str() {
                NO_REFERENCE => row.digest,
                _ => row.reference,
            })
            .collect();
    }
    let names = |image: &ImageSummary| {
        if image.references.is_empty() {
            return vec![image.digest.to_string()];
        }
        image.references.iter().map(ToString::to_string).collect()
    };
    list.images.iter().flat_map(names).collect()
}

fn lines(texts: &[String]) -> String {
    texts
        .iter()
        .flat_map(|text| [escaped(text), "\n".into()])
        .collect()
}

fn table(args: &Options, list: &ImageList) -> Table<'static> {
    Table {
        header: if args.digests {
            &["REFERENCE", "DIGEST", "ID", "SIZE", "CREATED"]
        } else {
            &["REFERENCE", "ID", "SIZE", "CREATED"]
        },
        rows: list.rows().iter().map(|it| row(args, it)).collect(),
        cuts: if args.no_trunc {
            &[]
        } else {
            &[(0, Cut::Start)]
        },
    }
}

fn row(args: &Options, row: &ImageRow) -> Vec<String> {
    let short = |digest: &str, shorten: fn(&Digest) -> String| match digest.parse::<Digest>() {
        Ok(digest) if !args.no_trunc => shorten(&digest),
        _ => escaped(digest).into_owned(),
    };
    let mut cells = vec![
        escaped(&row.reference).into_owned(),
        short(&row.id, |id| id.short().to_owned()),
        size::bytes(row.size_bytes),
        escaped(&time::local(&row.created_at)).into_owned(),
    ];
    if args.digests {
        cells.insert(1, short(&row.digest, short_digest));
    }
    cells
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Options,
    }

    fn shown(line: &str, columns: Option<usize>) -> Vec<String> {
        let words = ["images"].into_iter().chain(line.split_whitespace());
        let args = Line::try_parse_from(words).unwrap().args;
        let list = ImageList {
            images: vec![ImageSummary {
                references: vec!["ghcr.io/an-org/an-app-with-a-long-name:v1".parse().unwrap()],
                digest: Digest::of(b"manifest"),
                config_digest: Digest::of(b""),
                platform: "linux/amd64".parse().unwrap(),
                layer_count: 1,
                size_bytes: 2048,
                created_at: "then".to_owned(),
            }],
            sort: args.sort.into(),
            incomplete: None,
        };
        table(&args, &list).lines(columns)
    }

    #[test]
    fn a_narrow_terminal_cuts_names_at_their_beginning() {
        for columns in [40, 60, 80, 120] {
            let lines = shown("", Some(columns));
            let widths = lines.iter().map(|line| console::measure_text_width(line));
            assert!(widths.max() <= Some(columns), "{columns}: {lines:#?}");
            let gap = if columns < 80 { 2 } else { 4 };
            let cells = format!("name:v1{:gap$}e3b0c44298fc", "");
            assert!(lines[1].contains(&cells), "{lines:#?}");
        }
        assert!(shown("", Some(60))[1].starts_with('…'));
        assert!(
            shown("", Some(40))[1].starts_with("…-a-long-name:v1"),
            "{:?}",
            shown("", Some(40))
        );
        for lines in [shown("", None), shown("--no-trunc", Some(40))] {
            assert!(lines[1].starts_with("ghcr.io/an-org/"), "{lines:#?}");
        }
    }

    #[test]
    fn digests_are_a_column_of_their_own_and_shortened_unless_that_is_unwanted() {
        let short = shown("--digests", None);
        assert!(short[0].starts_with("REFERENCE"), "{short:#?}");
        assert!(short[0].contains("DIGEST"), "{short:#?}");
        assert!(!shown("", None)[0].contains("DIGEST"));
        let full = shown("--digests --no-trunc", None);
        for digest in [Digest::of(b""), Digest::of(b"manifest")] {
            assert!(!short[1].contains(&digest.to_string()), "{short:#?}");
            assert!(short[1].contains(digest.short()), "{short:#?}");
            assert!(full[1].contains(&digest.to_string()), "{full:#?}");
        }
    }
}
