//! The data path of one layer: from its blob to an EROFS image and a tar recipe, in one pass.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, Read, Seek as _};

use super::identity::uuid;
use msb_erofs::{ImageOptions, Summary};

use super::LayerError;
use super::contents::{self, Written};
use super::dependence::Dependence;
use super::inherit::copy_files;
use super::integrity::{ImageRemainder, digest_of};
use super::lower::LowerLayers;
use super::pipeline::{self, Chunks, Producer, Reading};
use super::recipe::write_error;
use super::relocate::relocate;
use super::source::Source;
use crate::blob::{Compression, HashingReader};
use crate::cancel::Cancel;
use crate::digest::{Algorithm, Digest};
use crate::limits::{Budget, Limits};

/// How to convert a layer.
pub struct ConvertOptions<'a> {
    /// The limits that it may not exceed.
    pub limits: &'a Limits,
    /// What it may take together with the other layers of the operation.
    pub budget: &'a Budget,
    /// Asked between buffers and entries.
    pub cancel: &'a Cancel,
    /// Told how many bytes of the blob were read since it was told last.
    pub advanced: &'a (dyn Fn(u64) + Sync),
    /// What the blob has to be: its digest, and its length where that is known.
    pub expected_blob: Option<(Digest, Option<u64>)>,
    /// What the contents have to be.
    pub expected_diff_id: Option<Digest>,
    /// Asked at the end for the layers below. Where they are not known, what depends on them is
    /// left open.
    pub chain: &'a (dyn Fn() -> Result<Option<ChainPosition>, LayerError> + Sync),
}

/// The position of a layer in an image: its chain ID and the layers below.
#[derive(Clone, Debug)]
pub struct ChainPosition {
    /// The chain ID, which names the layer and all below it. Source: OCI image-spec, `config.md`,
    /// "Layer `ChainID`".
    pub id: Digest,
    /// The layers below; none for the bottom layer.
    pub lower: LowerLayers,
}

impl fmt::Debug for ConvertOptions<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ConvertOptions")
            .field("limits", self.limits)
            .field("expected_blob", &self.expected_blob)
            .field("expected_diff_id", &self.expected_diff_id)
            .finish_non_exhaustive()
    }
}

/// A layer that was converted.
#[derive(Debug)]
pub struct Converted {
    /// The digest of the blob.
    pub blob_digest: Digest,
    /// Its length.
    pub blob_size: u64,
    /// How it was compressed.
    pub compression: Compression,
    /// The digest of its contents.
    pub diff_id: Digest,
    /// Their length.
    pub tar_size: u64,
    /// The length of the EROFS image.
    pub erofs_size: u64,
    /// The length of the tar recipe.
    pub recipe_size: u64,
    /// Entries of the tar.
    pub entries: u64,
    /// What of it depends on the layers below.
    pub dependence: Dependence,
    /// The chain ID, where the image is right over these layers only.
    pub chain: Option<Digest>,
    /// What the image holds besides the contents of the tar.
    pub remainder: ImageRemainder,
    /// The digest of the recipe.
    pub recipe_digest: Digest,
    /// What the user may want to know; untrusted text.
    pub notices: Vec<String>,
    /// The image, complete and not synchronised with the disk.
    pub erofs: File,
    /// The recipe, complete and not synchronised with the disk.
    pub recipe: File,
}

/// The digest, size and compression of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedBlob {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// How they are compressed.
    pub compression: Compression,
}

/// Converts a layer into two files, both open for reading and writing. What they held is gone.
///
/// The same `diff_id` gives the same bytes in both, however the blob is compressed.
///
/// # Errors
/// Those of the half of the data path that fails first; the other ends soon after. A blob that makes
/// no sense and is not the expected one either is reported as the latter.
pub fn convert(
    input: impl Read + Send,
    erofs: File,
    recipe: File,
    options: &ConvertOptions<'_>,
) -> Result<Converted, LayerError> {
    let recipe = emptied(recipe).map_err(write_error)?;
    let (reading, written) = both_halves(input, options, |chunks| {
        contents::write(
            chunks,
            erofs,
            recipe,
            options.limits,
            options.budget,
            options.cancel,
        )
    });
    match written {
        Ok(written) => finish(reading, written, options),
        Err(error) => Err(explain(reading, error, options)),
    }
}

/// Reads a blob to its end, undoes its compression and checks all that is expected of it, and makes
/// nothing of it.
///
/// # Errors
/// As [`convert`], but for the meaning of the contents, which is not looked at.
pub fn inspect_blob(
    input: impl Read + Send,
    options: &ConvertOptions<'_>,
) -> Result<InspectedBlob, LayerError> {
    let (mut reading, digest) = both_halves(input, options, |mut chunks| {
        chunks.start();
        loop {
            let count = chunks.fill_buf().map_err(LayerError::Read)?.len();
            if count == 0 {
                return Ok(chunks.into_digest());
            }
            chunks.consume(count);
        }
    });
    let digest = match digest {
        Ok(digest) => digest,
        Err(error) => return Err(explain(reading, error, options)),
    };
    reading.blob.get_mut().report();
    let compression = reading.compression;
    let (blob_digest, size) = reading.blob.finish();
    check_blob(&blob_digest, size, options)?;
    check_diff_id(digest.as_ref().unwrap_or(&blob_digest), options)?;
    Ok(InspectedBlob {
        digest: blob_digest,
        size,
        compression,
    })
}

/// Runs the two halves of the data path: the bytes of a blob, and what becomes of its contents.
fn both_halves<'a, R: Read + Send, T>(
    input: R,
    options: &'a ConvertOptions<'_>,
    work: impl FnOnce(Chunks) -> Result<T, LayerError>,
) -> (Reading<'a, R>, Result<T, LayerError>) {
    let (blob_algorithm, stated) = match &options.expected_blob {
        Some((digest, size)) => (digest.algorithm(), *size),
        None => (Algorithm::Sha256, None),
    };
    let algorithm = match &options.expected_diff_id {
        Some(digest) => digest.algorithm(),
        None => Algorithm::Sha256,
    };
    let producer = Producer {
        blob: HashingReader::new(
            Source::new(input, stated, options.advanced, options.cancel),
            blob_algorithm,
        ),
        limits: options.limits,
        inflation: options.budget.inflation(),
        cancel: options.cancel,
    };
    let (sender, chunks) = pipeline::channel(blob_algorithm, algorithm);
    let (mut reading, worked) = std::thread::scope(|scope| {
        // The sender goes when the producer ends, and with it the wait of the other half.
        let reading = scope.spawn(move || producer.run(&sender));
        let worked = work(chunks);
        let reading = reading
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (reading, worked)
    });
    // A reader that failed looks like an early end to the writer, so its error comes first.
    let outcome = std::mem::replace(&mut reading.outcome, Ok(()));
    let outcome = match options.cancel.check() {
        Ok(()) => outcome.and(worked),
        // What else went wrong did so because of that.
        Err(cancelled) => Err(cancelled.into()),
    };
    (reading, outcome)
}

/// Checks the digests, and only then writes the metadata.
fn finish<R: Read>(
    mut reading: Reading<'_, R>,
    written: Written,
    options: &ConvertOptions<'_>,
) -> Result<Converted, LayerError> {
    reading.blob.get_mut().report();
    let (blob_digest, blob_size) = reading.blob.finish();
    check_blob(&blob_digest, blob_size, options)?;
    let Written {
        mut image,
        recipe,
        mut notices,
        ..
    } = written;
    let diff_id = written.digest.unwrap_or_else(|| blob_digest.clone());
    check_diff_id(&diff_id, options)?;
    let chain = (options.chain)()?;
    let lower = chain.as_ref().map(|chain| &chain.lower);
    let mut settled = written.tree.settle(lower, &mut notices, options.cancel)?;
    let (mut recipe, mut recipe_size) = recipe.finish(written.tar_size)?;
    if !settled.dead.is_empty() {
        (recipe, recipe_size) = relocate(
            recipe,
            &mut image,
            std::mem::take(&mut settled.dead),
            options.cancel,
        )?;
    }
    let rest_start = image.position();
    if let Some(lower) = lower {
        copy_files(lower, &mut settled, &mut image, options)?;
    }
    let chain = chain.filter(|_| settled.chained);
    let image_options = ImageOptions {
        uuid: uuid(&diff_id, chain.as_ref().map(|chain| &chain.id)),
        build_time: 0,
    };
    let Summary { size, file, .. } =
        image.finish(&settled.tree, &image_options, options.cancel.token())?;
    options
        .budget
        .write(size.saturating_sub(rest_start).saturating_add(recipe_size))?;
    let remainder = ImageRemainder::read(&file, rest_start, options.cancel)?;
    let recipe_digest = digest_of(&recipe, options.cancel)?;
    Ok(Converted {
        blob_digest,
        blob_size,
        compression: reading.compression,
        diff_id,
        tar_size: written.tar_size,
        erofs_size: size,
        recipe_size,
        entries: written.entries,
        dependence: settled.dependence,
        chain: chain.map(|chain| chain.id),
        remainder,
        recipe_digest,
        notices: notices.finish(),
        erofs: file,
        recipe,
    })
}

/// Returns the better explanation of an error: bytes that make no sense may be the wrong bytes.
fn explain<R: Read>(
    mut reading: Reading<'_, R>,
    error: LayerError,
    options: &ConvertOptions<'_>,
) -> LayerError {
    // Where the amount left to read is unknown, the answer might never come.
    if error.may_be_damage() && matches!(options.expected_blob, Some((_, Some(_)))) {
        let mut buffer = vec![0; pipeline::BUFFER];
        while !options.cancel.is_cancelled() {
            match pipeline::fill(&mut reading.blob, &mut buffer) {
                Ok(0) => {
                    let (digest, size) = reading.blob.finish();
                    return check_blob(&digest, size, options).err().unwrap_or(error);
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
    error
}

fn check_blob(digest: &Digest, size: u64, options: &ConvertOptions<'_>) -> Result<(), LayerError> {
    let Some((expected, stated)) = &options.expected_blob else {
        return Ok(());
    };
    if let Some(stated) = *stated
        && stated != size
    {
        return Err(if size > stated {
            LayerError::BlobTooLong { expected: stated }
        } else {
            LayerError::BlobSize {
                expected: stated,
                actual: size,
            }
        });
    }
    if expected != digest {
        return Err(LayerError::BlobDigest {
            expected: expected.clone(),
            actual: digest.clone(),
        });
    }
    Ok(())
}

fn check_diff_id(actual: &Digest, options: &ConvertOptions<'_>) -> Result<(), LayerError> {
    match &options.expected_diff_id {
        Some(expected) if expected != actual => Err(LayerError::DiffId {
            expected: expected.clone(),
            actual: actual.clone(),
        }),
        _ => Ok(()),
    }
}

fn emptied(mut file: File) -> io::Result<File> {
    file.set_len(0)?;
    file.rewind()?;
    Ok(file)
}
