//! Bundles of Sigstore: who is believed to have signed a plugin, and who is not.
//!
//! The bundles are made here to the specifications, with keys of an instance of our own; those that the
//! public instance has made are in the tests of the library.

mod authority;
mod der;
mod keys;
mod policies;

use serde_json::{Value, json};

use self::authority::{Authority, BEGIN, Certificate, Key, VALIDITY, base64};
use super::{lock, other_bytes, place, row};
use crate::archive::sha256;
use crate::env::{Run, TestEnv};
use crate::tests;

tests! {
    a_bundle_shows_who_has_signed_a_file_and_nothing_less_does;
    an_identity_may_be_a_pattern_and_stays_required;
    a_statement_that_is_no_signature_is_not_taken_for_one;
    where_it_was_built_is_shown_when_that_is_proven;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), policies::tests(), keys::tests()];
    tests.into_iter().flatten().collect()
}

const IDENTITY: &str =
    "https://github.com/acme/vault/.github/workflows/release.yml@refs/tags/v1.0.0";

const PATTERN: &str = "https://github.com/acme/vault/.github/workflows/release.yml@refs/tags/*";

const ISSUER: &str = "https://token.actions.githubusercontent.com";

const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

const SLSA: &str = "https://slsa.dev/provenance/v1";

/// A component in a file, and an instance of Sigstore.
struct Scene {
    env: TestEnv,
    bytes: Vec<u8>,
    authority: Authority,
    signer: Certificate,
}

impl Scene {
    fn new() -> Self {
        let env = TestEnv::new();
        let path = place(&env, "image-json", "made.wasm");
        let authority = Authority::new();
        env.write("root.json", authority.trust_root().to_string().as_bytes());
        Self {
            bytes: std::fs::read(path).unwrap(),
            signer: authority.certify(IDENTITY, ISSUER),
            env,
            authority,
        }
    }

    fn write(&self, bundle: &Value) {
        let file = "made.wasm.sigstore.json";
        self.env.write(file, bundle.to_string().as_bytes());
    }

    fn install_as(&self, identity: &str, issuer: &str) -> Run {
        self.env.msb(&format!(
            "plugin install ./made.wasm --identity {identity} --issuer {issuer} \
             --trust-root root.json"
        ))
    }

    fn remove(&self) {
        self.env.msb("plugin rm made").success();
    }
}

fn set(value: &Value, path: &str, to: Value) -> Value {
    let mut value = value.clone();
    *value.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = to;
    value
}

#[expect(clippy::too_many_lines, reason = "a table of bundles")]
fn a_bundle_shows_who_has_signed_a_file_and_nothing_less_does() {
    let scene = Scene::new();
    let (authority, signer, bytes) = (&scene.authority, &scene.signer, &*scene.bytes);
    let right = authority.sign_bytes(signer, bytes);
    let entry = "/verificationMaterial/tlogEntries/0";
    let at = |path: &str| format!("{entry}{path}");
    let content = authority::signed_bytes(&signer.key, bytes);
    let verifier = authority::pem("CERTIFICATE", &signer.der);
    let record = authority::record_of_bytes(&content, &verifier, bytes);
    let material = json!({"certificate": {"rawBytes": base64(&signer.der)}});
    let logged_at = |time: u64| {
        let (material, content) = (material.clone(), content.clone());
        authority.bundle(material, content, &record, "hashedrekord", time)
    };
    let other = Authority::new();
    let of_other = |bundle: &Value| {
        set(bundle, "/verificationMaterial/certificate/rawBytes", {
            json!(base64(&other.certify(IDENTITY, ISSUER).der))
        })
    };
    let unlisted = Authority {
        issuer: authority.issuer.again(),
        certificates: Key::new(),
        log: authority.log.again(),
    };
    let another = authority.sign_bytes(signer, b"another");
    let forged = authority.sign_bytes(&authority.certify("mallory@evil.test", ISSUER), bytes);
    for (what, bundle, reason) in [
        ("not a bundle", json!({"x": 1}), "not a bundle"),
        (
            "another's bytes",
            another.clone(),
            "does not match artifact",
        ),
        (
            "its digest made to fit",
            set(
                &another,
                "/messageSignature/messageDigest/digest",
                content["messageSignature"]["messageDigest"]["digest"].clone(),
            ),
            "another key has made it, or it was changed",
        ),
        ("of another identity", forged, "it was signed by `mallory@evil.test`"),
        (
            "of another issuer",
            authority.sign_bytes(&authority.certify(IDENTITY, "https://evil.test"), bytes),
            "issuer https://evil.test",
        ),
        (
            "logged when the certificate had expired",
            logged_at(BEGIN + VALIDITY + 1),
            "certificate",
        ),
        (
            "logged before there was a certificate",
            logged_at(BEGIN - 1),
            "certificate",
        ),
        (
            "a later time, not promised",
            set(&right, &at("/integratedTime"), json!((BEGIN + 6).to_string())),
            "inclusion promise",
        ),
        (
            "a promise of another log",
            set(&right, &at(""), other.entry(&record.to_string(), "hashedrekord", BEGIN + 5)),
            "log",
        ),
        (
            "a proof of another tree",
            set(
                &right,
                &at("/inclusionProof/hashes/0"),
                json!(base64(&[7; 32])),
            ),
            "inclusion proof",
        ),
        (
            "a head that the log has not signed",
            set(
                &right,
                &at("/inclusionProof/checkpoint"),
                other.entry(&record.to_string(), "hashedrekord", BEGIN + 5)["inclusionProof"]
                    ["checkpoint"]
                    .clone(),
            ),
            "checkpoint",
        ),
        (
            "the record of another signature",
            set(&right, entry, another.pointer(entry).unwrap().clone()),
            "hash mismatch",
        ),
        (
            "no record",
            set(&right, "/verificationMaterial/tlogEntries", json!([])),
            "must have an inclusion proof",
        ),
        (
            "a certificate of another authority",
            of_other(&right),
            "certificate",
        ),
        (
            "a certificate that no log has seen",
            unlisted.sign_bytes(&unlisted.certify(IDENTITY, ISSUER), bytes),
            "timestamp",
        ),
        (
            "a signature of another key",
            set(
                &right,
                "/messageSignature/signature",
                json!(base64(&Key::new().sign(bytes))),
            ),
            "another key has made it, or it was changed",
        ),
    ] {
        scene.write(&bundle);
        let run = scene.install_as(IDENTITY, ISSUER);
        assert_ne!(run.code, Some(0), "{what}: {run:?}");
        assert!(
            run.stderr.contains("is not taken for signed") && run.stderr.contains(reason),
            "{what}, {reason}: {run:?}"
        );
        assert_eq!(lock(&scene.env), "", "{what}");
    }
    // The bundle that all of them are made of is right: it is what was changed that is refused.
    scene.write(&right);
    scene
        .install_as(IDENTITY, "https://evil.test")
        .failure(&["issuer"]);
    // Without a trust root of its own, only the public instance vouches for anyone.
    scene
        .env
        .msb(&format!(
            "plugin install ./made.wasm --identity {IDENTITY} --issuer {ISSUER}"
        ))
        .failure(&["is not shown that"]);
    scene.install_as(IDENTITY, ISSUER).success();
    let row = row(&scene.env, "made");
    assert_eq!(
        (&row["identity"], &row["issuer"]),
        (&json!(IDENTITY), &json!(ISSUER))
    );
    scene.env.msb("plugin verify").success();
    let file = scene.env.home().join("plugins/plugins.lock");
    let garbled =
        lock(&scene.env).replace("signedEntryTimestamp\":\"M", "signedEntryTimestamp\":\"N");
    std::fs::write(&file, garbled).unwrap();
    scene
        .env
        .msb("plugin verify")
        .failure(&["is not shown that"]);
}

fn an_identity_may_be_a_pattern_and_stays_required() {
    let scene = Scene::new();
    scene.write(&scene.authority.sign_bytes(&scene.signer, &scene.bytes));
    scene
        .install_as("https://github.com/acme/*/.github/*", ISSUER)
        .failure(&["it was signed by"]);
    scene.install_as(PATTERN, ISSUER).success();
    // Another version, of another tag: what is required is still met.
    let newer = other_bytes(&scene.bytes);
    scene.env.write("made.wasm", &newer);
    scene
        .env
        .msb("plugin update")
        .failure(&["not taken for signed"]);
    let tag = IDENTITY.replace("1.0.0", "1.1.0");
    let by_tag = scene.authority.certify(&tag, ISSUER);
    scene.write(&scene.authority.sign_bytes(&by_tag, &newer));
    scene.env.msb("plugin update").success();
    assert_eq!(row(&scene.env, "made")["identity"], json!(tag));
    // The same of a branch is someone else's.
    let newest = other_bytes(&newer);
    scene.env.write("made.wasm", &newest);
    let branch = IDENTITY.replace("tags/v1.0.0", "heads/main");
    let by_branch = scene.authority.certify(&branch, ISSUER);
    scene.write(&scene.authority.sign_bytes(&by_branch, &newest));
    scene
        .env
        .msb("plugin update")
        .failure(&["it was signed by", "heads/main"]);
    assert_eq!(row(&scene.env, "made")["sha256"], sha256(&newer));
}

fn a_statement_that_is_no_signature_is_not_taken_for_one() {
    let scene = Scene::new();
    let digest = sha256(&scene.bytes);
    let sign = |kind: &str| {
        let statement = authority::statement(&digest, kind, &json!({}));
        scene.authority.sign_statement(&scene.signer, &statement)
    };
    for kind in [
        "https://cosign.sigstore.dev/attestation/vuln/v1",
        "https://spdx.dev/Document",
        "https://sigstore.dev/cosign/sign/v1x",
    ] {
        scene.write(&sign(kind));
        scene
            .install_as(IDENTITY, ISSUER)
            .failure(&["it is a statement of type", "not a signature"]);
    }
    for kind in [SIGN, SLSA] {
        scene.write(&sign(kind));
        scene.install_as(IDENTITY, ISSUER).success();
        scene.remove();
    }
}

fn where_it_was_built_is_shown_when_that_is_proven() {
    let scene = Scene::new();
    let predicate = json!({
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": {"workflow": {"repository": "https://github.com/acme/vault"}},
            "resolvedDependencies": [{"uri": "git+https://github.com/acme/vault",
                                      "digest": {"gitCommit": "0123456789abcdef"}}],
        },
        "runDetails": {"builder": {"id": "https://github.com/actions/runner/\u{1b}[31m"}},
    });
    let statement = authority::statement(&sha256(&scene.bytes), SLSA, &predicate);
    let bundle = scene.authority.sign_statement(&scene.signer, &statement);
    scene.write(&bundle);
    let options = format!("--identity {PATTERN} --issuer {ISSUER} --trust-root root.json");
    let inspect = format!("plugin inspect ./made.wasm {options}");
    let page = scene.env.msb(&inspect).success().stdout;
    for words in [
        "Built by",
        "Built from:   https://github.com/acme/vault",
        "0123456789abcdef",
        IDENTITY,
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains('\u{1b}'), "{page}");
    let json = scene.env.json(&format!("{inspect} --format json"));
    assert_eq!(json["provenance"]["revision"], "0123456789abcdef");
    assert_eq!(json["provenance"]["signer"], IDENTITY);
    scene.install_as(PATTERN, ISSUER).success();
    assert_eq!(row(&scene.env, "made")["provenance"], json["provenance"]);
    // What nobody vouches for is not shown, and keeps no one from looking at the plugin.
    let json = scene.env.json("plugin inspect ./made.wasm --format json");
    assert_eq!(json["provenance"], Value::Null);
    let settings = json!({"plugins": {"trust_root": scene.env.path("root.json")}});
    scene.env.write_settings(settings);
    let json = scene.env.json("plugin inspect ./made.wasm --format json");
    assert_eq!(
        json["provenance"]["source"],
        "https://github.com/acme/vault"
    );
    let statement = authority::statement(&sha256(b"another"), SLSA, &json!({}));
    scene.write(&scene.authority.sign_statement(&scene.signer, &statement));
    let json = scene.env.json("plugin inspect ./made.wasm --format json");
    assert_eq!(json["provenance"], Value::Null);
}
