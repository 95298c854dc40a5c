//! `msb plugin inspect`

use std::borrow::Cow;

use msb_host::Msb;
use msb_host::credential::{AuthSourceKind, Tier};
use msb_host::installed::{InstallRequest, InstalledError, Listed, Purpose, Source};
use msb_host::plugin::PluginKind;

use super::list::{Row, state};
use super::signer::SignerArgs;
use super::{consent, install};
use crate::commands::DataFormat;
use crate::commands::connection::Connection;
use crate::error::CommandError;
use crate::interrupt::Interrupt;
use crate::page::Page;
use crate::ui::Ui;

/// Show what a plugin is, where it comes from, and what it may do.
///
/// What is not installed is named by its source: it is fetched and looked at as for an installation,
/// and nothing of it is kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb plugin inspect docker-config
  msb plugin inspect vault --format json
  msb plugin inspect ghcr.io/my-org/vault:1.2")]
pub(crate) struct Args {
    /// The plugin, or a path, an HTTPS address or a reference.
    #[arg(value_name = "NAME|SOURCE")]
    name: String,
    #[command(flatten)]
    signer: SignerArgs,
    #[command(flatten)]
    connection: Connection,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let msb = args.connection.open()?;
    let installed = msb.plugins()?;
    let is_source = |text: &str| text.contains(['/', '.', ':']);
    if installed.find(&args.name).is_err() && is_source(&args.name) {
        return look(ui, &msb, args);
    }
    let listed = installed.find(&args.name)?;
    match args.format {
        Some(DataFormat::Json) => ui.json(&Row::of(listed)),
        None => ui.data(&text(listed)),
    }
}

/// Shows what is at a source.
fn look(ui: Ui, msb: &Msb, args: &Args) -> Result<(), CommandError> {
    let source: Source = args.name.parse().map_err(InstalledError::from)?;
    let request = InstallRequest {
        signer: args.signer.source(),
        purpose: Purpose::Inspect,
        ..InstallRequest::default()
    };
    let plugins = msb.plugin_sources()?;
    let interrupt = Interrupt::watch();
    let candidate = install::prepare(ui, &plugins, &interrupt, &source, &request)?;
    match args.format {
        Some(DataFormat::Json) => ui.json(&Row::of_candidate(&candidate)),
        None => ui.data(&consent::page(&candidate)),
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
    let identity = locked.identity.as_ref().map(ToString::to_string);
    let signer = locked.key.clone().or(identity);
    page.pair("Signed with", &signer.unwrap_or_default());
    consent::add_provenance(&mut page, locked.provenance.as_ref());
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
