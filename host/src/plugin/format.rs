//! Archive formats: the world `format` as the rest of the host sees it.
//!
//! Owns the calls into a format plugin; its answers are checked in [`plan`]. Knows nothing of where an
//! archive comes from or what becomes of the images in it.

mod images;
mod plan;

use std::sync::Arc;

pub use self::images::{SavedReference, StoredImage, StoredLayer};
use self::plan::checked_plan;
pub use self::plan::{Document, LayerData, Plan, PlannedImage, PlannedIndex, PlannedLayer};
use super::bindings::exports::msb::plugin::archive as wit;
use super::bindings::msb::plugin::types;
use super::component::Component;
use super::error::{Failure, Refusal};
use super::guest::first_bytes;
use crate::archive::{ArchiveOutput, ArchiveSource, DefinedLayers};
use crate::cancel::Cancel;
use crate::progress::Progress;

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

/// Returns the values that attributes have for a key.
fn of_key<'a>(attributes: &'a types::Attributes, key: &'a str) -> impl Iterator<Item = &'a str> {
    let has_key = move |(name, value): &'a (String, String)| (name == key).then_some(&**value);
    attributes.iter().filter_map(has_key)
}

/// Bytes of a text for the user.
const MAX_TEXT: usize = 4096;

/// Cuts a text for the user.
pub(super) fn shown(text: &str) -> String {
    first_bytes(text, MAX_TEXT).to_owned()
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
