//! An instance of Sigstore as its specifications have it: an authority for certificates, a log of
//! certificates and a log of signatures, each a key that signs whatever it is asked to.
//!
//! Sources: RFC 5280 and RFC 6962 for certificates and their timestamps, Fulcio's `oid-info.md`, Rekor's
//! entries and checkpoints, and the bundle format v0.3.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::der;

/// When certificates begin to be valid, by the clock of the logs: 2026-01-05T00:00:00Z.
pub(super) const BEGIN: u64 = 1_767_571_200;
/// How long they are: ten minutes, as Fulcio's.
pub(super) const VALIDITY: u64 = 600;
const ORIGIN: &str = "rekor.example.test - 1";

/// A key for ECDSA over P-256.
pub(super) struct Key {
    document: Vec<u8>,
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

/// The keys of an instance.
pub(super) struct Authority {
    pub(super) issuer: Key,
    pub(super) certificates: Key,
    pub(super) log: Key,
}

/// A certificate with its key.
pub(super) struct Certificate {
    pub(super) key: Key,
    pub(super) der: Vec<u8>,
}

impl Key {
    pub(super) fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::of(document.as_ref().to_vec())
    }

    fn of(document: Vec<u8>) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        Self {
            pair: EcdsaKeyPair::from_pkcs8(algorithm, &document, &random).unwrap(),
            document,
            random,
        }
    }

    /// The same key.
    pub(super) fn again(&self) -> Self {
        Self::of(self.document.clone())
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.pair.sign(&self.random, message).unwrap();
        signature.as_ref().to_vec()
    }

    /// The public key as certificates have it.
    pub(super) fn public(&self) -> Vec<u8> {
        der::p256_key(self.pair.public_key().as_ref())
    }

    pub(super) fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.public())
    }

    fn id(&self) -> Vec<u8> {
        Sha256::digest(self.public()).to_vec()
    }
}

impl Authority {
    pub(super) fn new() -> Self {
        Self {
            issuer: Key::new(),
            certificates: Key::new(),
            log: Key::new(),
        }
    }

    /// What a verifier trusts: `trusted_root.json`.
    pub(super) fn trust_root(&self) -> Value {
        let valid_for = json!({"start": "2020-01-01T00:00:00Z"});
        let log = |key: &Key| {
            json!([{
                "baseUrl": "https://log.example.test",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": base64(&key.public()),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": valid_for,
                },
                "logId": {"keyId": base64(&key.id())},
            }])
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": log(&self.log),
            "ctlogs": log(&self.certificates),
            "certificateAuthorities": [{
                "subject": {"organization": "example.test", "commonName": "test"},
                "uri": "https://fulcio.example.test",
                "certChain": {"certificates": [{"rawBytes": base64(&self.own_certificate())}]},
                "validFor": valid_for,
            }],
            "timestampAuthorities": [],
        })
    }

    fn own_certificate(&self) -> Vec<u8> {
        let tbs = der::Tbs {
            issuer: der::name("test"),
            subject: der::name("test"),
            key: self.issuer.public(),
            not_before: BEGIN - 1_000_000,
            not_after: BEGIN + 1_000_000_000,
            extensions: vec![der::authority(), der::signs_certificates()],
        }
        .encode();
        der::certificate(&tbs, &self.issuer.sign(&tbs))
    }

    /// Issues a certificate for ten minutes.
    pub(super) fn certify(&self, identity: &str, issuer: &str) -> Certificate {
        let key = Key::new();
        let mut tbs = der::Tbs {
            issuer: der::name("test"),
            subject: der::no_name(),
            key: key.public(),
            not_before: BEGIN,
            not_after: BEGIN + VALIDITY,
            extensions: vec![
                der::signs_code(),
                der::identity(identity),
                der::token_issuer(issuer),
            ],
        };
        let timestamp = self.certificate_timestamp(&tbs.encode());
        tbs.extensions.push(der::timestamps(&timestamp));
        let tbs = tbs.encode();
        Certificate {
            der: der::certificate(&tbs, &self.issuer.sign(&tbs)),
            key,
        }
    }

    /// What the log of certificates promises for one. Source: RFC 6962, 3.2 and 3.3.
    fn certificate_timestamp(&self, tbs: &[u8]) -> Vec<u8> {
        let time = (BEGIN * 1000).to_be_bytes();
        let mut signed = vec![0, 0];
        signed.extend(time);
        signed.extend([0, 1]);
        signed.extend(self.issuer.id());
        let length = u32::try_from(tbs.len()).unwrap().to_be_bytes();
        signed.extend(&length[1..]);
        signed.extend(tbs);
        signed.extend([0, 0]);
        let signature = self.certificates.sign(&signed);
        let mut timestamp = vec![0];
        timestamp.extend(self.certificates.id());
        timestamp.extend(time);
        timestamp.extend([0, 0, 4, 3]);
        timestamp.extend(u16::try_from(signature.len()).unwrap().to_be_bytes());
        timestamp.extend(signature);
        timestamp
    }

    /// Signs bytes as `cosign sign-blob` does.
    pub(super) fn sign_bytes(&self, by: &Certificate, bytes: &[u8]) -> Value {
        let verifier = pem("CERTIFICATE", &by.der);
        let content = signed_bytes(&by.key, bytes);
        let body = record_of_bytes(&content, &verifier, bytes);
        let material = json!({"certificate": {"rawBytes": base64(&by.der)}});
        self.bundle(material, content, &body, "hashedrekord", BEGIN + 5)
    }

    /// Signs a statement about a digest as `cosign sign` and `cosign attest` do.
    pub(super) fn sign_statement(&self, by: &Certificate, statement: &Value) -> Value {
        let verifier = pem("CERTIFICATE", &by.der);
        let content = signed_statement(&by.key, statement);
        let body = record_of_statement(&content, &verifier);
        let material = json!({"certificate": {"rawBytes": base64(&by.der)}});
        self.bundle(material, content, &body, "dsse", BEGIN + 5)
    }

    /// Signs a statement with a key, as `cosign sign --key` does.
    pub(super) fn sign_statement_with_key(&self, key: &Key, statement: &Value) -> Value {
        let content = signed_statement(key, statement);
        let body = record_of_statement(&content, &key.pem());
        let material = json!({"publicKey": {"hint": base64(&key.id())}});
        self.bundle(material, content, &body, "dsse", BEGIN + 5)
    }

    /// Puts a record into the log and returns the bundle.
    pub(super) fn bundle(
        &self,
        material: Value,
        content: Value,
        body: &Value,
        kind: &str,
        time: u64,
    ) -> Value {
        let mut material = material;
        material["tlogEntries"] = json!([self.entry(&body.to_string(), kind, time)]);
        material["timestampVerificationData"] = json!({});
        let mut bundle = content;
        bundle["mediaType"] = json!("application/vnd.dev.sigstore.bundle.v0.3+json");
        bundle["verificationMaterial"] = material;
        bundle
    }

    /// The entry of a log that has two. Source: RFC 6962, 2.1, for the tree.
    pub(super) fn entry(&self, body: &str, kind: &str, time: u64) -> Value {
        let log_id = self.log.id();
        let promised = format!(
            r#"{{"body":"{}","integratedTime":{time},"logID":"{}","logIndex":0}}"#,
            base64(body.as_bytes()),
            der::hex(&log_id),
        );
        let leaf = Sha256::digest([&[0], body.as_bytes()].concat()).to_vec();
        let other = Sha256::digest(b"\0another").to_vec();
        let root = Sha256::digest([&[1], leaf.as_slice(), &other].concat()).to_vec();
        let head = format!("{ORIGIN}\n2\n{}\n", base64(&root));
        let signature = self.log.sign(head.as_bytes());
        let note = base64(&[&log_id[..4], signature.as_slice()].concat());
        json!({
            "logIndex": "0",
            "logId": {"keyId": base64(&log_id)},
            "kindVersion": {"kind": kind, "version": "0.0.1"},
            "integratedTime": time.to_string(),
            "inclusionPromise": {
                "signedEntryTimestamp": base64(&self.log.sign(promised.as_bytes())),
            },
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": base64(&root),
                "treeSize": "2",
                "hashes": [base64(&other)],
                "checkpoint": {"envelope": format!("{head}\n\u{2014} rekor.example.test {note}\n")},
            },
            "canonicalizedBody": base64(body.as_bytes()),
        })
    }
}

/// Returns the statement by which cosign 3 signs what is in a registry.
pub(super) fn statement(digest: &str, kind: &str, predicate: &Value) -> Value {
    let hex = digest.strip_prefix("sha256:").unwrap();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": hex}}],
        "predicateType": kind,
        "predicate": predicate,
    })
}

/// Returns the part of a bundle that signs bytes.
pub(super) fn signed_bytes(key: &Key, bytes: &[u8]) -> Value {
    json!({"messageSignature": {
        "messageDigest": {"algorithm": "SHA2_256", "digest": base64(&Sha256::digest(bytes))},
        "signature": base64(&key.sign(bytes)),
    }})
}

/// Returns the part of a bundle that signs a statement. Source: DSSE.
pub(super) fn signed_statement(key: &Key, statement: &Value) -> Value {
    let payload = statement.to_string();
    let kind = "application/vnd.in-toto+json";
    let encoded = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
    json!({"dsseEnvelope": {
        "payload": base64(payload.as_bytes()),
        "payloadType": kind,
        "signatures": [{"sig": base64(&key.sign(encoded.as_bytes()))}],
    }})
}

/// Returns what the log records of signed bytes.
pub(super) fn record_of_bytes(content: &Value, verifier: &str, bytes: &[u8]) -> Value {
    json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": "sha256", "value": der::hex(&Sha256::digest(bytes))}},
        "signature": {
            "content": content["messageSignature"]["signature"],
            "publicKey": {"content": base64(verifier.as_bytes())},
        },
    }})
}

fn record_of_statement(content: &Value, verifier: &str) -> Value {
    let envelope = &content["dsseEnvelope"];
    let payload = STANDARD
        .decode(envelope["payload"].as_str().unwrap())
        .unwrap();
    let hash =
        |bytes: &[u8]| json!({"algorithm": "sha256", "value": der::hex(&Sha256::digest(bytes))});
    json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "envelopeHash": hash(envelope.to_string().as_bytes()),
        "payloadHash": hash(&payload),
        "signatures": [{
            "signature": envelope["signatures"][0]["sig"],
            "verifier": base64(verifier.as_bytes()),
        }],
    }})
}

pub(super) fn pem(kind: &str, der: &[u8]) -> String {
    let text = base64(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n",
        lines.join("\n")
    )
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
