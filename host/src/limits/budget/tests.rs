use super::*;

fn budget(memory_bytes: u64) -> Budget {
    Budget::new(&Limits {
        memory_bytes,
        ..Limits::default()
    })
}

#[test]
fn accounts_share_one_budget_and_give_back_what_they_took() {
    let budget = budget(1000);
    let mut one = budget.account();
    let mut two = budget.account();
    one.take(Purpose::Inodes, 600).unwrap();
    assert!(two.take(Purpose::Links, 401).is_err());
    two.take(Purpose::Links, 400).unwrap();
    one.give_back(Purpose::Inodes, 100);
    assert_eq!(one.used(), 500);
    one.take(Purpose::Inodes, 100).unwrap();
    drop(one);
    two.take(Purpose::Links, 600).unwrap();
}

#[test]
fn the_error_names_the_limit_its_value_and_what_took_most() {
    let budget = budget(1 << 20);
    let mut account = budget.account();
    account.take(Purpose::Inodes, 1000).unwrap();
    account.take(Purpose::Attributes, 900_000).unwrap();
    let error = account.take(Purpose::Inodes, 200_000).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the input takes more than 1048576 bytes of memory, most of them for extended attributes \
             (limit `memory_bytes`)"
    );
}

#[test]
fn every_purpose_has_its_own_sum() {
    for (index, purpose) in Purpose::ALL.into_iter().enumerate() {
        assert_eq!(purpose.index(), index, "{purpose}");
    }
}

#[test]
fn what_is_written_adds_up() {
    let budget = Budget::new(&Limits {
        image_bytes: 100,
        ..Limits::default()
    });
    budget.write(60).unwrap();
    budget.clone().write(40).unwrap();
    let error = budget.write(1).unwrap_err().to_string();
    assert!(error.contains("`image_bytes`"), "{error}");
}

#[test]
fn the_first_gib_is_free_once_and_not_for_each_layer() {
    let free = Limits::default().growth(0);
    let budget = budget(0);
    let mut one = budget.inflation();
    let mut two = budget.inflation();
    assert!(one.is_bearable(10, free));
    assert!(!two.is_bearable(10, free));
    // Both have come from enough bytes after all.
    assert!(two.is_bearable(3 << 20, free));
}

#[test]
fn a_share_that_came_to_nothing_gives_back_what_it_took() {
    let limits = Limits {
        image_bytes: 100,
        ..Limits::default()
    };
    let free = limits.growth(0);
    let budget = Budget::new(&limits);
    let (kept, lost) = (budget.share(), budget.share());
    kept.write(60).unwrap();
    lost.write(41).unwrap_err();
    assert!(kept.inflation().is_bearable(0, 10));
    assert!(!lost.inflation().is_bearable(0, free));
    lost.give_back();
    lost.give_back();
    budget.write(40).unwrap();
    budget.write(1).unwrap_err();
    let mut other = budget.share().inflation();
    assert!(other.is_bearable(0, free - 10));
    assert!(!other.is_bearable(0, free));
}

#[test]
fn layers_in_a_compressed_archive_have_grown_from_its_bytes() {
    let free = Limits::default().growth(0);
    let budget = budget(0);
    let mut outer = budget.outer_inflation();
    let mut layer = budget.inflation();
    assert!(outer.is_bearable(1 << 10, 1 << 20));
    assert!(!layer.is_bearable(1 << 20, free + 1));
}
