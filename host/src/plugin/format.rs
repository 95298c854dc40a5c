//! Archive formats: the world `format` as the rest of the host sees it.
//!
//! Owns the calls into a format plugin and the checks of its answers. Knows nothing of where an
//! archive comes from or what becomes of the images in it.

use std::num::ParseIntError;
use std::sync::Arc;

use super::bindings::exports::msb::plugin::archive as wit;
use super::bindings::msb::plugin::types;
use super::component::Component;
use super::error::{Failure, Refusal};
use super::guest::first_bytes;
use crate::archive::{ArchiveOutput, ArchiveSource, DefinedLayers};
use crate::cancel::Cancel;
use crate::digest::{Digest, ParseDigestError};
use crate::platform::Platform;
use crate::progress::Progress;

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
    /// Made by the plugin under this name. What [`Formats::read`](super::Formats::read) returns
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
    /// What the archive says that it runs on, beside its configuration.
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

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Description {
    /// The format's name on the command line.
    pub name: String,
    /// The format in a few words.
    pub title: String,
    /// Whether it reads archives.
    pub reads: bool,
    /// Whether it writes archives.
    pub writes: bool,
    /// Whether it wants all of an input to be kept until it has been asked, also of a pipe.
    pub keeps_input: bool,
    /// Whether it reads inputs that are not tar archives as well.
    pub takes_any: bool,
}

/// A reference under which an image is saved.
#[derive(Clone, Debug)]
pub struct SavedReference {
    /// `docker.io/library/python`
    pub name: String,
    /// `python`
    pub familiar: String,
    /// `latest`
    pub tag: String,
}

/// A layer that is to be saved.
#[derive(Clone, Debug)]
pub struct StoredLayer {
    /// What [`ArchiveOutput::put_layer`] takes.
    pub number: u32,
    /// The digest of its tar.
    pub diff_id: Digest,
    /// The length of its tar.
    pub size: u64,
}

/// An image that is to be saved.
#[derive(Clone, Debug)]
pub struct StoredImage {
    /// The manifest as the store keeps it.
    pub manifest: Vec<u8>,
    /// Its digest.
    pub manifest_digest: Digest,
    /// Its media type.
    pub manifest_media_type: String,
    /// The configuration as the store keeps it.
    pub config: Vec<u8>,
    /// Its digest.
    pub config_digest: Digest,
    /// The layers, the bottom one first.
    pub layers: Vec<StoredLayer>,
    /// What to save it as.
    pub references: Vec<SavedReference>,
}

/// What every call of a plugin is given: whose it is, where it reports to, what stops it.
pub(super) struct CallContext<'a> {
    pub(super) plugin: &'a Arc<str>,
    pub(super) progress: &'a Arc<dyn Progress>,
    pub(super) cancel: &'a Cancel,
}

/// Asks a plugin to describe itself.
pub(super) fn describe(
    component: &Arc<Component>,
    call_context: &CallContext<'_>,
) -> Result<Description, Failure> {
    let (answer, _) = component.run(
        call_context,
        "describe",
        |guest| guest.access.describing = true,
        async |exports| exports.archive()?.call_describe(&mut *exports.store).await,
    )?;
    let name = checked_name(answer.name, "a format")?;
    Ok(Description {
        name,
        title: shown(&answer.title),
        reads: answer.reads,
        writes: answer.writes,
        keeps_input: of_key(&answer.attributes, "keep").any(|what| what == "input"),
        takes_any: of_key(&answer.attributes, "input").any(|what| what == "any"),
    })
}

/// Returns a name that a plugin has given itself, if it is one.
pub(super) fn checked_name(name: String, what: &str) -> Result<String, Failure> {
    let valid = name.len() <= 32
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if valid {
        Ok(name)
    } else {
        Err(Failure::Answer(format!(
            "`{}` is not a name for {what}",
            shown(&name)
        )))
    }
}

/// Asks a plugin what is in an archive.
pub(super) fn read(
    component: &Arc<Component>,
    call_context: &CallContext<'_>,
    source: &Arc<dyn ArchiveSource>,
) -> Result<(Plan, DefinedLayers), Failure> {
    let (answer, guest) = component.run(
        call_context,
        "read",
        |guest| guest.source = Some(Arc::clone(source)),
        async |exports| {
            exports
                .archive()?
                .call_read(&mut *exports.store, &Vec::new())
                .await
        },
    )?;
    match (answer, guest.failure, guest.passed) {
        (_, Some(failure), _) => Err(Failure::Host(failure)),
        (Err(types::Error::NotMine(text)), ..) => {
            Err(Failure::Refused(Refusal::NotMine(shown(&text))))
        }
        // Its own words for this would not say that a file can be read again.
        (Err(_), None, Some(passed)) => Err(Failure::Host(passed)),
        (Err(error), None, None) => Err(Failure::Refused(error.into())),
        (Ok(plan), None, _) => {
            let defined = guest.defined;
            let plan = checked_plan(
                plan,
                source.as_ref(),
                defined.count(),
                component.makes_layers(),
            )?;
            Ok((plan, defined))
        }
    }
}

/// Asks a plugin to write images to `output`, and returns it for its end.
pub(super) fn write(
    component: &Arc<Component>,
    call_context: &CallContext<'_>,
    images: &[StoredImage],
    output: Box<dyn ArchiveOutput>,
) -> Result<Box<dyn ArchiveOutput>, Failure> {
    let images: Vec<wit::StoredImage> = images.iter().map(wit::StoredImage::from).collect();
    let (answer, guest) = component.run(
        call_context,
        "write",
        |guest| guest.output = Some(output),
        async |exports| {
            let archive = exports.archive()?;
            archive
                .call_write(&mut *exports.store, &images, &Vec::new())
                .await
        },
    )?;
    match (answer, guest.failure, guest.output) {
        (_, Some(failure), _) => Err(Failure::Host(failure)),
        (Err(error), None, _) => Err(Failure::Refused(error.into())),
        (Ok(()), None, Some(output)) => Ok(output),
        (Ok(()), None, None) => Err(Failure::Answer("it lost the output".to_owned())),
    }
}

fn checked_plan(
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

/// Returns the values that attributes have for a key.
fn of_key<'a>(attributes: &'a types::Attributes, key: &'a str) -> impl Iterator<Item = &'a str> {
    let has_key = move |(name, value): &'a (String, String)| (name == key).then_some(&**value);
    attributes.iter().filter_map(has_key)
}

/// Bytes of a text for the user.
const MAX_TEXT: usize = 4096;
/// Notices in a plan; what a plugin logs is bounded in the same way.
const MAX_NOTICES: usize = 1_000;

/// Cuts a text for the user.
pub(super) fn shown(text: &str) -> String {
    first_bytes(text, MAX_TEXT).to_owned()
}

impl From<&StoredImage> for wit::StoredImage {
    fn from(image: &StoredImage) -> Self {
        Self {
            manifest: image.manifest.clone(),
            manifest_digest: image.manifest_digest.to_string(),
            manifest_media_type: image.manifest_media_type.clone(),
            config: image.config.clone(),
            config_digest: image.config_digest.to_string(),
            layers: image
                .layers
                .iter()
                .map(|layer| wit::StoredLayer {
                    number: layer.number,
                    diff_id: layer.diff_id.to_string(),
                    size: layer.size,
                })
                .collect(),
            references: image
                .references
                .iter()
                .map(|reference| wit::ImageReference {
                    name: reference.name.clone(),
                    familiar: reference.familiar.clone(),
                    tag: reference.tag.clone(),
                })
                .collect(),
            attributes: Vec::new(),
        }
    }
}

impl From<types::Error> for Refusal {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::NotMine(text) => Self::NotMine(shown(&text)),
            types::Error::Malformed(text) => Self::Malformed(shown(&text)),
            types::Error::Unsupported(text) => Self::Unsupported(shown(&text)),
            types::Error::Missing(text) => Self::Missing(shown(&text)),
            types::Error::TooLarge(text) => Self::TooLarge(shown(&text)),
            types::Error::Io(text) => Self::Io(shown(&text)),
            types::Error::Other(text) => Self::Other(shown(&text)),
        }
    }
}
