//! `msb plugin lock`, and `msb plugin install --lock`: the lock file of a project.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use msb_host::installed::{Lock, LockedBuiltin, LockedPlugin, Takeover};
use msb_host::plugin::shell_word;
use msb_host::work::PluginSources;

use super::consent::said_yes;
use crate::commands;
use crate::error::CommandError;
use crate::escape::escaped;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::ui::Ui;

/// Write what is installed to a lock file, for a project or another machine.
///
/// Sources that are files are written relative to it. `msb plugin install --lock FILE` installs the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb plugin lock ./plugins.lock")]
pub(crate) struct Args {
    /// The file.
    file: PathBuf,
}

/// Runs `lock`.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    Lock::write_shared(commands::open()?.home(), &args.file)?;
    ui.success(
        "Wrote",
        &args.file.display().to_string(),
        "",
        Duration::ZERO,
    );
    Ok(())
}

/// Installs what a lock file has.
pub(super) fn install(
    ui: Ui,
    plugins: &PluginSources,
    interrupt: &Interrupt,
    file: &Path,
    yes: bool,
) -> Result<(), CommandError> {
    let lock = Lock::read_shared(file)?;
    let names: Vec<String> = lock.plugins.iter().map(|it| it.name.clone()).collect();
    let takeover = progress::during(ui, Work::Install, |progress| {
        let context = interrupt.context(progress);
        let network = plugins.network(&context);
        plugins.installer(&network, &context).take_over(lock)
    });
    let takeover = interrupt.settle(takeover)?;
    if !yes && !takeover.is_agreed() {
        let news = news(&takeover);
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Err(unasked(file, &news));
        }
        for line in &news {
            ui.prompt(&format!("{}\n", escaped(line)));
        }
        ui.prompt("Install this, with these permissions? [y/N] ");
        if !said_yes(ui)? {
            ui.status("Aborted.");
            return Ok(());
        }
    }
    let done = progress::during(ui, Work::Install, |progress| {
        let context = interrupt.context(progress);
        let network = plugins.network(&context);
        plugins.installer(&network, &context).commit_all(&takeover)
    });
    interrupt.settle(done)?;
    for name in names {
        ui.success("Installed", &name, "as in the lock", Duration::ZERO);
    }
    Ok(())
}

fn unasked(file: &Path, news: &[String]) -> CommandError {
    let mut error = CommandError::new(format!(
        "`{}` has plugins that you have not agreed to, and there is no terminal to ask you",
        file.display()
    ));
    for line in news {
        error = error.hint(format!("it has {line}"));
    }
    error.hint(format!(
        "to agree to all that is in the lock: msb plugin install --lock {} --yes",
        shell_word(&file.to_string_lossy())
    ))
}

/// Says what the user has not agreed to.
fn news(takeover: &Takeover) -> Vec<String> {
    let mut lines: Vec<String> = takeover.news.iter().map(said).collect();
    lines.extend(takeover.builtins.iter().map(said_of_builtin));
    if let Some(order) = &takeover.order {
        lines.push(format!("the order {}", order.join(", ")));
    }
    lines
}

/// Says what a lock makes of a plugin that ships with msb.
fn said_of_builtin(builtin: &LockedBuiltin) -> String {
    let disabled = if builtin.enabled { "" } else { ", disabled" };
    let tier = match builtin.tier {
        Some(tier) => format!(", with the tier `{tier}`"),
        None => String::new(),
    };
    let grants = match builtin.grants.as_deref() {
        Some([]) => ", which may use nothing".to_owned(),
        Some(grants) => format!(", which may use {}", grants.join(", ")),
        None => String::new(),
    };
    format!("{}{disabled}{tier}{grants}", builtin.name)
}

/// Says what a plugin of a lock is, and what it may do.
fn said(plugin: &LockedPlugin) -> String {
    let place = match &plugin.replaces {
        Some(other) => format!(" in the place of {other}"),
        None => String::new(),
    };
    let grants = match plugin.grants.as_slice() {
        [] => "nothing".to_owned(),
        grants => grants.join(", "),
    };
    let tier = match plugin.tier {
        Some(tier) => format!(", with the tier `{tier}`"),
        None => String::new(),
    };
    format!(
        "{} ({} `{}`{place}{tier}) from {}, which may use {grants}",
        plugin.name,
        plugin.kind.word(),
        plugin.kind.name(),
        plugin.source
    )
}
