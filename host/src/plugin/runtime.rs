//! The runtime that all plugins share: one engine, started when the first plugin is called.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use wasmtime::Engine;

use super::engine;
use super::error::{EngineError, Failure, PluginError};
use super::package::Inspection;
use crate::cancel::Cancel;
use crate::progress::Progress;
use crate::store::Home;

/// What runs plugins. Clones are the same runtime.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    cache: PathBuf,
    engine: OnceLock<Engine>,
}

impl Runtime {
    /// Returns a runtime that keeps compiled plugins in `home`. Starts nothing yet.
    pub fn new(home: &Home) -> Self {
        Self {
            inner: Arc::new(Inner {
                cache: home.plugin_cache(),
                engine: OnceLock::new(),
            }),
        }
    }

    /// Says what a component is, and has it describe itself: under tight limits and without any
    /// grant. `name` is what it is called in errors.
    ///
    /// # Errors
    /// When the bytes are no plugin for this msb; the error says in plain words what they are.
    pub fn inspect(
        &self,
        name: &str,
        _bytes: &[u8],
        _progress: &Arc<dyn Progress>,
        _cancel: &Cancel,
    ) -> Result<Inspection, PluginError> {
        Err(PluginError::new(
            name,
            None,
            Failure::Mismatch("inspection is being built".to_owned()),
        ))
    }

    pub(super) fn engine(&self) -> Result<&Engine, EngineError> {
        if let Some(engine) = self.inner.engine.get() {
            return Ok(engine);
        }
        let engine = engine::start(&self.inner.cache)?;
        Ok(self.inner.engine.get_or_init(|| engine))
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Runtime")
            .field("cache", &self.inner.cache)
            .finish_non_exhaustive()
    }
}
