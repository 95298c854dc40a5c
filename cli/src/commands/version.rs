//! `msb version`

use serde_json::json;

use super::DataFormat;
use crate::error::CommandError;
use crate::page::Page;
use crate::ui::Ui;

/// Show the version of msb, and of what it reads and writes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb version
  msb version --format json")]
pub(crate) struct Args {
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let version = env!("CARGO_PKG_VERSION");
    let store = msb_host::store::FORMAT;
    let contract = msb_host::plugin::API;
    let platform = msb_host::Platform::host().to_string();
    if args.format == Some(DataFormat::Json) {
        return ui.json(&json!({
            "platform": platform,
            "plugin_contract": contract,
            "store_format": store,
            "version": version,
        }));
    }
    let mut page = Page::new(18);
    page.pair("msb", version);
    page.pair("Store format", &store.to_string());
    page.pair("Plugin contract", contract);
    page.pair("Platform", &platform);
    ui.data(&page.into_text())
}
