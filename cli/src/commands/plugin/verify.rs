//! `msb plugin verify`

use msb_host::plugin::Verified;
use serde::Serialize;

use super::{Bench, done};
use crate::commands::DataFormat;
use crate::error::{CommandError, chain};
use crate::ui::Ui;

/// Check that plugins are what was installed.
///
/// The same is checked whenever one is used.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plugin; all when none is named.
    name: Option<String>,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    ok: bool,
    problem: Option<String>,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let bench = Bench::open()?;
    let checked = bench.installed.verify(args.name.as_deref())?;
    let rows: Vec<Row<'_>> = checked.iter().map(row).collect();
    if args.format == Some(DataFormat::Json) {
        ui.json(&rows)?;
    } else {
        for row in &rows {
            match &row.problem {
                None => done(ui, "Verified", row.name, ""),
                Some(_) => ui.failure("Verifying", row.name),
            }
        }
    }
    let mut bad = rows.iter().filter(|row| !row.ok);
    match bad.next() {
        None => Ok(()),
        Some(first) => {
            let more = bad.count();
            let problem = first.problem.clone().unwrap_or_default();
            let message = match more {
                0 => problem,
                _ => format!("{problem} (and {more} more)"),
            };
            Err(CommandError::new(message).hint(
                "`msb plugin install --locked` fetches it once more, if its source still has it",
            ))
        }
    }
}

fn row(verified: &Verified) -> Row<'_> {
    let problem = verified.problem.as_ref().map(|error| {
        let texts: Vec<String> = chain(error).map(ToString::to_string).collect();
        texts.join(": ")
    });
    Row {
        name: &verified.name,
        ok: problem.is_none(),
        problem,
    }
}
