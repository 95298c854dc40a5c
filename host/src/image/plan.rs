//! The list of layers to convert.
//!
//! Owns its order, in which every layer follows those that it lies over, and what each job knows
//! of its position.

use std::collections::HashMap;

use crate::digest::Digest;
use crate::layer::chain_id;

/// A layer that has to be converted.
#[derive(Clone, Debug)]
pub(super) struct LayerJob {
    pub(super) entry: u32,
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) diff_id: Digest,
    pub(super) blob: Option<(Digest, Option<u64>)>,
    pub(super) position: Option<StackPosition>,
}

/// Where a layer lies in an image all of whose layers up to it are converted together.
#[derive(Clone, Debug)]
pub(super) struct StackPosition {
    pub(super) chain_id: Digest,
    /// The stack of its image in the plan, and how many layers of it lie below. Their jobs come
    /// before this one.
    pub(super) stack: usize,
    pub(super) depth: usize,
}

/// Builds a plan that converts each layer once.
#[derive(Default)]
pub(super) struct PlanBuilder {
    list: Vec<LayerJob>,
    /// The job of each layer, and over which layers it is converted.
    known: HashMap<Digest, (usize, Digest)>,
    stacks: Vec<Vec<usize>>,
}

/// The jobs of an operation in the order in which they are begun.
pub(super) struct Plan {
    pub(super) jobs: Vec<LayerJob>,
    /// Of each image the jobs of its layers, the bottom one first, as far up as all of them are
    /// converted now, and over these very layers.
    pub(super) stacks: Vec<Vec<usize>>,
}

/// The layers of an image up to one of them.
#[derive(Clone, Debug)]
pub(super) struct ChainTip {
    chain_id: Option<Digest>,
    /// Their stack, if all of them are in it.
    stack: Option<usize>,
}

impl PlanBuilder {
    /// Begins with an image: the next layer is its bottom one.
    pub(super) fn image(&mut self) -> ChainTip {
        self.stacks.push(Vec::new());
        ChainTip {
            chain_id: None,
            stack: Some(self.stacks.len() - 1),
        }
    }

    /// Adds the next layer of an image, with a job if it is to be converted.
    pub(super) fn add(
        &mut self,
        below: &ChainTip,
        diff_id: &Digest,
        job: Option<LayerJob>,
    ) -> ChainTip {
        let chain_id = chain_id(below.chain_id.as_ref(), diff_id);
        if let Some(mut job) = job
            && !self.known.contains_key(diff_id)
        {
            job.position = below.stack.map(|stack| StackPosition {
                chain_id: chain_id.clone(),
                stack,
                depth: self.stacks[stack].len(),
            });
            self.known
                .insert(diff_id.clone(), (self.list.len(), chain_id.clone()));
            self.list.push(job);
        }
        let own = match self.known.get(diff_id) {
            Some((number, position)) if *position == chain_id => Some(*number),
            _ => None,
        };
        if let (Some(stack), Some(own)) = (below.stack, own) {
            self.stacks[stack].push(own);
        }
        ChainTip {
            chain_id: Some(chain_id),
            stack: below.stack.filter(|_| own.is_some()),
        }
    }

    pub(super) fn finish(self) -> Plan {
        Plan {
            jobs: self.list,
            stacks: self.stacks,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn job(diff_id: &Digest) -> LayerJob {
        LayerJob {
            entry: 0,
            name: String::new(),
            size: 0,
            diff_id: diff_id.clone(),
            blob: None,
            position: None,
        }
    }

    /// Adds images, their layers by name, those in capitals being in the store already. Returns
    /// each job as its layer and the jobs that it waits for.
    fn listed(images: &[&str]) -> Vec<String> {
        let mut jobs = PlanBuilder::default();
        for image in images {
            let mut above = jobs.image();
            for name in image.split_whitespace() {
                let diff_id = Digest::of(name.as_bytes());
                let is_missing = name.chars().all(char::is_lowercase);
                above = jobs.add(&above, &diff_id, is_missing.then(|| job(&diff_id)));
            }
        }
        let names: Vec<&str> = images.iter().flat_map(|image| image.split(' ')).collect();
        let name = |job: &LayerJob| {
            let of_job = |name: &&&str| Digest::of(name.as_bytes()) == job.diff_id;
            names.iter().find(of_job).unwrap().to_string()
        };
        let Plan { jobs, stacks } = jobs.finish();
        jobs.iter()
            .map(|job| match &job.position {
                None => format!("{}: unknown", name(job)),
                Some(position) => {
                    let below = &stacks[position.stack][..position.depth];
                    format!("{}: {below:?}", name(job))
                }
            })
            .collect()
    }

    #[test]
    fn a_layer_waits_for_all_below_it() {
        assert_eq!(listed(&["a b c"]), ["a: []", "b: [0]", "c: [0, 1]"]);
    }

    #[test]
    fn images_share_the_layers_that_they_have_in_common() {
        assert_eq!(listed(&["a b", "a c"]), ["a: []", "b: [0]", "c: [0]"]);
    }

    #[test]
    fn the_place_of_a_layer_is_not_known_over_one_that_is_converted_for_another_place() {
        assert_eq!(listed(&["a b", "b c"]), ["a: []", "b: [0]", "c: unknown"]);
    }

    #[test]
    fn the_place_of_a_layer_is_not_known_over_one_that_is_in_the_store() {
        assert_eq!(listed(&["A b", "c"]), ["b: unknown", "c: []"]);
    }

    #[test]
    fn a_layer_that_is_there_twice_is_converted_once() {
        assert_eq!(listed(&["a b a"]), ["a: []", "b: [0]"]);
    }

    #[test]
    fn what_the_plan_holds_grows_with_the_number_of_layers() {
        for layers in [1000, 2000, 4000] {
            let mut jobs = PlanBuilder::default();
            let mut above = jobs.image();
            for number in 0..layers {
                let diff_id = Digest::of(format!("{number}").as_bytes());
                above = jobs.add(&above, &diff_id, Some(job(&diff_id)));
            }
            let plan = jobs.finish();
            assert_eq!(plan.jobs.len(), layers);
            let held: usize = plan.stacks.iter().map(Vec::len).sum();
            assert_eq!(held, layers);
        }
    }
}
