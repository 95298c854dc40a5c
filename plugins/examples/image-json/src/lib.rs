//! An image in one JSON document, as a plugin of msb: `image.json` says what the files of each
//! layer are, or which entry beside it has their bytes.
//!
//! No entry of such an archive is a layer, so the plugin makes the layers. It makes each twice:
//! when it reads the archive, to know its digest, and when the host wants the bytes.

mod document;
mod layer;

use msb_plugin::{
    Archive, Attributes, Description, Document, Error, Format, Image, Layer, LayerData, Layers,
    Output, Plan, StoredImage, Stream,
};
use serde_json::json;

use document::ImageDocument;
use layer::LayerTar;

/// The format.
#[derive(Debug)]
pub struct ImageJson;

impl Format for ImageJson {
    fn describe() -> Description {
        Description {
            name: "image-json".to_owned(),
            title: "Image in a JSON document".to_owned(),
            reads: true,
            writes: false,
            attributes: Attributes::new(),
        }
    }

    fn read(archive: &dyn Archive, _: &Attributes) -> Result<Plan, Error> {
        let document = ImageDocument::read(archive)?;
        let mut layers = Vec::new();
        let mut diff_ids = Vec::new();
        for (number, layer) in document.layers.into_iter().enumerate() {
            let (digest, size) = LayerTar::new(number, layer).measure(archive)?;
            diff_ids.push(digest.clone());
            layers.push(Layer {
                data: LayerData::Generated(number.to_string()),
                digest: Some(digest),
                size: Some(size),
                media_type: None,
                attributes: Attributes::new(),
            });
        }
        let mut config = document.config;
        config.insert(
            "rootfs".to_owned(),
            json!({"type": "layers", "diff_ids": diff_ids}),
        );
        config.entry("os").or_insert_with(|| json!("linux"));
        let image = Image {
            manifest: None,
            manifest_digest: None,
            config: Document::Bytes(serde_json::Value::Object(config).to_string().into_bytes()),
            config_digest: None,
            layers,
            references: document.references,
            attributes: Attributes::new(),
        };
        Ok(Plan {
            images: vec![image],
            notices: Vec::new(),
            attributes: Attributes::new(),
        })
    }

    fn write(_: &[StoredImage], _: &Attributes, _: &mut dyn Output) -> Result<(), Error> {
        Err(Error::Unsupported(
            "image.json is written by hand".to_owned(),
        ))
    }
}

impl Layers for ImageJson {
    fn open(archive: Box<dyn Archive>, name: &str) -> Result<Box<dyn Stream>, Error> {
        let document = ImageDocument::read(archive.as_ref())?;
        let number: Option<usize> = name.parse().ok();
        let layer =
            number.and_then(|number| Some((number, document.layers.into_iter().nth(number)?)));
        let Some((number, layer)) = layer else {
            return Err(Error::Missing(format!("image.json has no layer {name}")));
        };
        Ok(Box::new(Opened {
            archive,
            tar: LayerTar::new(number, layer),
        }))
    }
}

/// A layer that the host is reading.
struct Opened {
    archive: Box<dyn Archive>,
    tar: LayerTar,
}

impl Stream for Opened {
    fn next(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        self.tar.next(self.archive.as_ref(), limit)
    }
}

msb_plugin::export_format!(ImageJson);
msb_plugin::export_layers!(ImageJson);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
