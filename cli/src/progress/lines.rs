//! One plain line for every layer that is done, for logs and pipes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use msb_host::progress::{Event, LayerNumber, LogLevel, Progress};

use super::{Work, retrying, waiting_for_layer, waiting_for_registry, waiting_for_store, worked};
use crate::size;
use crate::ui::Ui;

/// Prints what is done, without moving the cursor.
pub(super) struct Lines {
    ui: Ui,
    running: Mutex<Running>,
}

impl Lines {
    pub(super) fn new(ui: Ui, work: Work) -> Self {
        Self {
            ui,
            running: Mutex::new(Running {
                layers: HashMap::new(),
                tells_present: matches!(work, Work::Pull),
            }),
        }
    }
}

impl Progress for Lines {
    fn report(&self, event: Event<'_>) {
        match event {
            Event::Phase(phase) => self.ui.log(LogLevel::Info, phase),
            Event::Notice(text) => self.ui.note(text),
            Event::Log { level, message } => self.ui.log(level, message),
            Event::PluginLog {
                plugin,
                level,
                message,
            } => self.ui.log(level, &format!("plugin {plugin}: {message}")),
            Event::LayerWaiting { diff_id, .. } => self.ui.status(&waiting_for_layer(diff_id)),
            Event::StoreBusy(reason) => self.ui.status(&waiting_for_store(reason)),
            Event::RegistryWaiting { host, what, since } => {
                self.ui.status(&waiting_for_registry(host, what, since));
            }
            Event::Retrying { reason, after } | Event::LayerRetrying { reason, after, .. } => {
                self.ui.status(&retrying(reason, after));
            }
            other => {
                if let Some(line) = worked(&other) {
                    self.ui.log(LogLevel::Debug, &line);
                }
                let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(line) = running.take(&other, Instant::now()) {
                    self.ui.status(&line);
                }
            }
        }
    }
}

/// The layers at work.
#[derive(Default)]
struct Running {
    layers: HashMap<LayerNumber, Layer>,
    /// A layer that was there is worth a line.
    tells_present: bool,
}

struct Layer {
    name: String,
    since: Instant,
    bytes: u64,
}

impl Running {
    /// Takes note of an event, and returns the line that it is worth.
    fn take(&mut self, event: &Event<'_>, now: Instant) -> Option<String> {
        match *event {
            Event::LayerStarted { layer, name, .. } => {
                let started = Layer {
                    name: name.to_owned(),
                    since: now,
                    bytes: 0,
                };
                self.layers.insert(layer, started);
                None
            }
            Event::LayerAdvanced { layer, bytes } => {
                self.layers.get_mut(&layer)?.bytes += bytes;
                None
            }
            Event::LayerFinished {
                layer,
                diff_id,
                already_present,
            } => {
                let done = self.layers.remove(&layer)?;
                if already_present {
                    return self
                        .tells_present
                        .then(|| format!("layer {}  already exists", diff_id.short()));
                }
                Some({
                    format!(
                        "layer {}  {}  {}  {}",
                        diff_id.short(),
                        size::bytes(done.bytes),
                        size::duration(now.saturating_duration_since(done.since)),
                        done.name
                    )
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use msb_host::digest::Digest;

    use super::*;

    #[test]
    fn a_layer_is_worth_a_line_once_it_is_done() {
        let mut running = Running::default();
        let (layer, now) = (LayerNumber(3), Instant::now());
        let started = Event::LayerStarted {
            layer,
            name: "a/layer.tar",
            size: None,
        };
        let advanced = Event::LayerAdvanced { layer, bytes: 1024 };
        for event in [&started, &advanced, &advanced] {
            assert_eq!(running.take(event, now), None);
        }
        let diff_id = Digest::of(b"");
        let finished = Event::LayerFinished {
            layer,
            diff_id: &diff_id,
            already_present: false,
        };
        let line = running.take(&finished, now + Duration::from_secs(2));
        assert_eq!(
            line.as_deref(),
            Some("layer e3b0c44298fc  2.0 KiB  2.0s  a/layer.tar")
        );
        assert_eq!(running.take(&finished, now), None);
    }
}
