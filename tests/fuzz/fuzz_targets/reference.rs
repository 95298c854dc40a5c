//! Any text as a reference. What is one reads the same in every form, and the grammar that
//! registries share takes it as well.
#![no_main]

use libfuzzer_sys::fuzz_target;
use msb_host::reference::Reference;

fuzz_target!(|text: &str| {
    let Ok(reference) = text.parse::<Reference>() else {
        return;
    };
    for form in [
        reference.canonical(),
        reference.familiar(),
        reference.to_string(),
    ] {
        let again: Reference = form.parse().expect("a reference can be read again");
        assert_eq!(again, reference, "{form}");
        assert_eq!(again.to_string(), reference.to_string());
    }
    assert!(reference.tag().is_some() || reference.digest().is_some());
    compare(&reference);
});

/// Compares a canonical form with what the crate of the specification makes of it.
fn compare(reference: &Reference) {
    // It knows no addresses for registries.
    if reference.registry().starts_with('[') {
        return;
    }
    let canonical = reference.canonical();
    let theirs: oci_spec::distribution::Reference = canonical
        .parse()
        .unwrap_or_else(|error| panic!("{canonical}: {error}"));
    assert_eq!(theirs.registry(), reference.registry());
    assert_eq!(theirs.repository(), reference.repository());
    assert_eq!(theirs.tag(), reference.tag());
    let digest = reference.digest().map(ToString::to_string);
    assert_eq!(theirs.digest(), digest.as_deref());
}
