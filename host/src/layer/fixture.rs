//! Layers made from text and read back as text, for tests.
//!
//! An entry is a line: a path and what is there. Options stand in front, in brackets.
//!
//! ```text
//! etc/                      a directory
//! etc/hosts = 127.0.0.1     a file
//! bin/sh -> busybox         a symbolic link
//! bin/ash => bin/busybox    a hard link
//! dev/null : 1,3            a character device
//! [mode=4755 uid=7 mtime=-5.5 user.note=text] bin/su = x
//! ```

use std::collections::BTreeMap;
use std::fs::File;

use tar::{EntryType, Header};

use super::{ConvertOptions, Converted, LayerError, convert, rebuild};
use crate::cancel::Cancel;
use crate::erofs::{Image, InodeId, Kind, Tree, verify};
use crate::limits::Limits;

/// Returns the tar of a layer.
pub(super) fn tar(text: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (options, line) = match line.strip_prefix('[') {
            Some(rest) => rest.split_once("] ").unwrap(),
            None => ("", line),
        };
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        let mut records: Vec<(String, &[u8])> = Vec::new();
        for option in options.split(' ').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap();
            match key {
                "mode" => header.set_mode(u32::from_str_radix(value, 8).unwrap()),
                "uid" => header.set_uid(value.parse().unwrap()),
                "mtime" => records.push(("mtime".to_owned(), value.as_bytes())),
                name => records.push((format!("SCHILY.xattr.{name}"), value.as_bytes())),
            }
        }
        let records: Vec<(&str, &[u8])> = records
            .iter()
            .map(|(key, value)| (key.as_str(), *value))
            .collect();
        builder.append_pax_extensions(records).unwrap();
        if let Some((path, target)) = line.split_once(" -> ") {
            header.set_entry_type(EntryType::Symlink);
            put(&mut builder, header, path, Some(target), &[]);
        } else if let Some((path, target)) = line.split_once(" => ") {
            header.set_entry_type(EntryType::Link);
            put(&mut builder, header, path, Some(target), &[]);
        } else if let Some((path, contents)) = line.split_once(" = ") {
            put(&mut builder, header, path, None, contents.as_bytes());
        } else if let Some((path, numbers)) = line.split_once(" : ") {
            let (major, minor) = numbers.split_once(',').unwrap();
            header.set_entry_type(EntryType::Char);
            header.set_device_major(major.parse().unwrap()).unwrap();
            header.set_device_minor(minor.parse().unwrap()).unwrap();
            put(&mut builder, header, path, None, &[]);
        } else {
            header.set_entry_type(EntryType::Directory);
            if !options.contains("mode=") {
                header.set_mode(0o755);
            }
            put(&mut builder, header, line, None, &[]);
        }
    }
    builder.into_inner().unwrap()
}

/// Appends an entry with exactly these names, `..` and all.
fn put(
    builder: &mut tar::Builder<Vec<u8>>,
    mut header: Header,
    path: &str,
    target: Option<&str>,
    contents: &[u8],
) {
    let bytes = header.as_mut_bytes();
    bytes[..path.len()].copy_from_slice(path.as_bytes());
    if let Some(target) = target {
        bytes[157..157 + target.len()].copy_from_slice(target.as_bytes());
    }
    header.set_size(contents.len() as u64);
    header.set_cksum();
    builder.append(&header, contents).unwrap();
}

/// A layer that was converted.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) converted: Converted,
    pub(super) erofs: File,
    pub(super) recipe: File,
}

/// Converts a blob with default limits.
pub(super) fn made(blob: &[u8]) -> Result<Made, LayerError> {
    made_with(blob, &Limits::default())
}

/// Converts a blob. Whatever comes out must be a sound image and give the same tar back.
pub(super) fn made_with(blob: &[u8], limits: &Limits) -> Result<Made, LayerError> {
    let (erofs, recipe) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    let options = ConvertOptions {
        limits,
        cancel: &Cancel::default(),
        advanced: &|_| {},
        expected_blob: None,
        expected_diff_id: None,
    };
    let files = (erofs.try_clone().unwrap(), recipe.try_clone().unwrap());
    let converted = convert(blob, files.0, files.1, &options)?;
    let report = verify(&erofs).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    let mut back = Vec::new();
    let rebuilt = rebuild(&erofs, &recipe, &mut back, &Cancel::default()).unwrap();
    assert_eq!(rebuilt.digest, converted.diff_id);
    assert_eq!(rebuilt.bytes, converted.tar_size);
    Ok(Made {
        converted,
        erofs,
        recipe,
    })
}

impl Made {
    /// Returns the image as lines like those that layers are made from, with what is particular.
    pub(super) fn lines(&self) -> Vec<String> {
        let image = Image::open(&self.erofs).unwrap();
        let tree = image.tree().unwrap();
        let mut names: BTreeMap<InodeId, usize> = BTreeMap::new();
        let mut lines = Vec::new();
        let mut open = vec![(String::new(), InodeId::ROOT)];
        let mut all = Vec::new();
        while let Some((path, id)) = open.pop() {
            *names.entry(id).or_default() += 1;
            if let Kind::Directory(entries) = &tree.get(id).kind {
                for (name, child) in entries.iter().rev() {
                    let name = String::from_utf8_lossy(name);
                    open.push((format!("{path}/{name}"), *child));
                }
            }
            all.push((path, id));
        }
        for (path, id) in all {
            lines.push(self.line(&tree, &path, id, names[&id]));
        }
        lines
    }

    fn line(&self, tree: &Tree, path: &str, id: InodeId, names: usize) -> String {
        use std::os::unix::fs::FileExt as _;
        let inode = tree.get(id);
        let metadata = &inode.metadata;
        let mut particular: Vec<String> = Vec::new();
        let usual = match inode.kind {
            Kind::Directory(_) => 0o755,
            _ => 0o644,
        };
        if metadata.permissions != usual {
            particular.push(format!("mode={:o}", metadata.permissions));
        }
        if metadata.uid != 0 {
            particular.push(format!("uid={}", metadata.uid));
        }
        if metadata.mtime != crate::erofs::Timestamp::default() {
            let time = metadata.mtime;
            particular.push(format!("mtime={}.{:09}", time.seconds, time.nanoseconds));
        }
        if names > 1 {
            particular.push(format!("names={names}"));
        }
        for (name, value) in &metadata.xattrs {
            let (name, value) = (String::from_utf8_lossy(name), value.escape_ascii());
            particular.push(format!("{name}={value}"));
        }
        let path = if path.is_empty() { "/" } else { &path[1..] };
        let what = match &inode.kind {
            Kind::Directory(_) if path == "/" => path.to_owned(),
            Kind::Directory(_) => format!("{path}/"),
            Kind::File(extent) => {
                let mut bytes = vec![0; usize::try_from(extent.size).unwrap()];
                let offset = u64::from(extent.block) * 4096;
                self.erofs.read_exact_at(&mut bytes, offset).unwrap();
                format!("{path} = {}", bytes.escape_ascii())
            }
            Kind::Symlink(target) => format!("{path} -> {}", target.escape_ascii()),
            Kind::CharDevice(device) => format!("{path} : {},{}", device.major, device.minor),
            Kind::BlockDevice(device) => format!("{path} # {},{}", device.major, device.minor),
            Kind::Fifo => format!("{path} fifo"),
            Kind::Socket => format!("{path} socket"),
        };
        if particular.is_empty() {
            what
        } else {
            format!("[{}] {what}", particular.join(" "))
        }
    }
}
