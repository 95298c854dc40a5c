//! The layers of one operation that are done, for those that lie over them.
//!
//! Owns the waiting. Jobs are begun in order and wait only for jobs before them, so the first one
//! that is not done never waits, and the others come to their turn.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::LoadError;
use super::convert::{ConvertedLayer, Place};
use crate::cancel::Cancel;
use crate::layer::{Chain, LayerError, LowerLayers};

/// How often a layer that waits looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// What was done, by the numbers of the jobs.
#[derive(Default)]
pub(super) struct Board {
    done: Mutex<BTreeMap<usize, (ConvertedLayer, Arc<File>)>>,
    changed: Condvar,
}

impl Board {
    /// Adds a layer that is done.
    pub(super) fn put_up(&self, job: usize, layer: ConvertedLayer) -> Result<(), LoadError> {
        let (erofs, _) = layer.staged.open()?;
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.insert(job, (layer, Arc::new(erofs)));
        self.changed.notify_all();
        Ok(())
    }

    /// Lets those who wait see that one has failed.
    pub(super) fn wake(&self) {
        self.changed.notify_all();
    }

    /// Waits for the layers below a place.
    pub(super) fn chain(&self, place: &Place, cancel: &Cancel) -> Result<Chain, LayerError> {
        let mut lower = LowerLayers::default();
        for job in &place.below {
            lower.push(self.wait(*job, cancel)?)?;
        }
        Ok(Chain {
            id: place.chain_id.clone(),
            lower,
        })
    }

    /// Returns the layers in the order of their jobs.
    pub(super) fn take_down(self) -> Vec<ConvertedLayer> {
        self.done
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .into_values()
            .map(|(layer, _)| layer)
            .collect()
    }

    fn wait(&self, job: usize, cancel: &Cancel) -> Result<Arc<File>, LayerError> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some((_, erofs)) = done.get(&job) {
                return Ok(Arc::clone(erofs));
            }
            cancel.check()?;
            (done, _) = self
                .changed
                .wait_timeout(done, LOOK)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}
