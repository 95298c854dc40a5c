//! `msb image adopt`

use std::path::{Path, PathBuf};
use std::time::Instant;

use msb_host::{AdoptReport, AdoptedImage};

use crate::commands::{self, DataFormat};
use crate::error::CommandError;
use crate::progress::Work;
use crate::ui::Ui;

/// Take images that microsandbox has pulled into the store.
///
/// Nothing is copied. Manifest and configuration are checked against their digests, and each layer is read
/// and checked against the rules of EROFS. That a layer has the contents that its digest says cannot be
/// proven, since microsandbox keeps no tar: adopted images can be mounted, exported and looked into, not
/// saved. Pulling or loading an image makes it whole.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb image adopt
  msb image adopt python
  MSB_HOME=~/.msb msb image adopt --home ~/.microsandbox")]
pub(crate) struct Args {
    /// The images: references, or digests of manifests [default: all].
    #[arg(value_name = "REF")]
    references: Vec<String>,
    /// The home of microsandbox, if it is not that of msb.
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
    /// Show only errors.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: Args) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let msb = commands::open()?;
    let home = args.home.unwrap_or_else(|| msb.home().root().to_owned());
    let adopt = msb.adopt(args.references).from_home(&home);
    let started = Instant::now();
    let report = commands::perform(ui, Work::Check, adopt)?;
    if let Some(DataFormat::Json) = args.format {
        ui.json(&report)?;
    } else {
        show(ui, &report, &home, started);
    }
    match report.refused.len() {
        0 => Ok(()),
        refused => Err(CommandError::new(format!(
            "{refused} of {} images could not be adopted",
            images(&report)
        ))),
    }
}

/// Returns how many images there were.
fn images(report: &AdoptReport) -> usize {
    report.adopted.len() + report.present.len() + report.refused.len()
}

fn show(ui: Ui, report: &AdoptReport, home: &Path, started: Instant) {
    if images(report) == 0 {
        ui.status(&format!(
            "No images of microsandbox in `{}`.",
            home.display()
        ));
    }
    for image in &report.adopted {
        ui.success("Adopted", &name(image), &layers(image), started.elapsed());
    }
    for image in &report.present {
        ui.success("Present", &name(image), &layers(image), started.elapsed());
    }
    for name in &report.taken_names {
        ui.note(&format!("{name} names another image here, and still does"));
    }
    for refused in &report.refused {
        ui.note(&format!(
            "not adopted: {}: {}",
            refused.image, refused.reason
        ));
    }
    let mut adopted = report.adopted.iter().chain(&report.present);
    if adopted.any(|image| !image.unproven.is_empty()) {
        ui.note(
            "nothing proves that unproven layers have the contents of their diff_ids; a pull or a load of \
             the image does",
        );
    }
}

fn name(image: &AdoptedImage) -> String {
    match image.references.as_slice() {
        [] => image.digest.to_string(),
        names => names.join(", "),
    }
}

fn layers(image: &AdoptedImage) -> String {
    match image.unproven.len() {
        0 => "all layers proven".to_owned(),
        1 => "1 layer unproven".to_owned(),
        count => format!("{count} layers unproven"),
    }
}
