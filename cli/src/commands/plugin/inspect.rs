//! `msb plugin inspect`

use std::borrow::Cow;

use msb_host::plugin::PluginKind;
use msb_host::plugin::installed::Listed;
use msb_host::settings::{AuthSourceKind, Tier};

use super::list::{Row, state};
use crate::commands::{self, DataFormat};
use crate::error::CommandError;
use crate::page::Page;
use crate::ui::Ui;

/// Show what a plugin is, where it comes from, and what it may do.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb plugin inspect docker-config
  msb plugin inspect vault --format json")]
pub(crate) struct Args {
    /// The plugin.
    name: String,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let installed = commands::open()?.plugins()?;
    let listed = installed.find(&args.name)?;
    match args.format {
        Some(DataFormat::Json) => ui.json(&Row::of(listed)),
        None => ui.data(&text(listed)),
    }
}

fn text(listed: &Listed) -> String {
    let package = &listed.package;
    let mut page = Page::new(14);
    page.pair("Plugin", &package.name);
    page.pair("Kind", listed.kind());
    let title = format!("{} ({})", package.kind.name(), package.kind.title());
    page.pair("Provides", &title);
    if let PluginKind::Credential(description) = &package.kind {
        page.pair("Tier", description.tier.map_or("", Tier::word));
        page.pair("Reads", description.reads.map_or("", AuthSourceKind::word));
    }
    page.pair("Version", package.version.as_deref().unwrap_or_default());
    page.pair("State", &state(listed));
    let Some(locked) = &listed.locked else {
        page.pair("Source", "built in");
        page.list("Granted", listed.grants().into_iter().map(Cow::from));
        return page.into_text();
    };
    page.pair("API", &locked.api);
    page.pair("Source", &locked.source);
    let manifest = locked.manifest.as_ref().map(ToString::to_string);
    page.pair("Manifest", &manifest.unwrap_or_default());
    page.pair("Digest", &locked.sha256.to_string());
    page.pair("Signed with", locked.key.as_deref().unwrap_or_default());
    page.list("Granted", listed.grants().into_iter().map(Cow::from));
    page.list(
        "Asks for",
        locked
            .asks
            .iter()
            .map(|requested| match requested.reason.as_str() {
                "" => Cow::from(requested.grant.as_str()),
                reason => format!("{}: {reason}", requested.grant).into(),
            }),
    );
    page.list("Imports", locked.imports.iter().map(Cow::from));
    page.into_text()
}
