//! `msb store serve microsandbox`

use std::path::PathBuf;
use std::time::Instant;

use msb_host::ServeMicrosandboxReport;

use crate::commands::{self, DataFormat};
use crate::error::CommandError;
use crate::progress::Work;
use crate::ui::Ui;

/// Lay the images of the store where microsandbox finds them.
///
/// microsandbox 0.7 then takes them as if it had pulled them: each name of an image gets a record, and the
/// files of its layers and of its merged root filesystem get one more name in the cache of microsandbox.
/// Nothing is copied. What microsandbox removes of these names is not lost to msb. Images stay out if
/// microsandbox cannot read their layers, or has files of its own for them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb store serve microsandbox
  msb store serve microsandbox alpine python
  msb store serve microsandbox --prune
  MSB_HOME=~/.msb msb store serve microsandbox --home ~/.microsandbox

To serve what is pulled and loaded, write into config.json: {\"store\": {\"serve\": {\"microsandbox\": true}}}")]
pub(crate) struct Args {
    /// The images: references, digests, or the first digits of one [default: all].
    #[arg(value_name = "REF")]
    references: Vec<String>,
    /// The home of microsandbox, if it is not that of msb.
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Remove the names of what no image has any more, unless microsandbox has it.
    #[arg(long)]
    prune: bool,
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
    let mut serve = commands::open()?
        .serve_microsandbox(args.references)
        .prune(args.prune);
    if let Some(home) = args.home {
        serve = serve.to_home(home);
    }
    let started = Instant::now();
    let report = commands::perform(ui, Work::Serve, serve)?;
    if let Some(DataFormat::Json) = args.format {
        return ui.json(&report);
    }
    ui.success(
        "Served",
        "microsandbox",
        &summary(&report),
        started.elapsed(),
    );
    for unserved in &report.unserved {
        ui.note(&format!("not served: {unserved}"));
    }
    if !report.kept.is_empty() {
        ui.note(&format!(
            "kept, because microsandbox still has them: {}",
            report.kept.join(", ")
        ));
    }
    Ok(())
}

fn summary(report: &ServeMicrosandboxReport) -> String {
    let count = report.added.len() + report.present.len();
    let plural = if count == 1 { "" } else { "s" };
    let removed = match report.removed {
        0 => String::new(),
        removed => format!(", {removed} removed"),
    };
    format!("{count} name{plural}, {} new{removed}", report.added.len())
}
