//! What loading costs: msb, podman, the image crate of microsandbox, and a floor that only copies
//! and hashes, on one archive.

use std::fs;

use super::Place;
use super::contest::{Contender, compare};
use super::corpus::Corpus;
use super::report::Report;
use crate::command::{Result, which};

pub(super) fn run_all(place: &Place, corpus: &Corpus, report: &mut Report) -> Result<()> {
    let contenders = contenders(place);
    for (title, archive) in [
        ("plain layers", &corpus.plain),
        ("gzip layers", &corpus.compressed),
    ] {
        let size = fs::metadata(archive)
            .map_err(|error| format!("{}: {error}", archive.display()))?
            .len();
        let title = format!("{title}: {} MiB", size >> 20);
        let archive = archive.display().to_string();
        report.add(&compare(&title, &archive, &contenders, place.work.path())?);
    }
    Ok(())
}

fn contenders(place: &Place) -> Vec<Contender> {
    let mut contenders = vec![Contender {
        name: "floor".to_owned(),
        script: "$X bench floor $F $W/copy".to_owned(),
    }];
    for (name, msb) in place.each_msb() {
        let load = format!("MSB_HOME=$W {} load -q", msb.display());
        contenders.push(Contender {
            name: name.to_owned(),
            script: format!("{load} -i $F"),
        });
        contenders.push(Contender {
            name: format!("{name}, from a pipe"),
            script: format!("cat $F | {load}"),
        });
    }
    if !place.has_others() {
        return contenders;
    }
    if which("podman").is_some() {
        let script = "podman --root $W/root --runroot $W/run --storage-driver overlay \
                      --cgroup-manager=cgroupfs --events-backend=none load -q -i $F";
        contenders.push(Contender {
            name: "podman".to_owned(),
            script: script.to_owned(),
        });
    } else {
        println!("podman is not there and does not take part");
    }
    if let Some(program) = place.incumbent() {
        contenders.push(Contender {
            name: "microsandbox-image".to_owned(),
            script: format!("{} load $F $W", program.display()),
        });
    }
    contenders
}
