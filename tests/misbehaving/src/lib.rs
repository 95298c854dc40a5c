//! A guest that breaks every rule it can, so that the host's limits can be tested against a real
//! component. What it does wrong is named by the first entry of the archive it is shown.

wit_bindgen::generate!({ path: "../../wit", world: "format-with-layers" });

use std::cell::RefCell;

use exports::msb::plugin::archive::{
    Description, Document, Guest, Image, Layer, LayerData, Plan, StoredImage,
};
use exports::msb::plugin::layers;
use msb::plugin::types::Error;
use msb::plugin::{log, sink, source};

struct Misbehaving;

export!(Misbehaving);

impl Guest for Misbehaving {
    fn describe() -> Description {
        Description {
            name: "misbehaving".to_owned(),
            title: "Breaks the rules".to_owned(),
            reads: true,
            writes: true,
            attributes: Vec::new(),
        }
    }

    fn read(_options: Vec<(String, String)>) -> Result<Plan, Error> {
        std::panic::set_hook(Box::new(|info| log::last_words(&info.to_string())));
        let Some(first) = source::entries(0, 1).pop() else {
            return Err(Error::NotMine("an empty archive".to_owned()));
        };
        match first.path.as_str() {
            "panic" => panics_in_a_function_with_a_name(),
            "trap" => core::arch::wasm32::unreachable(),
            "loop" => loops(),
            "allocate" => allocates(),
            "recurse" => {
                log::emit(log::Level::Info, &recurses(1).to_string());
                Ok(plan(Vec::new()))
            }
            "flood" => loop {
                source::count();
            },
            "chatter" => {
                for line in 0..5_000 {
                    log::emit(
                        log::Level::Info,
                        &format!("line {line} {}", "x".repeat(9_000)),
                    );
                }
                Err(Error::Other("said it all".to_owned()))
            }
            "out-of-range" => Ok(plan(vec![image(Document::Entry(4_000_000_000))])),
            "bad-digest" => Ok(plan(vec![Image {
                config_digest: Some("sha256:../../../etc/passwd".to_owned()),
                ..image(Document::Entry(0))
            }])),
            "huge" => Err(Error::Other("x".repeat(8 << 20))),
            "huger" => Err(Error::Other("x".repeat(80 << 20))),
            "huge-in" => {
                log::emit(log::Level::Info, &"x".repeat(8 << 20));
                Err(Error::Other("it was taken".to_owned()))
            }
            "lie-about-config" => Ok(plan(vec![Image {
                config_digest: Some(NOTHING.to_owned()),
                ..image(Document::Entry(1))
            }])),
            "lie-about-layer" => Ok(plan(vec![layered(LayerData::Entry(2), Some(NOTHING))])),
            "lie-about-size" => {
                let mut image = layered(LayerData::Entry(2), None);
                image.layers[0].size = Some(1);
                Ok(plan(vec![image]))
            }
            "layer-out-of-range" => Ok(plan(vec![layered(LayerData::Entry(u32::MAX), None)])),
            "honest" => {
                log::emit(log::Level::Warn, "\u{1b}[2Jall is well");
                Ok(Plan {
                    notices: vec!["\u{1b}]0;owned\u{7}all is well".to_owned()],
                    ..plan(vec![Image {
                        references: vec!["\u{1b}[31mred:1".to_owned(), "good:1".to_owned()],
                        ..layered(LayerData::Entry(2), None)
                    }])
                })
            }
            "escape" => Err(Error::Malformed("\u{1b}[2Jall is well".to_owned())),
            "escape-layer" => Ok(plan(vec![layered(
                LayerData::Generated("\u{1b}[31mred\r\n".to_owned()),
                None,
            )])),
            "no-output" => match sink::put_file("x", b"x") {
                Ok(()) => Ok(plan(Vec::new())),
                Err(error) => Err(error),
            },
            // Any archive of sources begins like that.
            "README.md" => Ok(plan(Vec::new())),
            "past-the-end" => {
                let nothing = source::read(0, u64::MAX, u32::MAX)?;
                let missing = source::read(7, 0, 1).err();
                Err(Error::Other(format!(
                    "{} bytes, then {missing:?}",
                    nothing.len()
                )))
            }
            other => match other.strip_prefix("layer-") {
                Some(layer) => {
                    let mut image = image(Document::Entry(0));
                    image.layers[0].data = LayerData::Generated(layer.to_owned());
                    Ok(plan(vec![image]))
                }
                None => Err(Error::NotMine(format!(
                    "no way to misbehave is called {other}"
                ))),
            },
        }
    }

    fn write(_images: Vec<StoredImage>, _options: Vec<(String, String)>) -> Result<(), Error> {
        for path in ["../out", "/root", "a//b", "a/./b", "", "nul\0"] {
            if sink::put_file(path, b"x").is_ok() {
                return Err(Error::Other(format!("the path {path:?} was taken")));
            }
        }
        sink::put_file("twice", b"1")?;
        if sink::put_file("twice", b"2").is_ok() {
            return Err(Error::Other("a path was written twice".to_owned()));
        }
        if sink::put_layer("layer", 99).is_ok() {
            return Err(Error::Other(
                "a layer that is not there was written".to_owned(),
            ));
        }
        Ok(())
    }
}

thread_local! {
    static LAYER: RefCell<(String, u32)> = RefCell::default();
}

impl layers::Guest for Misbehaving {
    fn open(name: String) -> Result<(), Error> {
        std::panic::set_hook(Box::new(|info| log::last_words(&info.to_string())));
        if name == "missing" {
            return Err(Error::Missing("there is no such layer".to_owned()));
        }
        LAYER.set((name, 0));
        Ok(())
    }

    fn next(limit: u32) -> Result<Vec<u8>, Error> {
        let (name, turn) = LAYER.with_borrow_mut(|(name, turn)| {
            *turn += 1;
            (name.clone(), *turn)
        });
        match (name.as_str(), turn) {
            ("three", 1..=3) => Ok(vec![turn as u8; 1000]),
            ("three", _) => Ok(Vec::new()),
            ("endless", _) => Ok(vec![0; limit as usize]),
            ("greedy", _) => Ok(vec![0; limit as usize + 1]),
            ("panic", 2) => panics_in_a_function_with_a_name(),
            ("loop", 2) => loops(),
            ("allocate", 2) => allocates(),
            ("source" | "source-passed", 1) => source::read(0, 0, 10).map(|_| b"read".to_vec()),
            ("source", _) => Ok(Vec::new()),
            ("panic" | "loop" | "allocate", _) => Ok(vec![0; 10]),
            _ => Err(Error::Malformed(format!("the layer breaks off at {turn}"))),
        }
    }
}

#[inline(never)]
fn panics_in_a_function_with_a_name() -> ! {
    panic!("a panic on purpose")
}

fn loops() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns).wrapping_add(1);
    }
}

fn allocates() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

fn recurses(depth: u64) -> u64 {
    if std::hint::black_box(depth) == 0 {
        return 0;
    }
    recurses(std::hint::black_box(depth + 1)) + depth
}

/// The digest of no bytes.
const NOTHING: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// An image whose configuration is the second entry, of one layer.
fn layered(data: LayerData, digest: Option<&str>) -> Image {
    let mut image = image(Document::Entry(1));
    image.layers[0].data = data;
    image.layers[0].digest = digest.map(str::to_owned);
    image
}

fn plan(images: Vec<Image>) -> Plan {
    Plan {
        images,
        notices: Vec::new(),
        attributes: Vec::new(),
    }
}

fn image(config: Document) -> Image {
    Image {
        manifest: None,
        manifest_digest: None,
        config,
        config_digest: None,
        layers: vec![Layer {
            data: LayerData::Absent,
            digest: None,
            size: None,
            media_type: None,
            attributes: Vec::new(),
        }],
        references: Vec::new(),
        attributes: Vec::new(),
    }
}
