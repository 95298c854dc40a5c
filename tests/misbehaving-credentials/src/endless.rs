//! What never ends by itself, or ends all at once.

#[inline(never)]
pub(super) fn panics_in_a_function_with_a_name() -> ! {
    panic!("a panic on purpose")
}

pub(super) fn loops() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns).wrapping_add(1);
    }
}

pub(super) fn allocates() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

pub(super) fn recurses(depth: u64) -> u64 {
    if std::hint::black_box(depth) == 0 {
        return 0;
    }
    recurses(std::hint::black_box(depth + 1)) + depth
}
