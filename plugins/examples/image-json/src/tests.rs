//! Documents, and the images that come of them.

use std::io::Read as _;

use msb_plugin::fake::FakeArchive;
use msb_plugin::sha256;

use super::*;

const MOTD: &str = r#"{
    "image-json": 1,
    "references": ["example.com/motd:1"],
    "config": {"architecture": "amd64", "config": {"Cmd": ["cat", "/etc/motd"]}},
    "layers": [
        [{"path": "bin/busybox", "entry": "files/busybox", "mode": "0755", "uid": 7},
         {"path": "bin/cat", "symlink": "busybox"}],
        [{"path": "etc", "directory": true},
         {"path": "etc/motd", "text": "welcome\n"},
         {"path": "etc/blob", "base64": "AAEC", "mode": "4600"}]
    ]
}"#;

fn motd() -> FakeArchive {
    FakeArchive::new()
        .file("image.json", MOTD)
        .file("files/busybox", vec![7; (2 << 20) + 3])
}

fn read(archive: &FakeArchive) -> Result<Plan, Error> {
    ImageJson::read(archive, &Attributes::new())
}

fn stream(archive: &FakeArchive, name: &str, limit: usize) -> Result<Vec<u8>, Error> {
    let mut stream = ImageJson::open(Box::new(archive.clone()), name)?;
    let mut bytes = Vec::new();
    loop {
        let next = stream.next(limit)?;
        assert!(next.len() <= limit);
        if next.is_empty() {
            return Ok(bytes);
        }
        bytes.extend(next);
    }
}

#[test]
fn the_layers_are_those_that_the_configuration_names() {
    let plan = read(&motd()).unwrap();
    let [image] = plan.images.as_slice() else {
        panic!("{plan:?}");
    };
    assert_eq!(image.references, ["example.com/motd:1"]);
    let Document::Bytes(config) = &image.config else {
        panic!("no configuration");
    };
    let config: serde_json::Value = serde_json::from_slice(config).unwrap();
    assert_eq!(config["os"], "linux");
    assert_eq!(config["config"]["Cmd"][0], "cat");
    for (number, layer) in image.layers.iter().enumerate() {
        let LayerData::Generated(name) = &layer.data else {
            panic!("{layer:?}");
        };
        for limit in [1_000, 1 << 20] {
            let bytes = stream(&motd(), name, limit).unwrap();
            assert_eq!(layer.digest, Some(sha256(&bytes)));
            assert_eq!(layer.size, Some(bytes.len() as u64));
        }
        assert_eq!(
            config["rootfs"]["diff_ids"][number],
            layer.digest.clone().unwrap()
        );
    }
}

#[test]
fn a_layer_is_a_tar_of_its_files() {
    let bytes = stream(&motd(), "0", 1 << 20).unwrap();
    let mut tar = tar::Archive::new(bytes.as_slice());
    let mut entries = tar.entries().unwrap();
    let mut busybox = entries.next().unwrap().unwrap();
    assert_eq!(busybox.path().unwrap().to_str(), Some("bin/busybox"));
    assert_eq!(busybox.header().mode().unwrap(), 0o755);
    assert_eq!(busybox.header().uid().unwrap(), 7);
    let mut contents = Vec::new();
    busybox.read_to_end(&mut contents).unwrap();
    assert_eq!(contents, vec![7; (2 << 20) + 3]);
    let link = entries.next().unwrap().unwrap();
    assert_eq!(link.link_name().unwrap().unwrap().to_str(), Some("busybox"));
    assert!(entries.next().is_none());

    let bytes = stream(&motd(), "1", 1 << 20).unwrap();
    let mut tar = tar::Archive::new(bytes.as_slice());
    let modes: Vec<(String, u32, u64)> = tar
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            (path, entry.header().mode().unwrap(), entry.size())
        })
        .collect();
    assert_eq!(
        modes,
        [
            ("etc".to_owned(), 0o755, 0),
            ("etc/motd".to_owned(), 0o644, 8),
            ("etc/blob".to_owned(), 0o4600, 3),
        ]
    );
}

#[test]
fn long_names_are_kept() {
    let path = vec!["component"; 40].join("/");
    let target = "t".repeat(300);
    let document = format!(
        r#"{{"image-json":1,"config":{{"architecture":"amd64"}},
            "layers":[[{{"path":"{path}","symlink":"{target}"}}]]}}"#
    );
    let archive = FakeArchive::new().file("image.json", document);
    let bytes = stream(&archive, "0", 1 << 20).unwrap();
    let mut tar = tar::Archive::new(bytes.as_slice());
    let entry = tar.entries().unwrap().next().unwrap().unwrap();
    assert_eq!(entry.path().unwrap().to_str(), Some(path.as_str()));
    assert_eq!(
        entry.link_name().unwrap().unwrap().to_str(),
        Some(target.as_str())
    );
}

#[test]
fn an_archive_without_the_document_is_not_its_own() {
    let result = read(&FakeArchive::new().file("manifest.json", "[]"));
    assert!(matches!(result, Err(Error::NotMine(_))), "{result:?}");
}

#[test]
fn documents_that_make_no_sense_are_refused_with_the_file_they_are_about() {
    let image = |layers: &str| {
        format!(r#"{{"image-json":1,"config":{{"architecture":"amd64"}},"layers":{layers}}}"#)
    };
    for (document, wrong) in [
        ("{}".to_owned(), "image-json"),
        (r#"{"image-json":2,"config":{}}"#.to_owned(), "version 2"),
        (image(r#"[[{"path":"a"}]]"#), "a needs one of"),
        (
            image(r#"[[{"path":"a","text":"","directory":true}]]"#),
            "a needs one of",
        ),
        (
            image(r#"[[{"path":"/a","text":""}]]"#),
            "\"/a\" is not a path",
        ),
        (image(r#"[[{"path":"a/../b","text":""}]]"#), "is not a path"),
        (
            image(r#"[[{"path":"a","text":"","mode":"rwx"}]]"#),
            "the mode of a",
        ),
        (image(r#"[[{"path":"a","base64":"?"}]]"#), "the base64 of a"),
        (
            image(r#"[[{"path":"a","entry":"gone"}]]"#),
            "gone, which layer 0 has as a",
        ),
    ] {
        let archive = FakeArchive::new().file("image.json", &document);
        match read(&archive) {
            Err(Error::Malformed(text) | Error::Unsupported(text) | Error::Missing(text)) => {
                assert!(text.contains(wrong), "{text}");
            }
            other => panic!("{document}: {other:?}"),
        }
    }
}

#[test]
fn there_are_no_layers_but_those_in_the_document() {
    for name in ["2", "-1", "x"] {
        assert!(
            matches!(stream(&motd(), name, 9), Err(Error::Missing(_))),
            "{name}"
        );
    }
}
