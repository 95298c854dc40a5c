//! Stores of format 2, as the msb that wrote them did: its tables, as text, and its files.

use rusqlite::{Connection, params};

use super::*;

/// The tables of format 2, in `db/msb.db`.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS msb_store (
    key   TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS msb_image (
    digest        TEXT PRIMARY KEY NOT NULL,
    media_type    TEXT NOT NULL,
    config_digest TEXT NOT NULL,
    os            TEXT NOT NULL,
    architecture  TEXT NOT NULL,
    variant       TEXT,
    created_at    TEXT NOT NULL,
    removed       INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS msb_layer (
    diff_id       TEXT NOT NULL,
    chain         TEXT NOT NULL,
    file          TEXT NOT NULL,
    erofs_size    INTEGER NOT NULL,
    recipe_size   INTEGER NOT NULL,
    tar_size      INTEGER NOT NULL,
    entries       INTEGER NOT NULL,
    dependence    INTEGER NOT NULL,
    rest_start    INTEGER NOT NULL,
    rest_digest   TEXT NOT NULL,
    recipe_digest TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    PRIMARY KEY (diff_id, chain)
);
CREATE TABLE IF NOT EXISTS msb_image_layer (
    image           TEXT NOT NULL REFERENCES msb_image (digest) ON DELETE CASCADE,
    position        INTEGER NOT NULL,
    diff_id         TEXT NOT NULL,
    chain           TEXT NOT NULL,
    blob_digest     TEXT NOT NULL,
    media_type      TEXT NOT NULL,
    compressed_size INTEGER NOT NULL,
    PRIMARY KEY (image, position),
    FOREIGN KEY (diff_id, chain) REFERENCES msb_layer (diff_id, chain) ON DELETE RESTRICT
);
CREATE INDEX IF NOT EXISTS msb_image_layer_layer ON msb_image_layer (diff_id, chain);
CREATE TABLE IF NOT EXISTS msb_reference (
    name       TEXT PRIMARY KEY NOT NULL,
    image      TEXT NOT NULL REFERENCES msb_image (digest) ON DELETE CASCADE,
    updated_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS msb_reference_image ON msb_reference (image);
CREATE TABLE IF NOT EXISTS msb_use (
    sandbox TEXT NOT NULL,
    image   TEXT NOT NULL REFERENCES msb_image (digest) ON DELETE RESTRICT,
    since   TEXT NOT NULL,
    PRIMARY KEY (sandbox, image)
);
CREATE INDEX IF NOT EXISTS msb_use_image ON msb_use (image);
";

/// What msb of format 2 did when it opened a store.
pub(super) const OPEN: &str = "
INSERT OR IGNORE INTO msb_store (key, value) VALUES ('format', '2');
";

const TIME: &str = "2026-01-02T03:04:05.000000Z";

/// A home with a store of format 2.
pub(super) struct Before {
    pub(super) directory: TempDir,
    pub(super) catalogue: Connection,
}

impl Before {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for folder in [
            "db",
            "cache/layers",
            "cache/blobs",
            "cache/tmp",
            "cache/locks",
        ] {
            std::fs::create_dir_all(directory.path().join(folder)).unwrap();
        }
        let catalogue = open(directory.path());
        Self {
            directory,
            catalogue,
        }
    }

    /// A store with that many images; every second one shares its lower layer with all others, and
    /// every fifth has a second name.
    pub(super) fn with_images(count: usize) -> Self {
        let before = Self::new();
        for number in 0..count {
            let own = format!("layer {number}");
            let layers = if number % 2 == 0 {
                vec!["shared", &own]
            } else {
                vec![own.as_str()]
            };
            let mut names = vec![format!("app-{number}:1")];
            names.extend((number % 5 == 0).then(|| format!("ghcr.io/org/app-{number}:2")));
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            before.add(&format!("image {number}"), &layers, &names);
        }
        before
    }

    pub(super) fn home(&self) -> Home {
        Home::at(self.directory.path())
    }

    /// Adds an image as [`TestStore::add`] does.
    pub(super) fn add(&self, label: &str, layers: &[&str], names: &[&str]) -> NewImage {
        let image = image(label, layers);
        let home = self.directory.path();
        for layer in layers {
            for (extension, content) in [("erofs", "image"), ("recipe", "recipe")] {
                let path = home.join("cache/layers").join(layer_file(layer, extension));
                std::fs::write(path, format!("{content} of {layer}")).unwrap();
            }
            let diff_id = Digest::of(layer.as_bytes());
            self.run(
                "INSERT OR IGNORE INTO msb_layer
                 VALUES (?1, '', ?2, ?3, ?4, 10, 1, 0, 4096, ?5, ?6, ?7)",
                params![
                    diff_id.to_string(),
                    diff_id.file_stem(),
                    format!("image of {layer}").len(),
                    format!("recipe of {layer}").len(),
                    Digest::of(b"rest").to_string(),
                    Digest::of(format!("recipe of {layer}").as_bytes()).to_string(),
                    TIME,
                ],
            );
        }
        for (digest, bytes) in [
            (&image.manifest_digest, &image.manifest),
            (&image.config_digest, &image.config),
        ] {
            let path = home.join("cache/blobs").join(digest.file_stem());
            std::fs::write(path, bytes).unwrap();
        }
        let digest = image.manifest_digest.to_string();
        self.run(
            "INSERT INTO msb_image VALUES (?1, ?2, ?3, 'linux', 'amd64', NULL, ?4, 0)",
            params![
                digest,
                image.manifest_media_type,
                image.config_digest.to_string(),
                TIME
            ],
        );
        for (position, layer) in image.layers.iter().enumerate() {
            self.run(
                "INSERT INTO msb_image_layer VALUES (?1, ?2, ?3, '', ?4, ?5, ?6)",
                params![
                    digest,
                    position,
                    layer.key.diff_id.to_string(),
                    layer.blob_digest.to_string(),
                    layer.media_type,
                    100,
                ],
            );
        }
        for name in names {
            self.name(name, &image);
        }
        image
    }

    /// Points a name to an image, whatever it is.
    pub(super) fn name(&self, name: &str, image: &NewImage) {
        let name = name.parse::<Reference>().unwrap().canonical();
        self.run(
            "INSERT OR REPLACE INTO msb_reference VALUES (?1, ?2, ?3)",
            params![name, image.manifest_digest.to_string(), TIME],
        );
    }

    pub(super) fn run(&self, sql: &str, values: impl rusqlite::Params) {
        self.catalogue.execute(sql, values).unwrap();
    }
}

/// Opens the catalogue of a home as an msb of format 2 did.
pub(super) fn open(home: &Path) -> Connection {
    let catalogue = Connection::open(home.join("db/msb.db")).unwrap();
    catalogue
        .pragma_update(None, "journal_mode", "WAL")
        .unwrap();
    try_open(&catalogue).unwrap();
    catalogue
}

/// Makes the tables of format 2 where they are missing.
pub(super) fn try_open(catalogue: &Connection) -> rusqlite::Result<()> {
    catalogue.execute_batch(TABLES)?;
    catalogue.execute_batch(OPEN)
}
