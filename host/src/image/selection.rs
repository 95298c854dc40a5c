//! Which entry of an index is the image for a platform: one rule for registries and for archives.
//! Source: OCI image-spec, `image-index.md`.
//!
//! Knows of an entry what its descriptor says. What is an image at all is decided by
//! [`msb_documents`].

use msb_documents::{Descriptor, Role};

use crate::platform::Platform;

/// An entry of an index, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexEntry {
    /// What it is said to run on.
    pub(super) platform: Option<Platform>,
    /// What it refers to.
    pub(super) role: Role,
}

impl IndexEntry {
    pub(super) fn of(descriptor: &Descriptor) -> Self {
        let stated = descriptor.platform.as_ref().filter(|it| it.is_stated());
        Self {
            platform: stated.map(|platform| {
                let os = if platform.os.is_empty() {
                    "linux"
                } else {
                    &platform.os
                };
                Platform::new(os, &platform.architecture, Some(&platform.variant))
            }),
            role: descriptor.role(),
        }
    }
}

/// Returns the entries that may be the image for a platform, by their positions, in the order in
/// which they are tried. The first that is an image for the platform is the one.
///
/// First come those that are said to run there: of the platform's own variant, of the next one
/// below, without a variant. Then indexes, which may have anything; then what does not say where it
/// runs; then what calls itself an artifact. Of equals the first is tried first.
pub(super) fn order(wanted: &Platform, entries: &[IndexEntry]) -> Vec<usize> {
    let mut order: Vec<(u8, u16, usize)> = entries
        .iter()
        .enumerate()
        .filter_map(|(position, entry)| {
            let (class, distance) = match (entry.role, &entry.platform) {
                (role, _) if !role.leads_to_images() => return None,
                (Role::Index, _) => (1, 0),
                (_, Some(platform)) => (0, wanted.distance(platform)?),
                (Role::Artifact, None) => (3, 0),
                (_, None) => (2, 0),
            };
            Some((class, distance, position))
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(.., position)| position).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn entry(text: &str) -> IndexEntry {
        IndexEntry {
            platform: text.parse().ok(),
            role: match text {
                "index" => Role::Index,
                "artifact" => Role::Artifact,
                "attestation" => Role::Attestation,
                "?" => Role::Unstated,
                _ => Role::Manifest,
            },
        }
    }

    fn ordered(wanted: &str, offered: &str) -> String {
        let offered: Vec<&str> = offered.split(' ').collect();
        let entries: Vec<IndexEntry> = offered.iter().map(|text| entry(text)).collect();
        let order = order(&wanted.parse().unwrap(), &entries);
        let names: Vec<&str> = order
            .into_iter()
            .map(|position| offered[position])
            .collect();
        names.join(" ")
    }

    #[test]
    fn the_own_variant_is_the_best_and_the_next_below_follows() {
        for (wanted, offered, expected) in [
            (
                "linux/arm/v7",
                "linux/arm/v5 linux/arm/v6 linux/arm/v7",
                "linux/arm/v7 linux/arm/v6 linux/arm/v5",
            ),
            ("linux/arm/v6", "linux/arm/v7 linux/arm/v5", "linux/arm/v5"),
            ("linux/arm", "linux/arm/v8 linux/arm/v6", "linux/arm/v6"),
            (
                "linux/arm/v7",
                "linux/arm linux/arm/v6",
                "linux/arm/v6 linux/arm",
            ),
            ("linux/arm64", "linux/arm64 linux/amd64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64", "linux/arm64"),
            ("linux/amd64", "linux/amd64/v3 linux/amd64", "linux/amd64"),
            (
                "linux/amd64/v2",
                "linux/amd64/v3 linux/amd64",
                "linux/amd64",
            ),
            (
                "linux/amd64/v3",
                "linux/amd64 linux/amd64/v2 linux/amd64/v4 linux/amd64/v3",
                "linux/amd64/v3 linux/amd64/v2 linux/amd64",
            ),
            ("linux/arm/v5", "linux/arm/v7", ""),
            ("linux/amd64", "linux/amd64/v3", ""),
            // 32-bit programs run where the kernel of the guest has been told so, which docker,
            // podman and containerd do not assume either.
            ("linux/amd64", "windows/amd64 linux/386", ""),
        ] {
            assert_eq!(ordered(wanted, offered), expected, "{wanted} of {offered}");
        }
    }

    #[test]
    fn of_equals_the_first_is_tried_first() {
        let entries = [entry("linux/amd64"), entry("linux/amd64")];
        assert_eq!(order(&"linux/amd64".parse().unwrap(), &entries), [0, 1]);
    }

    #[test]
    fn what_does_not_say_its_platform_is_the_last_resort() {
        assert_eq!(
            ordered("linux/amd64", "attestation artifact ? index linux/amd64"),
            "linux/amd64 index ? artifact"
        );
    }
}
