//! Lines for the user: no permission needed, and never many.

use crate::plugin::bindings::msb::plugin::log;
use crate::plugin::guest::{Guest, first_bytes};
use crate::progress::{Event, LogLevel};

/// Bytes of one line in the log, and of the last words.
const MAX_LINE: usize = 4096;
/// Lines in the log of one operation.
const MAX_LINES: u32 = 1000;

impl log::Host for Guest {
    fn emit(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.host(|guest| {
            guest.lines += 1;
            if guest.lines > MAX_LINES {
                return;
            }
            let level = match level {
                log::Level::Trace => LogLevel::Trace,
                log::Level::Debug => LogLevel::Debug,
                log::Level::Info => LogLevel::Info,
                log::Level::Warn => LogLevel::Warn,
                log::Level::Error => LogLevel::Error,
            };
            guest.progress.report(Event::PluginLog {
                plugin: &guest.plugin,
                level,
                message: first_bytes(&message, MAX_LINE),
            });
        })
    }

    fn last_words(&mut self, message: String) -> wasmtime::Result<()> {
        self.host(|guest| {
            guest.last_words = Some(first_bytes(&message, MAX_LINE).to_owned());
        })
    }
}
