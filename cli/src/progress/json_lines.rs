//! One line of JSON for every event, for programs. The keys are documented in `docs/json.md`.

use std::time::Duration;

use msb_host::progress::{Event, LayerNumber, LogLevel, Progress};
use serde_json::{Value, json};

use super::worked;
use crate::ui::Ui;

/// Prints events as JSON on stderr.
pub(super) struct JsonLines(Ui);

impl JsonLines {
    pub(super) fn new(ui: Ui) -> Self {
        Self(ui)
    }
}

impl Progress for JsonLines {
    fn report(&self, event: Event<'_>) {
        let (level, value) = line(&event);
        if level.is_none_or(|level| self.0.shows(level)) {
            self.0.json_line(&value);
        }
    }
}

/// Returns an event as JSON, and how important it is, if it is a line of a log.
fn line(event: &Event<'_>) -> (Option<LogLevel>, Value) {
    let log = |level: LogLevel, message: &str| {
        let value = json!({"event": "log", "level": word(level), "message": message});
        (Some(level), value)
    };
    let value = match *event {
        Event::Phase(phase) => json!({"event": "phase", "phase": phase}),
        Event::Layers(count) => json!({"event": "layers", "count": count}),
        Event::Bytes(bytes) => json!({"event": "bytes", "bytes": bytes}),
        Event::LayerStarted { layer, name, size } => {
            json!({"event": "layer_started", "layer": number(layer), "name": name, "size_bytes": size})
        }
        Event::LayerAdvanced { layer, bytes } => {
            json!({"event": "layer_advanced", "layer": number(layer), "bytes": bytes})
        }
        Event::LayerWaiting { layer, diff_id } => {
            json!({"event": "layer_waiting", "layer": number(layer), "diff_id": diff_id})
        }
        Event::LayerFinished {
            layer,
            diff_id,
            already_present,
        } => json!({
            "event": "layer_finished", "layer": number(layer), "diff_id": diff_id,
            "already_present": already_present,
        }),
        Event::Retrying { reason, after } => {
            json!({"event": "retrying", "reason": reason, "after_ms": milliseconds(after)})
        }
        Event::LayerRetrying {
            layer,
            reason,
            after,
        } => json!({
            "event": "layer_retrying", "layer": number(layer), "reason": reason,
            "after_ms": milliseconds(after),
        }),
        Event::RegistryWaiting { host, what, since } => json!({
            "event": "registry_waiting", "host": host, "what": what,
            "since_ms": milliseconds(since),
        }),
        Event::StoreBusy(reason) => json!({"event": "store_busy", "reason": reason}),
        Event::Notice(text) => return log(LogLevel::Warn, text),
        Event::Log { level, message } => return log(level, message),
        Event::PluginLog {
            plugin,
            level,
            message,
        } => return log(level, &format!("plugin {plugin}: {message}")),
        ref other => {
            let text = worked(other).unwrap_or_default();
            return log(LogLevel::Debug, &text);
        }
    };
    (None, value)
}

fn number(layer: LayerNumber) -> usize {
    layer.0
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the word for a level.
pub(crate) fn word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warning",
        LogLevel::Error => "error",
    }
}
