//! Names like one that is not there: what was probably meant.

use std::cmp::Reverse;

use crate::reference::Reference;
use crate::store::{Store, StoreError};

/// So many names are enough.
const MOST: usize = 3;
/// So many letters may differ.
const NEAR: usize = 2;

/// Returns names of images that are like a text, the most similar first: those of the same repository, and
/// those that differ in few letters.
pub fn similar(store: &Store, text: &str) -> Result<Vec<Reference>, StoreError> {
    let wanted = text.parse::<Reference>().ok();
    let repository = wanted.as_ref().map(Reference::name);
    let spelling = wanted.map_or_else(|| text.to_owned(), |wanted| wanted.familiar());
    let mut found = Vec::new();
    for image in store.images()? {
        for name in image.references {
            let own = name.familiar();
            let distance = strsim::osa_distance(&spelling, &own)
                .min(strsim::osa_distance(text, &name.familiar_name()));
            let is_of_repository = repository.as_ref() == Some(&name.name());
            let is_near = distance <= NEAR && distance < text.len() / 2;
            if is_of_repository || is_near {
                found.push((Reverse(is_of_repository), distance, name));
            }
        }
    }
    found.sort();
    found.truncate(MOST);
    Ok(found.into_iter().map(|(.., name)| name).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::store::tests::TestStore;

    #[test]
    fn what_was_meant_is_of_the_same_repository_or_spelled_nearly_so() {
        let store = TestStore::new();
        store.add("alpine", &["a"], &["alpine:3.10", "alpine:3.20"]);
        store.add("app", &["b"], &["ghcr.io/org/app:v1", "python"]);
        for (text, expected) in [
            ("alpine", &["alpine:3.10", "alpine:3.20"] as &[&str]),
            ("alpin:3.10", &["alpine:3.10", "alpine:3.20"]),
            ("phyton", &["python:latest"]),
            ("ghcr.io/org/app:v2", &["ghcr.io/org/app:v1"]),
            ("ghcr.io/org/ap:v1", &["ghcr.io/org/app:v1"]),
            ("debian", &[]),
            ("a", &[]),
        ] {
            let found = similar(&store.store, text).unwrap();
            let found: Vec<String> = found.iter().map(Reference::familiar).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
