//! What saving costs: msb, podman, and a floor that only copies and hashes the archive that msb
//! writes. Each has the image in a store of its own before the clock starts.

use std::path::Path;
use std::process::Command;

use super::Place;
use super::contest::{Contender, compare};
use super::corpus::Corpus;
use super::report::Report;
use crate::command::{Result, answer, run, which};

/// How podman is called so that it touches nothing but the folder `$P`.
const PODMAN: &str = "podman --root $P/root --runroot $P/run --storage-driver vfs \
                      --cgroup-manager=cgroupfs --events-backend=none";

pub(super) fn run_all(place: &Place, corpus: &Corpus, report: &mut Report) -> Result<()> {
    for (title, archive) in [
        ("from plain layers", &corpus.plain),
        ("from gzip layers", &corpus.compressed),
    ] {
        let stores = tempfile::tempdir_in(place.work.path())?;
        let contenders = contenders(place, archive, stores.path())?;
        let subject = stores.path().join("msb.tar").display().to_string();
        report.add(&compare(title, &subject, &contenders, place.work.path())?);
    }
    Ok(())
}

/// Loads the archive into a store for each contender.
fn contenders(place: &Place, archive: &Path, stores: &Path) -> Result<Vec<Contender>> {
    let mut contenders = vec![Contender {
        name: "floor".to_owned(),
        script: "$X bench floor $F $W/copy".to_owned(),
    }];
    for (name, msb) in place.each_msb() {
        let home = stores.join(name.replace(' ', "-"));
        let with_home = |words: &[&str]| {
            let mut command = Command::new(&msb);
            command.env("MSB_HOME", &home).args(words);
            command
        };
        run(with_home(&["load", "-q", "-i"]).arg(archive))?;
        let image = answer(&mut with_home(&["images", "-q"])).ok_or("msb lists no image")?;
        let image = image.lines().next().ok_or("msb lists no image")?.to_owned();
        if name == "msb" {
            run(with_home(&["save", &image, "-o"]).arg(stores.join("msb.tar")))?;
        }
        contenders.push(Contender {
            name: name.to_owned(),
            script: format!(
                "MSB_HOME={} {} save {image} -o $W/archive.tar",
                home.display(),
                msb.display()
            ),
        });
    }
    if place.has_others() && which("podman").is_some() {
        let folder = stores.join("podman");
        let podman = PODMAN.replace("$P", &folder.display().to_string());
        let script = format!("{podman} load -q -i {}", archive.display());
        let list = format!("{podman} images -q");
        if run(Command::new("bash").args(["-c", &script])).is_ok() {
            // Looked up here: it is not a part of saving.
            let ids = answer(Command::new("bash").args(["-c", &list]));
            let id = ids.as_deref().and_then(|ids| ids.lines().next());
            let id = id.ok_or("podman lists no image")?;
            contenders.push(Contender {
                name: "podman".to_owned(),
                script: format!("{podman} save -q {id} -o $W/archive.tar"),
            });
        }
    }
    Ok(contenders)
}
