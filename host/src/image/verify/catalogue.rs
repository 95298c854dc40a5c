//! Checking the catalogue, and restoring it.
//!
//! Owns what is said of a damaged catalogue and of what a restored one lacks. The check and the
//! restoration themselves are the store's.

use std::sync::Arc;

use super::VerifyOptions;
use crate::cancel::Cancel;
use crate::image::Damage;
use crate::progress::Progress;
use crate::store::{Restored, Store, StoreError};

/// Checks the catalogue, and brings it back if it is damaged.
pub(super) fn check(
    store: &Store,
    options: VerifyOptions,
    progress: &Arc<dyn Progress>,
    cancel: &Cancel,
) -> Result<Vec<Damage>, StoreError> {
    let wrong = store.check_catalogue()?;
    if !wrong.is_empty() {
        if options.repair {
            let restored = store.restore(progress.as_ref(), cancel)?;
            return Ok(of_restored(store, wrong, &restored));
        }
        let path = store.catalogue_path();
        let damage = wrong.into_iter().map(|what| Damage::of(&path, what));
        return Ok(damage.collect());
    }
    let wanting = store.check_sidecars(options.repair)?.into_iter();
    let damage = wanting.map(|image| Damage {
        repaired: options.repair,
        ..Damage::of(
            &store.sidecar_path(&image),
            "it is missing or damaged".to_owned(),
        )
    });
    Ok(damage.collect())
}

/// Returns what was wrong with a catalogue that was brought back, and what is still missing in it.
pub(super) fn of_restored(store: &Store, wrong: Vec<String>, restored: &Restored) -> Vec<Damage> {
    let path = store.catalogue_path();
    let repaired = wrong.into_iter().map(|what| Damage {
        repaired: true,
        ..Damage::of(&path, what)
    });
    let lost = restored.lost.iter().map(|row| {
        let what = format!("image {} could not be restored: {}", row.digest, row.what);
        Damage::of(&path, what)
    });
    repaired.chain(lost).collect()
}
