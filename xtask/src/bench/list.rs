//! What lists cost, by the number of images in the store.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Place;
use super::archive::Archive;
use super::contest::{Contender, compare};
use super::report::Report;
use crate::command::{Result, answer, run};

/// Images in the store.
const IMAGES: [usize; 4] = [10, 100, 1_110, 5_000];

pub(super) fn run_all(place: &Place, report: &mut Report) -> Result<()> {
    for images in IMAGES {
        let folder = tempfile::tempdir_in(place.work.path())?;
        let archive = folder.path().join("images.tar");
        fill(&archive, images)?;
        let mut contenders = vec![Contender {
            name: "shell".to_owned(),
            script: "true".to_owned(),
        }];
        for (name, msb) in place.each_msb() {
            let home = folder.path().join(name.replace(' ', "-"));
            let with_home = |words: &[&str]| {
                let mut command = Command::new(&msb);
                command.env("MSB_HOME", &home).args(words);
                command
            };
            run(with_home(&["load", "-q", "-i"]).arg(&archive))?;
            let ids = answer(&mut with_home(&["images", "-q"])).ok_or("msb lists no image")?;
            let id = ids.lines().last().ok_or("msb lists no image")?;
            let script =
                |words: &str| format!("MSB_HOME={} {} {words}", home.display(), msb.display());
            for (what, words) in [
                ("--version", "--version".to_owned()),
                ("images -q", "images -q".to_owned()),
                ("image inspect ID", format!("image inspect {id}")),
            ] {
                contenders.push(Contender {
                    name: format!("{name} {what}"),
                    script: script(&words),
                });
            }
        }
        fs::remove_file(&archive)?;
        let title = format!("{images} images of three layers");
        report.add(&compare(&title, "", &contenders, place.work.path())?);
    }
    Ok(())
}

/// Writes an archive of images that share two layers of three.
fn fill(path: &Path, images: usize) -> Result<()> {
    let mut archive = Archive::create(path)?;
    let shared = [
        archive.layer(1, |_| ("etc/base".to_owned(), b"1".to_vec()))?,
        archive.layer(1, |_| ("etc/tools".to_owned(), b"2".to_vec()))?,
    ];
    for number in 0..images {
        let contents = format!("{number}\n").into_bytes();
        let own = archive.layer(1, |_| (format!("srv/{number}"), contents.clone()))?;
        let layers = [&shared[0], &shared[1], &own];
        archive.image(&format!("registry.example/team/app{number}:1"), &layers)?;
    }
    archive.finish()
}
