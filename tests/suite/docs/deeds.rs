//! What the misbehaving guests do: each deed is one that a test asks for.

use std::path::Path;

use super::all_sources;
use crate::tests;

tests! {
    every_deed_of_a_misbehaving_guest_has_a_test;
}

const GUESTS: [(&str, usize); 4] = [
    ("misbehaving/src/lib.rs", 20),
    ("misbehaving-credentials/src/lib.rs", 30),
    ("misbehaving-credentials/src/deeds.rs", 12),
    ("misbehaving-credentials/src/uses.rs", 0),
];

fn every_deed_of_a_misbehaving_guest_has_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guests = GUESTS.map(|(guest, _)| std::fs::read_to_string(folder.join(guest)).unwrap());
    let mut others = all_sources();
    for guest in &guests {
        assert!(others.contains(guest.as_str()));
        others = others.replace(guest, "");
    }
    for (text, (guest, least)) in guests.iter().zip(GUESTS) {
        let deeds: Vec<&str> = text.lines().filter_map(deed).collect();
        assert!(deeds.len() >= least, "{guest}: {deeds:?}");
        for deed in deeds {
            // Some are told what to do it to, after a dot or a space.
            let mut ends = ['"', '.', ' '].iter();
            let is_asked_for = ends.any(|end| others.contains(&format!("\"{deed}{end}")));
            assert!(is_asked_for, "{guest}: nothing asks for `{deed}`");
        }
    }
}

/// Returns the deed that a line of the guest's `match` is for.
fn deed(line: &str) -> Option<&str> {
    let (deed, rest) = line.trim_start().strip_prefix('"')?.split_once('"')?;
    rest.trim_start().starts_with("=>").then_some(deed)
}
