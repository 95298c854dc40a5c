//! `msb registry list`, `msb registry ls`

use msb_host::Registered;

use crate::commands::{self, DataFormat};
use crate::error::CommandError;
use crate::escape::escaped;
use crate::progress::Work;
use crate::table::{Cut, Table};
use crate::ui::Ui;

/// List configured registries without printing secrets.
///
/// ANSWERED BY is the provider whose credentials a pull uses.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb registry ls
  msb registry ls --format json")]
pub(crate) struct Args {
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let logins = commands::open()?.logins();
    let rows = commands::perform(ui, Work::List, logins)?;
    if args.format == Some(DataFormat::Json) {
        return ui.json(&rows);
    }
    if rows.is_empty() {
        ui.status("No registries configured.");
        return Ok(());
    }
    ui.table(Table {
        header: &["REGISTRY", "USERNAME", "SOURCE", "ANSWERED BY"],
        rows: rows.iter().map(cells).collect(),
        cuts: &[(0, Cut::End), (1, Cut::End), (2, Cut::End), (3, Cut::End)],
    })?;
    for row in &rows {
        if let Some(problem) = &row.problem {
            ui.note(&format!("{}: {problem}", row.registry));
        }
    }
    Ok(())
}

fn cells(row: &Registered) -> Vec<String> {
    let source = match &row.place {
        Some(place) => format!("{} {place}", row.source),
        None => row.source.clone(),
    };
    let cell = |text: Option<&str>| escaped(text.unwrap_or("-")).into_owned();
    vec![
        cell(Some(&row.registry)),
        cell(row.username.as_deref()),
        cell(Some(&source)),
        cell(row.provider.as_deref()),
    ]
}
