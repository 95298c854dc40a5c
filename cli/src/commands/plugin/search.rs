//! `msb plugin search`

use msb_host::installed::{IndexedPlugin, InstalledError, PluginIndex, Source};

use crate::commands::DataFormat;
use crate::commands::connection::Connection;
use crate::error::CommandError;
use crate::escape::escaped;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::table::{Cut, Table};
use crate::ui::Ui;

/// Search an index of plugins.
///
/// An index is a JSON file: a path, an HTTPS address, or an artifact in a registry.
/// What it says of a plugin is not checked; `msb plugin inspect SOURCE` looks at the plugin itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb plugin search vault
  msb plugin search credential aws --index ghcr.io/my-org/plugins:latest")]
pub(crate) struct Args {
    /// Words, all of which must be in the name, the kind or the description.
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// The index [default: `plugins.index` in config.json].
    #[arg(long, value_name = "SOURCE")]
    index: Option<String>,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let msb = args.connection.open()?;
    let set = msb.settings()?.plugins.index.clone();
    let Some(text) = args.index.clone().or(set) else {
        return Err(CommandError::new("no index of plugins is set")
            .hint("name one with --index, or set `plugins.index` in config.json"));
    };
    let source: Source = text.parse().map_err(InstalledError::from)?;
    let plugins = msb.plugin_sources()?;
    let interrupt = Interrupt::watch();
    let index = progress::during(ui, Work::List, |progress| {
        let context = interrupt.context(progress);
        let network = plugins.network(&context);
        PluginIndex::fetch(&source, &network, interrupt.cancel())
    });
    let index = interrupt.settle(index)?;
    let found = index.search(&args.words);
    if args.format == Some(DataFormat::Json) {
        return ui.json(&found);
    }
    if found.is_empty() {
        ui.status("No plugin of the index has these words.");
        return Ok(());
    }
    let cells = |plugin: &&IndexedPlugin| {
        let cell = |text: &str| escaped(text).into_owned();
        vec![
            cell(&plugin.name),
            cell(plugin.kind.as_deref().unwrap_or("-")),
            cell(plugin.version.as_deref().unwrap_or("-")),
            cell(&plugin.source),
            cell(&plugin.description),
        ]
    };
    ui.table(Table {
        header: &["NAME", "KIND", "VERSION", "SOURCE", "DESCRIPTION"],
        rows: found.iter().map(cells).collect(),
        cuts: &[(3, Cut::Start), (4, Cut::End)],
    })
}
