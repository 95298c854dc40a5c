//! What a format plugin says is in an archive.
//!
//! Owns the check of its answer: what points to nothing is a fault of the plugin, and a fault of one image
//! does not stop the others. Calls nothing.

use std::num::ParseIntError;

use super::{MAX_TEXT, of_key, shown};
use crate::archive::ArchiveSource;
use crate::digest::{Digest, ParseDigestError};
use crate::platform::Platform;
use crate::plugin::bindings::exports::msb::plugin::archive as wit;
use crate::plugin::error::{Failure, Refusal};

/// Notices in a plan; what a plugin logs is bounded in the same way.
const MAX_NOTICES: usize = 1_000;

/// A manifest or configuration as a plan points to it.
#[derive(Clone, Debug)]
pub enum Document {
    /// An entry of the archive.
    Entry(u32),
    /// The bytes themselves.
    Bytes(Vec<u8>),
}

/// Where a plan says the bytes of a layer are.
#[derive(Clone, Debug)]
pub enum LayerData {
    /// In this entry of the archive.
    Entry(u32),
    /// Not in the archive.
    Absent,
    /// Made by the plugin under this name. What [`Formats::read`](crate::plugin::Formats::read) returns
    /// has an entry of its source in place of it.
    Generated(String),
}

/// A layer as a plan describes it.
#[derive(Clone, Debug)]
pub struct PlannedLayer {
    /// Where its bytes are.
    pub data: LayerData,
    /// The digest that the archive states for them.
    pub digest: Option<Digest>,
    /// The length that the archive states for them.
    pub size: Option<u64>,
    /// The media type that the archive states.
    pub media_type: Option<String>,
}

/// An image as a plan describes it.
#[derive(Clone, Debug)]
pub struct PlannedImage {
    /// The manifest, where the format has one.
    pub manifest: Option<Document>,
    /// The digest that the archive states for it.
    pub manifest_digest: Option<Digest>,
    /// The configuration.
    pub config: Document,
    /// The digest that the archive states for it.
    pub config_digest: Option<Digest>,
    /// The layers, the bottom one first.
    pub layers: Vec<PlannedLayer>,
    /// References as written in the archive; untrusted text.
    pub references: Vec<String>,
    /// What the archive says that it runs on, in addition to its configuration.
    pub platform: Option<Platform>,
    /// The indexes that lead to it, the outermost first; one list for each way. None where the
    /// archive itself lists it.
    pub indexes: Vec<Vec<Digest>>,
}

/// An index as a plan points to it.
#[derive(Clone, Debug)]
pub struct PlannedIndex {
    /// The entry that holds it.
    pub entry: u32,
    /// The digest that the archive states for it.
    pub digest: Option<Digest>,
}

/// What a plugin found in an archive.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The images in the order of the archive.
    pub images: Vec<PlannedImage>,
    /// The indexes that lead to them.
    pub indexes: Vec<PlannedIndex>,
    /// What the user should know; untrusted text.
    pub notices: Vec<String>,
}

/// Turns the answer of a plugin into a plan, if all that it points to is there.
pub(super) fn checked_plan(
    plan: wit::Plan,
    source: &dyn ArchiveSource,
    defined: usize,
    makes_layers: bool,
) -> Result<Plan, Failure> {
    let entries = source.index().entries().len();
    let is_defined = |number: u32| {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        number >= entries && number - entries < defined
    };
    let entry = |number: u32| {
        if source.index().get(number).is_some() {
            Ok(number)
        } else {
            Err(Failure::Answer(format!(
                "it points to entry {number} of an archive with {entries}"
            )))
        }
    };
    let document = |document| match document {
        wit::Document::Entry(number) => entry(number).map(Document::Entry),
        wit::Document::Bytes(bytes) => Ok(Document::Bytes(bytes)),
    };
    let digest = |text: Option<String>| {
        text.map(|text| {
            text.parse().map_err(|error: ParseDigestError| {
                Failure::Refused(Refusal::Malformed(shown(&error.to_string())))
            })
        })
        .transpose()
    };
    let layer = |layer: wit::Layer| {
        Ok(PlannedLayer {
            data: match layer.data {
                wit::LayerData::Entry(number) if is_defined(number) => LayerData::Entry(number),
                wit::LayerData::Entry(number) => LayerData::Entry(entry(number)?),
                wit::LayerData::Absent => LayerData::Absent,
                wit::LayerData::Generated(name) if name.len() > MAX_TEXT => {
                    return Err(Failure::Answer(format!(
                        "the name of a layer is longer than {MAX_TEXT} bytes"
                    )));
                }
                wit::LayerData::Generated(name) if makes_layers => LayerData::Generated(name),
                wit::LayerData::Generated(name) => {
                    return Err(Failure::Answer(format!(
                        "layer `{name}` is made by the plugin, which does not export \
                         `msb:plugin/layers`"
                    )));
                }
            },
            digest: digest(layer.digest)?,
            size: layer.size,
            media_type: layer.media_type,
        })
    };
    let image = |image: wit::Image| {
        Ok(PlannedImage {
            manifest: image.manifest.map(document).transpose()?,
            manifest_digest: digest(image.manifest_digest)?,
            config: document(image.config)?,
            config_digest: digest(image.config_digest)?,
            layers: image
                .layers
                .into_iter()
                .map(layer)
                .collect::<Result<_, Failure>>()?,
            references: image.references.iter().map(|it| shown(it)).collect(),
            platform: of_key(&image.attributes, "platform").find_map(|it| it.parse().ok()),
            indexes: of_key(&image.attributes, "indexes")
                .map(|way| way.split(' ').map(str::parse).collect())
                .collect::<Result<_, _>>()
                .map_err(|error: ParseDigestError| {
                    Failure::Answer(format!(
                        "`indexes` of an image: {}",
                        shown(&error.to_string())
                    ))
                })?,
        })
    };
    let mut images = Vec::new();
    let mut refused = Vec::new();
    for planned in plan.images {
        match image(planned) {
            Ok(image) => images.push(image),
            // A fault of one image does not stop the others.
            Err(Failure::Refused(refusal)) => refused.push(refusal),
            Err(failure) => return Err(failure),
        }
    }
    let indexes = of_key(&plan.attributes, "index")
        .map(|text| planned_index(text, entry))
        .collect::<Result<_, Failure>>()?;
    let skipped = refused.iter().map(ToString::to_string);
    let notices = plan.notices.iter().map(|it| shown(it)).chain(skipped);
    let notices = notices.take(MAX_NOTICES).collect();
    match refused.into_iter().next() {
        Some(refusal) if images.is_empty() => Err(Failure::Refused(refusal)),
        _ => Ok(Plan {
            images,
            indexes,
            notices,
        }),
    }
}

/// Returns the index that a text of a plan points to: the number of its entry and, if the archive
/// states it, its digest.
fn planned_index(
    text: &str,
    entry: impl Fn(u32) -> Result<u32, Failure>,
) -> Result<PlannedIndex, Failure> {
    let (number, digest) = text
        .split_once(' ')
        .map_or((text, None), |(number, digest)| (number, Some(digest)));
    let invalid = |error: &dyn std::error::Error| {
        Failure::Answer(format!(
            "`index` of the plan: {}",
            shown(&error.to_string())
        ))
    };
    let number = number
        .parse()
        .map_err(|error: ParseIntError| invalid(&error))?;
    let digest = digest.map(str::parse).transpose();
    Ok(PlannedIndex {
        entry: entry(number)?,
        digest: digest.map_err(|error: ParseDigestError| invalid(&error))?,
    })
}
