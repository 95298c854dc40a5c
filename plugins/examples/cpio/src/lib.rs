//! A root filesystem in a cpio archive as an image of one layer: what an initramfs is.
//!
//! Such an input is no tar, so the plugin finds it as one entry, which it reads at any place. The layer
//! is made twice: for its digest, and for the host.

mod members;
mod newc;
mod window;

use msb_plugin::{
    Archive, Attributes, Description, Document, Error, Format, Image, Layer, LayerData, Layers,
    Output, Plan, Processor, StoredImage, Stream,
};
use serde_json::{Map, Value, json};

use members::LayerTar;
use newc::{Cpio, Files};

/// What the layer is called between the two times that it is made.
const LAYER: &str = "root";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The format.
#[derive(Debug)]
pub struct CpioFormat;

impl Format for CpioFormat {
    fn describe() -> Description {
        Description {
            name: "cpio".to_owned(),
            title: "Root filesystem in a cpio archive".to_owned(),
            reads: true,
            writes: false,
            attributes: vec![("input".to_owned(), "any".to_owned())],
        }
    }

    fn read(archive: &dyn Archive, _: &Attributes) -> Result<Plan, Error> {
        let cpio = Cpio::read(archive)?;
        let processor = Processor::of(&Files::new(archive, &cpio), "")?;
        let has_init = cpio.members.iter().any(|member| member.path == b"init");
        let command = if has_init { "/init" } else { "/bin/sh" };
        let mut notices = Vec::new();
        if let Some(rest) = cpio.rest {
            notices.push(format!(
                "what begins at byte {rest} is not a cpio archive, and is left out"
            ));
        }
        if cpio.sockets > 0 {
            notices.push(format!("left out sockets: {}", cpio.sockets));
        }
        let (digest, size) = LayerTar::new(cpio.members).measure(archive)?;
        let mut config = Map::new();
        config.insert("architecture".to_owned(), json!(processor.architecture));
        if let Some(variant) = processor.variant {
            config.insert("variant".to_owned(), json!(variant));
        }
        config.insert("os".to_owned(), json!("linux"));
        config.insert(
            "config".to_owned(),
            json!({"Env": [PATH], "Cmd": [command]}),
        );
        config.insert(
            "rootfs".to_owned(),
            json!({"type": "layers", "diff_ids": [digest]}),
        );
        let image = Image {
            manifest: None,
            manifest_digest: None,
            config: Document::Bytes(Value::Object(config).to_string().into_bytes()),
            config_digest: None,
            layers: vec![Layer {
                data: LayerData::Generated(LAYER.to_owned()),
                digest: Some(digest),
                size: Some(size),
                media_type: None,
                attributes: Attributes::new(),
            }],
            references: Vec::new(),
            attributes: Attributes::new(),
        };
        Ok(Plan {
            images: vec![image],
            notices,
            attributes: Attributes::new(),
        })
    }

    fn write(_: &[StoredImage], _: &Attributes, _: &mut dyn Output) -> Result<(), Error> {
        Err(Error::Unsupported("a cpio archive is only read".to_owned()))
    }
}

impl Layers for CpioFormat {
    fn open(archive: Box<dyn Archive>, name: &str) -> Result<Box<dyn Stream>, Error> {
        if name != LAYER {
            return Err(Error::Missing(format!("the plan has no layer `{name}`")));
        }
        let cpio = Cpio::read(archive.as_ref())?;
        Ok(Box::new(Opened {
            archive,
            tar: LayerTar::new(cpio.members),
        }))
    }
}

/// The layer that the host is reading.
struct Opened {
    archive: Box<dyn Archive>,
    tar: LayerTar,
}

impl Stream for Opened {
    fn next(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        self.tar.next(self.archive.as_ref(), limit)
    }
}

msb_plugin::export_format!(CpioFormat);
msb_plugin::export_layers!(CpioFormat);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
