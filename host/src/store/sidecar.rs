//! The sidecar of an image: its rows of the catalogue once more, in a file of their own.
//!
//! Owns the form of these files and when they are written. The catalogue is a single file, and
//! losing it would lose the names of all images; a sidecar is small, has a checksum, and is
//! never changed in place. A transaction that changes an image marks its sidecar as stale, and it is
//! written right after the commit. Whoever dies in between leaves the mark, and the next one to open
//! the store goes on. So a sidecar that is not stale says what the catalogue should say.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use super::catalogue::{Store, WriteError};
use super::query::ImageRecord;
use super::rows::Rows;
use super::schema::has_table;
use super::{StoreError, fs};
use crate::digest::Digest;
use crate::fs::IfThere as _;
use crate::home::{Home, SIDECAR};

/// Marks the sidecar of an image as stale. Belongs into the transaction that changes its rows.
pub(super) fn mark(connection: &Connection, image: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO msb_stale_sidecar (image) VALUES (?1)")?
        .execute([image])?;
    Ok(())
}

/// Marks the sidecars of all images as stale.
pub(super) fn mark_all(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT OR IGNORE INTO msb_stale_sidecar (image) SELECT digest FROM msb_image",
        [],
    )?;
    Ok(())
}

/// Returns the images whose sidecars are stale.
pub(super) fn stale(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    // A catalogue that can only be read may be older than sidecars.
    let select = if has_table(connection, "msb_stale_sidecar")? {
        "SELECT image FROM msb_stale_sidecar"
    } else {
        "SELECT digest FROM msb_image"
    };
    connection
        .prepare_cached(select)?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Writes the sidecars that are stale. The catalogue has been committed, so that this changes
/// nothing of what there is.
pub(super) fn refresh(home: &Home, connection: &mut Connection) -> Result<(), WriteError> {
    let is_any_stale = connection
        .prepare_cached("SELECT 1 FROM msb_stale_sidecar LIMIT 1")?
        .query_row([], |_| Ok(()))
        .optional()?;
    if is_any_stale.is_none() {
        return Ok(());
    }
    // Forgetting a mark again, after a power cut, does no harm: it need not be waited for.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let refreshed = refresh_stale(home, connection);
    connection.pragma_update(None, "synchronous", "FULL")?;
    refreshed
}

fn refresh_stale(home: &Home, connection: &mut Connection) -> Result<(), WriteError> {
    // Others write the same files: who holds the catalogue has the newest rows.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut has_changed = false;
    for image in stale(&transaction)? {
        // A text that is not a digest has no sidecar.
        if let Ok(digest) = image.parse::<Digest>() {
            let rows = match Rows::read(&transaction, &image) {
                // A value of another type than its column.
                Err(error) if error.sqlite_error_code().is_none() => continue,
                rows => rows?,
            };
            has_changed |= match rows {
                // The sidecar may be the only copy that makes sense: it stays, and so does the mark.
                Some(rows) if rows.nonsense().is_some() => continue,
                Some(rows) => write(home, &digest, &rows)?,
                None => fs::remove(&home.sidecar(&digest)).map(|()| true)?,
            };
        }
        transaction.execute("DELETE FROM msb_stale_sidecar WHERE image = ?1", [&image])?;
    }
    // A mark goes only when what it stands for is on the disk.
    if has_changed && home.sidecars().is_dir() {
        fs::sync_directory(&home.sidecars())?;
    }
    fs::step(&home.catalogue())?;
    Ok(transaction.commit()?)
}

/// Writes the sidecars of images durably, so that the catalogue may go.
pub(super) fn write_all<'a>(
    home: &Home,
    images: impl IntoIterator<Item = &'a Rows>,
) -> Result<(), StoreError> {
    let mut has_changed = false;
    for rows in images {
        if let Ok(digest) = rows.digest.parse::<Digest>() {
            has_changed |= write(home, &digest, rows)?;
        }
    }
    if has_changed {
        fs::sync_directory(&home.sidecars())?;
    }
    Ok(())
}

/// Writes the sidecar of an image, and returns whether it said something else before. That its name
/// is on the disk is left to the caller.
fn write(home: &Home, digest: &Digest, rows: &Rows) -> Result<bool, StoreError> {
    let path = home.sidecar(digest);
    let bytes = encode(rows);
    if crate::fs::read(&path).is_ok_and(|there| there == bytes) {
        return Ok(false);
    }
    fs::create_directory(&home.sidecars())?;
    let written = fs::write_aside(&bytes, &path).and_then(fs::Aside::persist);
    if written.is_err() {
        // One that says what is not so any more is worse than none.
        let _ = fs::remove(&path);
    }
    written.map(|()| true)
}

/// Reads a sidecar.
pub(super) fn read(path: &Path, digest: &Digest) -> Result<Rows, Unusable> {
    let bytes = crate::fs::read(path).if_there();
    let bytes = bytes.map_err(|error| Unusable::Unreadable(error.source))?;
    let bytes = bytes.ok_or(Unusable::Missing)?;
    let rows = decode(&bytes).ok_or(Unusable::Damaged)?;
    if rows.digest == digest.to_string() {
        Ok(rows)
    } else {
        Err(Unusable::Damaged)
    }
}

/// Why a sidecar says nothing.
#[derive(Debug)]
pub(super) enum Unusable {
    /// There is none.
    Missing,
    /// It is there, and cannot be read now.
    Unreadable(std::io::Error),
    /// Its checksum, or its name, is another one.
    Damaged,
}

/// Returns the images that have a sidecar, and those whose file has such a name.
pub(super) fn list(home: &Home) -> Result<BTreeSet<Digest>, StoreError> {
    let mut images = BTreeSet::new();
    each_stem(home, |stem| {
        images.extend(stem.replacen('_', ":", 1).parse::<Digest>());
    })?;
    Ok(images)
}

/// Looks at the names of all sidecars, without their ending.
fn each_stem(home: &Home, mut look: impl FnMut(&str)) -> Result<(), StoreError> {
    let entries = crate::fs::entries(&home.sidecars()).if_there()?;
    for entry in entries.into_iter().flatten() {
        let name = entry?.file_name();
        if let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(SIDECAR)) {
            look(stem);
        }
    }
    Ok(())
}

impl Store {
    /// Returns the images that have a sidecar and are not in the catalogue, although it was never
    /// told to forget them.
    pub(super) fn unlisted(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let mut unlisted = list(self.home())?;
        // Somebody may remove an image, or add it, while this looks.
        for _ in 0..3 {
            if unlisted.is_empty() {
                break;
            }
            self.read(|catalogue| {
                let mut listed = catalogue.prepare_cached("SELECT digest FROM msb_image")?;
                let mut rows = listed.query([])?;
                while let Some(row) = rows.next()? {
                    if let Ok(known) = row.get_ref(0)?.as_str()
                        && let Ok(known) = known.parse()
                    {
                        unlisted.remove(&known);
                    }
                }
                for known in stale(catalogue)? {
                    if let Ok(known) = known.parse() {
                        unlisted.remove(&known);
                    }
                }
                Ok::<_, rusqlite::Error>(())
            })?;
            unlisted.retain(|image| self.home().sidecar(image).exists());
        }
        Ok(unlisted)
    }

    /// Fails if the catalogue has lost images. `listed` were just read from it, and need no second look.
    pub(crate) fn check_complete_with<'a>(
        &self,
        listed: impl Iterator<Item = &'a ImageRecord>,
    ) -> Result<(), StoreError> {
        let listed: HashSet<&str> = listed.map(|image| image.digest.hex()).collect();
        let mut are_listed = true;
        each_stem(self.home(), |stem| {
            are_listed &= stem
                .split_once('_')
                .is_some_and(|(_, hex)| listed.contains(hex));
        })?;
        if are_listed {
            Ok(())
        } else {
            self.check_complete()
        }
    }

    /// Fails if the catalogue has lost images.
    pub fn check_complete(&self) -> Result<(), StoreError> {
        match self.unlisted()?.len() {
            0 => Ok(()),
            images => Err(StoreError::LostImages {
                path: self.home().catalogue(),
                images,
            }),
        }
    }
}

/// The rows as JSON, and the digest of that.
fn encode(rows: &Rows) -> Vec<u8> {
    // Texts and numbers always have a JSON form.
    let mut bytes = serde_json::to_vec_pretty(rows).unwrap_or_default();
    bytes.push(b'\n');
    let digest = Digest::of(&bytes);
    bytes.extend(format!("{digest}\n").into_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Rows> {
    let text = bytes.strip_suffix(b"\n")?;
    let start = text.iter().rposition(|byte| *byte == b'\n')? + 1;
    let (json, stated) = text.split_at(start);
    if Digest::of(json).to_string().as_bytes() != stated {
        return None;
    }
    serde_json::from_slice(json).ok()
}
