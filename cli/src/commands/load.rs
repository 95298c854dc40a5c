//! `msb load`, `msb image load`

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::error::ErrorKind;
use msb_host::{Input, LoadReport, Platform, Reference};
use serde::Serialize;

use super::tag::{MovedData, note_moved};
use super::{DataFormat, names};
use crate::commands;
use crate::error::{CommandError, chain};
use crate::escape::escaped;
use crate::progress::Work;
use crate::ui::Ui;

/// Load a Docker image archive or OCI Image Layout archive into the local cache.
///
/// The archive may be compressed with gzip, zstd, xz or bzip2. An OCI layout, and what `skopeo copy`
/// writes to `dir:`, may also be a directory. Of an archive with images for several platforms, those
/// for this machine are loaded.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
An image that cannot be loaded does not keep the others of the archive from loading; the exit code is
then 1.

Examples:
  docker save my-image:latest | msb load
  msb load --input my-image.tar
  msb load --input oci-layout.tar --tag my-image:latest")]
pub(crate) struct Args {
    /// Read archive from a tar file or a directory instead of stdin.
    #[arg(short, long, value_name = "PATH")]
    input: Option<PathBuf>,
    /// Add a local image reference to the first imported image; may be given several times.
    #[arg(short, long = "tag", value_name = "REF")]
    tags: Vec<String>,
    /// Load the images for this platform instead of those for this machine.
    #[arg(long, value_name = "[OS/]ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Output format, of what was loaded.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
    /// What other tools take here.
    #[arg(hide = true, value_name = "FILE")]
    misplaced: Vec<String>,
}

impl Args {
    /// Refuses a file that is not named by its flag, and says how it is named.
    pub(crate) fn checked(&self) -> Result<(), clap::Error> {
        let Some(file) = self.misplaced.first() else {
            return Ok(());
        };
        let message = format!(
            "unexpected argument '{}' found\n\n  tip: to load a file or a directory, name it with \
             --input: msb load --input {}",
            escaped(file),
            escaped(file)
        );
        Err(clap::Error::raw(ErrorKind::UnknownArgument, message + "\n"))
    }
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: Args) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let tags = args
        .tags
        .iter()
        .map(|tag| tag.parse::<Reference>())
        .collect::<Result<Vec<_>, _>>()?;
    let platform = args.platform.as_deref().map(str::parse::<Platform>);
    let platform = platform.transpose()?;
    let input = match args.input {
        Some(path) if path != Path::new("-") => Input::Path(path),
        _ if io::stdin().is_terminal() => {
            return Err(
                CommandError::new("standard input is a terminal, not an archive").hint(
                    "name a file with --input, or send one in: `docker save IMAGE | msb load`",
                ),
            );
        }
        _ => Input::stdin(),
    };
    let started = Instant::now();
    let mut load = commands::open()?.load(input);
    for tag in tags {
        load = load.tag(tag);
    }
    if let Some(platform) = platform {
        load = load.platform(platform);
    }
    let report = commands::perform(ui, Work::Load, load)?;
    if args.format == Some(DataFormat::Json) {
        ui.json(&LoadData::of(&report))?;
    }
    show(ui, &report, started.elapsed());
    note_missing_name(ui, &report);
    let (failed, loaded) = (report.failed.len(), report.images.len());
    if failed == 0 {
        return Ok(());
    }
    for image in report.failed {
        ui.error(&msb_host::Error::from(image.error).into());
    }
    Err(CommandError::new(format!(
        "{failed} of {} images could not be loaded",
        failed + loaded
    )))
}

/// What is printed as JSON.
#[derive(Serialize)]
struct LoadData {
    failed: Vec<FailedData>,
    images: Vec<LoadedData>,
}

#[derive(Serialize)]
struct FailedData {
    error: String,
    id: String,
    references: Vec<String>,
}

#[derive(Serialize)]
struct LoadedData {
    already_present: bool,
    digest: String,
    id: String,
    moved: Vec<MovedData>,
    platform: String,
    references: Vec<String>,
}

impl LoadData {
    fn of(report: &LoadReport) -> Self {
        let familiar = |names: &[Reference]| names.iter().map(Reference::familiar).collect();
        let failed = report.failed.iter().map(|image| FailedData {
            error: chain(&image.error)
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(": "),
            id: image.config_digest.to_string(),
            references: familiar(&image.references),
        });
        let images = report.images.iter().map(|image| LoadedData {
            already_present: image.already_present,
            digest: image.manifest_digest.to_string(),
            id: image.config_digest.to_string(),
            moved: MovedData::of(&image.moved),
            platform: image.platform.to_string(),
            references: familiar(&image.references),
        });
        Self {
            failed: failed.collect(),
            images: images.collect(),
        }
    }
}

/// Says how an image gets a name that has none.
fn note_missing_name(ui: Ui, report: &LoadReport) {
    let mut images = report.images.iter();
    if let Some(image) = images.find(|image| image.references.is_empty()) {
        let only = match report.images.len() {
            1 => "",
            _ => ", which names the first image of an archive",
        };
        ui.note(&format!(
            "{} has no name; load it again with `--tag NAME` to give it one{only}",
            image.config_digest.short()
        ));
    }
}

fn show(ui: Ui, report: &LoadReport, took: Duration) {
    for image in &report.images {
        note_moved(ui, &image.moved);
        let aside = if image.already_present {
            "already cached"
        } else {
            ""
        };
        for name in names(&image.references, &image.config_digest) {
            ui.success("Loaded", &name, aside, took);
        }
    }
}
