//! `image history`: how an image came to be, step by step.
//!
//! Owns which step made which layer: the configuration lists the steps, and says of each only whether
//! it made one. Source: OCI image-spec, `config.md`, `history`.

use serde::Serialize;

use super::config::{HistoryEntry, ImageConfig};
use crate::digest::Digest;
use crate::store::{ImageRecord, Store, StoreError};

/// A step in the making of an image. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryStep {
    /// A remark.
    pub comment: Option<String>,
    /// When, as the configuration says.
    pub created: Option<String>,
    /// By which command.
    pub created_by: Option<String>,
    /// The layer that it made; `None` where it made none.
    pub diff_id: Option<Digest>,
    /// Whether it made no layer.
    pub empty_layer: bool,
    /// The bytes of its layer as a tar, not compressed; `None` where the store has lost the layer.
    pub size_bytes: Option<u64>,
}

/// Returns the steps in which an image was made, the last one first.
///
/// A configuration may list fewer or more steps with a layer than there are layers: what is not listed is
/// a step of which nothing is known.
pub fn history(store: &Store, selector: &str) -> Result<Vec<HistoryStep>, StoreError> {
    let image = store.find(selector)?.image;
    let bytes = store.blob(&image.config_digest)?;
    let config = ImageConfig::read(&image.config_digest, &bytes);
    let mut steps = steps(config.history, &image);
    for step in &mut steps {
        step.size_bytes = match &step.diff_id {
            None => Some(0),
            Some(diff_id) => store
                .layer_over_any(diff_id)?
                .map(|layer| layer.facts.tar_size),
        };
    }
    steps.reverse();
    Ok(steps)
}

/// Returns the steps, the first one first, with the layers that they made.
fn steps(entries: Vec<HistoryEntry>, image: &ImageRecord) -> Vec<HistoryStep> {
    let mut layers = image.layers.iter().map(|layer| &layer.key.diff_id);
    let mut steps: Vec<HistoryStep> = entries
        .into_iter()
        .map(|entry| {
            let diff_id = if entry.empty_layer {
                None
            } else {
                layers.next()
            };
            HistoryStep {
                comment: entry.comment,
                created: entry.created,
                created_by: entry.created_by,
                diff_id: diff_id.cloned(),
                empty_layer: entry.empty_layer,
                size_bytes: None,
            }
        })
        .collect();
    steps.extend(layers.map(|diff_id| HistoryStep {
        comment: None,
        created: None,
        created_by: None,
        diff_id: Some(diff_id.clone()),
        empty_layer: false,
        size_bytes: None,
    }));
    steps
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::store::tests::{TestStore, key};

    fn entry(created_by: &str, empty_layer: bool) -> HistoryEntry {
        HistoryEntry {
            created: None,
            created_by: Some(created_by.to_owned()),
            comment: None,
            empty_layer,
        }
    }

    #[test]
    fn each_step_has_the_layer_that_it_made() {
        let store = TestStore::new();
        store.add("app", &["a", "b"], &["app"]);
        let image = store.store.find("app").unwrap().image;
        let made = |entries: &[HistoryEntry]| -> Vec<(Option<String>, Option<Digest>)> {
            let steps = steps(entries.to_vec(), &image).into_iter();
            steps.map(|step| (step.created_by, step.diff_id)).collect()
        };
        let by = |text: &str| Some(text.to_owned());
        let (a, b) = (Some(key("a").diff_id), Some(key("b").diff_id));
        let copied = [
            entry("COPY", false),
            entry("ENV", true),
            entry("RUN", false),
        ];
        assert_eq!(
            made(&copied),
            [
                (by("COPY"), a.clone()),
                (by("ENV"), None),
                (by("RUN"), b.clone())
            ]
        );
        assert_eq!(
            made(&[entry("COPY", false)]),
            [(by("COPY"), a.clone()), (None, b.clone())]
        );
        let more = [entry("1", false), entry("2", false), entry("3", false)];
        assert_eq!(made(&more), [(by("1"), a), (by("2"), b), (by("3"), None)]);
    }

    #[test]
    fn the_last_step_comes_first_with_the_size_of_its_layer() {
        let store = TestStore::new();
        store.add("app", &["a", "b"], &["app"]);
        let steps = history(&store.store, "app").unwrap();
        let diff_ids: Vec<_> = steps.iter().map(|step| step.diff_id.clone()).collect();
        assert_eq!(diff_ids, [Some(key("b").diff_id), Some(key("a").diff_id)]);
        assert!(steps.iter().all(|step| step.size_bytes == Some(10)));
    }
}
