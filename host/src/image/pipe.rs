//! Layers of an archive that comes through a pipe: they are converted while they pass, before
//! anybody knows which of them an image uses.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

use super::convert::{ConvertContext, ConvertError, ConvertRequest, ConvertedLayer};
use crate::archive::{ArchiveError, StreamedLayer, StreamedLayers};
use crate::layer::LayerError;
use crate::plugin::Formats;
use crate::progress::{Event, LayerNumber};

/// Takes layers off a pipe as they pass. Which of them an image uses is known only at the end.
pub(super) struct PipeLayers<'a> {
    context: ConvertContext<'a>,
    taken: HashMap<u32, Result<ConvertedLayer, LayerError>>,
    /// All that passes is kept on disk instead.
    keeps: bool,
    /// Inputs that are no tar archives are of use as well.
    takes_any: bool,
}

impl<'a> PipeLayers<'a> {
    pub(super) fn new(context: ConvertContext<'a>, formats: &Formats) -> Self {
        Self {
            context,
            taken: HashMap::new(),
            keeps: formats.keeps_input(),
            takes_any: formats.takes_any(),
        }
    }

    /// Returns what became of each entry that looked like a layer.
    pub(super) fn into_taken(self) -> HashMap<u32, Result<ConvertedLayer, LayerError>> {
        self.taken
    }
}

impl StreamedLayers for PipeLayers<'_> {
    fn layer(
        &mut self,
        entry: u32,
        name: &str,
        size: u64,
        bytes: &mut (dyn Read + Send),
    ) -> Result<Option<StreamedLayer>, ArchiveError> {
        let number = LayerNumber(self.taken.len());
        let progress = self.context.progress;
        progress.report(Event::LayerStarted {
            layer: number,
            name,
            size: Some(size),
        });
        let request = ConvertRequest {
            number: Some(number),
            blob: None,
            diff_id: None,
            chain: &|| Ok(None),
        };
        match self.context.convert(bytes, request) {
            Ok(layer) => {
                progress.report(Event::LayerFinished {
                    layer: number,
                    diff_id: &layer.facts.key.diff_id,
                    already_present: false,
                });
                let digest = layer.blob.digest.clone();
                self.taken.insert(entry, Ok(layer));
                Ok(Some(StreamedLayer { digest }))
            }
            Err(ConvertError::Store(error)) => Err(error),
            Err(ConvertError::Layer(LayerError::Cancelled(cancelled))) => Err(cancelled.into()),
            Err(ConvertError::Output(directory, source)) => Err(ArchiveError::Stage {
                path: name.to_owned(),
                directory,
                source,
            }),
            // It only looked like a layer, or it is a broken one or beyond a limit: that matters
            // once an image turns out to use it.
            Err(ConvertError::Layer(error)) => {
                self.taken.insert(entry, Err(error));
                Ok(None)
            }
        }
    }
    fn spool(&mut self) -> Result<Option<File>, ArchiveError> {
        if !self.keeps {
            return Ok(None);
        }
        Ok(Some(self.context.staging.scratch()?))
    }

    fn takes_any(&self) -> bool {
        self.takes_any
    }

    fn scratch(&mut self) -> Result<File, ArchiveError> {
        Ok(self.context.staging.scratch()?)
    }
}
