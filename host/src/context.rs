//! What every operation is given by its caller: where it reports to, and what stops it.

use std::fmt;
use std::sync::Arc;

use crate::cancel::Cancel;
use crate::progress::{Progress, Silent};

/// Where an operation reports to, and what stops it. Clones share both. By default, events are ignored
/// and nothing cancels the operation.
#[derive(Clone)]
pub struct Context {
    /// Receives the events of the operation.
    pub progress: Arc<dyn Progress>,
    /// Stops the operation early.
    pub cancel: Cancel,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            progress: Arc::new(Silent),
            cancel: Cancel::default(),
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Context")
            .field("cancel", &self.cancel)
            .finish_non_exhaustive()
    }
}
