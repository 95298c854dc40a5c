//! An archive format written against the contract 0.1.0 alone: `config.json`, a first layer that is
//! an entry (`first.tar`), and a second one that the plugin makes of the entry `second.tar`.

wit_bindgen::generate!({ path: "../wit", world: "format-with-layers" });

use std::cell::RefCell;

use exports::msb::plugin::archive::{
    Description, Document, Guest, Image, Layer, LayerData, Plan, StoredImage,
};
use exports::msb::plugin::layers;
use msb::plugin::types::Error;
use msb::plugin::{log, sink, source};

struct Format;

export!(Format);

// The layer that is being made: the number of its entry, and how many bytes of it are out.
thread_local!(static MADE: RefCell<(u32, u64)> = const { RefCell::new((0, 0)) });

impl Guest for Format {
    fn describe() -> Description {
        Description {
            name: "old".to_owned(),
            title: "Format of the contract 0.1.0".to_owned(),
            reads: true,
            writes: true,
            attributes: Vec::new(),
        }
    }

    fn read(_: Vec<(String, String)>) -> Result<Plan, Error> {
        let Some(config) = source::find("config.json") else {
            return Err(Error::NotMine("there is no config.json".to_owned()));
        };
        log::emit(
            log::Level::Info,
            &format!(
                "{} of {} entries",
                source::entries(0, 10).len(),
                source::count()
            ),
        );
        let config = source::read(config.index, 0, 1 << 16)?;
        let layer = |data| Layer {
            data,
            digest: None,
            size: None,
            media_type: None,
            attributes: Vec::new(),
        };
        Ok(Plan {
            images: vec![Image {
                manifest: None,
                manifest_digest: None,
                config: Document::Bytes(config),
                config_digest: None,
                layers: vec![
                    layer(LayerData::Entry(entry("first.tar")?)),
                    layer(LayerData::Generated("second.tar".to_owned())),
                ],
                references: vec!["old:1".to_owned()],
                attributes: Vec::new(),
            }],
            notices: Vec::new(),
            attributes: Vec::new(),
        })
    }

    fn write(images: Vec<StoredImage>, _: Vec<(String, String)>) -> Result<(), Error> {
        sink::put_directory("old")?;
        sink::put_symlink("old/config", "../config.json")?;
        for image in images {
            sink::put_file("config.json", &image.config)?;
            for (layer, path) in image.layers.iter().zip(["first.tar", "second.tar"]) {
                sink::put_layer(path, layer.number)?;
            }
        }
        Ok(())
    }
}

impl layers::Guest for Format {
    fn open(name: String) -> Result<(), Error> {
        let entry = entry(&name)?;
        MADE.with_borrow_mut(|made| *made = (entry, 0));
        Ok(())
    }

    fn next(limit: u32) -> Result<Vec<u8>, Error> {
        MADE.with_borrow_mut(|(entry, offset)| {
            let bytes = source::read(*entry, *offset, limit.min(1 << 20))?;
            *offset += bytes.len() as u64;
            Ok(bytes)
        })
    }
}

fn entry(path: &str) -> Result<u32, Error> {
    let found = source::find(path);
    found
        .map(|entry| entry.index)
        .ok_or_else(|| Error::Missing(path.to_owned()))
}
