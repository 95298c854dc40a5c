//! Removal: of images from the catalogue, and of files that no image needs any more.
//!
//! Files are only removed under the sole lease, when nobody is making or reading layers. Files
//! that this store did not make are left alone: other microsandbox tools may share the home.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::catalogue::Store;
use super::lock::{self, Lease};
use super::staging::LOCK;
use super::{StoreError, foreign, fs};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::progress::Progress;

/// What was removed.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// References that led to removed images.
    pub references: usize,
    /// Images.
    pub images: usize,
    /// Images that stay because sandboxes use them.
    pub in_use: usize,
    /// Layers.
    pub layers: usize,
    /// Bytes of disk that are free now.
    pub bytes: u64,
}

impl Store {
    /// Takes one reference away from its image, which has others.
    pub(crate) fn untag(&self, canonical: &str) -> Result<(), StoreError> {
        self.connection()
            .execute("DELETE FROM msb_reference WHERE name = ?1", [canonical])
            .map(|_| ())
            .map_err(|source| self.catalogue_error("write", source))
    }

    /// Takes an image out of the catalogue with all its references. What sandboxes use of it
    /// stays until they are released.
    pub(crate) fn forget(&self, image: &Digest) -> Result<(), StoreError> {
        let connection = &mut *self.connection();
        forget(connection, &image.to_string())
            .map_err(|source| self.catalogue_error("write", source))
    }

    /// Removes the files that no image needs, if nobody is using the store right now. `None` when
    /// somebody is: then they are left for the next time.
    pub(crate) fn try_collect(&self) -> Result<Option<Collected>, StoreError> {
        match self.try_sole_lease()? {
            Some(lease) => self.collect(&lease, false).map(Some),
            None => Ok(None),
        }
    }

    /// Removes every image that no sandbox uses, and then what no image needs. With `dry_run`
    /// nothing is removed, and the answer is the same.
    pub(crate) fn collect_unused(
        &self,
        dry_run: bool,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Collected, StoreError> {
        self.prepare()?;
        let lease = self.sole_lease(progress, cancel)?;
        let mut collected = Collected::default();
        let images = self.images()?;
        let result = self.rehearsed(dry_run, |connection| {
            for image in &images {
                let digest = image.digest.to_string();
                if is_used(connection, &digest)? {
                    collected.in_use += 1;
                } else {
                    collected.images += 1;
                    collected.references += image.references.len();
                    forget(connection, &digest)?;
                }
            }
            forget_released(connection)?;
            Live::read(connection)
        })?;
        let swept = self.sweep(&lease, &result, dry_run)?;
        Ok(Collected {
            layers: swept.layers,
            bytes: swept.bytes,
            ..collected
        })
    }

    fn collect(&self, lease: &Lease, dry_run: bool) -> Result<Collected, StoreError> {
        let live = self.rehearsed(dry_run, |connection| {
            forget_released(connection)?;
            Live::read(connection)
        })?;
        self.sweep(lease, &live, dry_run)
    }

    /// Changes the catalogue in one transaction, which is taken back if this is a rehearsal.
    fn rehearsed<T>(
        &self,
        rehearsal: bool,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let run = |connection: &mut Connection| {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let answer = change(&transaction)?;
            if rehearsal {
                transaction.rollback()?;
            } else {
                transaction.commit()?;
            }
            Ok(answer)
        };
        run(&mut self.connection()).map_err(|source| self.catalogue_error("write", source))
    }

    /// Removes the files of the store that are not live.
    fn sweep(&self, _lease: &Lease, live: &Live, dry_run: bool) -> Result<Collected, StoreError> {
        let mut collected = Collected::default();
        let mut take = |path: &Path| -> Result<(), StoreError> {
            collected.bytes += if dry_run {
                disk_bytes(path)
            } else {
                fs::remove(path)?
            };
            Ok(())
        };
        let mut layers = 0;
        for path in entries(&self.home().layers())? {
            if path.extension() != Some(OsStr::new("recipe")) {
                continue;
            }
            if !is_among(&live.layers, &path) {
                layers += 1;
                take(&path.with_extension("erofs"))?;
                take(&path)?;
            }
        }
        for path in entries(&self.home().blobs())? {
            if !is_among(&live.blobs, &path) {
                take(&path)?;
            }
        }
        for path in entries(&self.home().tmp())? {
            if path.is_dir() {
                let lock = path.join(LOCK);
                // Ours, and of a process that is gone: a living one holds the lock and a lease.
                if lock.exists() && lock::attempt(&lock, File::try_lock)?.is_some() {
                    for file in walkdir::WalkDir::new(&path).contents_first(true) {
                        let Ok(file) = file else { continue };
                        if file.file_type().is_dir() {
                            if !dry_run {
                                // What cannot be removed is tried again by the next prune.
                                let _ = std::fs::remove_dir(file.path());
                            }
                        } else {
                            take(file.path())?;
                        }
                    }
                }
            } else if path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b".tmp"))
            {
                take(&path)?;
            }
        }
        collected.layers = layers;
        Ok(collected)
    }
}

/// File stems of what images need.
struct Live {
    layers: BTreeSet<String>,
    blobs: BTreeSet<String>,
}

impl Live {
    /// Reads what is needed, and forgets the rest of the layers.
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        connection.execute(
            "DELETE FROM msb_layer WHERE diff_id NOT IN (SELECT diff_id FROM msb_image_layer)",
            [],
        )?;
        let stems = |query| -> rusqlite::Result<BTreeSet<String>> {
            connection
                .prepare(query)?
                .query_map([], |row| Ok(row.get::<_, String>(0)?.replace(':', "_")))?
                .collect()
        };
        Ok(Self {
            layers: stems("SELECT diff_id FROM msb_image_layer")?,
            blobs: stems("SELECT digest FROM msb_image UNION SELECT config_digest FROM msb_image")?,
        })
    }
}

fn is_among(stems: &BTreeSet<String>, path: &Path) -> bool {
    path.file_stem()
        .and_then(OsStr::to_str)
        .is_some_and(|stem| stems.contains(stem))
}

fn is_used(connection: &Connection, digest: &str) -> rusqlite::Result<bool> {
    let ours: u32 = connection.query_row(
        "SELECT count(*) FROM msb_use WHERE image = ?1",
        [digest],
        |row| row.get(0),
    )?;
    Ok(ours > 0 || !foreign::users(connection, digest)?.is_empty())
}

fn forget(connection: &Connection, digest: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM msb_reference WHERE image = ?1", [digest])?;
    if is_used(connection, digest)? {
        connection.execute(
            "UPDATE msb_image SET removed = 1 WHERE digest = ?1",
            params![digest],
        )?;
    } else {
        connection.execute("DELETE FROM msb_image WHERE digest = ?1", [digest])?;
    }
    Ok(())
}

/// Forgets the images that were removed while a sandbox used them, and no longer are used.
fn forget_released(connection: &Connection) -> rusqlite::Result<()> {
    let removed = connection
        .prepare("SELECT digest FROM msb_image WHERE removed")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    for digest in removed {
        forget(connection, &digest)?;
    }
    Ok(())
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let listed = match std::fs::read_dir(directory) {
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(fs::error("list", directory))?,
    };
    let mut paths = listed
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(fs::error("list", directory))?;
    paths.sort();
    Ok(paths)
}

fn disk_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::symlink_metadata(path).map_or(0, |metadata| metadata.blocks() * 512)
}
