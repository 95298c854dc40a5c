//! `msb plugin rm`, `enable`, `disable`, `grant`, `revoke`, `order`

use std::time::Duration;

use msb_host::installed::{InstalledError, LockEditor, OrderPosition};

use crate::commands;
use crate::error::CommandError;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::ui::Ui;

/// Whether the list of plugins may be changed.
#[derive(Debug, clap::Args)]
pub(super) struct Frozen {
    /// Fail instead of changing plugins.lock.
    #[arg(long, env = "MSB_PLUGIN_LOCKED", value_parser = clap::builder::FalseyValueParser::new())]
    locked: bool,
}

/// Remove plugins and what they were granted.
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    /// The plugins.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    frozen: Frozen,
}

/// Let plugins be used again.
#[derive(Debug, clap::Args)]
pub(crate) struct EnableArgs {
    /// The plugins.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    frozen: Frozen,
}

/// Keep plugins without using them. Those of msb as well.
#[derive(Debug, clap::Args)]
pub(crate) struct DisableArgs {
    /// The plugins.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    frozen: Frozen,
}

/// Grant permissions to a plugin.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Permissions:
  env=NAME                              A variable of the environment; * for any characters
  files=PATTERN                         Files: absolute, or below ~/, msb: or $NAME/
  keychain=SERVICE                      Items of the system's credential store
  helper=NAME                           The program docker-credential-NAME
  http=[METHODS@][SCHEME://]HOST[:PORT][PATH]
                                        Servers, and paths on them
  clock                                 The time
  reveal                                The bytes of secrets
  state                                 Keeping what outlives a run
  prompt                                Talking to the user at a login

Examples:
  msb plugin grant vault env=VAULT_TOKEN http=GET@https://vault.example.com:8200")]
pub(crate) struct GrantArgs {
    /// The plugin.
    name: String,
    /// The permissions.
    #[arg(required = true, value_name = "GRANT")]
    grants: Vec<String>,
    #[command(flatten)]
    frozen: Frozen,
}

/// Revoke permissions of a plugin; all of them unless some are named.
#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// The plugin.
    name: String,
    /// The permissions.
    #[arg(value_name = "GRANT")]
    grants: Vec<String>,
    #[command(flatten)]
    frozen: Frozen,
}

/// Show the order in which plugins are asked, or change it.
///
/// Those that are named come first, in this order; with --before or --after, one is moved.
/// `plugins.order` in config.json comes before both.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb plugin order
  msb plugin order vault keychain
  msb plugin order vault --after env")]
pub(crate) struct OrderArgs {
    /// The plugins.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Move it before this plugin.
    #[arg(long, value_name = "NAME", conflicts_with = "after")]
    before: Option<String>,
    /// Move it after this plugin.
    #[arg(long, value_name = "NAME")]
    after: Option<String>,
    #[command(flatten)]
    frozen: Frozen,
}

/// Runs `rm`.
pub(crate) fn remove(ui: Ui, args: &RemoveArgs) -> Result<(), CommandError> {
    each(ui, &args.frozen, "Removed", &args.names, |editor, name| {
        editor.remove(name)
    })
}

/// Runs `enable`.
pub(crate) fn enable(ui: Ui, args: &EnableArgs) -> Result<(), CommandError> {
    each(ui, &args.frozen, "Enabled", &args.names, |editor, name| {
        editor.enable(name, true)
    })
}

/// Runs `disable`.
pub(crate) fn disable(ui: Ui, args: &DisableArgs) -> Result<(), CommandError> {
    each(ui, &args.frozen, "Disabled", &args.names, |editor, name| {
        editor.enable(name, false)
    })
}

/// Runs `grant`.
pub(crate) fn grant(ui: Ui, args: &GrantArgs) -> Result<(), CommandError> {
    with(ui, &args.frozen, |editor| {
        editor.grant(&args.name, &args.grants)
    })?;
    tell(ui, &args.name)
}

/// Runs `revoke`.
pub(crate) fn revoke(ui: Ui, args: &RevokeArgs) -> Result<(), CommandError> {
    with(ui, &args.frozen, |editor| {
        editor.revoke(&args.name, &args.grants)
    })?;
    tell(ui, &args.name)
}

/// Runs `order`.
pub(crate) fn order(ui: Ui, args: &OrderArgs) -> Result<(), CommandError> {
    let position = match (&args.before, &args.after) {
        (Some(other), _) => Some(OrderPosition::Before(other.clone())),
        (_, Some(other)) => Some(OrderPosition::After(other.clone())),
        _ => None,
    };
    match (position, args.names.as_slice()) {
        (Some(position), [name]) => with(ui, &args.frozen, |editor| editor.put(name, &position))?,
        (Some(_), _) => {
            return Err(CommandError::new(
                "--before and --after move one plugin, which must be named",
            ));
        }
        (None, []) => {}
        (None, names) => with(ui, &args.frozen, |editor| editor.put_first(names))?,
    }
    let installed = commands::open()?.plugins()?;
    let mut lines = String::new();
    for package in installed.packages() {
        lines.extend([&*package.name, "\n"]);
    }
    ui.data(&lines)
}

fn each(
    ui: Ui,
    frozen: &Frozen,
    verb: &str,
    names: &[String],
    change: impl Fn(&LockEditor<'_>, &str) -> Result<(), InstalledError>,
) -> Result<(), CommandError> {
    for name in names {
        with(ui, frozen, |editor| change(&editor, name))?;
        ui.success(verb, name, "", Duration::ZERO);
    }
    Ok(())
}

/// Changes which plugins there are, and what they may do.
pub(super) fn with(
    ui: Ui,
    frozen: &Frozen,
    change: impl FnOnce(LockEditor<'_>) -> Result<(), InstalledError>,
) -> Result<(), CommandError> {
    let msb = commands::open()?;
    msb.settings()?;
    let interrupt = Interrupt::watch();
    let changed = progress::during(ui, Work::Install, |progress| {
        msb.edit_plugins(&interrupt.context(progress), |editor| {
            change(LockEditor {
                locked: frozen.locked,
                ..editor
            })
        })
    });
    interrupt.settle(changed)
}

/// Shows what a plugin has now.
fn tell(ui: Ui, name: &str) -> Result<(), CommandError> {
    let installed = commands::open()?.plugins()?;
    let grants = installed.find(name)?.grants();
    if grants.is_empty() {
        ui.status(&format!("{name} may do nothing."));
    } else {
        ui.status(&format!("{name} may use {}.", grants.join(", ")));
    }
    Ok(())
}
