//! Tests of choosing, on plans without an archive.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::*;
use crate::archive::{ArchiveError, Index};
use crate::limits::Budget;

/// An archive without entries: all documents are in the plan.
#[derive(Debug, Default)]
struct Nothing(Index);

impl ArchiveSource for Nothing {
    fn index(&self) -> &Index {
        &self.0
    }

    fn readable(&self, _: u32) -> bool {
        false
    }

    fn digest(&self, _: u32) -> Option<&Digest> {
        None
    }

    fn read(&self, _: u32, _: u64, _: u32) -> Result<Vec<u8>, ArchiveError> {
        Ok(Vec::new())
    }

    fn open(&self, _: u32) -> Result<Box<dyn std::io::Read + Send>, ArchiveError> {
        Ok(Box::new(std::io::empty()))
    }
}

#[derive(Default)]
struct Told(std::sync::Mutex<Vec<String>>);

impl Progress for Told {
    fn report(&self, event: Event<'_>) {
        if let Event::Notice(notice) = event {
            self.0.lock().unwrap().push(notice.to_owned());
        }
    }
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// Returns a planned image whose author is `name`. Of `stated`, the part before `=` is what its
/// index says that it runs on, the part after it what its configuration says; `?` is nothing.
fn image(name: &str, stated: &str, indexes: &[&str], references: &[&str]) -> PlannedImage {
    let (platform, own) = stated.split_once('=').unwrap_or((stated, stated));
    let own: Platform = own.parse().unwrap();
    let config = json!({
        "author": name,
        "os": own.os,
        "architecture": own.architecture,
        "variant": own.variant.as_deref().unwrap_or(""),
    });
    let config = config.to_string().into_bytes();
    let manifest = match name.strip_prefix("artifact") {
        Some(_) => json!({
            "artifactType": "application/spdx+json",
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(&config).to_string()},
            "layers": [],
        }),
        None => json!({"config": {"digest": Digest::of(&config).to_string()}, "layers": []}),
    };
    PlannedImage {
        manifest: Some(Document::Bytes(manifest.to_string().into_bytes())),
        manifest_digest: None,
        config: Document::Bytes(config),
        config_digest: name.starts_with("broken").then(|| digest("another")),
        layers: Vec::new(),
        references: references.iter().map(|it| (*it).to_owned()).collect(),
        platform: platform.parse().ok(),
        indexes: indexes
            .iter()
            .map(|way| way.split(' ').map(digest).collect())
            .collect(),
    }
}

/// Returns the names of those that are picked, and what is told.
fn picked(wanted: &str, planned: Vec<PlannedImage>) -> Result<(String, Vec<String>), ImageError> {
    let source: Arc<dyn ArchiveSource> = Arc::new(Nothing::default());
    let told = Arc::new(Told::default());
    let progress: Arc<dyn Progress> = told.clone();
    let options = LoadOptions {
        platform: wanted.parse().ok(),
        ..LoadOptions::default()
    };
    let mut account = Budget::new(&options.limits).account();
    let cancel = Cancel::default();
    let selected = select(&source, planned, &options, &progress, &mut account, &cancel)?;
    let names: Vec<String> = selected
        .iter()
        .map(|it| {
            let config: serde_json::Value = serde_json::from_slice(&it.config.bytes).unwrap();
            config["author"].as_str().unwrap().to_owned()
        })
        .collect();
    let told = std::mem::take(&mut *told.0.lock().unwrap());
    Ok((names.join(" "), told))
}

fn names(wanted: &str, planned: Vec<PlannedImage>) -> String {
    picked(wanted, planned).unwrap().0
}

#[test]
fn of_an_index_the_image_of_the_best_variant_is_picked() {
    let index = || {
        vec![
            image("v3", "linux/amd64/v3", &["i"], &["a:1"]),
            image("plain", "linux/amd64", &["i"], &["a:1"]),
            image("arm", "linux/arm64", &["i"], &["a:1"]),
        ]
    };
    for (wanted, expected) in [
        ("linux/amd64", "plain"),
        ("linux/amd64/v2", "plain"),
        ("linux/amd64/v3", "v3"),
        ("linux/amd64/v4", "v3"),
        ("linux/arm64", "arm"),
    ] {
        assert_eq!(names(wanted, index()), expected, "{wanted}");
    }
    let error = picked("linux/s390x", index()).unwrap_err();
    assert!(matches!(&error, ImageError::Platform { offered, .. } if offered.len() == 3));
}

#[test]
fn what_an_index_says_of_the_platform_counts_before_the_configuration() {
    let planned = vec![
        image("wrong", "linux/arm64=linux/amd64", &["i"], &[]),
        image("right", "linux/amd64=linux/amd64", &["i"], &[]),
    ];
    assert_eq!(names("linux/amd64", planned.clone()), "right");
    assert_eq!(names("linux/arm64", planned), "wrong");
    // Without a word of the index the configuration tells.
    let planned = vec![
        image("other", "?=linux/arm64", &["i"], &[]),
        image("own", "?=linux/amd64", &["i"], &[]),
        image("second", "?=linux/amd64", &["i"], &[]),
    ];
    assert_eq!(names("linux/amd64", planned), "own");
}

#[test]
fn indexes_in_an_index_are_looked_into_after_its_own_images() {
    let planned = vec![
        image("inner", "linux/amd64", &["i j"], &[]),
        image("inner-arm", "linux/arm64", &["i j"], &[]),
        image("unsaid", "?=linux/amd64", &["i"], &[]),
        image("own", "linux/amd64", &["i"], &[]),
    ];
    assert_eq!(names("linux/amd64", planned.clone()), "own");
    assert_eq!(names("linux/arm64", planned), "inner-arm");
}

#[test]
fn indexes_and_names_have_an_image_each() {
    let planned = vec![
        image("a", "linux/amd64", &["i"], &["a:1"]),
        image("b", "linux/amd64", &["i"], &["b:1"]),
        image("c", "linux/amd64", &["j"], &["a:1"]),
        image("d", "linux/amd64", &[], &[]),
        image("e", "linux/amd64", &[], &[]),
        image("f", "linux/amd64", &[], &["f:1"]),
        image("f3", "linux/amd64/v3", &[], &["f:1"]),
        image("g", "linux/arm64", &[], &["g:1"]),
        image("h", "linux/amd64", &["k", "i"], &["h:1"]),
    ];
    assert_eq!(names("linux/amd64", planned.clone()), "a b c d e f h");
    assert_eq!(names("linux/amd64/v3", planned), "a b c d e f3 h");
}

#[test]
fn what_is_no_image_or_not_in_order_is_told_and_left() {
    let (chosen, told) = picked(
        "linux/amd64",
        vec![
            image("artifact", "?=linux/amd64", &["i"], &["a:1"]),
            image("broken", "linux/amd64", &["i"], &["a:1"]),
            image("good", "?=linux/amd64", &["i"], &["a:1"]),
        ],
    )
    .unwrap();
    assert_eq!(chosen, "good");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("application/spdx+json"), "{told:?}");
    assert!(told[1].contains("does not match its digest"), "{told:?}");
}

#[test]
fn of_what_is_in_the_way_the_most_telling_is_the_error() {
    let artifact = || image("artifact", "?=linux/amd64", &[], &[]);
    let broken = || image("broken", "linux/amd64", &[], &[]);
    let other = || image("other", "linux/arm64", &[], &[]);
    let error = |planned| picked("linux/amd64", planned).unwrap_err();
    let is_broken = |error| matches!(error, ImageError::DocumentDigest { .. });
    assert!(is_broken(error(vec![artifact(), other(), broken()])));
    assert!(matches!(
        error(vec![artifact(), other()]),
        ImageError::Platform { .. }
    ));
    assert!(matches!(
        error(vec![artifact()]),
        ImageError::NotAnImage { .. }
    ));
    assert!(matches!(error(Vec::new()), ImageError::NoImages));
}

#[test]
fn an_image_that_does_not_say_its_platform_is_for_this_machine() {
    let mut planned = image("x", "linux/amd64", &[], &[]);
    let config = br#"{"author": "x", "architecture": "", "os": "", "variant": ""}"#;
    planned.platform = None;
    planned.manifest = None;
    planned.config = Document::Bytes(config.to_vec());
    let host = Platform::host().to_string();
    assert_eq!(names(&host, vec![planned]), "x");
}
