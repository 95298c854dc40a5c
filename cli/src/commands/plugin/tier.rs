//! `msb plugin tier`

use msb_host::credential::Tier;
use msb_host::plugin::PluginKind;

use super::change::{Frozen, with};
use crate::commands;
use crate::error::CommandError;
use crate::ui::Ui;

/// Show or choose why a credential provider is asked.
///
/// `plugins.tiers` in config.json comes before the choice, and the choice before what the provider itself
/// wishes to be.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Tiers:
  ambient     It may have a login: faults are notes, and public images are pulled with an expired login
  configured  It is asked only for registries that registries.auth has an entry for
  installed   It is asked for every registry, and a fault ends the pull

Examples:
  msb plugin tier vault
  msb plugin tier vault ambient
  msb plugin tier vault --default")]
pub(crate) struct Args {
    /// The plugin.
    name: String,
    /// The tier: `ambient`, `configured` or `installed`.
    tier: Option<Tier>,
    /// Leave it to the plugin again.
    #[arg(long, conflicts_with = "tier")]
    default: bool,
    #[command(flatten)]
    frozen: Frozen,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    if args.default || args.tier.is_some() {
        with(ui, &args.frozen, |editor| {
            editor.set_tier(&args.name, args.tier)
        })?;
    }
    let msb = commands::open()?;
    let installed = msb.plugins()?;
    let PluginKind::Credential(description) = &installed.find(&args.name)?.package.kind else {
        return Err(msb_host::installed::InstalledError::NoTier {
            name: args.name.clone(),
        }
        .into());
    };
    let tier = description.tier.unwrap_or(Tier::Installed);
    if args.tier.is_some_and(|chosen| chosen != tier) {
        ui.note("`plugins.tiers` in config.json says otherwise, and comes first");
    }
    ui.data(&format!("{tier}\n"))
}
