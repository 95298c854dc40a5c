//! Runs in turn, and what each of them took. Each run is a process of its own, measured by the
//! kernel when it has ended.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use crate::command::{Result, answer};

/// Runs of each contender; the first, which warms caches, does not count.
const RUNS: usize = 6;

/// What one run took.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    wall: f64,
    cpu: f64,
    /// KiB of the largest process.
    memory: i64,
}

/// Somebody who gets an image into a store.
pub(super) struct Contender {
    pub(super) name: String,
    /// A shell command; `$F` is what it gets, `$W` a folder that is empty before each run, `$X` this program.
    pub(super) script: String,
}

/// Lets contenders take turns at one archive or reference, and returns a table. The first is what
/// the others are compared with.
pub(super) fn compare(
    title: &str,
    subject: &str,
    contenders: &[Contender],
    work: &Path,
) -> Result<String> {
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); contenders.len()];
    let mut refused = vec![false; contenders.len()];
    for number in 0..RUNS {
        for (index, contender) in contenders.iter().enumerate() {
            if refused[index] {
                continue;
            }
            match measured(contender, subject, work)? {
                Some(cost) if number > 0 => costs[index].push(cost),
                Some(_) => {}
                None => refused[index] = true,
            }
        }
    }
    let floor = costs[0].clone();
    let mut table = format!(
        "\n{title}, medians of {} runs in turn:\n\n\
         | | wall s | from to s | CPU s | peak MiB | of the first |\n|---|---|---|---|---|---|\n",
        RUNS - 1
    );
    for (contender, costs) in contenders.iter().zip(&costs) {
        let name = &contender.name;
        if costs.is_empty() {
            writeln!(table, "| {name} | does not take this image | | | | |")?;
            continue;
        }
        let ratios = costs
            .iter()
            .zip(&floor)
            .map(|(cost, floor)| cost.wall / floor.wall);
        let walls = || costs.iter().map(|cost| cost.wall);
        writeln!(
            table,
            "| {name} | {} | {} to {} | {} | {:.0} | {:.2} |",
            seconds(median(walls())),
            seconds(walls().fold(f64::INFINITY, f64::min)),
            seconds(walls().fold(0.0, f64::max)),
            seconds(median(costs.iter().map(|cost| cost.cpu))),
            median(costs.iter().map(|cost| kibibytes(cost.memory) / 1024.0)),
            median(ratios),
        )?;
    }
    Ok(table)
}

/// Milliseconds matter where there are few.
fn seconds(seconds: f64) -> String {
    let decimals = if seconds < 0.2 { 4 } else { 2 };
    format!("{seconds:.decimals$}")
}

/// Runs a contender once in an empty folder, in a process that does nothing else. `None` if it
/// does not want the image.
fn measured(contender: &Contender, subject: &str, work: &Path) -> Result<Option<Cost>> {
    let folder = work.join("run");
    let _ = Command::new("umount")
        .arg(folder.join("root/overlay"))
        .stderr(Stdio::null())
        .status();
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let program = std::env::current_exe()?;
    let output = answer(
        Command::new(&program)
            .args(["bench", "measure", &contender.script])
            .env("X", &program)
            .env("F", subject)
            .env("W", &folder),
    );
    let _ = Command::new("umount")
        .arg(folder.join("root/overlay"))
        .stderr(Stdio::null())
        .status();
    let _ = fs::remove_dir_all(&folder);
    let Some(output) = output else {
        return Ok(None);
    };
    let numbers: Vec<&str> = output
        .lines()
        .last()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let [wall, cpu, memory] = numbers.as_slice() else {
        return Err(format!("`{output}` is not a measurement").into());
    };
    Ok(Some(Cost {
        wall: wall.parse()?,
        cpu: cpu.parse()?,
        memory: memory.parse()?,
    }))
}

/// Runs one shell command and prints what it took.
pub(super) fn measure(arguments: &[String]) -> Result<()> {
    let started = Instant::now();
    let output = Command::new("bash")
        .args(["-c", &arguments.join(" ")])
        .stdout(Stdio::null())
        .output()?;
    let wall = started.elapsed().as_secs_f64();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = usage.user_time() + usage.system_time();
    println!(
        "{wall} {} {}",
        microseconds(cpu.num_microseconds()),
        usage.max_rss()
    );
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::cast_precision_loss, reason = "printed without decimals")]
fn kibibytes(count: i64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "printed with two decimals")]
fn microseconds(count: i64) -> f64 {
    count as f64 / 1e6
}
