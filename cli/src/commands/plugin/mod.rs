//! `msb plugin`: what is installed, what each may do, and in which order they are asked.

pub(crate) mod change;
mod consent;
pub(crate) mod explain;
pub(crate) mod grant;
pub(crate) mod inspect;
pub(crate) mod install;
pub(crate) mod list;
pub(crate) mod order;
pub(crate) mod update;
pub(crate) mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use msb_host::auth::Chain;
use msb_host::plugin::{Entry, Fetcher, Installed, InstalledError};
use msb_host::progress::Progress;
use msb_host::registry::Client;
use msb_host::registry::hosts::{HostOverrides, Hosts};
use msb_host::settings::Settings;
use msb_host::store::Home;

use crate::args::PluginCommand;
use crate::error::CommandError;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::ui::Ui;

/// Runs a command.
pub(crate) fn run(ui: Ui, command: PluginCommand) -> Result<(), CommandError> {
    match command {
        PluginCommand::Install(args) => install::run(ui, &args),
        PluginCommand::Ls(args) => list::run(ui, &args),
        PluginCommand::Inspect(args) => inspect::run(ui, &args),
        PluginCommand::Rm(args) => change::remove(ui, &args),
        PluginCommand::Update(args) => update::run(ui, &args),
        PluginCommand::Enable(args) => change::enable(ui, &args, true),
        PluginCommand::Disable(args) => change::enable(ui, &args, false),
        PluginCommand::Grant(args) => grant::run(ui, &args, true),
        PluginCommand::Revoke(args) => grant::run(ui, &args, false),
        PluginCommand::Order(args) => order::run(ui, &args),
        PluginCommand::Verify(args) => verify::run(ui, &args),
        PluginCommand::ExplainAuth(args) => explain::run(ui, &args),
    }
}

/// How servers are spoken to.
#[derive(Debug, clap::Args)]
pub(crate) struct Connection {
    /// Connect to registries over plain HTTP instead of HTTPS.
    #[arg(long)]
    insecure: bool,
    /// Path to a PEM file with additional CA root certificates.
    #[arg(long, value_name = "PATH")]
    ca_certs: Vec<PathBuf>,
}

impl Connection {
    /// Returns the words that say the same on a command line.
    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.insecure {
            words.push("--insecure".to_owned());
        }
        for path in &self.ca_certs {
            let path = consent::quoted(&path.to_string_lossy());
            words.extend(["--ca-certs".to_owned(), path]);
        }
        words
    }
}

/// What every command about plugins works with.
struct Bench {
    settings: Settings,
    installed: Installed,
}

impl Bench {
    fn open() -> Result<Self, CommandError> {
        let home = Home::resolve()?;
        let settings = Settings::read(&home)?;
        Ok(Self {
            installed: Installed::open(&home, &settings)?,
            settings,
        })
    }

    fn chain(&self) -> Chain {
        Chain::new(self.installed.providers(), &self.settings.registries.auth)
    }

    fn fetcher(&self, connection: &Connection) -> Result<Fetcher, CommandError> {
        let overrides = HostOverrides {
            insecure: connection.insecure,
            ca_certs: connection.ca_certs.clone(),
        };
        let hosts = Hosts::read(&self.settings, &overrides)?;
        Ok(Fetcher {
            client: Arc::new(Client::new(hosts, self.settings.registries.retry)?),
            chain: Arc::new(self.chain()),
            settings: self.settings.plugins.clone(),
        })
    }
}

/// Runs a change and shows what it was.
fn changed<T>(
    ui: Ui,
    change: impl FnOnce(&Bench, &dyn Progress, &Interrupt) -> Result<T, InstalledError>,
) -> Result<T, CommandError> {
    let bench = Bench::open()?;
    let interrupt = Interrupt::watch();
    let done = progress::during(ui, Work::Plugins, |progress| {
        change(&bench, progress.as_ref(), &interrupt)
    });
    interrupt.settle(done)
}

fn done(ui: Ui, verb: &str, name: &str, aside: &str) {
    ui.success(verb, name, aside, Duration::ZERO);
}

/// Returns whether a plugin is asked, and why not.
fn state(entry: &Entry) -> String {
    match &entry.replaced_by {
        _ if !entry.enabled => "disabled".to_owned(),
        Some(other) => format!("replaced by {other}"),
        None => "enabled".to_owned(),
    }
}

/// Returns where a plugin comes from, for people.
fn source(entry: &Entry) -> &str {
    entry
        .origin
        .as_ref()
        .map_or("ships with msb", |origin| &origin.source)
}
