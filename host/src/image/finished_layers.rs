//! The layers of one operation that are done, for those that lie over them.
//!
//! Owns the waiting. Jobs are begun in order and wait only for jobs before them, so the first one
//! that is not done never waits, and the others come to their turn. No file is kept open: there may
//! be thousands of layers.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::ImageError;
use super::convert::ConvertedLayer;
use super::plan::{Plan, StackPosition};
use crate::cancel::Cancel;
use crate::layer::{ChainPosition, LayerError, LowerLayers};
use crate::limits::Budget;

/// How often a layer that waits looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// The layers that are done, by the numbers of their jobs.
pub(super) struct FinishedLayers<'a> {
    plan: &'a Plan,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    done: BTreeMap<usize, Result<ConvertedLayer, ImageError>>,
    /// The layers of each image, as far up as all are done, as long as they may be needed.
    lower: Vec<Option<LowerLayers>>,
    /// How many layers of each image are still to be done.
    left: Vec<usize>,
    budget: Budget,
}

impl<'a> FinishedLayers<'a> {
    pub(super) fn new(plan: &'a Plan, budget: &Budget) -> Self {
        let mut left = vec![0; plan.stacks.len()];
        for position in plan.jobs.iter().filter_map(|job| job.position.as_ref()) {
            left[position.stack] += 1;
        }
        Self {
            plan,
            state: Mutex::new(State {
                done: BTreeMap::new(),
                lower: vec![None; plan.stacks.len()],
                left,
                budget: budget.clone(),
            }),
            changed: Condvar::new(),
        }
    }

    /// Adds a layer that is done, or the error that it failed with.
    pub(super) fn insert(&self, job: usize, layer: Result<ConvertedLayer, ImageError>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done.insert(job, layer);
        if let Some(position) = self
            .plan
            .jobs
            .get(job)
            .and_then(|job| job.position.as_ref())
        {
            state.left[position.stack] = state.left[position.stack].saturating_sub(1);
            if state.left[position.stack] == 0 {
                // What was read of the layers below is not needed any more.
                state.lower[position.stack] = None;
            }
        }
        self.changed.notify_all();
    }

    /// Lets those who wait see that one has failed.
    pub(super) fn wake(&self) {
        self.changed.notify_all();
    }

    /// Waits for the layers below a position. `None` when one of them has failed: then the layer
    /// may still be of use to another image.
    pub(super) fn chain(
        &self,
        position: &StackPosition,
        cancel: &Cancel,
    ) -> Result<Option<ChainPosition>, LayerError> {
        let jobs = self.plan.stacks.get(position.stack);
        let jobs = jobs.map_or(&[][..], Vec::as_slice);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match state.lower(position, jobs) {
                Below::Done(lower) => {
                    return Ok(Some(ChainPosition {
                        id: position.chain_id.clone(),
                        lower,
                    }));
                }
                Below::Failed => return Ok(None),
                Below::Pending => {}
            }
            cancel.check()?;
            (state, _) = self
                .changed
                .wait_timeout(state, LOOK)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns what became of the layers, in the order of their jobs.
    pub(super) fn into_ordered(self) -> Vec<Result<ConvertedLayer, ImageError>> {
        let state = self.state.into_inner();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        state.done.into_values().collect()
    }
}

/// The layers below a position.
enum Below {
    Done(LowerLayers),
    Failed,
    Pending,
}

impl State {
    /// Returns how far the layers below a position are.
    fn lower(&mut self, position: &StackPosition, jobs: &[usize]) -> Below {
        let Self {
            done,
            lower,
            budget,
            ..
        } = self;
        let Some(lower) = lower.get_mut(position.stack) else {
            return Below::Failed;
        };
        let lower = lower.get_or_insert_with(|| LowerLayers::within(budget));
        while let Some(job) = jobs[..position.depth.min(jobs.len())].get(lower.len()) {
            let path = match done.get(job) {
                Some(Ok(layer)) => layer.staged.erofs(),
                Some(Err(_)) => return Below::Failed,
                None => return Below::Pending,
            };
            lower.push(move || File::open(&path));
        }
        Below::Done(lower.lowest(position.depth))
    }
}
