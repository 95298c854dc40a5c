//! Any text as an archive of documents: manifests, configurations, indexes, lists of images. Both
//! formats read it, the host reads what they found, and what it takes can be written and read
//! again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use msb_fuzz::documents::{archive, bytes};
use msb_host::image::fuzzing::{self, Documents};
use msb_plugin::fake::{FakeArchive, FakeOutput};
use msb_plugin::{
    Archive as _, Attributes, Document, Error, Format, Image, ImageReference, LayerData, Plan,
    StoredImage, StoredLayer,
};

fuzz_target!(|text: &str| {
    let archive = archive(text);
    let none = Attributes::new();
    let mut images = Vec::new();
    for read in [
        docker_archive::DockerArchive::read,
        oci_layout::OciLayout::read,
    ] {
        let plan = read(&archive, &none);
        assert_eq!(plan, read(&archive, &none), "two plans of one archive");
        if let Ok(plan) = plan {
            check(&archive, &plan);
            images.extend(
                plan.images
                    .iter()
                    .filter_map(|image| stored(&archive, image)),
            );
        }
    }
    images.dedup_by(|one, other| one.manifest_digest == other.manifest_digest);
    round_trip(&images);
});

/// Checks that a plan speaks of what the archive has.
fn check(archive: &FakeArchive, plan: &Plan) {
    assert!(!plan.images.is_empty(), "a plan without images");
    let count = archive.entries().count();
    let is_there = |number: u32| assert!(usize::try_from(number).is_ok_and(|it| it < count));
    for image in &plan.images {
        for document in image.manifest.iter().chain([&image.config]) {
            if let Document::Entry(number) = document {
                is_there(*number);
            }
        }
        for layer in &image.layers {
            if let LayerData::Entry(number) = layer.data {
                is_there(number);
            }
        }
    }
}

/// Returns an image as the store would have it, if the host takes its documents.
fn stored(archive: &FakeArchive, image: &Image) -> Option<StoredImage> {
    let config = bytes(archive, &image.config)?;
    let manifest = match &image.manifest {
        Some(manifest) => Some(bytes(archive, manifest)?),
        None => None,
    };
    let layers = image.layers.len();
    let documents = fuzzing::documents(&config, manifest.as_deref(), layers).ok()?;
    assert_eq!(documents.diff_ids.len(), layers);
    check_again(&config, &documents);
    let references = image.references.iter().filter_map(|text| {
        let reference: msb_host::reference::Reference = text.parse().ok()?;
        Some(ImageReference {
            name: reference.name(),
            familiar: reference.familiar_name(),
            tag: reference.tag()?.to_owned(),
        })
    });
    let diff_ids = documents.diff_ids.iter().enumerate();
    Some(StoredImage {
        references: references.collect(),
        layers: diff_ids
            .map(|(number, diff_id)| StoredLayer {
                number: u32::try_from(number).unwrap_or_default(),
                diff_id: diff_id.to_string(),
                size: 7,
            })
            .collect(),
        manifest: documents.manifest,
        manifest_digest: documents.manifest_digest.to_string(),
        manifest_media_type: documents.manifest_media_type,
        config,
        config_digest: documents.config_digest.to_string(),
        attributes: Attributes::new(),
    })
}

/// A manifest, perhaps one that was composed, says the same when it is read again.
fn check_again(config: &[u8], documents: &Documents) {
    let again = fuzzing::documents(config, Some(&documents.manifest), documents.diff_ids.len());
    let again = again.expect("a manifest can be read again");
    assert_eq!(again.manifest_digest, documents.manifest_digest);
    assert_eq!(again.config_digest, documents.config_digest);
    assert_eq!(again.diff_ids, documents.diff_ids);
    assert_eq!(again.layers, documents.layers);
}

/// Both formats give the images back that they wrote.
fn round_trip(images: &[StoredImage]) {
    let Some(first) = images.first() else { return };
    let mut output = FakeOutput::new();
    written(docker_archive::DockerArchive::write(
        images,
        &Attributes::new(),
        &mut output,
    ));
    let archive = output.to_archive();
    let plan = docker_archive::DockerArchive::read(&archive, &Attributes::new());
    let plan = plan.expect("what Docker's format wrote can be read");
    let config = bytes(&archive, &plan.images[0].config);
    assert_eq!(config.as_ref(), Some(&first.config), "configuration");

    let mut output = FakeOutput::new();
    written(oci_layout::OciLayout::write(
        images,
        &Attributes::new(),
        &mut output,
    ));
    let archive = output.to_archive();
    match oci_layout::OciLayout::read(&archive, &Attributes::new()) {
        Ok(plan) => {
            for image in &plan.images {
                let config = bytes(&archive, &image.config);
                assert!(images.iter().any(|it| Some(&it.config) == config.as_ref()));
            }
        }
        // What was an image under the name of an archive need not be one by its media type.
        Err(Error::Unsupported(_)) => {}
        Err(error) => panic!("what the layout's format wrote cannot be read: {error:?}"),
    }
}

/// The stores of the host hold documents only that it has read; these can be written.
fn written(result: Result<(), Error>) {
    result.expect("an image that was read can be written");
}
