//! Root filesystems: one with all that files can have, and the comparison of what comes back.
//!
//! Owns what two images show as filesystems: every name, byte, mode, owner, time, device and extended
//! attribute, as the host merges their layers.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tar::{Builder, EntryType, Header};

use super::harness::{Harness, chain};
use msb_host::archive::{ArchiveOutput as _, OutputLayer, StoredFiles, TarOutput};
use msb_host::store::Store;

/// The time of all its files, in seconds since 1970.
const TIME: u64 = 1_234_567_890;

/// Returns the beginning of a program for a processor, of which a format may find out which it is.
pub(super) fn program(architecture: &str) -> Vec<u8> {
    let (class, order, machine): (u8, u8, u16) = match architecture {
        "386" => (1, 1, 3),
        "arm" => (1, 1, 40),
        "arm64" => (2, 1, 183),
        "loong64" => (2, 1, 258),
        "ppc64le" => (2, 1, 21),
        "riscv64" => (2, 1, 243),
        "s390x" => (2, 2, 22),
        _ => (2, 1, 62),
    };
    let mut header = b"\x7fELF".to_vec();
    header.extend([class, order, 1, 0]);
    header.resize(16, 0);
    header.extend([2, 0]);
    header.extend(if order == 1 {
        machine.to_le_bytes()
    } else {
        machine.to_be_bytes()
    });
    header.resize(64, 0);
    header
}

/// Returns a layer with modes, owners, times, devices, links and extended attributes.
pub(super) fn layer(architecture: &str) -> Vec<u8> {
    let program = program(architecture);
    let members: [(&str, EntryType, u32, &[u8]); 13] = [
        ("bin/", EntryType::Directory, 0o755, b""),
        ("bin/sh", EntryType::Regular, 0o4755, &program),
        ("bin/again", EntryType::Link, 0o4755, b"bin/sh"),
        ("dev/", EntryType::Directory, 0o755, b""),
        ("dev/null", EntryType::Char, 0o666, b""),
        ("dev/disk", EntryType::Block, 0o660, b""),
        ("etc/", EntryType::Directory, 0o700, b""),
        ("etc/shadow", EntryType::Regular, 0o640, b"root:*:"),
        ("run/", EntryType::Directory, 0o755, b""),
        ("run/pipe", EntryType::Fifo, 0o620, b""),
        ("tmp/", EntryType::Directory, 0o1777, b""),
        ("usr/", EntryType::Directory, 0o2755, b""),
        ("usr/link", EntryType::Symlink, 0o777, b"../etc/shadow"),
    ];
    let mut builder = Builder::new(Vec::new());
    for (number, (path, kind, mode, contents)) in (0..).zip(members) {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(1000 + number);
        header.set_gid(3_000_000 + number);
        header.set_mtime(TIME + number);
        let is_file = kind == EntryType::Regular;
        header.set_size(if is_file { contents.len() as u64 } else { 0 });
        let device = matches!(kind, EntryType::Char | EntryType::Block).then_some(number);
        let device = u32::try_from(device.unwrap_or_default()).unwrap_or_default();
        // Writing to memory, of names that fit, does not fail.
        let _ = header.set_path(path);
        let _ = header.set_device_major(device);
        let _ = header.set_device_minor(device);
        if matches!(kind, EntryType::Link | EntryType::Symlink) {
            let _ = header.set_link_name_literal(contents);
        } else if kind == EntryType::Regular {
            let attribute = [("SCHILY.xattr.user.kit", path.as_bytes())];
            let _ = builder.append_pax_extensions(attribute);
        }
        header.set_cksum();
        let _ = builder.append(&header, if is_file { contents } else { b"" });
    }
    builder.into_inner().unwrap_or_default()
}

/// Returns what an image of a store shows as a filesystem: a tar that is the same for the same.
///
/// # Errors
/// Why it cannot be had, for a sentence.
pub(super) fn merged(
    harness: &Harness<'_>,
    store: &Store,
    selector: &str,
) -> Result<Vec<u8>, String> {
    let found = store.find(selector).map_err(|error| chain(&error))?;
    let mut layers = Vec::new();
    for layer in &found.image.layers {
        let stored = store.layer(&layer.key).map_err(|error| chain(&error))?;
        let stored = stored.ok_or_else(|| format!("layer {} is gone", layer.key.diff_id))?;
        layers.push(OutputLayer {
            diff_id: layer.key.diff_id.clone(),
            size: stored.facts.tar_size,
            stored: vec![StoredFiles {
                chain: layer.key.chain.clone(),
                erofs: stored.erofs_path,
                recipe: Some(stored.recipe_path),
            }],
        });
    }
    let numbers: Vec<u32> = (0..).take(layers.len()).collect();
    let path = harness.path("merged.tar");
    let write = |path: &Path| -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let mut output = Box::new(TarOutput::new(
            "the filesystem".to_owned(),
            Box::new(fs::File::create(path)?),
            layers,
            Arc::clone(&harness.progress),
            harness.cancel.clone(),
        ));
        output.put_merged("", &numbers)?;
        output.finish()?;
        Ok(fs::read(path)?)
    };
    write(&path).map_err(|error| chain(&*error))
}

/// Returns what is different in two filesystems: the first name of one that the other has not as it is.
pub(super) fn difference(one: &[u8], other: &[u8]) -> Option<String> {
    let (one, other) = (listed(one), listed(other));
    let lost = one.iter().find(|entry| !other.contains(entry));
    let more = other.iter().find(|entry| !one.contains(entry));
    let name = |entry: &(String, Vec<u8>)| entry.0.clone();
    match (lost, more) {
        (Some(lost), _) => Some(format!("`{}` is not as it was", name(lost))),
        (None, Some(more)) => Some(format!("`{}` was not there", name(more))),
        (None, None) => None,
    }
}

/// Returns whether a filesystem has nothing in it.
pub(super) fn is_empty(tar: &[u8]) -> bool {
    let names = listed(tar);
    names
        .iter()
        .all(|(name, _)| matches!(name.as_str(), "" | "." | "./"))
}

/// Returns the names in a tar, each with all that belongs to it.
fn listed(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    use std::io::Read as _;
    let mut archive = tar::Archive::new(tar);
    let Ok(entries) = archive.entries() else {
        return Vec::new();
    };
    let entries = entries.filter_map(|entry| {
        let mut entry = entry.ok()?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut all = entry.header().as_bytes().to_vec();
        for extension in entry.pax_extensions().ok().flatten().into_iter().flatten() {
            let extension = extension.ok()?;
            all.extend(extension.key_bytes());
            all.extend(extension.value_bytes());
        }
        entry.read_to_end(&mut all).ok()?;
        Some((name, all))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filesystem_that_lost_something_differs_from_what_it_was() {
        let whole = layer("amd64");
        assert_eq!(difference(&whole, &whole), None);
        assert!(!is_empty(&whole));
        assert!(is_empty(&[0; 1024]));
        let arm = layer("arm64");
        assert_eq!(
            difference(&whole, &arm).as_deref(),
            Some("`bin/sh` is not as it was")
        );
        let mut other = whole.clone();
        let mode = whole.windows(4).position(|it| it == b"1777");
        let mode = mode.unwrap_or_default();
        other[mode] = b'0';
        assert_eq!(
            difference(&whole, &other).as_deref(),
            Some("`tmp/` is not as it was")
        );
        assert!(difference(&[0; 1024], &whole).is_some_and(|it| it.contains("was not there")));
    }
}
