//! `msb plugin ls`

use msb_host::plugin::Entry;
use serde::Serialize;

use super::{Bench, source, state};
use crate::commands::DataFormat;
use crate::error::CommandError;
use crate::escape::escaped;
use crate::table;
use crate::ui::Ui;

/// List plugins in the order in which they are asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

/// A plugin, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    name: &'a str,
    kind: &'static str,
    title: &'a str,
    version: Option<&'a str>,
    builtin: bool,
    enabled: bool,
    replaced_by: Option<&'a str>,
    source: Option<&'a str>,
    sha256: Option<String>,
    grants: Vec<String>,
}

impl<'a> Row<'a> {
    pub(super) fn of(entry: &'a Entry) -> Self {
        let package = &entry.package;
        let origin = entry.origin.as_ref();
        Self {
            name: &package.name,
            kind: entry.kind(),
            title: package.kind.title(),
            version: package.version.as_deref(),
            builtin: package.builtin,
            enabled: entry.enabled,
            replaced_by: entry.replaced_by.as_deref(),
            source: origin.map(|origin| &*origin.source),
            sha256: origin.map(|origin| origin.sha256.to_string()),
            grants: package.grants.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let bench = Bench::open()?;
    let entries = bench.installed.entries();
    if args.format == Some(DataFormat::Json) {
        return ui.json(&entries.iter().map(Row::of).collect::<Vec<_>>());
    }
    ui.table(&table::lines(
        &["NAME", "KIND", "VERSION", "STATE", "SOURCE"],
        &entries.iter().map(cells).collect::<Vec<_>>(),
    ))
}

fn cells(entry: &Entry) -> Vec<String> {
    let version = entry.package.version.as_deref().unwrap_or("-");
    let state = state(entry);
    [
        &*entry.package.name,
        entry.kind(),
        version,
        &state,
        source(entry),
    ]
    .map(|cell| escaped(cell).into_owned())
    .to_vec()
}
