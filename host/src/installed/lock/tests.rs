use super::*;
use crate::credential::AuthSourceKind;
use crate::digest::Digest;
use crate::installed::locked_plugin::{LockedKind, LockedLimits, LockedSigner, RequestedGrant};
use crate::installed::signature::{Provenance, Signature};
use crate::progress::Silent;
use crate::settings::CertificateIdentity;

fn plugin(name: &str) -> LockedPlugin {
    LockedPlugin {
        name: name.to_owned(),
        enabled: true,
        tier: Some(Tier::Ambient),
        source: "oci://ghcr.io/acme/vault:1".to_owned(),
        range: Some("^1".to_owned()),
        version: Some("1.2.0".to_owned()),
        sha256: Digest::of(b"x"),
        manifest: Some(Digest::of(b"m")),
        key: None,
        key_pinned: false,
        identity: Some(CertificateIdentity {
            identity: "*@acme.example".to_owned(),
            issuer: "https://accounts.example".to_owned(),
        }),
        trust_root: Some("/etc/msb/root.json".into()),
        signed: Some(Signature {
            bundle: Some("{}".to_owned()),
            identity: Some("dev@acme.example".to_owned()),
            ..Signature::default()
        }),
        also_signed: vec![LockedSigner {
            key: Some("RW".to_owned()),
            identity: None,
            trust_root: None,
            signed: Signature::default(),
        }],
        provenance: Some(Provenance::default()),
        api: "0.1".to_owned(),
        imports: vec!["msb:plugin/http@0.1.0".to_owned()],
        asks: vec![RequestedGrant {
            grant: "http=https://vault".to_owned(),
            reason: "to ask \"it\"\n".to_owned(),
        }],
        grants: vec!["http=https://vault".to_owned()],
        replaces: Some("keychain".to_owned()),
        limits: Some(LockedLimits {
            memory_mib: 64,
            compute_secs: 10,
            wall_secs: Some(30),
            host_calls: 100_000,
        }),
        kind: LockedKind::Credential {
            name: "vault".to_owned(),
            title: "Vault".to_owned(),
            operations: Vec::new(),
            registries: vec!["*".to_owned()],
            tier: Some(Tier::Configured),
            reads: Some(AuthSourceKind::Keyring),
        },
        directory: None,
    }
}

fn change(home: &Home, with: impl FnOnce(&mut Lock)) {
    Lock::change(home, &Silent, &Cancel::default(), |lock| {
        with(lock);
        Ok(())
    })
    .unwrap();
}

#[test]
fn what_is_written_is_read_in_the_same_order() {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::at(directory.path());
    assert_eq!(Lock::read(&home).unwrap(), Lock::default());
    change(&home, |lock| {
        lock.plugins = vec![plugin("zebra"), plugin("ape")];
        lock.order = vec!["ape".to_owned()];
        lock.builtins = vec![LockedBuiltin {
            name: "keychain".to_owned(),
            enabled: false,
            tier: Some(Tier::Installed),
            grants: None,
        }];
    });
    let lock = Lock::read(&home).unwrap();
    assert_eq!(lock.plugins, [plugin("zebra"), plugin("ape")]);
    assert!(!lock.builtins[0].enabled);
    let text = std::fs::read_to_string(Lock::path(&home)).unwrap();
    assert!(
        text.starts_with('#') && text.contains("version = 1"),
        "{text}"
    );
}

#[test]
fn a_change_that_fails_leaves_the_file_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::at(directory.path());
    change(&home, |lock| lock.plugins.push(plugin("a")));
    let before = std::fs::read(Lock::path(&home)).unwrap();
    let failed = Lock::change(&home, &Silent, &Cancel::default(), |lock| {
        lock.plugins.clear();
        Err::<(), _>(InstalledError::NotInstalled {
            name: "b".to_owned(),
            installed: Vec::new(),
        })
    });
    assert!(failed.is_err());
    assert_eq!(std::fs::read(Lock::path(&home)).unwrap(), before);
}

#[test]
fn a_file_of_a_newer_msb_or_with_nonsense_is_an_error_with_its_path() {
    for (text, words) in [
        ("version = 2\nnew = 1", "form 2"),
        ("plugin = 5", "version"),
        ("version = 1\n[[plugin]]\nname = \"x\"", "missing"),
        ("\u{0}", "line 1"),
    ] {
        let error = Lock::parse(text, Path::new("/p.lock")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/p.lock") && text.contains(words), "{text}");
    }
    let twice = Lock {
        version: 1,
        plugins: vec![plugin("a"), plugin("a")],
        ..Lock::default()
    };
    let text = toml::to_string(&twice).unwrap();
    let error = Lock::parse(&text, Path::new("/p.lock")).unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
}
