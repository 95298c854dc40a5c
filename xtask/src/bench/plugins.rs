//! What plugins cost, and when hostile ones are stopped.
//!
//! The first is measured inside of the host, by an example of its crate, which is told what each
//! call takes; the second from outside, with msb as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Place;
use crate::command::{Result, cargo, run};

/// Runs of each hostile plugin.
const RUNS: usize = 5;
/// What all of them may use.
const LIMITS: &str =
    r#"{"memory_mib": 32, "compute_secs": 1, "wall_secs": 1, "host_calls": 10000}"#;

/// Somebody who does harm.
struct Hostile {
    title: &'static str,
    /// What the format is told by the name of the first entry; or the provider by its settings.
    how: &'static str,
    is_provider: bool,
    /// The limit that it meets, and how many seconds that gives it.
    limit: &'static str,
    seconds: f64,
}

const fn format(title: &'static str, how: &'static str, limit: &'static str) -> Hostile {
    Hostile {
        title,
        how,
        is_provider: false,
        limit,
        seconds: 0.0,
    }
}

const HOSTILE: [Hostile; 12] = [
    Hostile {
        seconds: 1.0,
        ..format("endless loop", "loop", "1 s of computing")
    },
    format("endless allocation", "allocate", "32 MiB"),
    format("deep recursion", "recurse", "512 KiB of stack"),
    format("huge string", "huge", "4 KiB of a message"),
    format("huger string", "huger", "32 MiB"),
    format("out-of-range entry", "layer-out-of-range", "the index"),
    format("lie about a digest", "lie-about-layer", "the host's digest"),
    format("panic", "panic", "itself"),
    format("flood of calls", "flood", "10000 calls"),
    format("escape sequences", "escape", "the terminal's words"),
    Hostile {
        is_provider: true,
        ..format("call without a grant", "env", "its grants")
    },
    Hostile {
        is_provider: true,
        seconds: 1.0,
        ..format("waits for a helper", "helper", "1 s by the clock")
    },
];

/// Runs all: an archive is for the share of plugins in a load, components are added to the table.
pub(super) fn run_all(place: &Place, archive: Option<&Path>, components: &[PathBuf]) -> Result<()> {
    run(Command::new(cargo())
        .current_dir(&place.root)
        .args([
            "build",
            "--package",
            "msb-host",
            "--example",
            "plugin_costs",
        ])
        .env_remove("CARGO_MANIFEST_DIR"))?;
    let built = place.root.join("plugins/target/components");
    run(
        Command::new(place.target.join("debug/examples/plugin_costs"))
            .arg(place.work.path())
            .arg(&built)
            .arg(archive.unwrap_or(Path::new("-")))
            .args(components)
            .env("DOCKER_CONFIG", place.work.path().join("docker-config")),
    )?;
    hostile(place, &built)
}

/// Prints when each hostile plugin is stopped, beyond what its limit gives it.
fn hostile(place: &Place, components: &Path) -> Result<()> {
    let home = place.work.path().join("hostile");
    fs::create_dir_all(&home)?;
    let helper = home.join("docker-credential-slow");
    fs::write(&helper, "#!/bin/sh\nexec sleep 60\n")?;
    fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    for (name, more) in [
        ("misbehaving", &[][..]),
        ("misbehaving-credentials", &["--grant", "helper=slow"]),
    ] {
        configure(&home, "nothing")?;
        run(msb(place, &home)
            .args(["plugin", "install", "--quiet"])
            .arg(components.join(name).with_extension("wasm"))
            .args(more))?;
    }
    println!("\n| hostile plugin | limit | wall s | beyond the limit s | worst s |");
    println!("|---|---|---|---|---|");
    // The same plugin doing nothing, and a first run that compiles.
    let mut idle = [0.0; 2];
    for (is_provider, idle) in idle.iter_mut().enumerate() {
        let nothing = Hostile {
            is_provider: is_provider == 1,
            ..format("nothing", "nothing", "")
        };
        timed(place, &home, &nothing)?;
        *idle = times(place, &home, &nothing)?[RUNS / 2];
    }
    for hostile in &HOSTILE {
        let times = times(place, &home, hostile)?;
        let beyond = |wall: f64| wall - idle[usize::from(hostile.is_provider)] - hostile.seconds;
        println!(
            "| {} | {} | {:.2} | {:.2} | {:.2} |",
            hostile.title,
            hostile.limit,
            times[RUNS / 2],
            beyond(times[RUNS / 2]).max(0.0),
            beyond(times[RUNS - 1]).max(0.0)
        );
    }
    println!(
        "\nThe same plugins doing nothing: {:.2} s, {:.2} s",
        idle[0], idle[1]
    );
    Ok(())
}

/// Returns how long the runs take, sorted.
fn times(place: &Place, home: &Path, hostile: &Hostile) -> Result<Vec<f64>> {
    let mut times = (0..RUNS)
        .map(|_| Ok(timed(place, home, hostile)?.as_secs_f64()))
        .collect::<Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times)
}

fn timed(place: &Place, home: &Path, hostile: &Hostile) -> Result<Duration> {
    configure(home, hostile.how)?;
    let mut command = msb(place, home);
    if hostile.is_provider {
        command.args(["plugin", "explain-auth", "127.0.0.1:1"]);
    } else {
        let path = home.join("hostile.tar");
        fs::write(&path, archive(hostile.how)?)?;
        command.args(["load", "--input"]).arg(path);
    }
    let started = Instant::now();
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(started.elapsed())
}

/// Sets the limits of both plugins, and what the provider does.
fn configure(home: &Path, how: &str) -> Result<()> {
    let settings = format!(
        r#"{{"plugins": {{
            "limits": {{"misbehaving": {LIMITS}, "misbehaving-credentials": {LIMITS}}},
            "settings": {{"misbehaving-credentials": {{"what": "{how}", "argument": "slow"}}}}
        }}}}"#
    );
    Ok(fs::write(home.join("config.json"), settings)?)
}

fn msb(place: &Place, home: &Path) -> Command {
    let mut path = home.as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new(place.msb());
    command
        .stdin(Stdio::null())
        .env("MSB_HOME", home)
        .env("PATH", path);
    command
}

/// Returns an archive whose first entry says what to do, with a configuration and a layer.
fn archive(how: &str) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let layer = [0; 1024];
    let config = br#"{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers",
        "diff_ids": ["sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"]}}"#;
    for (name, contents) in [
        (how, &[][..]),
        ("config.json", config),
        ("layer.tar", &layer),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(contents.len() as u64);
        builder.append_data(&mut header, name, contents)?;
    }
    Ok(builder.into_inner()?)
}
