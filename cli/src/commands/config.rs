//! `msb config`

use std::path::Path;

use msb_host::settings::{SCHEMA, SettingInForce, SettingSource};
use serde_json::Value;

use super::DataFormat;
use crate::commands;
use crate::error::CommandError;
use crate::escape::escaped;
use crate::table::{Cut, Table};
use crate::ui::Ui;

/// Show what is set, and where: in a file, in the environment, or by default.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Settings are in config.json below MSB_HOME, or in the file that MSB_CONFIG_PATH names. Passwords are not
shown.

Examples:
  msb config
  msb config registries           # Only these
  msb config --format json
  msb config --schema > config.schema.json   # For an editor")]
pub(crate) struct Args {
    /// Show only settings that begin with this.
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// Print the JSON Schema of config.json instead.
    #[arg(long, conflicts_with_all = ["key", "format"])]
    schema: bool,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    if args.schema {
        return ui.data(SCHEMA);
    }
    let mut settings = commands::open()?.settings_in_force()?;
    if let Some(key) = &args.key {
        settings.retain(|setting| setting.key.starts_with(key));
        if settings.is_empty() {
            return Err(CommandError::new(format!("no setting begins with `{key}`"))
                .hint("`msb config` lists all settings"));
        }
    }
    match args.format {
        Some(DataFormat::Json) => ui.json(&settings),
        None => ui.table(Table {
            header: &["SETTING", "VALUE", "FROM"],
            rows: settings.iter().map(row).collect(),
            cuts: &[(0, Cut::End), (1, Cut::End), (2, Cut::Start)],
        }),
    }
}

fn row(setting: &SettingInForce) -> Vec<String> {
    let value = match &setting.value {
        Value::Null => "not set".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let from = match (setting.source, &setting.file) {
        (SettingSource::Default, _) => "default".to_owned(),
        (SettingSource::Environment, _) => "environment".to_owned(),
        (_, Some(file)) => file.display().to_string(),
        (SettingSource::System | SettingSource::User, None) => Path::new("-").display().to_string(),
    };
    [setting.key.clone(), value, from]
        .iter()
        .map(|cell| escaped(cell).into_owned())
        .collect()
}
