//! How the time of a load grows with bytes and with files: twice as much takes twice as long.

use std::path::Path;

use super::Place;
use super::archive::Archive;
use super::contest::{Contender, compare};
use super::report::Report;
use crate::command::Result;

/// Files of 1 MiB in the layer: 1, 2, 4 and 8 GiB.
const LARGE: [u64; 4] = [1 << 10, 2 << 10, 4 << 10, 8 << 10];
/// Files of 100 bytes in the layer.
const SMALL: [u64; 3] = [10_000, 100_000, 1_000_000];

pub(super) fn run_all(place: &Place, report: &mut Report) -> Result<()> {
    for files in LARGE {
        let title = format!("{} GiB in files of 1 MiB", files >> 10);
        measure(place, report, &title, files, 1 << 20)?;
    }
    for files in SMALL {
        measure(
            place,
            report,
            &format!("{files} files of 100 bytes"),
            files,
            100,
        )?;
    }
    Ok(())
}

fn measure(place: &Place, report: &mut Report, title: &str, files: u64, size: usize) -> Result<()> {
    let folder = tempfile::tempdir_in(place.work.path())?;
    let path = folder.path().join("image.tar");
    fill(&path, files, size)?;
    let mut contenders = vec![Contender {
        name: "floor".to_owned(),
        script: "$X bench floor $F $W/copy".to_owned(),
    }];
    contenders.extend(place.each_msb().into_iter().map(|(name, msb)| Contender {
        name: name.to_owned(),
        script: format!("MSB_HOME=$W {} load -q -i $F", msb.display()),
    }));
    let path = path.display().to_string();
    report.add(&compare(title, &path, &contenders, place.work.path())?);
    Ok(())
}

/// Writes an image of one layer, all files different from each other.
fn fill(path: &Path, files: u64, size: usize) -> Result<()> {
    let mut archive = Archive::create(path)?;
    let mut state = 1_u64;
    let layer = archive.layer(files, |number| {
        let mut contents = Vec::with_capacity(size + 8);
        while contents.len() < size {
            // Numbers of an xorshift generator.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            contents.extend(state.to_le_bytes());
        }
        contents.truncate(size);
        (format!("srv/{}/{number}", number / 1000), contents)
    })?;
    archive.image("growth:1", &[&layer])?;
    archive.finish()
}
