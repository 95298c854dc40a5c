//! The WebAssembly engine: one per process, started when the first plugin is called.
//!
//! Owns the engine's configuration and the clock that stops guests.

use std::time::Duration;

use wasmtime::{Config, Engine, OptLevel, RegallocAlgorithm, WasmBacktraceDetails};

use super::error::EngineError;
use super::limits::PluginBudget;

/// How often a running guest is checked: the precision of its time budget and of Ctrl-C.
const TICK: Duration = Duration::from_millis(10);

/// Bytes past a memory that fault instead of being checked. Small, so that a guest takes address
/// space in proportion to its budget and msb runs under a tight `ulimit -v`.
const MEMORY_GUARD: u64 = 64 << 10;

/// Bytes of a guest's calls within itself.
pub(super) const MAX_STACK: usize = 512 << 10;

/// Starts an engine that only compiles; `quickly`, where what it makes need not be fast.
pub(super) fn compiling(quickly: bool) -> wasmtime::Result<Engine> {
    let mut config = config();
    if quickly {
        config
            .cranelift_opt_level(OptLevel::None)
            .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass)
            // Threads would share its time, and take some of it for themselves.
            .parallel_compilation(false);
    }
    Engine::new(&config)
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_memory64(false)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .memory_reservation(PluginBudget::FORMAT.memory as u64)
        .memory_guard_size(MEMORY_GUARD)
        .max_wasm_stack(MAX_STACK);
    config
}

/// Starts the engine.
pub(super) fn start() -> Result<Engine, EngineError> {
    let engine = Engine::new(&config()).map_err(|source| EngineError {
        message: format!("{source:#}"),
    })?;
    let weak = engine.weak();
    std::thread::Builder::new()
        .name("plugin-clock".to_owned())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map_err(|source| EngineError {
            message: source.to_string(),
        })?;
    Ok(engine)
}
