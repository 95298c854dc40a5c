//! Sixteen processes at once, of every command that the store has, over and over.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::Result;
use crate::check::{Finding, Wrong};
use crate::images::{Image, gzip};
use crate::place::{PATIENCE, Place, Run, finish};
use crate::scene::Stage;
use crate::table::Row;

const PROCESSES: usize = 16;
/// Images that come and go.
const IMAGES: usize = 6;
/// What another process may have done to an image that a command is about.
const GONE: &[&str] = &["not found", "no image", "No images"];

/// Runs commands side by side for so long.
pub(crate) fn run(stage: &Stage, time: Duration) -> Result<Row> {
    let place = stage.place("soak");
    stage.set_images(&place)?;
    let inputs = place.make("in")?;
    for number in 0..IMAGES {
        let archive = Image::new(&format!("soak:{number}"))?.archive()?;
        std::fs::write(inputs.join(format!("{number}.tar")), &archive)?;
        std::fs::write(inputs.join(format!("{number}.tar.gz")), gzip(&archive)?)?;
    }
    let commands = AtomicUsize::new(0);
    let findings = Mutex::new(BTreeMap::new());
    let deadline = Instant::now() + time;
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..PROCESSES)
            .map(|worker| {
                let (place, commands, findings) = (&place, &commands, &findings);
                scope.spawn(move || -> Result<()> {
                    let mut random = fastrand::Rng::with_seed(worker as u64);
                    while Instant::now() < deadline {
                        let line = line(&mut random, worker);
                        let words = stage.words(&line);
                        let mut command = place.command(&words);
                        if line.contains("--password-stdin") {
                            command.stdin(stage.password()?);
                        }
                        let run = finish(command, PATIENCE)?;
                        commands.fetch_add(1, Ordering::Relaxed);
                        if let Some(finding) = judge(&line, &run) {
                            let mut findings = findings.lock().map_err(|_| "a worker panicked")?;
                            findings.entry(line).or_insert(finding);
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        for worker in workers {
            worker.join().map_err(|_| "a worker panicked")??;
        }
        Ok(())
    })?;
    let mut row = Row::of("soak");
    row.commands = commands.into_inner();
    for (line, finding) in findings.into_inner().map_err(|_| "a worker panicked")? {
        row.add(&line, vec![finding]);
    }
    row.add("afterwards", afterwards(&place)?);
    Ok(row)
}

fn line(random: &mut fastrand::Rng, worker: usize) -> String {
    let number = random.usize(0..IMAGES);
    match random.usize(0..25) {
        0..5 => format!("load -q -i in/{number}.tar"),
        5..7 => format!("load -q -i in/{number}.tar.gz"),
        7 => "pull -q REGISTRY/app:1".to_owned(),
        8 => "pull -q --force REGISTRY/app:1".to_owned(),
        9..11 => format!("rmi soak:{number}"),
        11 => "image prune --yes".to_owned(),
        12 => "image prune --dry-run".to_owned(),
        13..15 => "images".to_owned(),
        15 => format!("image inspect soak:{number}"),
        16 => "image verify -q".to_owned(),
        17 => "image verify keep:1".to_owned(),
        18 => "image inspect keep:1".to_owned(),
        19 => "image verify -q --repair".to_owned(),
        20 => "plugin ls".to_owned(),
        21 => "plugin install -q --yes FORMAT".to_owned(),
        22 => format!("registry logout r{worker}.example"),
        23 => format!(
            "registry login r{worker}.example -u ann --password-stdin --no-verify --store file"
        ),
        _ => format!("save -q -o out/{worker}.tar keep:1"),
    }
}

/// Returns what is wrong with how a command ended among others.
fn judge(line: &str, run: &Run) -> Option<Finding> {
    let finding = |wrong| {
        let what = run.words();
        Some(Finding { wrong, what })
    };
    let is_about_what_goes = line.contains("soak:");
    if run.is_late || run.stderr.contains("database is locked") {
        return finding(Wrong::Locked);
    }
    match run.status.code() {
        Some(0) => None,
        Some(1 | 3)
            if is_about_what_goes && GONE.iter().any(|words| run.stderr.contains(words)) =>
        {
            None
        }
        Some(1 | 3) if line.contains("keep:1") => finding(Wrong::Lost),
        Some(1) if line.contains("verify") => finding(Wrong::Unsound),
        _ => finding(Wrong::Words),
    }
}

/// Looks at the store when all is quiet.
fn afterwards(place: &Place) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (wrong, line) in [
        (Wrong::Unsound, "image verify"),
        (Wrong::Locked, "image prune --yes"),
        (Wrong::Lost, "image verify keep:1"),
    ] {
        let run = place.msb(line)?;
        if !run.status.success() {
            let what = format!("{}{}", run.stdout, run.words());
            findings.push(Finding { wrong, what });
        }
    }
    let left: Vec<String> = place
        .files()?
        .into_iter()
        .filter(|file| {
            let name = file.rsplit('/').next().unwrap_or_default();
            file.starts_with("home/cache/tmp/") || name.starts_with('.')
        })
        .collect();
    if !left.is_empty() {
        findings.push(Finding {
            wrong: Wrong::LeftOver,
            what: left.join(", "),
        });
    }
    Ok(findings)
}
