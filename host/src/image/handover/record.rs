//! The record that tells microsandbox of an image.
//!
//! Owns what stands in it, and that a name which microsandbox has given to another image is left alone.

use super::{FILE_MODE, Handover};
use crate::fs::atomic::{self, Mode};
use crate::image::ServeError;
use crate::image::config::ImageConfig;
use crate::image::serve_microsandbox::{ServeMicrosandboxReport, UnservedReason, layer_digest};
use crate::microsandbox::{self, Mark, Record, RecordConfig, RecordLayer};
use crate::reference::Reference;
use crate::store::ImageRecord;

impl Handover<'_> {
    /// Writes the record of a name, unless microsandbox has given that name to another image.
    pub(super) fn record(
        &mut self,
        image: &ImageRecord,
        reference: &Reference,
    ) -> Result<(), ServeError> {
        let cancel = &self.context.cancel;
        let path = microsandbox::record_path(self.home, reference);
        let not = |report: &mut ServeMicrosandboxReport, reason| {
            report.refuse(image, reason).image = reference.familiar();
            Ok(())
        };
        let Some(_lease) = microsandbox::share([path.clone()], cancel)? else {
            return not(self.report, UnservedReason::Busy);
        };
        let Some(_lock) = microsandbox::lock(&path.with_extension("lock"), cancel)? else {
            return not(self.report, UnservedReason::Busy);
        };
        let Some(_gate) = microsandbox::gate(&path, cancel)? else {
            return not(self.report, UnservedReason::Busy);
        };
        let found = microsandbox::read(&path)?;
        if let Some(found) = &found {
            if found.manifest_digest == image.digest.to_string() {
                self.report.present.push(reference.familiar());
                return Ok(());
            }
            if found.msb.is_none() {
                return not(self.report, UnservedReason::NamedOtherwise);
            }
        }
        let Some(record) = self.record_of(image, reference)? else {
            return not(self.report, UnservedReason::UnreadableLayers);
        };
        let failed = |source| ServeError::io("write", &path, source);
        let bytes = serde_json::to_vec(&record).map_err(|error| failed(error.into()))?;
        atomic::write(&path, Mode::Exactly(FILE_MODE), &bytes).map_err(failed)?;
        self.report.added.push(reference.familiar());
        Ok(())
    }

    /// Returns the record of an image; `None` if its documents are not text.
    fn record_of(
        &self,
        image: &ImageRecord,
        reference: &Reference,
    ) -> Result<Option<Record>, ServeError> {
        let config = self.store.blob(&image.config_digest)?;
        let shown = ImageConfig::read(&image.config_digest, &config);
        let manifest = String::from_utf8(self.store.blob(&image.digest)?);
        let (Ok(manifest), Ok(config)) = (manifest, String::from_utf8(config)) else {
            return Ok(None);
        };
        let layers = image.layers.iter().map(|layer| RecordLayer {
            digest: layer.blob_digest.to_string(),
            media_type: Some(layer.media_type.clone()),
            size_bytes: Some(layer.compressed_size),
            diff_id: layer_digest(&layer.key).to_string(),
        });
        Ok(Some(Record {
            manifest_digest: image.digest.to_string(),
            config_digest: image.config_digest.to_string(),
            raw_manifest_json: manifest,
            raw_config_json: config,
            config: RecordConfig {
                env: shown.env,
                cmd: shown.cmd,
                entrypoint: shown.entrypoint,
                working_dir: shown.working_dir,
                user: shown.user,
                exposed_ports: shown.exposed_ports,
                volumes: shown.volumes,
                labels: shown.labels,
                stop_signal: shown.stop_signal,
            },
            layers: layers.collect(),
            msb: Some(Mark {
                reference: reference.canonical(),
            }),
        }))
    }
}
