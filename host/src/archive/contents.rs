//! Archives in which no format is recognised: what they seem to hold instead.
//!
//! Owns a guess from the names of entries, for the words of an error. Nothing is decided by it.

use std::collections::BTreeSet;

use super::{ArchiveEntryKind, Index};

/// What an archive without images seems to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contents {
    /// A root filesystem, as `docker export` writes one.
    RootFilesystem,
    /// What an image is built from.
    BuildContext,
    /// Another archive, and nothing else.
    Archive {
        /// Its path.
        path: String,
    },
    /// A chart of Helm.
    HelmChart,
}

/// Directories at the top of a root filesystem.
const TOP: [&str; 11] = [
    "bin", "dev", "etc", "home", "lib", "proc", "root", "sbin", "sys", "usr", "var",
];
/// This many of them are not a coincidence.
const ENOUGH: usize = 3;

impl Contents {
    /// Returns what the names say; `None` where they say nothing.
    pub fn of(index: &Index) -> Option<Self> {
        let entries = index.entries();
        let top: BTreeSet<&str> = entries
            .iter()
            .filter_map(|entry| entry.path.split('/').next())
            .collect();
        if TOP.iter().filter(|name| top.contains(*name)).count() >= ENOUGH {
            return Some(Self::RootFilesystem);
        }
        let has = |name: &str| index.find(name).is_some();
        if has("Chart.yaml") {
            return Some(Self::HelmChart);
        }
        if has("Dockerfile") || has("Containerfile") {
            return Some(Self::BuildContext);
        }
        let mut files = entries
            .iter()
            .filter(|entry| entry.kind == ArchiveEntryKind::File);
        match (files.next(), files.next()) {
            (Some(only), None) if is_name_of_archive(&only.path) => Some(Self::Archive {
                path: only.path.to_string(),
            }),
            _ => None,
        }
    }
}

fn is_name_of_archive(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    [
        ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2", ".oci",
    ]
    .iter()
    .any(|ending| path.ends_with(ending))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::ArchiveEntry;
    use super::*;

    #[test]
    fn what_an_archive_holds_is_told_by_its_names() {
        for (paths, expected) in [
            (
                &["etc/passwd", "usr/bin/env", "bin"][..],
                Some(Contents::RootFilesystem),
            ),
            (&["etc/passwd", "usr/bin/env"], None),
            (&["Dockerfile", "src/main.rs"], Some(Contents::BuildContext)),
            (
                &["Chart.yaml", "templates/a.yaml"],
                Some(Contents::HelmChart),
            ),
            (
                &["image.tar.gz"],
                Some(Contents::Archive {
                    path: "image.tar.gz".to_owned(),
                }),
            ),
            (&["a.tar", "b.tar"], None),
            (&[], None),
        ] {
            let mut index = Index::default();
            for path in paths {
                let entry = ArchiveEntry {
                    path: (*path).into(),
                    kind: ArchiveEntryKind::File,
                    size: 1,
                    target: None,
                };
                index.push(entry, 10).unwrap();
            }
            assert_eq!(Contents::of(&index), expected, "{paths:?}");
        }
    }
}
