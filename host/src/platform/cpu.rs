//! The processor of this machine, as far as images are made for parts of its architecture.
//!
//! Sources: the x86-64 psABI, "Micro-Architecture Levels"; Linux, `arch/arm/include/uapi/asm/hwcap.h`
//! and `getauxval(3)`.

use std::sync::LazyLock;

/// Returns the variant of the architecture that this processor is, where that has any.
pub(super) fn variant() -> Option<&'static str> {
    static VARIANT: LazyLock<Option<&str>> = LazyLock::new(detected);
    *VARIANT
}

#[cfg(target_arch = "x86_64")]
fn detected() -> Option<&'static str> {
    macro_rules! has {
        ($($feature:tt)*) => { true $(&& std::is_x86_feature_detected!($feature))* };
    }
    x86_64_level([
        has!("cmpxchg16b" "popcnt" "sse3" "sse4.1" "sse4.2" "ssse3"),
        has!("avx" "avx2" "bmi1" "bmi2" "f16c" "fma" "lzcnt" "movbe" "xsave"),
        has!("avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl"),
    ])
}

/// Returns the level of a processor that has what levels 2, 3 and 4 add to the one below.
#[cfg(any(target_arch = "x86_64", test))]
fn x86_64_level(has: [bool; 3]) -> Option<&'static str> {
    let levels = has.iter().take_while(|has| **has).count();
    [None, Some("v2"), Some("v3"), Some("v4")]
        .into_iter()
        .nth(levels)?
}

#[cfg(target_arch = "aarch64")]
fn detected() -> Option<&'static str> {
    // Version 9 is version 8.5 with the second scalable vector extension.
    std::arch::is_aarch64_feature_detected!("sve2").then_some("v9")
}

#[cfg(target_arch = "arm")]
#[expect(
    clippy::disallowed_methods,
    reason = "no file of the user's, and no error to report"
)]
fn detected() -> Option<&'static str> {
    let vector = std::fs::read("/proc/self/auxv").unwrap_or_default();
    let words: Vec<u64> = vector
        .chunks_exact(4)
        .map(|word| {
            word.iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u64::from(*byte))
        })
        .collect();
    Some(arm_version(&words))
}

/// Returns the version of a 32-bit ARM processor by the auxiliary vector that Linux gives a process:
/// pairs of a key and a value.
#[cfg(any(target_arch = "arm", test))]
fn arm_version(auxiliary_vector: &[u64]) -> &'static str {
    const CAPABILITIES: u64 = 16;
    const CAPABILITIES_2: u64 = 26;
    const THUMBEE_NEON_VFPV3: u64 = 1 << 11 | 1 << 12 | 1 << 13;
    const TLS: u64 = 1 << 15;
    const CRYPTOGRAPHY: u64 = 0b1_1111;
    let value = |wanted: u64| {
        let mut pairs = auxiliary_vector.chunks_exact(2).rev();
        let pair = pairs.find(|pair| pair.first() == Some(&wanted));
        pair.and_then(|pair| pair.last().copied()).unwrap_or(0)
    };
    // Extensions that only processors of version 8 have in 32-bit mode.
    if value(CAPABILITIES_2) & CRYPTOGRAPHY != 0 {
        "v8"
    } else if value(CAPABILITIES) & THUMBEE_NEON_VFPV3 != 0 {
        "v7"
    } else if value(CAPABILITIES) & TLS != 0 {
        "v6"
    } else {
        "v5"
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm")))]
fn detected() -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_has_all_that_is_below_it() {
        for (has, level) in [
            ([false, false, false], None),
            ([true, false, false], Some("v2")),
            ([true, true, false], Some("v3")),
            ([true, true, true], Some("v4")),
            ([false, true, true], None),
            ([true, false, true], Some("v2")),
        ] {
            assert_eq!(x86_64_level(has), level, "{has:?}");
        }
    }

    #[test]
    fn the_version_of_an_arm_processor_is_in_its_capabilities() {
        for (words, version) in [
            (&[][..], "v5"),
            (&[16, 1 << 15, 6, 4096], "v6"),
            (&[6, 4096, 16, 1 << 15 | 1 << 12], "v7"),
            (&[16, 1 << 12, 26, 1], "v8"),
            (&[26, 0, 16], "v5"),
        ] {
            assert_eq!(arm_version(words), version, "{words:?}");
        }
    }

    /// The names that Linux has for what makes up level 3.
    #[test]
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn this_processor_is_what_linux_says() {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let flags = text.lines().find(|line| line.starts_with("flags"));
        let flags: Vec<&str> = flags.unwrap_or_default().split_whitespace().collect();
        let has = |wanted: &str| wanted.split(' ').all(|flag| flags.contains(&flag));
        let expected = x86_64_level([
            has("cx16 popcnt pni sse4_1 sse4_2 ssse3"),
            has("avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"),
            has("avx512f avx512bw avx512cd avx512dq avx512vl"),
        ]);
        assert_eq!(variant(), expected);
    }
}
