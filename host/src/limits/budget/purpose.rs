//! What the memory of a budget is taken for, in the words of the error that names what took the most.

use std::fmt;

/// What memory is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Files, directories and other inodes of a layer, with their names.
    Inodes,
    /// Extended attributes.
    Attributes,
    /// Targets of symbolic links, and hard links to what has not come yet.
    Links,
    /// Whiteouts.
    Whiteouts,
    /// Extension headers.
    Headers,
    /// Maps of sparse files.
    SparseMaps,
    /// Names in the layers below.
    LowerNames,
    /// Entries of the archive around the images.
    ArchiveEntries,
    /// Small files of that archive, manifests and configurations.
    Documents,
    /// Parts of files that are being compressed.
    Clusters,
}

impl Purpose {
    pub(super) const ALL: [Self; 10] = [
        Self::Inodes,
        Self::Attributes,
        Self::Links,
        Self::Whiteouts,
        Self::Headers,
        Self::SparseMaps,
        Self::LowerNames,
        Self::ArchiveEntries,
        Self::Documents,
        Self::Clusters,
    ];

    pub(super) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Inodes => "files and directories",
            Self::Attributes => "extended attributes",
            Self::Links => "links",
            Self::Whiteouts => "whiteouts",
            Self::Headers => "extension headers",
            Self::SparseMaps => "maps of sparse files",
            Self::LowerNames => "names in the layers below",
            Self::ArchiveEntries => "entries of the archive",
            Self::Documents => "manifests, configurations and other small files",
            Self::Clusters => "parts of files that are being compressed",
        })
    }
}
