//! Damaged and malicious archives: what anyone may show a format plugin.
//!
//! Whatever is done to them (`damage`), the plugin must end in an error that the contract has, in
//! `not-mine` or in a plan, and within its budget.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::archives::{self, Archive, Member};
use super::damage::{Damage, broken_bytes, broken_documents, broken_entries};
use super::harness::Harness;
use super::reading::{Ended, read};
use super::report::{Cases, Check};
use msb_host::archive::Input;
use msb_host::plugin::Formats;

/// The longest sample that is damaged, in bytes.
const MAX_SAMPLE: u64 = 4 << 20;

/// Shows damaged archives: those of the kit, the author's own, and what the plugin `wrote`.
pub(super) fn hostile(harness: &Harness<'_>, formats: &Formats, wrote: &[PathBuf]) -> Vec<Check> {
    let mut bases: Vec<Archive> = archives::golden()
        .into_iter()
        .filter(|archive| archive.images.len() == 2)
        .collect();
    let mut remarks = Vec::new();
    let own = harness.subject.archives.iter();
    let own = own.map(|path| (path.display().to_string(), path));
    let wrote = wrote.iter().map(|path| ("what it wrote".to_owned(), path));
    for (name, path) in own.chain(wrote) {
        match sample(&name, path) {
            Ok(archive) => bases.push(archive),
            Err(why) => remarks.push(format!("{name} was not damaged: {why}")),
        }
    }
    let kinds: [(&str, Damage); 3] = [
        ("hostile-bytes", broken_bytes),
        ("hostile-documents", broken_documents),
        ("hostile-entries", broken_entries),
    ];
    let mut checks = Vec::new();
    for (name, damage) in kinds {
        let mut cases = Cases::of(name, "damaged archives refused, left to others or read");
        // Samples first: what the plugin knows tells more than what it leaves to others.
        for base in bases.iter().rev() {
            for (what, bytes) in damage(base) {
                if cases.are_enough() || harness.cancel.is_cancelled() {
                    break;
                }
                let ended = survives(harness, formats, &bytes)
                    .map_err(|why| harness.kept(name, cases.next(), &bytes, &why));
                cases.note(&format!("{}, {what}", base.name), ended);
            }
        }
        for remark in &remarks {
            cases.remark(remark.clone());
        }
        checks.push(cases.end());
    }
    checks
}

fn survives(harness: &Harness<'_>, formats: &Formats, bytes: &[u8]) -> Result<(), String> {
    let path = harness.file("hostile.tar", bytes);
    let path = path.map_err(|error| error.to_string())?;
    match read(harness, formats, Input::Path(path)) {
        Ended::Broken(why) => Err(why),
        Ended::Plan(..) | Ended::NotMine | Ended::Refused(_) | Ended::Unreadable(_) => Ok(()),
    }
}

/// Takes an archive of the author apart.
fn sample(name: &str, path: &Path) -> Result<Archive, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return directory(name, path);
    }
    if metadata.len() > MAX_SAMPLE {
        return Err(too_large());
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let mut members = Vec::new();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let entries = archive.entries().map_err(|error| error.to_string())?;
    for entry in entries {
        let mut entry = entry.map_err(|_| "it is not a plain tar".to_owned())?;
        let mut contents = Vec::new();
        let read = entry.read_to_end(&mut contents);
        read.map_err(|error| error.to_string())?;
        members.push(Member {
            path: entry.path_bytes().into_owned(),
            kind: entry.header().entry_type(),
            target: entry.link_name_bytes().unwrap_or_default().into_owned(),
            contents,
        });
    }
    Ok(Archive {
        name: name.to_owned(),
        members,
        images: Vec::new(),
    })
}

/// Takes a directory apart, as an archive of its files.
fn directory(name: &str, path: &Path) -> Result<Archive, String> {
    let mut members = Vec::new();
    let mut size = 0;
    for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
        let entry = entry.map_err(|error| error.to_string())?;
        if !entry.file_type().is_file() {
            continue;
        }
        size += entry.metadata().map_err(|error| error.to_string())?.len();
        if size > MAX_SAMPLE {
            return Err(too_large());
        }
        let below = entry.path().strip_prefix(path).unwrap_or(entry.path());
        let contents = fs::read(entry.path()).map_err(|error| error.to_string())?;
        members.push(Member::file(&below.to_string_lossy(), contents));
    }
    Ok(Archive {
        name: name.to_owned(),
        members,
        images: Vec::new(),
    })
}

fn too_large() -> String {
    format!("it is larger than {} MiB", MAX_SAMPLE >> 20)
}
