use super::*;
use crate::hosts::fixtures::{CERTIFICATE, ENCRYPTED_KEY, KEY, OTHER_KEY, SEC1_KEY};

fn file(text: &str) -> (tempfile::NamedTempFile, NamedFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let named = NamedFile {
        path: file.path().to_owned(),
        named_by: NamedBy::CommandLine,
    };
    (file, named)
}

fn problem(error: HostsError) -> PemError {
    match error {
        HostsError::Pem { source, .. } => source,
        error => panic!("{error:?}"),
    }
}

fn roots_problem(text: &str) -> PemError {
    problem(read_roots(&file(text).1).unwrap_err())
}

#[test]
fn a_file_may_have_many_ca_certificates_and_text_between_them() {
    let (_kept, named) = file(&format!("# first\n{CERTIFICATE}\nsecond\n{CERTIFICATE}"));
    assert_eq!(read_roots(&named).unwrap().certificates.len(), 2);
}

#[test]
fn a_file_that_has_no_certificate_says_what_it_has_instead() {
    assert!(matches!(roots_problem(" \n"), PemError::Empty));
    assert!(matches!(roots_problem(KEY), PemError::KeyInstead));
    assert!(matches!(roots_problem(ENCRYPTED_KEY), PemError::KeyInstead));
    assert!(matches!(roots_problem("\0\x01"), PemError::NoCertificate));
    let bundle = "-----BEGIN PKCS7-----\nMAA=\n-----END PKCS7-----\n";
    assert!(matches!(roots_problem(bundle), PemError::Pkcs7));
    let found = roots_problem(&CERTIFICATE[..200]);
    let PemError::Certificate { number: 1, source } = found else {
        panic!("{found:?}");
    };
    assert_eq!(source, PemDamage::NoEnd);
}

#[test]
fn a_certificate_that_is_none_is_skipped_with_a_word_where_others_are_good() {
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let (_kept, named) = file(&format!("{CERTIFICATE}{garbage}"));
    let roots = read_roots(&named).unwrap();
    assert_eq!(roots.certificates.len(), 1);
    let [word] = roots.skipped.as_slice() else {
        panic!("{roots:?}");
    };
    assert!(word.starts_with("certificate 2 of `"), "{word}");
    assert!(
        word.contains("which --ca-certs names, was skipped: "),
        "{word}"
    );
    let alone = roots_problem(garbage);
    assert!(matches!(alone, PemError::Certificate { number: 1, .. }));
    // What is shown to a server has to be whole.
    let (_key, key) = file(KEY);
    let shown = problem(read_identity(&named, Some(&key)).unwrap_err());
    assert!(matches!(shown, PemError::Certificate { number: 2, .. }));
}

#[test]
fn a_file_that_is_missing_is_named_with_who_named_it() {
    let error = read_roots(&NamedFile {
        path: "/nowhere/ca.pem".into(),
        named_by: NamedBy::Settings {
            file: "/c.json".into(),
            key: "registries.ca_certs".to_owned(),
        },
    });
    assert_eq!(
        error.unwrap_err().to_string(),
        "could not read `/nowhere/ca.pem`, which `registries.ca_certs` of `/c.json` names"
    );
}

#[test]
fn a_key_lies_beside_its_certificate_or_in_the_same_file() {
    let (_cert, cert) = file(CERTIFICATE);
    for (text, label) in [(KEY, "PRIVATE KEY"), (SEC1_KEY, "EC PRIVATE KEY")] {
        let (_key, key) = file(text);
        let identity = read_identity(&cert, Some(&key)).unwrap();
        assert_eq!(identity.key.label(), label);
        let (_both, both) = file(&format!("{text}{CERTIFICATE}"));
        let same = read_identity(&both, None).unwrap();
        assert_eq!(same.key.as_ref(), identity.key.as_ref());
        assert_eq!(same.certificates, identity.certificates);
    }
}

#[test]
fn a_key_that_cannot_be_used_is_an_error() {
    let (_cert, cert) = file(CERTIFICATE);
    let with = |text: &str| problem(read_identity(&cert, Some(&file(text).1)).unwrap_err());
    assert!(matches!(with(OTHER_KEY), PemError::Pair(_)));
    assert!(matches!(with(ENCRYPTED_KEY), PemError::EncryptedKey));
    assert!(matches!(with(CERTIFICATE), PemError::NoKey));
    assert!(matches!(with(""), PemError::Empty));
    let alone = problem(read_identity(&cert, None).unwrap_err());
    assert!(matches!(alone, PemError::NoKey));
}

#[test]
fn a_key_is_never_printed() {
    let (_both, both) = file(&format!("{KEY}{CERTIFICATE}"));
    let identity = read_identity(&both, None).unwrap();
    let printed = format!("{identity:?} {:?}", identity.key);
    assert_eq!(printed, "ClientIdentity { certificates: 1, .. } ClientKey");
}
