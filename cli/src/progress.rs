//! What an operation tells while it runs: bars on a terminal, lines elsewhere, JSON for programs.
//!
//! Owns the choice between the two, and that nothing of a bar is left when the operation ends.

mod bars;
mod json_lines;
mod lines;

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use msb_host::progress::{Event, PluginWork, Progress};

pub(crate) use json_lines::word;

use crate::ui::Ui;

/// How work in progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressForm {
    /// Bars on a terminal, lines elsewhere (the default).
    #[default]
    Auto,
    /// Bars, also where stderr is not a terminal.
    Bars,
    /// A line for each layer that is done.
    Plain,
    /// A line of JSON on stderr for each event.
    Json,
    /// Nothing but notices and errors.
    None,
}

/// What is being done, for the words that tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    Pull,
    Load,
    Save,
    Export,
    Serve,
    Disk,
    Mount,
    Prune,
    Measure,
    Check,
    Verify,
    Login,
    Logout,
    List,
    Install,
    Push,
    Test,
}

impl Work {
    /// Returns what stands above the layers until the host says more.
    fn heading(self) -> &'static str {
        match self {
            Self::Pull => "Pulling",
            Self::Load => "Loading",
            Self::Save => "Saving",
            Self::Export => "Exporting",
            Self::Serve => "Serving",
            Self::Disk => "Merging layers",
            Self::Mount => "Mounting",
            Self::Prune => "Pruning",
            Self::Measure => "Measuring",
            Self::Check => "Checking",
            Self::Verify => "Verifying",
            Self::Login => "Logging in",
            Self::Logout => "Logging out",
            Self::List => "Looking for credentials",
            Self::Install => "Looking at plugins",
            Self::Push => "Pushing",
            Self::Test => "Testing",
        }
    }

    /// Returns what happens to a layer.
    fn layer_phase(self) -> &'static str {
        match self {
            Self::Load => "converting",
            Self::Save | Self::Disk => "writing",
            Self::Verify | Self::Export => "checking",
            // Of a pull the rate says it.
            Self::Pull
            | Self::Mount
            | Self::Prune
            | Self::Serve
            | Self::Measure
            | Self::Check
            | Self::Login
            | Self::Logout
            | Self::List
            | Self::Install
            | Self::Push
            | Self::Test => "",
        }
    }
}

/// Runs an operation and shows how it goes. When this returns, the terminal is free again.
pub(crate) fn during<T>(ui: Ui, work: Work, operation: impl FnOnce(&Arc<dyn Progress>) -> T) -> T {
    let plain = || -> Arc<dyn Progress> { Arc::new(lines::Lines::new(ui, work)) };
    let animation = match ui.form() {
        ProgressForm::Json => {
            let progress: Arc<dyn Progress> = Arc::new(json_lines::JsonLines::new(ui));
            return operation(&progress);
        }
        ProgressForm::None => {
            let progress: Arc<dyn Progress> =
                Arc::new(lines::Lines::new(ui.without_layers(), work));
            return operation(&progress);
        }
        ProgressForm::Plain => return operation(&plain()),
        ProgressForm::Bars => Some(ui.any_animation()),
        ProgressForm::Auto => ui.animation(),
    };
    let Some(animation) = animation else {
        return operation(&plain());
    };
    let bars = Arc::new(bars::Bars::new(ui, work, animation));
    let progress: Arc<dyn Progress> = Arc::clone(&bars) as _;
    let result = operation(&progress);
    bars.clear();
    result
}

/// Runs an operation that talks to the user: what it tells are lines.
pub(crate) fn beside_questions<T>(
    ui: Ui,
    work: Work,
    operation: impl FnOnce(&Arc<dyn Progress>) -> T,
) -> T {
    match ui.form() {
        ProgressForm::Auto | ProgressForm::Bars => {
            during(ui.progress(ProgressForm::Plain), work, operation)
        }
        _ => during(ui, work, operation),
    }
}

/// Returns the line shown while another process makes a layer.
fn waiting_for_layer(diff_id: &msb_host::digest::Digest) -> String {
    format!(
        "Waiting for another msb that makes layer {}",
        diff_id.short()
    )
}

/// Returns the line shown while msb waits for a registry.
fn waiting_for_registry(host: &str, what: &str, since: Duration) -> String {
    let seconds = since.as_secs();
    format!("Still waiting for {host} to answer ({what}, {seconds} s so far)")
}

/// Returns the line of something that is tried again.
fn retrying(reason: &str, after: Duration) -> String {
    match after.as_secs_f64().round() {
        0.0 => format!("Trying again: {reason}"),
        seconds => format!("Trying again in {seconds:.0} s: {reason}"),
    }
}

/// Returns the line that says what a plugin took, if that is what happened.
fn worked(event: &Event<'_>) -> Option<String> {
    let Event::PluginWork {
        plugin,
        work,
        took,
        in_host,
        host_calls,
    } = event
    else {
        return None;
    };
    let milliseconds = |duration: &Duration| duration.as_secs_f64() * 1e3;
    let took = milliseconds(took);
    Some(match work {
        PluginWork::Call(_) => format!(
            "plugin {plugin}: {work} took {took:.2} ms, {:.2} ms of it in the host, {host_calls} \
             calls",
            milliseconds(in_host)
        ),
        _ => format!("plugin {plugin}: {work} took {took:.2} ms"),
    })
}

/// Returns the line shown while another process holds the store.
fn waiting_for_store(reason: &str) -> String {
    format!("Waiting: {reason}")
}
