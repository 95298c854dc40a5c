//! The list of layers to convert.
//!
//! Owns its order, in which every layer follows those that it lies over, and what each job knows
//! of its place.

use std::collections::HashMap;

use super::convert::{Job, Place};
use super::place::chain_id;
use crate::digest::Digest;

/// Jobs in the making, each layer once.
#[derive(Default)]
pub(super) struct Jobs {
    list: Vec<Job>,
    /// The job of each layer, and over which layers it is converted.
    known: HashMap<Digest, (usize, Digest)>,
}

/// The layers of an image up to one of them.
#[derive(Clone, Debug)]
pub(super) struct Above {
    chain_id: Option<Digest>,
    /// Their jobs, if all of them are converted now, and over these very layers.
    jobs: Option<Vec<usize>>,
}

impl Above {
    /// Nothing yet: the next layer is the bottom one.
    pub(super) fn nothing() -> Self {
        Self {
            chain_id: None,
            jobs: Some(Vec::new()),
        }
    }
}

impl Jobs {
    /// Adds the next layer of an image, with a job if it is to be converted.
    pub(super) fn add(&mut self, below: Above, diff_id: &Digest, job: Option<Job>) -> Above {
        let chain_id = chain_id(below.chain_id.as_ref(), diff_id);
        if let Some(mut job) = job
            && !self.known.contains_key(diff_id)
        {
            job.place = below.jobs.clone().map(|below| Place {
                chain_id: chain_id.clone(),
                below,
            });
            self.known
                .insert(diff_id.clone(), (self.list.len(), chain_id.clone()));
            self.list.push(job);
        }
        let own = match self.known.get(diff_id) {
            Some((number, place)) if *place == chain_id => Some(*number),
            _ => None,
        };
        Above {
            chain_id: Some(chain_id),
            jobs: below.jobs.zip(own).map(|(mut jobs, own)| {
                jobs.push(own);
                jobs
            }),
        }
    }

    pub(super) fn into_list(self) -> Vec<Job> {
        self.list
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn job(diff_id: &Digest) -> Job {
        Job {
            entry: 0,
            name: String::new(),
            size: 0,
            diff_id: diff_id.clone(),
            blob: None,
            place: None,
        }
    }

    /// Adds images, their layers by name, those in capitals being in the store already. Returns
    /// each job as its layer and the jobs that it waits for.
    fn listed(images: &[&str]) -> Vec<String> {
        let mut jobs = Jobs::default();
        for image in images {
            let mut above = Above::nothing();
            for name in image.split_whitespace() {
                let diff_id = Digest::of(name.as_bytes());
                let is_missing = name.chars().all(char::is_lowercase);
                above = jobs.add(above, &diff_id, is_missing.then(|| job(&diff_id)));
            }
        }
        let names: Vec<&str> = images.iter().flat_map(|image| image.split(' ')).collect();
        let name = |job: &Job| {
            let of_job = |name: &&&str| Digest::of(name.as_bytes()) == job.diff_id;
            names.iter().find(of_job).unwrap().to_string()
        };
        jobs.into_list()
            .iter()
            .map(|job| match &job.place {
                None => format!("{}: unknown", name(job)),
                Some(place) => format!("{}: {:?}", name(job), place.below),
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
}
