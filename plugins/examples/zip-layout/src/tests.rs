//! Archives as bytes, sound ones and such as lie.

use std::io::{Cursor, Write as _};

use msb_plugin::fake::FakeArchive;
use msb_plugin::sha256;
use serde_json::json;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const LAYER: &[u8] = b"the bytes of a layer";

/// The files of a layout below a folder.
fn layout(folder: &str) -> Vec<(String, Vec<u8>)> {
    let config = br#"{"architecture":"amd64","os":"linux"}"#.to_vec();
    let descriptor = |media_type: &str, bytes: &[u8]| {
        json!({
            "mediaType": format!("application/vnd.oci.image.{media_type}"),
            "digest": sha256(bytes), "size": bytes.len(),
        })
    };
    let manifest = json!({
        "schemaVersion": 2, "config": descriptor("config.v1+json", &config),
        "layers": [descriptor("layer.v1.tar", LAYER)],
    });
    let manifest = manifest.to_string().into_bytes();
    let index =
        json!({"schemaVersion": 2, "manifests": [descriptor("manifest.v1+json", &manifest)]});
    let blob = |bytes: &[u8]| format!("blobs/{}", sha256(bytes).replace(':', "/"));
    let files = [
        (
            "oci-layout".to_owned(),
            br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
        ),
        ("index.json".to_owned(), index.to_string().into_bytes()),
        (blob(&manifest), manifest),
        (blob(&config), config),
        (blob(LAYER), LAYER.to_vec()),
    ];
    let below = |(path, bytes)| (format!("{folder}{path}"), bytes);
    files.into_iter().map(below).collect()
}

fn zipped(files: &[(String, Vec<u8>)], is_large: bool) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().large_file(is_large);
    for (path, bytes) in files {
        writer.start_file(path.as_str(), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn input(bytes: impl AsRef<[u8]>) -> FakeArchive {
    FakeArchive::new().file("artifact.zip", bytes)
}

fn read(archive: &FakeArchive) -> Result<Plan, Error> {
    ZipLayout::read(archive, &Attributes::new())
}

/// Reads the layer as the host does, in pieces of a size.
fn layer(archive: &FakeArchive, limit: usize) -> Result<Vec<u8>, Error> {
    let name = format!("blobs/{}", sha256(LAYER).replace(':', "/"));
    let mut stream = ZipLayout::open(Box::new(archive.clone()), &name)?;
    let mut all = Vec::new();
    loop {
        let bytes = stream.next(limit)?;
        if bytes.is_empty() {
            return Ok(all);
        }
        assert!(bytes.len() <= limit);
        all.extend(bytes);
    }
}

#[test]
fn a_layout_is_read_wherever_it_is_in_the_archive() {
    for (folder, is_large) in [("", false), ("", true), ("./", false), ("folder/", true)] {
        let archive = input(zipped(&layout(folder), is_large));
        let plan = read(&archive).unwrap();
        let [image] = plan.images.as_slice() else {
            panic!("{plan:?}");
        };
        assert!(matches!(image.manifest, Some(Document::Bytes(_))));
        assert!(matches!(image.config, Document::Bytes(_)));
        let LayerData::Generated(name) = &image.layers[0].data else {
            panic!("{image:?}");
        };
        assert!(name.starts_with("blobs/sha256/"));
        assert_eq!(image.layers[0].digest, Some(sha256(LAYER)));
        for limit in [7, 1 << 20] {
            assert_eq!(layer(&archive, limit).unwrap(), LAYER);
        }
        assert!(!plan.attributes.iter().any(|(key, _)| key == INDEX));
    }
    let deep = read(&input(zipped(&layout("two/folders/"), false)));
    assert!(matches!(deep, Err(Error::NotMine(_))), "{deep:?}");
}

#[test]
fn what_is_not_this_format_says_so() {
    for archive in [
        input("070701"),
        input(""),
        FakeArchive::new(),
        input(zipped(&layout(""), false)).file("another", ""),
        input(zipped(&[], false)),
        input(zipped(&[("a.txt".to_owned(), vec![1])], false)),
    ] {
        let error = read(&archive).unwrap_err();
        assert!(matches!(error, Error::NotMine(_)), "{error:?}");
    }
    for name in ["image.tar", "build/image.tar.gz"] {
        let error = read(&input(zipped(&[(name.to_owned(), vec![1])], false))).unwrap_err();
        assert!(
            matches!(&error, Error::Unsupported(text) if text.contains(&format!("'{name}' | msb load"))),
            "{error:?}"
        );
    }
}

#[test]
fn a_name_in_a_command_stays_one_word_for_a_shell() {
    let name = "it's; rm -rf x.tar";
    let archive = input(zipped(&[(name.to_owned(), b"tar".to_vec())], false));
    let error = read(&archive).unwrap_err();
    let command = r"unzip -p INPUT 'it'\''s; rm -rf x.tar' | msb load";
    assert!(
        matches!(&error, Error::Unsupported(text) if text.contains(command)),
        "{error:?}"
    );
}

#[test]
fn an_archive_that_ends_early_or_lies_is_malformed() {
    let whole = zipped(&layout(""), false);
    for length in (4..whole.len()).step_by(3) {
        let error = read(&input(&whole[..length])).unwrap_err();
        assert!(matches!(error, Error::Malformed(_)), "{length}: {error:?}");
    }
    // In the directory, of the last member: checksum, packed size, size.
    let entry = whole
        .windows(4)
        .rposition(|it| it == b"PK\x01\x02")
        .unwrap();
    for at in [16, 20, 24] {
        for value in [0, 1, 19, 21, u32::MAX - 1] {
            let mut lies = whole.clone();
            lies[entry + at..entry + at + 4].copy_from_slice(&value.to_le_bytes());
            let error = layer(&input(&lies), 1 << 20);
            assert!(
                matches!(error, Err(Error::Malformed(_))),
                "{at} {value}: {error:?}"
            );
        }
    }
    // Anything else is refused or read, and ends.
    for at in (0..whole.len()).step_by(3) {
        for value in [0, 0xff] {
            let mut other = whole.clone();
            other[at] = value;
            let _ = read(&input(&other));
            let _ = layer(&input(&other), 1 << 20);
        }
    }
}

#[test]
fn a_packing_that_is_not_read_is_named() {
    let whole = zipped(&layout(""), false);
    let entry = whole.windows(4).position(|it| it == b"PK\x01\x02").unwrap();
    for (at, value, words) in [(8, 1, "encrypted"), (10, 93, "compressed")] {
        let mut other = whole.clone();
        other[entry + at] = value;
        let error = read(&input(&other)).unwrap_err();
        assert!(
            matches!(&error, Error::Unsupported(text) if text.contains(words)),
            "{error:?}"
        );
    }
}
