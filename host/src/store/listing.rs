//! Reading all images from the catalogue at once: each table once, whatever the number of images.
//!
//! What is damaged in the rows of one image is the matter of that image alone.

use std::collections::HashMap;
use std::mem;

use rusqlite::{Connection, Row};

use super::fault;
use super::query::{self, DamagedRow, ImageRecord, Selection};

/// What a table has of each image, by what stands there as the image's digest; or the first row of an
/// image that makes no sense.
type PerImage<T> = HashMap<String, rusqlite::Result<Vec<T>>>;

/// Returns all images, the newest first, and those whose rows make no sense. One that is damaged
/// does not keep the others.
pub(super) fn images(
    connection: &Connection,
) -> rusqlite::Result<(Vec<ImageRecord>, Vec<DamagedRow>)> {
    let mut references = per_image(connection, query::REFERENCES, query::reference)?;
    let mut indexes = per_image(connection, query::INDEXES, query::index)?;
    let mut layers = per_image(connection, query::LAYERS, |row| {
        Ok((query::position(row)?, query::layer(row)?))
    })?;
    let mut whole = |digest: &str, image: rusqlite::Result<ImageRecord>| -> rusqlite::Result<_> {
        let mut image = image?;
        query::name(&mut image, taken(&mut references, digest)?);
        image.indexes = taken(&mut indexes, digest)?;
        let mut placed = taken(&mut layers, digest)?;
        placed.sort_by_key(|(position, _)| *position);
        image.layers = placed.into_iter().map(|(_, layer)| layer).collect();
        Ok(image)
    };
    let select = format!(
        "{} WHERE NOT removed ORDER BY created_at DESC, digest",
        query::IMAGES
    );
    let mut statement = connection.prepare(&select)?;
    let mut rows = statement.query([])?;
    let (mut images, mut damaged) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let digest: String = row.get(0)?;
        match whole(&digest, query::record(row)) {
            Ok(image) => images.push(image),
            Err(error) if error.sqlite_error_code().is_some() => return Err(error),
            Err(error) => damaged.push(DamagedRow {
                names: query::names(connection, &digest)?,
                what: fault::words(error),
                digest,
            }),
        }
    }
    Ok((images, damaged))
}

/// Returns the images that have a digest that begins with these digits: their own, that of their
/// configuration, or of an index that led to them. The newest are first; those whose rows make no sense
/// are left out.
pub(super) fn images_like(
    connection: &Connection,
    digits: &str,
) -> rusqlite::Result<Vec<ImageRecord>> {
    let like = |column| format!("substr({column}, instr({column}, ':') + 1, length(?1)) = ?1");
    let select = format!(
        "SELECT digest FROM msb_image WHERE NOT removed AND ({} OR {} OR digest IN
            (SELECT image FROM msb_image_index WHERE {}))
         ORDER BY created_at DESC, digest",
        like("digest"),
        like("config_digest"),
        like("msb_image_index.digest"),
    );
    let digests = connection
        .prepare_cached(&select)?
        .query_map([digits], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    let mut images = Vec::with_capacity(digests.len());
    for digest in digests {
        match query::image(connection, &digest) {
            Err(error) if error.sqlite_error_code().is_some() => return Err(error),
            image => images.extend(image.ok().flatten()),
        }
    }
    Ok(images)
}

/// Reads a table from its beginning to its end, which takes less time than to follow an order of images.
fn per_image<T>(
    connection: &Connection,
    Selection { columns, .. }: Selection,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<PerImage<T>> {
    let mut statement = connection.prepare(&format!("{columns} ORDER BY rowid"))?;
    let mut rows = statement.query([])?;
    let mut found: PerImage<T> = HashMap::new();
    // The rows of an image were written together, and mostly lie together.
    let mut last = (String::new(), Ok(Vec::new()));
    while let Some(row) = rows.next()? {
        // What is not text is the digest of none.
        let Ok(image) = row.get_ref(0)?.as_str() else {
            continue;
        };
        if image != last.0 {
            let next = found.remove(image).unwrap_or_else(|| Ok(Vec::new()));
            let (before, values) = mem::replace(&mut last, (image.to_owned(), next));
            found.insert(before, values);
        }
        match (&mut last.1, read(row)) {
            (Ok(values), Ok(value)) => values.push(value),
            (Err(_), _) => {}
            (of_image, Err(error)) => *of_image = Err(error),
        }
    }
    found.extend([last]);
    Ok(found)
}

fn taken<T>(found: &mut PerImage<T>, digest: &str) -> rusqlite::Result<Vec<T>> {
    found.remove(digest).unwrap_or_else(|| Ok(Vec::new()))
}
