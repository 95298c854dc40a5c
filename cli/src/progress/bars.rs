//! A bar for every layer at work, below a line that says where the operation is.
//!
//! Layers that are done make room for others, so the picture never grows beyond a few lines.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use msb_host::progress::{Event, LayerNumber, LogLevel, Progress};

use super::{Work, retrying, waiting_for_layer, waiting_for_registry, waiting_for_store, worked};
use crate::escape::escaped;
use crate::size;
use crate::ui::{Animation, Ui};

/// Times per second that the picture is drawn.
const RATE: u8 = 10;
/// How often the wheel turns, to show that msb is alive.
const TICK: Duration = Duration::from_millis(100);
/// Columns for the name of a layer.
const NAME: usize = 16;

/// Layers that were there before and have a line each; more of them would fill the screen.
const MAX_PRESENT: usize = 8;

// What matters fits into 80 columns.
const WITH_TOTAL: &str = "  {prefix:16} {bar:14} {done:>10}/{total:<10} {speed:>12} {left}{msg}";
const WITHOUT_TOTAL: &str = "  {prefix:16} {spinner:14} {done:>10} {blank:10} {speed:>12} {msg}";
const WITHOUT_BAR: &str = "  {prefix:16} {msg}";

/// Draws bars on stderr.
pub(super) struct Bars {
    ui: Ui,
    work: Work,
    screen: MultiProgress,
    heading: ProgressBar,
    layers: Mutex<Layers>,
}

#[derive(Default)]
struct Layers {
    phase: String,
    total: usize,
    done: usize,
    running: HashMap<LayerNumber, ProgressBar>,
    /// Bars of layers that were there before.
    present: Vec<ProgressBar>,
    /// Layers of which nothing has come since something failed.
    failed: HashSet<LayerNumber>,
    overall: Option<ProgressBar>,
}

impl Bars {
    pub(super) fn new(ui: Ui, work: Work, animation: Animation) -> Self {
        // indicatif would ask about stdout, where an archive may be going.
        console::set_colors_enabled(animation.colour);
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(RATE));
        let heading = screen.add(ProgressBar::new_spinner());
        heading.set_style(style("{spinner:.cyan} {msg}"));
        heading.enable_steady_tick(TICK);
        let layers = Layers {
            phase: work.heading().to_owned(),
            ..Layers::default()
        };
        heading.set_message(layers.heading());
        Self {
            ui,
            work,
            screen,
            heading,
            layers: Mutex::new(layers),
        }
    }

    /// Removes everything from the screen, for good.
    pub(super) fn clear(&self) {
        let mut layers = self.layers();
        let running = layers.running.drain().map(|(_, bar)| bar);
        let bars: Vec<ProgressBar> = running.collect();
        let present = std::mem::take(&mut layers.present);
        for bar in bars.into_iter().chain(present).chain(layers.overall.take()) {
            bar.finish_and_clear();
        }
        self.heading.finish_and_clear();
        // A terminal that is gone needs no clearing.
        let _ = self.screen.clear();
    }

    fn start(&self, name: &str, size: Option<u64>) -> ProgressBar {
        let (template, bar) = match size {
            Some(size) => (WITH_TOTAL, ProgressBar::new(size)),
            None => (WITHOUT_TOTAL, ProgressBar::no_length()),
        };
        let bar = self.screen.add(bar);
        bar.set_style(style(template));
        bar.set_prefix(label(name));
        bar.set_message(self.work.layer_phase());
        bar
    }

    /// Shows how far all layers together are.
    fn start_overall(&self, bytes: u64) {
        let bar = self
            .screen
            .insert_after(&self.heading, ProgressBar::new(bytes));
        bar.set_style(style(WITH_TOTAL));
        let mut layers = self.layers();
        bar.set_prefix(layers.count());
        layers.overall = Some(bar);
        self.heading.set_message(layers.heading());
    }

    /// Takes note of a layer that is done.
    fn finish(&self, layer: LayerNumber, already_present: bool) {
        let mut layers = self.layers();
        layers.done += 1;
        self.heading.set_message(layers.heading());
        if let Some(overall) = &layers.overall {
            overall.set_prefix(layers.count());
        }
        let Some(bar) = layers.running.remove(&layer) else {
            return;
        };
        let is_told = already_present && matches!(self.work, Work::Pull);
        if is_told && layers.present.len() < MAX_PRESENT {
            bar.set_style(style(WITHOUT_BAR));
            bar.abandon_with_message("already exists");
            layers.present.push(bar);
        } else {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
    }

    /// Takes note of bytes of a layer.
    fn advance(&self, layer: LayerNumber, bytes: u64) {
        let mut layers = self.layers();
        let is_again = layers.failed.remove(&layer);
        if let Some(bar) = layers.running.get(&layer) {
            bar.inc(bytes);
            if bar.length() == Some(bar.position()) {
                bar.set_message("finishing");
            } else if is_again {
                bar.set_message(self.work.layer_phase());
            }
        }
        if let Some(overall) = &layers.overall {
            overall.inc(bytes);
        }
    }

    /// Writes a line; the bars go on below.
    fn tell(&self, line: &str) {
        self.screen.suspend(|| self.ui.status(line));
    }

    fn layers(&self) -> MutexGuard<'_, Layers> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Bars {
    fn report(&self, event: Event<'_>) {
        match event {
            Event::LayerAdvanced { layer, bytes } => self.advance(layer, bytes),
            Event::LayerStarted { layer, name, size } => {
                let bar = self.start(name, size);
                let mut layers = self.layers();
                if let Some(former) = layers.running.insert(layer, bar) {
                    // What has come of it was for nothing.
                    if let Some(overall) = &layers.overall {
                        overall.dec(former.position());
                    }
                    former.finish_and_clear();
                    self.screen.remove(&former);
                }
            }
            Event::LayerFinished {
                layer,
                already_present,
                ..
            } => self.finish(layer, already_present),
            Event::Layers(more) => {
                let mut layers = self.layers();
                // What was told of before was the way to here.
                if !matches!(self.work, Work::Pull) {
                    self.work.heading().clone_into(&mut layers.phase);
                }
                layers.total = layers.done + more;
                self.heading.set_message(layers.heading());
            }
            Event::Phase(phase) => {
                let mut layers = self.layers();
                phase.clone_into(&mut layers.phase);
                self.heading.set_message(layers.heading());
            }
            Event::LayerWaiting { diff_id, .. } => {
                self.heading.set_message(waiting_for_layer(diff_id));
            }
            Event::StoreBusy(reason) => {
                let message = escaped(&waiting_for_store(reason)).into_owned();
                self.heading.set_message(message);
            }
            Event::RegistryWaiting { host, what, since } => {
                self.tell(&waiting_for_registry(host, what, since));
            }
            Event::Retrying { reason, after } => self.tell(&retrying(reason, after)),
            Event::LayerRetrying {
                layer,
                reason,
                after,
            } => {
                self.tell(&retrying(reason, after));
                let mut layers = self.layers();
                layers.failed.insert(layer);
                if let Some(bar) = layers.running.get(&layer) {
                    bar.set_message("trying again");
                }
            }
            Event::Bytes(bytes) if bytes > 0 => self.start_overall(bytes),
            Event::Notice(text) => self.screen.suspend(|| self.ui.note(text)),
            Event::Log { level, message } => self.log(level, message),
            Event::PluginLog {
                plugin,
                level,
                message,
            } => self.log(level, &format!("plugin {plugin}: {message}")),
            other => {
                if let Some(line) = worked(&other) {
                    self.log(LogLevel::Debug, &line);
                }
            }
        }
    }
}

impl Bars {
    fn log(&self, level: LogLevel, text: &str) {
        // Drawing everything again for a line that is not shown would make the picture flicker.
        if self.ui.shows(level) {
            self.screen.suspend(|| self.ui.log(level, text));
        }
    }
}

impl Layers {
    fn heading(&self) -> String {
        let phase = escaped(&self.phase);
        match (self.done, self.total) {
            // The line below says it.
            _ if self.overall.is_some() => phase.into_owned(),
            (0, 0) => phase.into_owned(),
            (done, total) if total < done => format!("{phase}  {done} layers"),
            _ => format!("{phase}  {}", self.count()),
        }
    }

    fn count(&self) -> String {
        format!("{}/{} layers", self.done, self.total)
    }
}

/// Returns what a layer is called on its bar: the short form of a digest where its name has one,
/// otherwise the end of the name, which tells more than its start.
fn label(name: &str) -> String {
    let digest = name
        .split(['/', ':', '.'])
        .find(|part| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if let Some(digest) = digest.and_then(|digest| digest.get(..12)) {
        return digest.to_owned();
    }
    let name = escaped(name);
    let length = name.chars().count();
    if length <= NAME {
        return name.into_owned();
    }
    let end: String = name.chars().skip(length + 1 - NAME).collect();
    format!("…{end}")
}

/// Returns an estimated time, in whole units, followed by a gap.
fn time_left(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s left  "),
        _ => format!("{}m {:02}s left  ", seconds / 60, seconds % 60),
    }
}

fn style(template: &str) -> ProgressStyle {
    type Line<'a> = &'a mut dyn std::fmt::Write;
    // A line is a string, and writing to one cannot fail.
    let put = |line: Line<'_>, text: &str| _ = line.write_str(text);
    let done = move |state: &ProgressState, line: Line<'_>| put(line, &size::bytes(state.pos()));
    let total = move |state: &ProgressState, line: Line<'_>| {
        put(line, &size::bytes(state.len().unwrap_or(0)));
    };
    let speed = move |state: &ProgressState, line: Line<'_>| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and a speed is shown with three digits"
        )]
        let speed = state.per_sec() as u64;
        put(line, &format!("{}/s", size::bytes(speed)));
    };
    let left = move |state: &ProgressState, line: Line<'_>| {
        let seconds = state.eta().as_secs();
        if state.pos() > 0 && seconds > 0 {
            put(line, &time_left(seconds));
        }
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .with_key("left", left)
        .with_key("done", done)
        .with_key("total", total)
        .with_key("speed", speed)
        .with_key("blank", |_: &ProgressState, _: Line<'_>| {})
        .progress_chars("━╸╌")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
