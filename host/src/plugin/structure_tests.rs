//! Components that have too much of something, and those that have not.

use super::*;
use crate::plugin::test_components::{component_of, length, loops, module, section};
use crate::plugin::{builtin_packages, test_bench};

const NOTHING: &[u8] = &[0, 0x20, 0, 0x0b];

fn refusal(bytes: &[u8]) -> String {
    Structure::of(bytes).unwrap_err().to_string()
}

/// Returns a component with this many components within it, each in the one before.
fn nested(depth: usize) -> Vec<u8> {
    let mut component = component_of(&[]);
    for _ in 0..depth {
        component = component_of(&section(4, &component));
    }
    component
}

#[test]
fn what_ships_with_msb_and_what_breaks_rules_has_less_than_it_may() {
    for package in builtin_packages() {
        let bytes = package.component.read().unwrap();
        let structure = Structure::of(&bytes).unwrap();
        assert!(structure.code > 10_000, "{}: {structure:?}", package.name);
        assert!(structure.functions < MAX_FUNCTIONS / 10, "{structure:?}");
    }
    Structure::of(&test_bench::component("misbehaving")).unwrap();
    Structure::of(&component_of(&section(1, &module(1, &loops(300))))).unwrap();
}

#[test]
fn what_has_too_much_is_refused_with_the_number() {
    let functions = usize::try_from(MAX_FUNCTIONS).unwrap() + 1;
    let many = component_of(&section(1, &module(functions, NOTHING)));
    assert!(refusal(&many).ends_with("it has more than 65536 functions"));
    // Not together in one module either.
    let half = section(1, &module(functions / 2 + 1, NOTHING));
    let halves = component_of(&[&half[..], &half].concat());
    assert!(refusal(&halves).ends_with("it has more than 65536 functions"));
    let mut giant = vec![0];
    giant.extend([0x01].repeat(2 << 20));
    giant.extend([0x20, 0, 0x0b]);
    let giant = component_of(&section(1, &module(1, &giant)));
    assert!(refusal(&giant).ends_with("it has more than 2097152 bytes in one function"));
    let locals = [&[1][..], &length(60_000), &[0x7f, 0x20, 0, 0x0b]].concat();
    let locals = component_of(&section(1, &module(1, &locals)));
    assert!(refusal(&locals).ends_with("more than 50000 local variables in one function"));
    let parts = component_of(&section(4, &component_of(&[])).repeat(1_001));
    assert!(refusal(&parts).ends_with("it has more than 1000 modules and components"));
}

#[test]
fn what_is_nested_too_deeply_is_refused_whatever_its_depth() {
    Structure::of(&nested(32)).unwrap();
    for depth in [33, 900, 8_000] {
        let text = refusal(&nested(depth));
        assert!(
            text.ends_with("it has more than 32 nested modules and components"),
            "{text}"
        );
    }
}

#[test]
fn what_is_cut_off_is_damaged() {
    let whole = component_of(&section(1, &module(3, NOTHING)));
    for end in 9..whole.len() {
        assert!(refusal(&whole[..end]).contains("it is damaged"), "{end}");
    }
}
