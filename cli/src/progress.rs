//! What an operation tells while it runs, for whoever watches: bars on a terminal, lines
//! elsewhere, nothing when it is to be quiet.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use msb_host::progress::{Event, LayerNumber, LogLevel, Progress};

use crate::escape::escaped;
use crate::size;
use crate::ui::Ui;

/// Columns that the name of a layer gets.
const NAME: usize = 24;
/// How often bars are drawn again, per second.
const RATE: u8 = 10;

/// A display that was started; it must be finished before anything else is printed.
pub(crate) struct Shown {
    progress: Arc<dyn Progress>,
    bars: Option<MultiProgress>,
}

impl Shown {
    /// Returns what an operation reports to.
    pub(crate) fn progress(&self) -> &Arc<dyn Progress> {
        &self.progress
    }

    /// Clears the bars away.
    pub(crate) fn finish(&self) {
        if let Some(bars) = &self.bars {
            // A terminal that is gone needs no clearing.
            let _ = bars.clear();
        }
    }
}

/// Starts the display that suits stderr.
pub(crate) fn start(ui: Ui, quiet: bool) -> Shown {
    if quiet {
        let progress = Arc::new(Notices { ui });
        return Shown {
            progress,
            bars: None,
        };
    }
    if !io::stderr().is_terminal() {
        let progress = Arc::new(Lines {
            ui,
            started: Mutex::default(),
        });
        return Shown {
            progress,
            bars: None,
        };
    }
    let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(RATE));
    let heading = bars.add(ProgressBar::new_spinner());
    let progress = Arc::new(Bars {
        ui,
        all: bars.clone(),
        heading,
        layers: Mutex::default(),
    });
    Shown {
        progress,
        bars: Some(bars),
    }
}

/// Shows warnings and errors of plugins only.
struct Notices {
    ui: Ui,
}

impl Progress for Notices {
    fn report(&self, event: Event<'_>) {
        if let Event::PluginLog { level, .. } = event
            && level >= LogLevel::Error
        {
            self.ui.notice(&logged(&event));
        }
    }
}

/// A line for every step that has ended.
struct Lines {
    ui: Ui,
    started: Mutex<HashMap<LayerNumber, (String, Instant, u64)>>,
}

impl Progress for Lines {
    fn report(&self, event: Event<'_>) {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::LayerStarted { layer, name, .. } => {
                started.insert(layer, (escaped(name), Instant::now(), 0));
            }
            Event::LayerAdvanced { layer, bytes } => {
                if let Some((_, _, sum)) = started.get_mut(&layer) {
                    *sum += bytes;
                }
            }
            Event::LayerFinished { layer, diff_id, .. } => {
                if let Some((name, since, sum)) = started.remove(&layer) {
                    self.ui.status(&format!(
                        "layer {}  {}  {}  {}",
                        diff_id.short(),
                        size::bytes(sum),
                        size::seconds(since.elapsed()),
                        name
                    ));
                }
            }
            Event::LayerWaiting { diff_id, .. } => self.ui.status(&waiting(diff_id.short())),
            other => tell(self.ui, &other),
        }
    }
}

/// A bar for every layer at work.
struct Bars {
    ui: Ui,
    all: MultiProgress,
    heading: ProgressBar,
    layers: Mutex<HashMap<LayerNumber, ProgressBar>>,
}

impl Progress for Bars {
    fn report(&self, event: Event<'_>) {
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Phase(phase) => self.heading.set_message(phase.to_owned()),
            Event::LayerStarted { layer, name, size } => {
                let bar = self.all.add(ProgressBar::new(size.unwrap_or(0)));
                bar.set_style(style(size.is_some()));
                bar.set_prefix(shortened(&escaped(name)));
                layers.insert(layer, bar);
            }
            Event::LayerAdvanced { layer, bytes } => {
                if let Some(bar) = layers.get(&layer) {
                    bar.inc(bytes);
                }
            }
            Event::LayerFinished { layer, .. } => {
                if let Some(bar) = layers.remove(&layer) {
                    bar.finish_and_clear();
                }
            }
            Event::LayerWaiting { diff_id, .. } => {
                self.heading.set_message(waiting(diff_id.short()));
            }
            Event::StoreBusy(who) => self.heading.set_message(format!("waiting: {who}")),
            other => self.all.suspend(|| tell(self.ui, &other)),
        }
        self.heading.tick();
    }
}

fn style(sized: bool) -> ProgressStyle {
    let template = if sized {
        "  {prefix:24} {bar:24} {bytes:>10}/{total_bytes:10} {binary_bytes_per_sec:>12} {eta:>4}"
    } else {
        "  {prefix:24} {spinner} {bytes:>10} {binary_bytes_per_sec:>12}"
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╾╌")
}

/// Shows what is worth a line of its own.
fn tell(ui: Ui, event: &Event<'_>) {
    match event {
        Event::Notice(text) if ui.verbosity() <= LogLevel::Warn => {
            ui.notice(text);
        }
        Event::StoreBusy(who) => ui.status(&format!("waiting: {who}")),
        Event::PluginLog { level, .. } if *level >= ui.verbosity() => ui.notice(&logged(event)),
        _ => {}
    }
}

fn waiting(layer: &str) -> String {
    format!("layer {layer}: waiting for another msb that is making it")
}

fn logged(event: &Event<'_>) -> String {
    match event {
        Event::PluginLog {
            plugin, message, ..
        } => format!("plugin {plugin}: {message}"),
        _ => String::new(),
    }
}

/// Returns the end of a name that is too long, which tells more than its start.
fn shortened(name: &str) -> String {
    let length = name.chars().count();
    if length <= NAME {
        return name.to_owned();
    }
    let tail: String = name.chars().skip(length - NAME + 1).collect();
    format!("…{tail}")
}
