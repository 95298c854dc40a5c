//! `msb plugin install`

use std::path::PathBuf;
use std::time::Duration;

use msb_host::Msb;
use msb_host::address;
use msb_host::installed::{Candidate, InstallRequest, Lock, OrderPosition, Source};
use msb_host::plugin::shell_word;
use msb_host::work::PluginSources;

use super::consent::{Consent, agree};
use super::shared_lock;
use super::signer::SignerArgs;
use crate::commands::connection::Connection;
use crate::error::CommandError;
use crate::escape::escaped;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::ui::Ui;

/// Install a plugin from a file, an HTTPS address or a registry.
///
/// Shows what it is and what it asks for, and asks. Without a terminal it is installed with `--yes`,
/// which grants what it asks for, or with `--grant`, which grants that and nothing else. What was
/// installed is pinned: only `msb plugin update` takes other bytes from the same source.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb plugin install ./vault.wasm --grant http=https://vault.example.com
  msb plugin install ghcr.io/my-org/vault:1.2 --before docker-config
  msb plugin install https://example.com/vault.wasm --key RWQ...
  msb plugin install ghcr.io/my-org/vault:1.2 --identity me@example.com --issuer https://accounts.google.com
  msb plugin install --locked               # All that plugins.lock has
  msb plugin install --lock ./plugins.lock  # All that the lock of a project has")]
pub(crate) struct Args {
    /// A path, an HTTPS address, or a reference. Without one, what the lock has and the disk has not.
    #[arg(required_unless_present_any = ["locked", "lock"])]
    source: Option<String>,
    /// Install what this lock file has, as `msb plugin lock` writes it: the same bytes, permissions and
    /// order.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["source", "grant", "name", "key", "identity", "before", "after"])]
    lock: Option<PathBuf>,
    /// Call it this, instead of what its source is called.
    #[arg(long)]
    name: Option<String>,
    /// Grant this and nothing else: `env=NAME`, `http=https://HOST`, `clock`, …
    #[arg(long, value_name = "GRANT")]
    grant: Vec<String>,
    /// Agree to what it is and asks for, without a question; with --grant, to no other permissions.
    #[arg(short, long)]
    yes: bool,
    /// Ask it before this plugin.
    #[arg(long, value_name = "NAME", conflicts_with = "after")]
    before: Option<String>,
    /// Ask it after this plugin.
    #[arg(long, value_name = "NAME")]
    after: Option<String>,
    #[command(flatten)]
    signer: SignerArgs,
    /// Install only what is in plugins.lock, with the same digest.
    #[arg(long, env = "MSB_PLUGIN_LOCKED", value_parser = clap::builder::FalseyValueParser::new())]
    locked: bool,
    #[command(flatten)]
    connection: Connection,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let msb = args.connection.open()?;
    let plugins = msb.plugin_sources()?;
    let interrupt = Interrupt::watch();
    if let Some(file) = &args.lock {
        return shared_lock::install(ui, &plugins, &interrupt, file, args.yes);
    }
    let Some(text) = &args.source else {
        return restore(ui, &msb, &interrupt);
    };
    let source: Source = text
        .parse()
        .map_err(msb_host::installed::InstalledError::from)?;
    let request = InstallRequest {
        name: args.name.clone(),
        signer: args.signer.source(),
        locked: args.locked,
        ..InstallRequest::default()
    };
    let candidate = prepare(ui, &plugins, &interrupt, &source, &request)?;
    let consent = Consent {
        grants: &args.grant,
        // Who has the lock has agreed to what is in it.
        yes: args.yes || (args.locked && candidate.is_agreed()),
        command: command(text, args),
    };
    let Some(grants) = agree(ui, &candidate, &consent)? else {
        ui.status("Aborted.");
        return Ok(());
    };
    let position = match (&args.before, &args.after) {
        (Some(other), _) => Some(OrderPosition::Before(other.clone())),
        (_, Some(other)) => Some(OrderPosition::After(other.clone())),
        _ => None,
    };
    commit(
        ui,
        &plugins,
        &interrupt,
        &candidate,
        &grants,
        position.as_ref(),
    )?;
    let aside = if candidate.is_installed() {
        "was there already"
    } else {
        ""
    };
    ui.success("Installed", &candidate.name, aside, Duration::ZERO);
    Ok(())
}

/// Fetches what is at a source, and lets it describe itself.
pub(super) fn prepare(
    ui: Ui,
    plugins: &PluginSources,
    interrupt: &Interrupt,
    source: &Source,
    request: &InstallRequest,
) -> Result<Candidate, CommandError> {
    let candidate = progress::during(ui, Work::Install, |progress| {
        let context = interrupt.context(progress);
        let network = plugins.network(&context);
        let installer = plugins.installer(&network, &context);
        installer.prepare(source, request)
    });
    interrupt.settle(candidate)
}

/// Keeps a plugin.
pub(super) fn commit(
    ui: Ui,
    plugins: &PluginSources,
    interrupt: &Interrupt,
    candidate: &Candidate,
    grants: &[String],
    position: Option<&OrderPosition>,
) -> Result<(), CommandError> {
    let committed = progress::during(ui, Work::Install, |progress| {
        let context = interrupt.context(progress);
        let network = plugins.network(&context);
        let installer = plugins.installer(&network, &context);
        installer.commit(candidate, grants, position)
    });
    interrupt.settle(committed)
}

fn command(source: &str, args: &Args) -> String {
    // What is secret in the address is the user's to write again.
    let source = address::shown(source);
    let mut command = format!("msb plugin install {}", shell_word(&source));
    let named = [
        ("--name", &args.name),
        ("--before", &args.before),
        ("--after", &args.after),
    ];
    for (option, value) in named {
        if let Some(value) = value {
            command.extend([" ", option, " ", &shell_word(value)]);
        }
    }
    command.push_str(&args.signer.options());
    command.push_str(&options(&args.connection));
    command
}

/// Returns the options of a connection, as they were given.
pub(super) fn options(connection: &Connection) -> String {
    let mut options = String::new();
    if connection.insecure {
        options.push_str(" --insecure");
    }
    if let Some(verify) = connection.tls_verify {
        options.extend([" --tls-verify=", &verify.to_string()]);
    }
    for path in &connection.ca_certs {
        let path = path.to_string_lossy();
        options.extend([" --ca-certs ", &shell_word(&path)]);
    }
    options
}

/// Installs what the lock has and the disk has not.
fn restore(ui: Ui, msb: &Msb, interrupt: &Interrupt) -> Result<(), CommandError> {
    let lock = Lock::read(msb.home())?;
    // What is there is looked at before anything is fetched.
    msb.plugins()?;
    for plugin in &lock.plugins {
        let source: Source = plugin
            .source
            .parse()
            .map_err(msb_host::installed::InstalledError::from)?;
        let request = InstallRequest {
            name: Some(plugin.name.clone()),
            locked: true,
            kept: true,
            ..InstallRequest::default()
        };
        // A provider that was just installed may know the registry of the next plugin.
        let plugins = msb.plugin_sources()?;
        let done = progress::during(ui, Work::Install, |progress| {
            let context = interrupt.context(progress);
            let network = plugins.network(&context);
            let installer = plugins.installer(&network, &context);
            let candidate = installer.prepare(&source, &request)?;
            installer.commit(&candidate, &plugin.grants, None)
        });
        interrupt.settle(done)?;
        let name = escaped(&plugin.name);
        ui.success("Installed", &name, "as in the lock", Duration::ZERO);
    }
    Ok(())
}
