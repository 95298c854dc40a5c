//! An image made of files of this machine.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::command::{Result, answer};
use crate::digest::sha256;

/// Writes a Docker archive of an image made of files of this machine.
pub(super) fn write_image(msb: &Path, path: &Path) -> Result<()> {
    let mut libraries: BTreeSet<PathBuf> = BTreeSet::new();
    let listed = answer(Command::new("ldd").arg(msb)).unwrap_or_default();
    for word in listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        libraries.insert(PathBuf::from(word));
    }
    let mut base = tar::Builder::new(Vec::new());
    base.follow_symlinks(true);
    for directory in ["etc/", "usr/bin/", "tmp/"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(if directory == "tmp/" { 0o1777 } else { 0o755 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        base.append_data(&mut header, directory, std::io::empty())?;
    }
    for file in libraries
        .iter()
        .map(PathBuf::as_path)
        .chain([Path::new("/etc/os-release")])
    {
        if file.is_file() {
            base.append_path_with_name(file, file.strip_prefix("/").unwrap_or(file))?;
        }
    }
    append(
        &mut base,
        "etc/motd",
        b"a text that the last layer takes away\n",
    )?;
    let mut program = tar::Builder::new(Vec::new());
    program.append_path_with_name(msb, "usr/bin/msb")?;
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Link);
    link.set_mode(0o755);
    link.set_uid(0);
    link.set_gid(0);
    link.set_size(0);
    program.append_link(&mut link, "usr/bin/msb-too", "usr/bin/msb")?;
    let mut last = tar::Builder::new(Vec::new());
    append(&mut last, "etc/.wh.motd", b"")?;
    append(&mut last, "etc/hostname", b"demo\n")?;

    let layers = [
        base.into_inner()?,
        program.into_inner()?,
        last.into_inner()?,
    ];
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|layer| format!("sha256:{}", sha256(layer)))
        .collect();
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = serde_json::to_vec(&json!({
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["/usr/bin/msb", "--help"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }))?;
    let config_name = format!("{}.json", sha256(&config));
    let names: Vec<String> = diff_ids
        .iter()
        .map(|diff_id| format!("{}/layer.tar", diff_id.trim_start_matches("sha256:")))
        .collect();
    let manifest = json!([{"Config": config_name, "RepoTags": ["demo:latest"], "Layers": names}]);
    let mut archive = tar::Builder::new(File::create(path)?);
    for (name, layer) in names.iter().zip(&layers) {
        append(&mut archive, name, layer)?;
    }
    append(&mut archive, &config_name, &config)?;
    append(
        &mut archive,
        "manifest.json",
        &serde_json::to_vec(&manifest)?,
    )?;
    archive.into_inner()?;
    Ok(())
}

fn append<W: std::io::Write>(
    builder: &mut tar::Builder<W>,
    path: &str,
    contents: &[u8],
) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(contents.len() as u64);
    Ok(builder.append_data(&mut header, path, contents)?)
}
