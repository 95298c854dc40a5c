//! `msb store serve containerd`

use std::path::PathBuf;
use std::time::Instant;

use msb_host::ServeReport;

use crate::commands::{self, DataFormat};
use crate::error::CommandError;
use crate::progress::Work;
use crate::size;
use crate::ui::Ui;

/// Lay the layers of the store where containerd looks for them.
///
/// The EROFS snapshotter of containerd 2.4 or later takes a layer that is in one of its
/// `layer_content_caches` instead of fetching and converting it. The names in DIR are hard links, or
/// symbolic links if DIR is on another filesystem: nothing is copied. Layers that depend on those
/// below them stay out.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb store serve containerd /var/lib/msb-layers
  msb store serve containerd /var/lib/msb-layers alpine python
  msb store serve containerd --prune /var/lib/msb-layers
  msb store serve containerd --dm-verity /var/lib/msb-layers-verity

To keep DIR up to date, name it in config.json: {\"store\": {\"serve\": {\"containerd\": \"DIR\"}}}")]
pub(crate) struct Args {
    /// The directory, which is made if it is not there.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The images: references, digests, or the first digits of one [default: all].
    #[arg(value_name = "REF")]
    references: Vec<String>,
    /// Remove the names of layers that no image has any more, unless containerd refers to them.
    #[arg(long)]
    prune: bool,
    /// Lay copies with a dm-verity hash tree, for a containerd with `dmverity_mode = "on"`; this takes the
    /// bytes of the layers once more. A directory that was served so once keeps to it.
    #[arg(long)]
    dm_verity: bool,
    /// Where containerd has its state, for --prune.
    #[arg(
        long,
        value_name = "DIR",
        requires = "prune",
        default_value = "/var/lib/containerd"
    )]
    containerd_root: PathBuf,
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
    let shown = args.directory.display().to_string();
    let serve = commands::open()?
        .serve_containerd(args.directory, args.references)
        .prune(args.prune)
        .verity(args.dm_verity)
        .containerd_root(args.containerd_root);
    let started = Instant::now();
    let report = commands::perform(ui, Work::Serve, serve)?;
    if let Some(DataFormat::Json) = args.format {
        return ui.json(&report);
    }
    ui.success("Served", &shown, &summary(&report), started.elapsed());
    for note in notes(&report) {
        ui.note(&note);
    }
    Ok(())
}

fn summary(report: &ServeReport) -> String {
    let layers = counted(report.added + report.present);
    let removed = match report.removed {
        0 => String::new(),
        removed => format!(", {removed} removed"),
    };
    format!("{layers}, {} new{removed}", report.added)
}

fn notes(report: &ServeReport) -> Vec<String> {
    let mut notes = Vec::new();
    if !report.dependent.is_empty() {
        notes.push(format!(
            "not served, since they depend on the layers below: {}; containerd fetches and converts \
             these itself",
            counted(report.dependent.len())
        ));
    }
    if !report.missing.is_empty() {
        notes.push(format!(
            "not served, since the store has no files of them: {}; load the image again to restore \
             them",
            counted(report.missing.len())
        ));
    }
    if report.symlinks > 0 {
        notes.push(format!(
            "served by symbolic links, since the directory is on another filesystem: {}; their images \
             are in use",
            counted(report.symlinks)
        ));
    }
    if report.with_verity > 0 {
        notes.push(format!(
            "copies with hash trees: {}, {} written",
            counted(report.with_verity),
            size::bytes(report.copied_bytes)
        ));
    }
    for path in &report.foreign {
        notes.push(format!(
            "`{}` was laid by another program and stays as it is",
            path.display()
        ));
    }
    if !report.kept.is_empty() {
        notes.push(format!(
            "kept although no image has them any more, since containerd refers to them: {}",
            counted(report.kept.len())
        ));
    }
    notes
}

fn counted(layers: usize) -> String {
    let plural = if layers == 1 { "" } else { "s" };
    format!("{layers} layer{plural}")
}
