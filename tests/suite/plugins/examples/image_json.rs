//! The example `image-json`: images in a JSON document.

use std::path::PathBuf;

use msb_host::Context;
use msb_host::archive::Input;
use msb_host::home::Home;
use msb_host::image::{self, LoadOptions, LoadedImage};
use msb_host::plugin::{Formats, Runtime};
use msb_host::store::Store;
use serde_json::{Value, json};

use super::package;
use crate::archive::architecture;
use crate::env::TestEnv;
use crate::tests;

tests! {
    an_image_in_a_json_document_is_loaded_and_saved;
    the_same_json_document_is_the_same_image;
    a_json_document_that_makes_no_sense_is_refused_by_its_plugin;
}

/// A directory with an image in a document, and a home.
struct Desk {
    env: TestEnv,
    folder: PathBuf,
}

impl Desk {
    fn new(document: &Value) -> Self {
        let env = TestEnv::new();
        let folder = env.path("motd");
        std::fs::create_dir_all(folder.join("files")).unwrap();
        std::fs::write(folder.join("files/tool"), vec![7; (3 << 20) + 1]).unwrap();
        std::fs::write(folder.join("image.json"), document.to_string()).unwrap();
        Self { env, folder }
    }

    fn motd() -> Self {
        Self::new(&json!({
            "image-json": 1,
            "references": ["example.com/motd:1"],
            "config": {"architecture": architecture(), "config": {"Cmd": ["cat", "/etc/motd"]}},
            "layers": [
                [{"path": "bin/tool", "entry": "files/tool", "mode": "0755"}],
                [
                    {"path": "etc", "directory": true},
                    {"path": "etc/motd", "text": "welcome\n"},
                    {"path": "etc/issue", "symlink": "motd"},
                ],
            ],
        }))
    }

    fn load(&self) -> Result<Vec<LoadedImage>, image::ImageError> {
        let home = Home::at(self.env.home());
        let runtime = Runtime::new(&home);
        let formats = Formats::of(&runtime, &[package(&runtime, "image-json", &[], None)]);
        let report = image::load(
            &Store::open(&home).unwrap(),
            &formats,
            Input::Path(self.folder.clone()),
            &LoadOptions::default(),
            &Context::default(),
        )?;
        Ok(report.images)
    }
}

fn an_image_in_a_json_document_is_loaded_and_saved() {
    let desk = Desk::motd();
    let images = desk.load().unwrap();
    let [image] = images.as_slice() else {
        panic!("{images:?}");
    };
    assert_eq!(image.references[0].to_string(), "example.com/motd:1");
    desk.env
        .msb("save -o saved.tar example.com/motd:1")
        .success();
    let saved = std::fs::read(desk.env.path("saved.tar")).unwrap();
    let mut layers = 0;
    let mut found = Vec::new();
    for entry in tar::Archive::new(saved.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        // A layer is a tar; documents are JSON.
        if bytes.get(257..262) != Some(b"ustar") {
            continue;
        }
        layers += 1;
        for file in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut file = file.unwrap();
            let path = file.path().unwrap().display().to_string();
            let mut contents = Vec::new();
            std::io::Read::read_to_end(&mut file, &mut contents).unwrap();
            found.push((path, file.header().mode().unwrap(), contents));
        }
    }
    assert_eq!(layers, 2);
    found.sort();
    let paths: Vec<(&str, u32)> = found
        .iter()
        .map(|(path, mode, _)| (path.as_str(), *mode))
        .collect();
    assert_eq!(
        paths,
        [
            ("bin/tool", 0o755),
            ("etc", 0o755),
            ("etc/issue", 0o777),
            ("etc/motd", 0o644)
        ]
    );
    assert_eq!(found[0].2, vec![7; (3 << 20) + 1]);
    assert_eq!(found[3].2, b"welcome\n");
}

fn the_same_json_document_is_the_same_image() {
    let digests =
        [Desk::motd(), Desk::motd()].map(|desk| desk.load().unwrap()[0].manifest_digest.clone());
    assert_eq!(digests[0], digests[1]);
}

fn a_json_document_that_makes_no_sense_is_refused_by_its_plugin() {
    let desk = Desk::new(&json!({
        "image-json": 1,
        "config": {"architecture": architecture()},
        "layers": [[{"path": "../etc/passwd", "text": "x"}]],
    }));
    let error = desk.load().unwrap_err();
    let first: &dyn std::error::Error = &error;
    let all = std::iter::successors(Some(first), |error| error.source());
    let text: Vec<String> = all.map(ToString::to_string).collect();
    let text = text.join("\n");
    assert!(text.contains("image-json"), "{text}");
    assert!(text.contains("is not a path inside of the image"), "{text}");
}
