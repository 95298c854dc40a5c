//! Bundles that cosign and others have made with the public instance of Sigstore, GitHub's and a managed
//! key. They come with the sources of `sigstore-verify`, which cargo has fetched.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::settings::KeySource;

const COSIGN: &str = "bundles/cosign-v3-blob.sigstore.json";
const BLOB: &str = "bundles/cosign-v3-blob.txt";
const GITHUB: &str = "https://token.actions.githubusercontent.com";

/// Returns a file of the test data that `sigstore-verify` is published with.
fn vector(name: &str) -> Vec<u8> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|it| it["name"] == "sigstore-verify");
    let manifest = package.unwrap()["manifest_path"].as_str().unwrap();
    let path = PathBuf::from(manifest)
        .with_file_name("test_data")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(name: &str) -> String {
    String::from_utf8(vector(name)).unwrap()
}

fn identity(identity: &str, issuer: &str) -> Signer {
    Signer {
        name: Name::Identity(CertificateIdentity {
            identity: identity.to_owned(),
            issuer: issuer.to_owned(),
        }),
        trust_root: None,
    }
}

fn bundles(bundle: &impl ToString) -> Signatures {
    Signatures {
        bundles: vec![bundle.to_string()],
        ..Signatures::default()
    }
}

fn file(component: &[u8]) -> Subject<'_> {
    Subject {
        component,
        manifest: None,
    }
}

fn identity_in(bundle: &str, component: &[u8]) -> (String, String) {
    let root = TrustRoot::read(None).unwrap();
    let verified = bundle::verify(bundle, file(component), None, &root).unwrap();
    (verified.identity.unwrap(), verified.issuer.unwrap())
}

#[test]
fn what_cosign_3_has_signed_without_a_key_is_shown_to_be_of_its_identity() {
    let (bundle, blob) = (text(COSIGN), vector(BLOB));
    let (who, issuer) = identity_in(&bundle, &blob);
    let signature = identity(&who, &issuer)
        .verify(file(&blob), &bundles(&bundle))
        .unwrap();
    assert_eq!(signature.identity.as_deref(), Some(&*who));
    let wrong = [
        identity("mallory@evil.example", &issuer),
        identity(&who, "https://evil.example"),
        identity(&who[1..], &issuer),
    ];
    for signer in wrong {
        let error = signer.verify(file(&blob), &bundles(&bundle)).unwrap_err();
        assert!(error.to_string().contains(&who), "{error}");
    }
    let right = identity(&who, &issuer);
    right
        .verify(file(b"another"), &bundles(&bundle))
        .unwrap_err();
    let digest = Digest::of(&blob);
    let manifest = Subject {
        component: &blob,
        manifest: Some(&digest),
    };
    right.verify(manifest, &bundles(&bundle)).unwrap_err();
}

#[test]
fn a_real_bundle_that_was_changed_anywhere_is_refused_or_says_the_same() {
    let (bundle, blob) = (text(COSIGN), vector(BLOB));
    let (who, issuer) = identity_in(&bundle, &blob);
    let signer = identity(&who, &issuer);
    let whole: Value = serde_json::from_str(&bundle).unwrap();
    // What is signed, by whom and when, by text that stands for it in the bundle.
    let mut changed = 0;
    for path in leaves(&whole, String::new()) {
        let mut other = whole.clone();
        let leaf = other.pointer_mut(&path).unwrap();
        *leaf = json!(turned(leaf.as_str().unwrap()));
        if signer.verify(file(&blob), &bundles(&other)).is_err() {
            changed += 1;
        } else {
            // Hints for people, which nothing depends on.
            assert!(!path.contains("ignature/"), "{path}");
        }
    }
    assert!(changed > 8, "{changed}");
    // No text of any length makes it panic.
    for at in (0..bundle.len()).step_by(97) {
        let mut bytes = bundle.clone().into_bytes();
        bytes[at] = bytes[at].wrapping_add(1);
        let cut = String::from_utf8_lossy(&bytes[..at]).into_owned();
        signer.verify(file(&blob), &bundles(&cut)).unwrap_err();
        let _ = signer.verify(file(&blob), &bundles(&String::from_utf8_lossy(&bytes)));
    }
}

/// Returns the paths of all texts.
fn leaves(value: &Value, path: String) -> Vec<String> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(key, value)| leaves(value, format!("{path}/{key}")))
            .collect(),
        Value::Array(array) => array
            .iter()
            .enumerate()
            .flat_map(|(key, value)| leaves(value, format!("{path}/{key}")))
            .collect(),
        Value::String(_) => vec![path],
        _ => Vec::new(),
    }
}

/// Returns a text of the same length with a letter or digit in its middle replaced.
fn turned(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(at) {
        *byte = match *byte {
            b'0'..=b'8' | b'a'..=b'y' | b'A'..=b'Y' => *byte + 1,
            _ => b'1',
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_key_whose_signature_the_public_log_has_is_right() {
    let (bundle, blob) = (
        text("managed-key/bundle.sigstore.json"),
        vector("managed-key/artifact.txt"),
    );
    let key = KeySource::Text(text("managed-key/key.pub"));
    let source = SignerSource {
        name: SignerName::Key(key),
        trust_root: None,
    };
    let signer = Signer::read(&source).unwrap();
    signer.verify(file(&blob), &bundles(&bundle)).unwrap();
    signer
        .verify(file(b"another"), &bundles(&bundle))
        .unwrap_err();
    // Without its proof, the key alone says who.
    let mut bare: Value = serde_json::from_str(&bundle).unwrap();
    bare["verificationMaterial"]["tlogEntries"] = json!([]);
    signer.verify(file(&blob), &bundles(&bare)).unwrap();
    signer
        .verify(file(b"another"), &bundles(&bare))
        .unwrap_err();
    identity("*", GITHUB)
        .verify(file(&blob), &bundles(&bundle))
        .unwrap_err();
}

#[test]
fn provenance_of_github_is_read_from_a_verified_bundle() {
    let bundle = text("bundles/sigstore.js@2.0.0-provenance.sigstore.json");
    let envelope: Value = serde_json::from_str(&bundle).unwrap();
    let payload = envelope["dsseEnvelope"]["payload"].as_str().unwrap();
    let payload = STANDARD.decode(payload).unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    let sha512 = statement["subject"][0]["digest"]["sha512"]
        .as_str()
        .unwrap();
    let digest: Digest = format!("sha512:{sha512}").parse().unwrap();
    let subject = Subject {
        component: b"",
        manifest: Some(&digest),
    };
    let provenance = bundles(&bundle).provenance(subject, &[], None).unwrap();
    assert_eq!(provenance.issuer.as_deref(), Some(GITHUB));
    assert!(
        provenance
            .builder
            .unwrap()
            .starts_with("https://github.com/actions/runner")
    );
    assert!(
        provenance
            .source
            .unwrap()
            .contains("github.com/sigstore/sigstore-js")
    );
    assert_eq!(provenance.revision.map(|it| it.len()), Some(40));
    let other = Digest::of(b"another");
    let subject = Subject {
        component: b"",
        manifest: Some(&other),
    };
    assert_eq!(bundles(&bundle).provenance(subject, &[], None), None);
}

#[test]
fn bundles_without_a_proof_of_their_time_are_refused() {
    for name in [
        "bundles/bundle_no_log_entry.txt.sigstore",
        "bundles/bundle_no_checkpoint.txt.sigstore",
        "bundles/bundle_v3_no_signed_time.txt.sigstore.json",
        "bundles/bundle_cve_2022_36056.txt.sigstore",
        "bundles/dsse-2sigs.sigstore.json",
    ] {
        let root = TrustRoot::read(None).unwrap();
        let subject = file(b"");
        assert!(
            bundle::verify(&text(name), subject, None, &root).is_err(),
            "{name}"
        );
    }
}
