//! Bits that flip in compiled plugins: none may reach the processor.

use std::fs;

use walkdir::WalkDir;

use crate::Result;
use crate::check::{Finding, Wrong};
use crate::place::PATIENCE;
use crate::scene::Stage;
use crate::table::Row;
use crate::walks::each;

/// Flips so many bits, each in a fresh copy, and loads an image with what is left.
pub(crate) fn run(stage: &Stage, count: usize) -> Result<Row> {
    let mut random = fastrand::Rng::with_seed(120);
    let seeds: Vec<u64> = (0..count).map(|_| random.u64(..)).collect();
    let flipped = each(stage, &seeds, |place, seed| {
        stage.set_images(place)?;
        let mut random = fastrand::Rng::with_seed(seed);
        let folder = place.home().join("cache/plugins");
        // Only what a load needs, so that the bit is one that it reads.
        fs::remove_dir_all(&folder)?;
        let words = stage.words("load --info -i IN/new.tar");
        crate::place::finish(place.command(&words), PATIENCE)?;
        let mut files: Vec<_> = WalkDir::new(&folder)
            .into_iter()
            .flatten()
            .filter(|entry| entry.file_type().is_file())
            .map(walkdir::DirEntry::into_path)
            .collect();
        files.sort();
        let file = random.choice(&files).ok_or("nothing was compiled")?;
        let mut bytes = fs::read(file)?;
        let bit = random.usize(0..bytes.len() * 8);
        if let Some(byte) = bytes.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        fs::write(file, bytes)?;
        let mut findings = Vec::new();
        let what = format!("bit {bit} of {}", file.display());
        let first = crate::place::finish(place.command(&words), PATIENCE)?;
        if !first.status.success() {
            let wrong = first.status.code().map_or(Wrong::Words, |_| Wrong::Locked);
            findings.push(Finding {
                wrong,
                what: format!("{what}: {}", first.words()),
            });
        }
        let is_noticed = first.stderr.contains("compiled again");
        let verify = place.msb("image verify new:1")?;
        if !verify.status.success() {
            findings.push(Finding {
                wrong: Wrong::Unsound,
                what: format!("{what}: {}", verify.words()),
            });
        }
        // What was compiled again was kept.
        let second = crate::place::finish(place.command(&words), PATIENCE)?;
        if !is_noticed || second.stderr.contains("compiled again") {
            findings.push(Finding {
                wrong: Wrong::Words,
                what: format!("{what}: it was used, or is compiled each time"),
            });
        }
        Ok(findings)
    })?;
    let mut row = Row::of("flips");
    row.flips = count;
    for (seed, findings) in flipped {
        row.add(&format!("seed {seed}"), findings);
    }
    Ok(row)
}
