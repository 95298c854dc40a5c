//! The catalogue: which images there are, what they are made of, what they are called.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row};

use super::{Home, StoreError, fs, schema};
use crate::digest::Digest;
use crate::platform::Platform;
use crate::reference::Reference;

/// How long another process may hold the database.
const BUSY: Duration = Duration::from_secs(30);

/// An open store. May be shared between threads.
#[derive(Debug)]
pub struct Store {
    home: Home,
    connection: Mutex<Connection>,
}

/// An image as the catalogue has it.
#[derive(Clone, Debug)]
pub struct ImageRecord {
    /// The digest of its manifest, which is its identity.
    pub digest: Digest,
    /// The manifest's media type.
    pub media_type: String,
    /// The digest of its configuration, which people call the image's ID.
    pub config_digest: Digest,
    /// What it runs on.
    pub platform: Platform,
    /// When the store first had it, RFC 3339 in UTC.
    pub created_at: String,
    /// The references that lead to it, sorted.
    pub references: Vec<Reference>,
    /// Its layers, the bottom one first.
    pub layers: Vec<ImageLayer>,
}

/// A layer as an image's manifest has it.
#[derive(Clone, Debug)]
pub struct ImageLayer {
    /// The digest of its contents.
    pub diff_id: Digest,
    /// The digest of its blob.
    pub blob_digest: Digest,
    /// The media type of its blob.
    pub media_type: String,
    /// The length of its blob.
    pub compressed_size: u64,
}

impl Store {
    /// Opens the store of a home, and makes it if there is none. A store that cannot be written,
    /// such as one on a read-only filesystem, is opened for reading.
    pub fn open(home: &Home) -> Result<Self, StoreError> {
        let path = home.catalogue();
        let open = |operation, source| StoreError::Catalogue {
            operation,
            path: path.clone(),
            source,
        };
        let mut connection = match Self::open_for_writing(home) {
            Ok(connection) => connection,
            Err(error) if path.exists() => {
                let uri = format!("file:{}?immutable=1", uri_path(&path));
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
                match Connection::open_with_flags(uri, flags) {
                    Ok(connection) if read_only(home) => connection,
                    _ => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        let found = schema::format(&connection).map_err(|source| open("read", source))?;
        match found {
            Some(schema::FORMAT) => {}
            None => schema::create(&mut connection).map_err(|source| open("write", source))?,
            Some(found) => {
                return Err(StoreError::Format {
                    path,
                    found,
                    known: schema::FORMAT,
                });
            }
        }
        Ok(Self {
            home: home.clone(),
            connection: Mutex::new(connection),
        })
    }

    fn open_for_writing(home: &Home) -> Result<Connection, StoreError> {
        let path = home.catalogue();
        if let Some(directory) = path.parent() {
            fs::create_directory(directory)?;
        }
        let open = || {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(BUSY)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", "ON")?;
            Ok(connection)
        };
        open().map_err(|source| StoreError::Catalogue {
            operation: "open",
            path: path.clone(),
            source,
        })
    }

    /// Returns where the store is.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Returns all images, the newest first.
    pub fn images(&self) -> Result<Vec<ImageRecord>, StoreError> {
        let digests: Vec<String> = {
            let connection = self.connection();
            let mut statement = connection
                .prepare(
                    "SELECT digest FROM msb_image WHERE NOT removed
                     ORDER BY created_at DESC, digest",
                )
                .map_err(|source| self.catalogue_error("read", source))?;
            let rows = statement
                .query_map([], |row| row.get(0))
                .map_err(|source| self.catalogue_error("read", source))?;
            rows.collect::<Result<_, _>>()
                .map_err(|source| self.catalogue_error("read", source))?
        };
        let mut images = Vec::new();
        for digest in digests {
            // Removed by somebody in between: then it is not there.
            images.extend(self.image(&digest)?);
        }
        Ok(images)
    }

    /// Returns an image by the digest of its manifest.
    pub(super) fn image(&self, digest: &str) -> Result<Option<ImageRecord>, StoreError> {
        let read = |source| self.catalogue_error("read", source);
        let mut connection = self.connection();
        let transaction = connection.transaction().map_err(read)?;
        let mut statement = transaction
            .prepare(
                "SELECT digest, media_type, config_digest, os, architecture, variant, created_at
                 FROM msb_image WHERE digest = ?1 AND NOT removed",
            )
            .map_err(read)?;
        let mut rows = statement.query([digest]).map_err(read)?;
        let Some(row) = rows.next().map_err(read)? else {
            return Ok(None);
        };
        let variant: Option<String> = row.get(5).map_err(read)?;
        let text = |row: &Row<'_>, column| row.get::<_, String>(column).map_err(read);
        let mut image = ImageRecord {
            digest: parsed(text(row, 0)?)?,
            media_type: text(row, 1)?,
            config_digest: parsed(text(row, 2)?)?,
            platform: Platform::new(&text(row, 3)?, &text(row, 4)?, variant.as_deref()),
            created_at: text(row, 6)?,
            references: Vec::new(),
            layers: Vec::new(),
        };
        let mut statement = transaction
            .prepare("SELECT name FROM msb_reference WHERE image = ?1 ORDER BY name")
            .map_err(read)?;
        let mut rows = statement.query([digest]).map_err(read)?;
        while let Some(row) = rows.next().map_err(read)? {
            image.references.push(parsed(text(row, 0)?)?);
        }
        let mut statement = transaction
            .prepare(
                "SELECT diff_id, blob_digest, media_type, compressed_size
                 FROM msb_image_layer WHERE image = ?1 ORDER BY position",
            )
            .map_err(read)?;
        let mut rows = statement.query([digest]).map_err(read)?;
        while let Some(row) = rows.next().map_err(read)? {
            image.layers.push(ImageLayer {
                diff_id: parsed(text(row, 0)?)?,
                blob_digest: parsed(text(row, 1)?)?,
                media_type: text(row, 2)?,
                compressed_size: row.get(3).map_err(read)?,
            });
        }
        Ok(Some(image))
    }

    /// Makes the directories that writing needs.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        let home = self.home();
        for directory in [home.layers(), home.blobs(), home.tmp(), home.locks()] {
            fs::create_directory(&directory)?;
        }
        Ok(())
    }

    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn catalogue_error(
        &self,
        operation: &'static str,
        source: rusqlite::Error,
    ) -> StoreError {
        StoreError::Catalogue {
            operation,
            path: self.home.catalogue(),
            source,
        }
    }
}

/// Reads a digest or reference that the catalogue has as text.
pub(super) fn parsed<T: std::str::FromStr>(text: String) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Damaged(text))
}

/// Returns whether the directory of the catalogue refuses new files.
fn read_only(home: &Home) -> bool {
    let directory = home
        .catalogue()
        .parent()
        .map_or_else(PathBuf::new, PathBuf::from);
    tempfile::tempfile_in(directory).is_err()
}

/// Escapes a path for a URI of `SQLite`.
fn uri_path(path: &std::path::Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut uri = String::new();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}
