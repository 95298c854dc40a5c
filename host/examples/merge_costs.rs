//! What it costs to merge the layers of an image: `merge_costs FILES…` prints a row for each count.
//!
//! Four layers of files of 100 bytes, a hundred to a directory: the bottom one has most of them, each
//! other one replaces, hides and adds some.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program for the terminal of a developer"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use msb_erofs::{
    BLOCK_SIZE, Device, Extent, ImageOptions, ImageWriter, Inode, InodeId, Kind, Metadata, Tree,
};
use msb_host::cancel::Cancel;
use msb_host::digest::Digest;
use msb_host::layer::{LayerImages, MergedLayer, MergedTree, merged_uuid};
use msb_host::limits::{Budget, Limits};
use tokio_util::sync::CancellationToken;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Files of a directory.
const PER_DIRECTORY: usize = 100;
/// Times that each image is merged; the median counts.
const RUNS: usize = 5;

fn main() -> Result<()> {
    println!("| files | merge ms | write ms | merged image MiB | memory counted MiB | peak MiB |");
    println!("|---|---|---|---|---|---|");
    for argument in std::env::args().skip(1) {
        row(argument.parse()?)?;
    }
    Ok(())
}

fn row(files: usize) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let part = files / 20;
    let layers = [
        layer(directory.path(), 0, 0..files - 3 * part, None)?,
        layer(directory.path(), 1, files - 3 * part..files - part, None)?,
        // Each tenth directory is replaced, and some names are hidden.
        layer(directory.path(), 2, 0..part, Some(part))?,
        layer(directory.path(), 3, files - part..files, None)?,
    ];
    let limits = Limits {
        memory_bytes: u64::MAX,
        ..Limits::default()
    };
    let budget = Budget::new(&limits);
    let cancel = Cancel::default();
    let digest = Digest::of(b"layer");
    let of_layers: Vec<MergedLayer<'_>> = layers
        .iter()
        .map(|(_, size)| MergedLayer {
            diff_id: &digest,
            chain: None,
            size: *size,
            remainder: &digest,
        })
        .collect();
    let uuid = merged_uuid(&digest, &of_layers);
    let mut builds = Vec::new();
    let mut writes = Vec::new();
    let (mut size, mut memory) = (0, 0);
    for _ in 0..RUNS {
        let paths: Vec<PathBuf> = layers.iter().map(|(path, _)| path.clone()).collect();
        let started = Instant::now();
        let tree = MergedTree::build(LayerImages::at(paths), &budget, &cancel)?;
        builds.push(started.elapsed());
        memory = tree.memory();
        let started = Instant::now();
        let written = tree.write(tempfile::tempfile()?, &of_layers, uuid, &cancel)?;
        writes.push(started.elapsed());
        size = written.size;
    }
    builds.sort();
    writes.sort();
    let median = |times: &[std::time::Duration]| times[RUNS / 2].as_secs_f64() * 1000.0;
    let mib = |bytes: u64| bytes / (1 << 20);
    println!(
        "| {files} | {:.1} | {:.1} | {} | {} | {} |",
        median(&builds),
        median(&writes),
        mib(size),
        mib(memory),
        peak()?,
    );
    Ok(())
}

/// Writes a layer, and returns its path and size.
fn layer(
    directory: &Path,
    number: usize,
    files: std::ops::Range<usize>,
    hidden: Option<usize>,
) -> Result<(PathBuf, u64)> {
    let path = directory.join(number.to_string());
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    let mut writer = ImageWriter::new(file)?;
    // One piece of data for all files: what is in it costs nothing to merge.
    writer.begin_file()?;
    writer.write(&[b'x'; 100])?;
    let extent = writer.end_file()?;
    let mut tree = Tree::new(Metadata::default());
    let mut last = (usize::MAX, InodeId::ROOT);
    for number in files {
        if last.0 != number / PER_DIRECTORY {
            let kind = Kind::Directory(BTreeMap::new());
            last.0 = number / PER_DIRECTORY;
            last.1 = add(
                &mut tree,
                InodeId::ROOT,
                &format!("directory-{}", last.0),
                kind,
            )?;
        }
        add(
            &mut tree,
            last.1,
            &format!("file-{number}"),
            Kind::File(extent),
        )?;
    }
    for number in hidden.map_or(0..0, |first| first..first + first / 10) {
        let whiteout = Kind::CharDevice(Device::default());
        add(&mut tree, last.1, &format!("file-{number}"), whiteout)?;
    }
    let written = writer.finish(&tree, &ImageOptions::default(), &CancellationToken::new())?;
    assert!(written.size.is_multiple_of(BLOCK_SIZE) && extent != Extent::default());
    Ok((path, written.size))
}

fn add(tree: &mut Tree, directory: InodeId, name: &str, kind: Kind) -> Result<InodeId> {
    let metadata = Metadata {
        permissions: 0o755,
        ..Metadata::default()
    };
    let id = tree
        .insert(Inode { metadata, kind })
        .ok_or("too many inodes")?;
    if let Kind::Directory(names) = &mut tree.get_mut(directory).kind {
        names.insert(name.as_bytes().into(), id);
    }
    Ok(id)
}

/// Returns the most memory that this process has had, in MiB.
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line
        .and_then(|line| line.split_whitespace().next())
        .ok_or("no VmHWM")?
        .parse()?;
    Ok(kib / 1024)
}
