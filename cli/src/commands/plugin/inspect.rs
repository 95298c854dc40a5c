//! `msb plugin inspect`

use std::borrow::Cow;

use msb_host::plugin::{Entry, Need};
use serde::Serialize;

use super::list::Row;
use super::{Bench, source, state};
use crate::commands::DataFormat;
use crate::error::CommandError;
use crate::page::Page;
use crate::ui::Ui;

/// Show what a plugin is, where it comes from, and what it may do.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plugin.
    name: String,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

#[derive(Debug, Serialize)]
struct Details<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    manifest: Option<String>,
    signed: bool,
    api: Option<&'a str>,
    imports: &'a [String],
    asks: Vec<Asked<'a>>,
    limits: Limits,
}

#[derive(Debug, Serialize)]
struct Asked<'a> {
    grant: String,
    reason: &'a str,
    granted: bool,
}

#[derive(Debug, Serialize)]
struct Limits {
    memory_bytes: usize,
    compute_secs: u64,
    wall_secs: Option<u64>,
    host_calls: u64,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let bench = Bench::open()?;
    let entry = bench.installed.entry(&args.name)?;
    if args.format == Some(DataFormat::Json) {
        return ui.json(&details(entry));
    }
    ui.data(&text(entry))
}

fn details(entry: &Entry) -> Details<'_> {
    let origin = entry.origin.as_ref();
    let budget = &entry.package.limits;
    let asked = |need: &'_ Need| need.grant.to_string();
    Details {
        row: Row::of(entry),
        manifest: origin.and_then(|it| Some(it.manifest.as_ref()?.to_string())),
        signed: origin.is_some_and(|it| it.signed),
        api: origin.map(|it| &*it.api),
        imports: origin.map_or(&[], |it| &it.imports),
        asks: entry
            .needs
            .iter()
            .map(|need| Asked {
                grant: asked(need),
                reason: &need.reason,
                granted: entry.package.grants.contains(&need.grant),
            })
            .collect(),
        limits: Limits {
            memory_bytes: budget.memory,
            compute_secs: budget.compute.as_secs(),
            wall_secs: budget.wall.map(|wall| wall.as_secs()),
            host_calls: budget.host_calls,
        },
    }
}

fn text(entry: &Entry) -> String {
    let package = &entry.package;
    let mut page = Page::new(12);
    page.pair("Name", &package.name);
    page.pair(
        "Kind",
        &format!("{}: {}", entry.kind(), package.kind.title()),
    );
    page.pair("Version", package.version.as_deref().unwrap_or_default());
    page.pair("State", &state(entry));
    page.pair("Source", source(entry));
    if let Some(origin) = &entry.origin {
        page.pair("Digest", &origin.sha256.to_string());
        let manifest = origin.manifest.as_ref().map(ToString::to_string);
        page.pair("Manifest", &manifest.unwrap_or_default());
        page.pair("API", &origin.api);
        page.pair("Signed", if origin.signed { "yes" } else { "not checked" });
    }
    let grants = package.grants.iter().map(|grant| grant.to_string().into());
    page.list("May use", grants);
    let open = entry
        .needs
        .iter()
        .filter(|need| !package.grants.contains(&need.grant));
    page.list("Asks for, and may not", open.map(line));
    if let Some(origin) = &entry.origin {
        page.list(
            "Imports",
            origin.imports.iter().map(|it| Cow::Borrowed(&**it)),
        );
    }
    page.into_text()
}

fn line(need: &Need) -> Cow<'_, str> {
    if need.reason.is_empty() {
        need.grant.to_string().into()
    } else {
        format!("{}  ({})", need.grant, need.reason).into()
    }
}
