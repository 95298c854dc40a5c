//! From a filesystem to an image of one layer.

use std::collections::BTreeSet;

use msb_plugin::{
    Archive, Attributes, Document, Error, Filesystem, Image, Layer, LayerData, LayerDefinition,
    Plan, Processor,
};
use serde_json::{Map, Value, json};

/// Directories at the top of a root filesystem, and how many of them make one.
const TOP: [&str; 10] = [
    "bin", "dev", "etc", "home", "lib", "proc", "root", "sbin", "usr", "var",
];
const ENOUGH: usize = 3;
/// Where a filesystem is in the archive: at its top, or where LXD and the bundles of OCI runtimes
/// have it.
const ROOTS: [&str; 2] = ["", "rootfs/"];
/// What archives of images have at their top.
const IMAGES: [&str; 4] = ["index.json", "manifest.json", "oci-layout", "repositories"];
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Says what image the archive is.
pub(crate) fn read(archive: &dyn Archive, filesystem: &dyn Filesystem) -> Result<Plan, Error> {
    if let Some(name) = IMAGES.iter().find(|name| archive.find(name).is_some()) {
        return Err(Error::NotMine(format!("there is {name}")));
    }
    let Some(root) = root_of(archive) else {
        return Err(Error::NotMine(
            "there is no root filesystem, with bin, etc, usr or the like at its top".to_owned(),
        ));
    };
    let processor = Processor::of(archive, root)?;
    let layer = filesystem.define(&LayerDefinition {
        entries: archive.all_entries(),
        strip_prefix: root.trim_end_matches('/').to_owned(),
        changes: Vec::new(),
        attributes: Attributes::new(),
    })?;
    let measured = filesystem.measure(layer)?;
    let mut config = Map::new();
    config.insert("architecture".to_owned(), json!(processor.architecture));
    if let Some(variant) = processor.variant {
        config.insert("variant".to_owned(), json!(variant));
    }
    config.insert("os".to_owned(), json!("linux"));
    config.insert(
        "config".to_owned(),
        json!({"Env": [PATH], "Cmd": ["/bin/sh"]}),
    );
    config.insert(
        "rootfs".to_owned(),
        json!({"type": "layers", "diff_ids": [measured.digest]}),
    );
    let image = Image {
        manifest: None,
        manifest_digest: None,
        config: Document::Bytes(Value::Object(config).to_string().into_bytes()),
        config_digest: None,
        layers: vec![Layer {
            data: LayerData::Entry(layer),
            digest: Some(measured.digest),
            size: Some(measured.size),
            media_type: None,
            attributes: Attributes::new(),
        }],
        references: Vec::new(),
        attributes: Attributes::new(),
    };
    Ok(Plan {
        images: vec![image],
        notices: Vec::new(),
        attributes: Attributes::new(),
    })
}

/// Returns where the filesystem is, empty or with a slash at the end.
fn root_of(archive: &dyn Archive) -> Option<&'static str> {
    let mut found = [const { BTreeSet::new() }; ROOTS.len()];
    for entry in archive.entries() {
        for (root, found) in ROOTS.iter().zip(&mut found) {
            let top = entry
                .path
                .strip_prefix(root)
                .and_then(|path| path.split('/').next());
            found.extend(top.and_then(|top| TOP.into_iter().find(|name| *name == top)));
        }
    }
    let found = ROOTS.into_iter().zip(found);
    found
        .into_iter()
        .find_map(|(root, found)| (found.len() >= ENOUGH).then_some(root))
}
