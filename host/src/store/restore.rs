//! Bringing the catalogue back: from the sidecars of the images, and from what can still be read of
//! it.
//!
//! Owns the question which of the two is right. A sidecar has a checksum, so unless it is marked as
//! stale, what contradicts it in the catalogue is damage.

use std::collections::{BTreeMap, BTreeSet};

use msb_documents::Document;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use super::catalogue::{Store, WriteError, failed};
use super::opening::bring_up_to_date;
use super::query::DamagedRow;
use super::rows::Rows;
use super::sidecar::Unusable;
use super::{StoreError, database, fault, fs, lock, schema, sidecar, sweep};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::home::Home;
use crate::progress::Progress;

/// What a catalogue has that was brought back.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// How many images it lists.
    pub images: usize,
    /// Images that could not be brought back, and why.
    pub lost: Vec<DamagedRow>,
}

impl Store {
    /// Opens the store of a home. Where its catalogue is damaged or lost, that is brought back, and
    /// what was wrong is returned as well.
    pub fn open_and_restore(
        home: &Home,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<(Self, Option<(StoreError, Restored)>), StoreError> {
        let error = match Self::open(home) {
            Ok(store) => return Ok((store, None)),
            Err(error) if error.is_of_catalogue() => error,
            Err(error) => return Err(error),
        };
        let store = Self::with(home, open_whatever_it_is(home)?);
        let restored = store.restore(progress, cancel)?;
        drop(store);
        Ok((Self::open(home)?, Some((error, restored))))
    }

    /// Rebuilds the catalogue. Waits until no load or pull is under way, and keeps others from
    /// beginning.
    pub fn restore(
        &self,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Restored, StoreError> {
        let _alone = self.without_operations(progress, cancel)?;
        let _lease = self.sole_lease(progress, cancel)?;
        let home = self.home();
        self.open_to_write()?;
        let mut connection = self.connection();
        let (images, lost) = collect(home, &connection)?;
        self.make_room();
        // From here on what was in the catalogue alone is in the sidecars as well: this may end at any
        // point, and be begun again.
        sidecar::write_all(home, &images)?;
        match reset(&connection) {
            Ok(()) => {}
            Err(error) if fault::is_damage(&error, &home.catalogue()) => {
                *connection = replace(home)?;
            }
            Err(error) => return Err(failed("write", home)(error)),
        }
        fs::step(&home.catalogue())?;
        database::configure(&connection).map_err(failed("write", home))?;
        enter(home, &mut connection, &images).map_err(|error| self.failed("write", error))?;
        for row in &lost {
            if let Ok(image) = row.digest.parse::<Digest>() {
                fs::remove(&home.sidecar(&image))?;
            }
        }
        bring_up_to_date(home, &mut connection)?;
        Ok(Restored {
            images: images.len(),
            lost,
        })
    }

    /// Returns what the catalogue says otherwise than the sidecars, or does not say at all.
    pub(super) fn contradictions(&self) -> Result<Vec<String>, StoreError> {
        // Rows and sidecars change one after the other: no process may be between the two.
        let _turn = lock::turn_to_write(self.home());
        let mut wrong: Vec<String> = self
            .unlisted()?
            .iter()
            .map(|image| format!("it does not list image {image}"))
            .collect();
        wrong.extend(self.read(|catalogue| {
            let mut wrong = Vec::new();
            let stale = sidecar::stale(catalogue)?;
            for image in listed(catalogue)? {
                let what = match Rows::read(catalogue, &image) {
                    Err(error) if error.sqlite_error_code().is_some() => return Err(error),
                    Err(error) => Some(fault::words(error)),
                    Ok(None) => None,
                    Ok(Some(rows)) => rows
                        .nonsense()
                        .or_else(|| difference(self.home(), &rows, &stale)),
                };
                wrong.extend(what.map(|what| {
                    format!(
                        "what it has of image {} is damaged: {what}",
                        image.escape_default()
                    )
                }));
            }
            Ok(wrong)
        })?);
        Ok(wrong)
    }

    /// Returns the images whose sidecars are missing or damaged, while the catalogue is not, and with
    /// `repair` writes these sidecars.
    pub fn check_sidecars(&self, repair: bool) -> Result<Vec<Digest>, StoreError> {
        // As for the contradictions, but not for longer: the repair takes its own turn.
        let turn = lock::turn_to_write(self.home());
        let wanting = self.read(|catalogue| {
            let stale = sidecar::stale(catalogue)?;
            let mut wanting = Vec::new();
            for image in listed(catalogue)? {
                let Ok(digest) = image.parse::<Digest>() else {
                    continue;
                };
                let path = self.home().sidecar(&digest);
                let is_wanting = matches!(
                    sidecar::read(&path, &digest),
                    Err(Unusable::Missing | Unusable::Damaged)
                );
                if is_wanting && !stale.contains(&image) {
                    wanting.push(digest);
                }
            }
            Ok::<_, rusqlite::Error>(wanting)
        })?;
        drop(turn);
        if repair && !wanting.is_empty() {
            self.write(|transaction| {
                for image in &wanting {
                    sidecar::mark(transaction, &image.to_string())?;
                }
                Ok(())
            })?;
        }
        Ok(wanting)
    }
}

/// Fails if what the catalogue has of an image makes no sense, or is not what its sidecar says.
pub(super) fn check_rows(
    home: &Home,
    catalogue: &Connection,
    image: &str,
) -> Result<(), WriteError> {
    let damaged = |rows: Option<&Rows>, what| {
        let name = rows.and_then(|rows| Some(rows.names.first()?.name.clone()));
        Err(WriteError::Store(StoreError::DamagedImage {
            image: name.unwrap_or_else(|| image.to_owned()),
            what,
        }))
    };
    let rows = match Rows::read(catalogue, image) {
        Err(error) if error.sqlite_error_code().is_none() => {
            return damaged(None, fault::words(error));
        }
        rows => rows?,
    };
    let Some(rows) = rows else {
        return Ok(());
    };
    let stale = sidecar::stale(catalogue)?;
    match rows.nonsense().or_else(|| difference(home, &rows, &stale)) {
        Some(what) => damaged(Some(&rows), what),
        None => Ok(()),
    }
}

/// Returns that the sidecar of an image says something else, if it does.
fn difference(home: &Home, rows: &Rows, stale: &BTreeSet<String>) -> Option<String> {
    if stale.contains(&rows.digest) {
        return None;
    }
    let digest = rows.digest.parse::<Digest>().ok()?;
    let path = home.sidecar(&digest);
    let stated = sidecar::read(&path, &digest).ok()?;
    (stated != *rows).then(|| format!("`{}` says otherwise", path.display()))
}

/// Returns the texts that should be the digests of all images.
fn listed(catalogue: &Connection) -> rusqlite::Result<Vec<String>> {
    catalogue
        .prepare("SELECT digest FROM msb_image ORDER BY digest")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Opens what stands in the place of the catalogue.
fn open_whatever_it_is(home: &Home) -> Result<Connection, StoreError> {
    let path = home.catalogue();
    if let Some(directory) = path.parent() {
        fs::create_directory(directory)?;
    }
    fs::open_or_create(&path)?;
    database::open_unread(&path).map_err(failed("open", home))
}

/// Removes a catalogue that cannot even be emptied, and opens a new one.
fn replace(home: &Home) -> Result<Connection, StoreError> {
    let path = home.catalogue();
    for suffix in ["-wal", "-shm", ""] {
        let mut file = path.clone().into_os_string();
        file.push(suffix);
        fs::remove(file.as_ref())?;
    }
    open_whatever_it_is(home)
}

/// Empties a database, whatever is in it.
fn reset(connection: &Connection) -> rusqlite::Result<()> {
    // It has to have been looked at once, with whatever result.
    let _ = connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()));
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_RESET_DATABASE, true)?;
    let emptied = connection.execute_batch("VACUUM");
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_RESET_DATABASE, false)?;
    emptied
}

/// Enters images into an empty catalogue.
fn enter(home: &Home, connection: &mut Connection, images: &[Rows]) -> Result<(), WriteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    schema::create_within(&transaction)?;
    for rows in images {
        rows.insert(&transaction)?;
    }
    sidecar::mark_all(&transaction)?;
    fs::step(&home.catalogue())?;
    Ok(transaction.commit()?)
}

/// Returns the rows of all images that there are, and the images of which nothing is left.
fn collect(
    home: &Home,
    catalogue: &Connection,
) -> Result<(Vec<Rows>, Vec<DamagedRow>), StoreError> {
    let mut readable = salvage(catalogue);
    let stale = sidecar::stale(catalogue).unwrap_or_default();
    let mut images = Vec::new();
    let mut lost = Vec::new();
    for digest in sidecar::list(home)? {
        let image = digest.to_string();
        let path = home.sidecar(&digest);
        let written = match sidecar::read(&path, &digest) {
            Ok(rows) => Some(rows).filter(|rows| rows.nonsense().is_none()),
            // It may say everything the next time.
            Err(Unusable::Unreadable(source)) => return Err(fs::error("read", &path)(source)),
            Err(Unusable::Missing | Unusable::Damaged) => None,
        };
        let read = readable.remove(&image);
        let rows = if stale.contains(&image) {
            read.or(written)
        } else {
            written.or(read)
        };
        match rows {
            Some(rows) => images.push(rows),
            None => lost.push(DamagedRow {
                digest: image,
                names: Vec::new(),
                what: format!("`{}` is damaged", path.display()),
            }),
        }
    }
    for rows in readable.into_values() {
        let is_there = |digest: Digest| home.blob(&digest).exists();
        if rows.digest.parse().is_ok_and(is_there) {
            images.push(rows);
        } else if !rows.is_bare() {
            lost.push(DamagedRow {
                digest: rows.digest,
                names: rows.names.into_iter().map(|row| row.name).collect(),
                what: "its manifest is missing".to_owned(),
            });
        }
    }
    lost.extend(unrecorded(home, &images, &lost)?);
    Ok((images, lost))
}

/// Returns the rows of images that make sense, as far as a damaged catalogue can be read.
fn salvage(catalogue: &Connection) -> BTreeMap<String, Rows> {
    let mut images = BTreeMap::new();
    for digest in listed(catalogue).unwrap_or_default() {
        if let Ok(Some(rows)) = Rows::read(catalogue, &digest)
            && rows.nonsense().is_none()
        {
            images.insert(digest, rows);
        }
    }
    images
}

/// Returns the manifests of the store that belong to no image.
fn unrecorded(
    home: &Home,
    images: &[Rows],
    lost: &[DamagedRow],
) -> Result<Vec<DamagedRow>, StoreError> {
    let known: BTreeSet<&str> = images
        .iter()
        .flat_map(Rows::documents)
        .chain(lost.iter().map(|row| &*row.digest))
        .collect();
    let mut unrecorded = Vec::new();
    for digest in sweep::documents(home)? {
        let image = digest.to_string();
        if known.contains(&*image) {
            continue;
        }
        let bytes = crate::fs::read(&home.blob(&digest)).unwrap_or_default();
        if let Ok(Document::Manifest(manifest)) = Document::read(&bytes, None)
            && let Ok(config) = manifest.config.digest.parse::<Digest>()
            && home.blob(&config).exists()
        {
            unrecorded.push(DamagedRow {
                digest: image,
                names: Vec::new(),
                what: "its manifest is there, and no record of it".to_owned(),
            });
        }
    }
    Ok(unrecorded)
}
