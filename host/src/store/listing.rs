//! Reading all images from the catalogue at once: each table once, whatever the number of images.
//!
//! What is damaged in the rows of one image is the matter of that image alone.

use std::collections::HashMap;

use rusqlite::{Connection, Row};

use super::fault;
use super::query::{self, DamagedRow, ImageRecord, Selection};

/// Returns all images, the newest first, and those whose rows make no sense. One that is damaged
/// does not keep the others.
pub(super) fn images(
    connection: &Connection,
) -> rusqlite::Result<(Vec<ImageRecord>, Vec<DamagedRow>)> {
    let (images, damaged) = read(connection, query::layer)?;
    let images = images
        .into_iter()
        .map(|(image, layers)| ImageRecord { layers, ..image });
    Ok((images.collect(), damaged))
}

/// Images, each with what was read of its layers, and those whose rows make no sense.
pub(super) type Read<L> = (Vec<(ImageRecord, Vec<L>)>, Vec<DamagedRow>);

/// Returns all images as [`images`] does. Of layers it returns the lengths of their blobs alone, for
/// lists, which need no more: what else is known of a layer takes longer to keep than to read.
pub(super) fn sized_images(connection: &Connection) -> rusqlite::Result<Read<u64>> {
    read(connection, query::layer_size)
}

fn read<L>(
    connection: &Connection,
    layer: fn(&Row<'_>) -> rusqlite::Result<L>,
) -> rusqlite::Result<Read<L>> {
    let select = format!(
        "{} WHERE NOT removed ORDER BY created_at DESC, digest",
        query::IMAGES
    );
    let mut statement = connection.prepare(&select)?;
    let mut rows = statement.query([])?;
    let (mut digests, mut images) = (Vec::<String>::new(), Vec::new());
    while let Some(row) = rows.next()? {
        digests.push(row.get(0)?);
        images.push(query::record(row));
    }
    let mut layers: Vec<Vec<_>> = images.iter().map(|_| Vec::new()).collect();
    let mut found = FoundImages {
        places: (0..).zip(&digests).map(|(at, it)| (&**it, at)).collect(),
        images,
    };
    found.each_row(connection, query::REFERENCES, |_, image, row| {
        let (reference, pulled) = query::reference(row)?;
        query::name(image, reference, pulled);
        Ok(())
    })?;
    found.each_row(connection, query::INDEXES, |_, image, row| {
        image.indexes.push(query::index(row)?);
        Ok(())
    })?;
    found.each_row(connection, query::LAYERS, |place, _, row| {
        layers[place].push((query::position(row)?, layer(row)?));
        Ok(())
    })?;
    let (mut whole, mut damaged) = (Vec::with_capacity(digests.len()), Vec::new());
    for ((image, digest), mut layers) in found.images.into_iter().zip(&digests).zip(layers) {
        match image {
            Ok(mut image) => {
                image.references.sort();
                layers.sort_by_key(|(position, _)| *position);
                whole.push((image, layers.into_iter().map(|(_, layer)| layer).collect()));
            }
            Err(error) if error.sqlite_error_code().is_some() => return Err(error),
            Err(error) => damaged.push(DamagedRow {
                names: query::names(connection, digest)?,
                what: fault::words(error),
                digest: digest.clone(),
            }),
        }
    }
    Ok((whole, damaged))
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

/// Images that are being read, or the first row of one that makes no sense.
struct FoundImages<'a> {
    /// Where an image is, by what stands in its rows as its digest.
    places: HashMap<&'a str, usize>,
    images: Vec<rusqlite::Result<ImageRecord>>,
}

impl FoundImages<'_> {
    /// Reads a table from its beginning to its end, which takes less time than to follow an order of
    /// images, and hands each row to its image.
    fn each_row(
        &mut self,
        connection: &Connection,
        Selection { columns, .. }: Selection,
        mut add: impl FnMut(usize, &mut ImageRecord, &Row<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare(&format!("{columns} ORDER BY rowid"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            // What is not text is the digest of none.
            let place = row.get_ref(0)?.as_str().ok();
            let Some(place) = place.and_then(|digest| self.places.get(digest).copied()) else {
                continue;
            };
            let found = &mut self.images[place];
            if let Ok(image) = found
                && let Err(error) = add(place, image, row)
            {
                *found = Err(error);
            }
        }
        Ok(())
    }
}
