//! For which processor a filesystem is: its programs say it.

use crate::{Archive, Entry, EntryKind, Error};

/// Programs that are looked at first, below the root.
const KNOWN: [&str; 6] = [
    "bin/sh",
    "usr/bin/env",
    "bin/busybox",
    "sbin/init",
    "usr/bin/ls",
    "usr/bin/dpkg",
];
/// Folders with programs or libraries.
const FOLDERS: [&str; 6] = ["bin/", "sbin/", "usr/bin/", "usr/sbin/", "lib/", "usr/lib/"];
/// Files in these folders that are looked at.
const MOST: usize = 2_000;
/// Bytes of an ELF header up to the processor.
const HEADER: u32 = 20;

/// The architecture of an image, and its variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processor {
    /// The architecture, as Go names it.
    pub architecture: &'static str,
    /// Which version of it, where it has several.
    pub variant: Option<&'static str>,
}

impl Processor {
    /// Finds the processor of the filesystem below `root`, which is empty or ends with a slash.
    ///
    /// `unsupported` says that no program in it tells.
    pub fn of(archive: &dyn Archive, root: &str) -> Result<Self, Error> {
        let known = KNOWN
            .iter()
            .filter_map(|path| archive.find(&format!("{root}{path}")));
        for entry in known {
            if let Some(processor) = Self::of_program(archive, &entry)? {
                return Ok(processor);
            }
        }
        let programs = archive.entries().filter(|entry| {
            let path = entry.path.strip_prefix(root);
            path.is_some_and(|path| FOLDERS.iter().any(|folder| path.starts_with(folder)))
                && entry.kind == EntryKind::File
        });
        for entry in programs.take(MOST) {
            if let Some(processor) = Self::of_program(archive, &entry)? {
                return Ok(processor);
            }
        }
        Err(Error::Unsupported(format!(
            "no program in `{root}bin`, `{root}usr/bin` or `{root}lib` says for which processor \
             the filesystem is"
        )))
    }

    fn of_program(archive: &dyn Archive, entry: &Entry) -> Result<Option<Self>, Error> {
        if entry.kind != EntryKind::File || entry.size < u64::from(HEADER) {
            return Ok(None);
        }
        let header = archive.read(entry.index, 0, HEADER)?;
        Ok(Self::of_elf(&header))
    }

    fn of_elf(header: &[u8]) -> Option<Self> {
        let [0x7f, b'E', b'L', b'F', class, order, .., low, high] = header else {
            return None;
        };
        let (is_64, is_little) = (*class == 2, *order == 1);
        let machine = [*low, *high];
        let machine = if is_little {
            u16::from_le_bytes(machine)
        } else {
            u16::from_be_bytes(machine)
        };
        let (architecture, variant) = match (machine, is_64, is_little) {
            (3, ..) => ("386", None),
            (8, true, true) => ("mips64le", None),
            (21, true, true) => ("ppc64le", None),
            (21, true, false) => ("ppc64", None),
            (22, true, false) => ("s390x", None),
            (40, false, true) => ("arm", Some("v7")),
            (62, ..) => ("amd64", None),
            (183, true, true) => ("arm64", None),
            (243, true, true) => ("riscv64", None),
            (258, true, true) => ("loong64", None),
            _ => return None,
        };
        Some(Self {
            architecture,
            variant,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::elf;

    #[test]
    fn programs_say_their_processor() {
        for (header, expected) in [
            (elf(2, 1, 62), Some(("amd64", None))),
            (elf(2, 1, 183), Some(("arm64", None))),
            (elf(1, 1, 40), Some(("arm", Some("v7")))),
            (elf(2, 2, 22), Some(("s390x", None))),
            (elf(2, 1, 9999), None),
            (b"#!/bin/sh\nexec something".to_vec(), None),
            (b"\x7fELF".to_vec(), None),
        ] {
            let found = Processor::of_elf(header.get(..20).unwrap_or(&header));
            let found = found.map(|it| (it.architecture, it.variant));
            assert_eq!(found, expected);
        }
    }
}
