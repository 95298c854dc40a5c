//! What is more than before, and what is not.

use super::*;
use crate::digest::Digest;
use crate::settings::{CertificateIdentity, KeySource, SignerName, SignerSource};

const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
const OTHER_KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO7";

fn provider(name: &str, operations: &[&str], registries: &[&str]) -> LockedKind {
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    LockedKind::Credential {
        name: name.to_owned(),
        title: String::new(),
        operations: owned(operations),
        registries: owned(registries),
        tier: None,
        reads: None,
    }
}

fn format(name: &str, reads: bool, writes: bool) -> LockedKind {
    LockedKind::Format {
        name: name.to_owned(),
        title: String::new(),
        reads,
        writes,
        keeps_input: false,
        takes_any: false,
    }
}

fn locked(kind: LockedKind, key: Option<&str>) -> LockedPlugin {
    LockedPlugin {
        name: "mine".to_owned(),
        enabled: true,
        tier: None,
        source: "/a.wasm".to_owned(),
        range: None,
        version: None,
        sha256: Digest::of(b"a"),
        manifest: None,
        key: key.map(str::to_owned),
        key_pinned: false,
        identity: None,
        trust_root: None,
        also_signed: Vec::new(),
        provenance: None,
        signed: None,
        api: "0.1.0".to_owned(),
        imports: Vec::new(),
        replaces: None,
        asks: Vec::new(),
        grants: Vec::new(),
        limits: None,
        kind,
        directory: None,
    }
}

/// Returns what is said when one kind becomes another.
fn said(before: LockedKind, now: &LockedKind) -> Vec<String> {
    let place = now.place_taken();
    let terms = Terms {
        kind: now,
        chosen_tier: None,
        replaces: place.as_deref(),
        limits: LockedLimits::of(&now.budget()),
        source: &"/a.wasm".parse().unwrap(),
        signer: None,
    };
    let increases = terms.increases(&locked(before, None));
    increases.iter().map(ToString::to_string).collect()
}

#[test]
fn the_same_and_less_are_no_question() {
    let wide = provider("vault", &["store", "erase"], &["*"]);
    for now in [
        wide.clone(),
        provider("vault", &[], &["ghcr.io"]),
        provider("vault", &["erase"], &["*.example.com", "GHCR.io"]),
    ] {
        assert_eq!(said(wide.clone(), &now), Vec::<String>::new(), "{now:?}");
    }
    assert!(said(format("a", true, true), &format("a", true, false)).is_empty());
    // What took the place before may keep it.
    let keychain = provider("keychain", &[], &["*"]);
    assert!(said(keychain.clone(), &keychain).is_empty());
    let pattern = provider("vault", &[], &["*.example.com"]);
    let host = provider("vault", &[], &["a.example.com"]);
    assert!(said(pattern, &host).is_empty());
}

#[test]
fn whatever_is_more_is_said() {
    let vault = provider("vault", &[], &["vault.example"]);
    for (before, now, words) in [
        (
            vault.clone(),
            provider("vault", &[], &["vault.example", "*"]),
            &["is also asked about *"][..],
        ),
        (
            vault.clone(),
            provider("vault", &["store", "report"], &["vault.example"]),
            &["can also store, hear what became of its answers"],
        ),
        (
            vault.clone(),
            provider("keychain", &[], &["vault.example"]),
            &[
                "provides `keychain` and provided `vault`",
                "takes the place of keychain",
            ],
        ),
        (
            format("shelf", true, false),
            format("docker", true, true),
            &[
                "provides `docker` and provided `shelf`",
                "takes the place of docker-archive",
                "can also write archives",
            ],
        ),
        (
            vault,
            format("vault", true, false),
            &[
                "is a format plugin and was a credential plugin",
                "may use 256 MiB, 60 s of computing, 4000000 calls",
                "can also read archives",
            ],
        ),
    ] {
        assert_eq!(said(before, &now), words, "{now:?}");
    }
}

#[test]
fn another_source_and_another_signer_are_said() {
    let kind = format("shelf", true, false);
    let sources = ["/a.wasm", "/b.wasm"].map(|text| text.parse::<Source>().unwrap());
    let keys = [KEY, OTHER_KEY].map(|text| {
        let name = SignerName::Key(KeySource::Text(text.to_owned()));
        let trust_root = None;
        Signer::read(&SignerSource { name, trust_root }).unwrap()
    });
    let terms = |source: usize, signer| Terms {
        kind: &kind,
        chosen_tier: None,
        replaces: None,
        limits: LockedLimits::of(&kind.budget()),
        source: &sources[source],
        signer,
    };
    let before = locked(kind.clone(), Some(KEY));
    let said = |terms: Terms<'_>| -> Vec<String> {
        let increases = terms.increases(&before);
        increases.iter().map(ToString::to_string).collect()
    };
    assert!(said(terms(0, Some(&keys[0]))).is_empty());
    assert_eq!(
        said(terms(1, Some(&keys[1]))),
        [
            "comes from `/b.wasm` and came from `/a.wasm`",
            &*format!("is signed with `{OTHER_KEY}` and was signed with `{KEY}`"),
        ]
    );
    assert_eq!(
        said(terms(0, None)),
        [format!(
            "is signed with nothing that was checked and was signed with `{KEY}`"
        )]
    );
    // An identity by another trust root is someone else's word.
    let identity = |trust_root: Option<&str>| {
        let name = SignerName::Identity(CertificateIdentity {
            identity: "*@acme.example".to_owned(),
            issuer: "https://accounts.example".to_owned(),
        });
        let trust_root = trust_root.map(Into::into);
        Signer::read(&SignerSource { name, trust_root }).unwrap()
    };
    let mut before = locked(kind.clone(), None);
    before.identity = identity(None).identity().cloned();
    let said = |signer| terms(0, Some(signer)).increases(&before).len();
    let (same, other) = (identity(None), identity(Some("/own.json")));
    assert_eq!(said(&same), 0);
    assert_eq!(said(&other), 1);
    assert_eq!(said(&keys[0]), 1);
}

#[test]
fn another_tier_is_said_unless_the_user_has_chosen_it() {
    let with = |wish: Option<Tier>, source: Option<AuthSourceKind>| {
        let mut kind = provider("vault", &[], &["*"]);
        if let LockedKind::Credential { tier, reads, .. } = &mut kind {
            (*tier, *reads) = (wish, source);
        }
        kind
    };
    let usual = with(None, None);
    assert!(said(usual.clone(), &with(Some(Tier::Installed), None)).is_empty());
    assert_eq!(
        said(usual.clone(), &with(Some(Tier::Ambient), None)),
        ["wants the tier `ambient` and wanted `installed`"]
    );
    assert_eq!(
        said(usual.clone(), &with(None, Some(AuthSourceKind::Keyring))),
        ["is also asked where the settings say `keyring`"]
    );
    let now = with(Some(Tier::Ambient), None);
    let source: Source = "/a.wasm".parse().unwrap();
    let mut before = locked(usual, None);
    let terms = |chosen_tier| Terms {
        kind: &now,
        chosen_tier,
        replaces: None,
        limits: LockedLimits::of(&now.budget()),
        source: &source,
        signer: None,
    };
    assert!(terms(Some(Tier::Configured)).increases(&before).is_empty());
    before.tier = Some(Tier::Installed);
    assert!(terms(None).increases(&before).is_empty());
}
