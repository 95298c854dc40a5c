//! What is taken for a filesystem, and the image that comes of it.

use msb_plugin::fake::{FakeArchive, elf};
use msb_plugin::{Document, Filesystem as _, LayerData};

use super::*;

fn small(root: &str) -> FakeArchive {
    FakeArchive::new()
        .directory(&format!("{root}bin"))
        .file(&format!("{root}bin/sh"), elf(2, 1, 183))
        .file(&format!("{root}etc/passwd"), "root:x:0:0::/:/bin/sh")
        .directory(&format!("{root}var"))
}

fn read(archive: &FakeArchive) -> Result<Plan, Error> {
    reading::read(archive, archive)
}

#[test]
fn a_filesystem_is_an_image_of_one_layer() {
    for (root, prefix) in [("", ""), ("rootfs/", "rootfs")] {
        let archive = small(root);
        let plan = read(&archive).unwrap();
        let [image] = plan.images.as_slice() else {
            panic!("{plan:?}");
        };
        let [layer] = archive.layers().try_into().unwrap();
        assert_eq!(layer.strip_prefix, prefix);
        assert_eq!((layer.entries[0].first, layer.entries[0].count), (0, 4));
        assert!(matches!(image.layers[0].data, LayerData::Entry(4)));
        let Document::Bytes(config) = &image.config else {
            panic!("no configuration");
        };
        let config: serde_json::Value = serde_json::from_slice(config).unwrap();
        assert_eq!(config["architecture"], "arm64");
        assert_eq!(
            config["rootfs"]["diff_ids"][0],
            archive.measure(4).unwrap().digest
        );
    }
}

#[test]
fn images_and_other_archives_are_not_its_own() {
    for archive in [
        small("").file("manifest.json", "[]"),
        FakeArchive::new().file("etc/passwd", ""),
        small("elsewhere/"),
        FakeArchive::new(),
    ] {
        let result = read(&archive);
        assert!(matches!(result, Err(Error::NotMine(_))), "{result:?}");
    }
}

#[test]
fn a_filesystem_without_programs_is_refused_in_words() {
    let archive = FakeArchive::new()
        .file("bin/sh", "#!/bin/busybox with more text")
        .directory("etc")
        .directory("usr");
    let Err(Error::Unsupported(text)) = read(&archive) else {
        panic!("it was read");
    };
    assert!(text.contains("for which processor"), "{text}");
}

#[test]
fn one_image_is_written_with_all_of_its_layers() {
    let layer = |number| msb_plugin::StoredLayer {
        number,
        diff_id: String::new(),
        size: 0,
    };
    let image = StoredImage {
        manifest: Vec::new(),
        manifest_digest: String::new(),
        manifest_media_type: String::new(),
        config: Vec::new(),
        config_digest: String::new(),
        layers: vec![layer(2), layer(0)],
        references: Vec::new(),
        attributes: Attributes::new(),
    };
    let images = [image.clone(), image];
    assert_eq!(writing::layers(&images[..1]).unwrap(), [2, 0]);
    for images in [&images[..], &[]] {
        let refused = writing::layers(images);
        assert!(matches!(refused, Err(Error::Unsupported(_))));
    }
}
