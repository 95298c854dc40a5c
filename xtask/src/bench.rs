//! `cargo xtask bench load [--quick] [--corpus DIR]`: what loading costs, beside others.
//!
//! msb, podman, the image crate of microsandbox and a floor that only copies and hashes take turns
//! on one archive, so that a machine whose speed drifts drifts for all of them. Each run is a
//! process of its own, measured by the kernel when it has ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use crate::command::{Result, answer, cargo, root, run, which};
use crate::demo::target_directory;
use crate::guests;

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

/// Somebody who loads an archive.
struct Contender {
    name: &'static str,
    /// A shell command; `$F` is the archive, `$W` a folder that is empty before each run.
    script: String,
}

/// Runs the benchmark that the arguments name.
pub(crate) fn run_all(arguments: &[String]) -> Result<()> {
    let mut words = arguments.iter().map(String::as_str);
    match words.next() {
        Some("load") => {}
        Some("measure") => return measure(&arguments[1..]),
        _ => return Err("bench takes: load [--quick] [--corpus DIR]".into()),
    }
    let (mut quick, mut corpus) = (false, None);
    while let Some(word) = words.next() {
        match word {
            "--quick" => quick = true,
            "--corpus" => corpus = Some(words.next().ok_or("--corpus takes a folder")?),
            _ => return Err(format!("bench load does not take `{word}`").into()),
        }
    }
    guests::build()?;
    let root = root()?;
    run(Command::new(cargo())
        .current_dir(&root)
        .args(["build", "--package", "msb"])
        .env_remove("CARGO_MANIFEST_DIR"))?;
    let target = target_directory(&root)?;
    // In memory where there is room: then the disk of the day is not what is measured.
    let work = match Path::new("/dev/shm") {
        memory if memory.is_dir() => tempfile::tempdir_in(memory)?,
        _ => tempfile::tempdir()?,
    };
    let archives = match (corpus, quick) {
        (Some(folder), _) => vec![
            ("plain layers", Path::new(folder).join("app-docker.tar")),
            ("gzip layers", Path::new(folder).join("app-oci-gz.tar")),
        ],
        (None, true) => quick_corpus(work.path())?,
        (None, false) => {
            return Err("name a corpus with --corpus, or take the small one with --quick".into());
        }
    };
    let contenders = contenders(&root, &target);
    for (title, archive) in archives {
        compare(title, &archive, &contenders, work.path())?;
    }
    Ok(())
}

fn contenders(root: &Path, target: &Path) -> Vec<Contender> {
    let mut contenders = vec![
        Contender {
            name: "floor",
            script: "cat $F | tee >(sha256sum >/dev/null) > $W/copy".to_owned(),
        },
        Contender {
            name: "msb",
            script: format!(
                "MSB_HOME=$W {} load -q -i $F",
                target.join("debug/msb").display()
            ),
        },
    ];
    if which("podman").is_some() {
        let script = "podman --root $W/root --runroot $W/run --storage-driver overlay \
                      --cgroup-manager=cgroupfs --events-backend=none load -q -i $F";
        contenders.push(Contender {
            name: "podman",
            script: script.to_owned(),
        });
    } else {
        println!("podman is not there and does not take part");
    }
    let incumbent = root.join("tests/incumbent");
    let built = target.join("incumbent");
    let compiled = run(Command::new(cargo())
        .current_dir(&incumbent)
        .args(["build", "--release", "--quiet", "--target-dir"])
        .arg(&built)
        .env_remove("CARGO_MANIFEST_DIR"));
    if compiled.is_ok() {
        let program = built.join("release/incumbent");
        contenders.push(Contender {
            name: "microsandbox-image",
            script: format!("{} $F $W", program.display()),
        });
    } else {
        println!("microsandbox-image does not build here and does not take part");
    }
    contenders
}

fn compare(title: &str, archive: &Path, contenders: &[Contender], work: &Path) -> Result<()> {
    let size = fs::metadata(archive)
        .map_err(|error| format!("{}: {error}", archive.display()))?
        .len();
    println!(
        "\n{title}: {} MiB, median of {} runs in turn\n",
        size >> 20,
        RUNS - 1
    );
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); contenders.len()];
    let mut refused = vec![false; contenders.len()];
    for number in 0..RUNS {
        for (index, contender) in contenders.iter().enumerate() {
            if refused[index] {
                continue;
            }
            match measured(contender, archive, work)? {
                Some(cost) if number > 0 => costs[index].push(cost),
                Some(_) => {}
                None => refused[index] = true,
            }
        }
    }
    let floor = costs[0].clone();
    println!("| | wall s | CPU s | peak MiB | wall / floor |");
    println!("|---|---|---|---|---|");
    for (contender, costs) in contenders.iter().zip(&costs) {
        if costs.is_empty() {
            println!("| {} | does not load this archive | | | |", contender.name);
            continue;
        }
        let ratios = costs
            .iter()
            .zip(&floor)
            .map(|(cost, floor)| cost.wall / floor.wall);
        println!(
            "| {} | {:.2} | {:.2} | {:.0} | {:.2} |",
            contender.name,
            median(costs.iter().map(|cost| cost.wall)),
            median(costs.iter().map(|cost| cost.cpu)),
            median(costs.iter().map(|cost| kibibytes(cost.memory) / 1024.0)),
            median(ratios),
        );
    }
    Ok(())
}

/// Runs a contender once in an empty folder, in a process that does nothing else. `None` if it
/// does not want the archive.
fn measured(contender: &Contender, archive: &Path, work: &Path) -> Result<Option<Cost>> {
    let folder = work.join("run");
    let _ = Command::new("umount")
        .arg(folder.join("root/overlay"))
        .stderr(Stdio::null())
        .status();
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let output = answer(
        Command::new(std::env::current_exe()?)
            .args(["bench", "measure", &contender.script])
            .env("F", archive)
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
        return Err(format!("`{output}` is no measurement").into());
    };
    Ok(Some(Cost {
        wall: wall.parse()?,
        cpu: cpu.parse()?,
        memory: memory.parse()?,
    }))
}

/// Runs one shell command and prints what it took.
fn measure(arguments: &[String]) -> Result<()> {
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

/// Packs real files of this machine: programs and libraries, up to 300 MB, in three layers.
fn quick_corpus(work: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    println!("packing files of this machine");
    let (plain, compressed) = (work.join("plain.tar"), work.join("compressed.tar"));
    let script = r#"
        cd "$W"; mkdir layers
        for part in bin lib share; do
            find /usr/$part -xdev -type f -size -8M -printf '%s %p\n' | sort -k 2 |
                awk '{ sum += $1; if (sum > 100000000) exit; sub(/^[0-9]+ /, ""); print }' > $part.list
            tar -cf layers/$part.tar --no-recursion -T $part.list 2>/dev/null || true
        done
    "#;
    run(Command::new("bash").args(["-c", script]).env("W", work))?;
    let mut layers: Vec<PathBuf> = fs::read_dir(work.join("layers"))?
        .map(|file| Ok(file?.path()))
        .collect::<Result<_>>()?;
    layers.sort();
    docker_archive(&layers, &plain, false)?;
    docker_archive(&layers, &compressed, true)?;
    Ok(vec![("plain layers", plain), ("gzip layers", compressed)])
}

/// Writes a Docker archive of layers, which are compressed with gzip on demand.
fn docker_archive(layers: &[PathBuf], archive: &Path, compress: bool) -> Result<()> {
    let digest = |path: &Path| -> Result<String> {
        let line = answer(Command::new("sha256sum").arg(path)).ok_or("sha256sum has failed")?;
        Ok(line.split(' ').next().unwrap_or_default().to_owned())
    };
    let mut builder = tar::Builder::new(fs::File::create(archive)?);
    let (mut names, mut diff_ids) = (Vec::new(), Vec::new());
    for layer in layers {
        let hex = digest(layer)?;
        let name = format!("{hex}/layer.tar");
        let mut path = layer.clone();
        if compress {
            path = layer.with_extension("tar.gz");
            let output = fs::File::create(&path)?;
            run(Command::new("gzip")
                .args(["-c", "-6"])
                .arg(layer)
                .stdout(output))?;
        }
        builder.append_path_with_name(&path, &name)?;
        diff_ids.push(format!("sha256:{hex}"));
        names.push(name);
    }
    let architecture = if std::env::consts::ARCH == "aarch64" {
        "arm64"
    } else {
        "amd64"
    };
    let config = serde_json::to_vec(&serde_json::json!({
        "architecture": architecture,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }))?;
    let parent = archive.parent().ok_or("the archive has no folder")?;
    let config_file = parent.join("config.json");
    fs::write(&config_file, &config)?;
    let config_name = format!("{}.json", digest(&config_file)?);
    let manifest = serde_json::json!([{
        "Config": config_name, "RepoTags": ["corpus:1"], "Layers": names,
    }]);
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    for (name, contents) in [
        (config_name.as_str(), config),
        ("manifest.json", serde_json::to_vec(&manifest)?),
    ] {
        header.set_size(contents.len() as u64);
        builder.append_data(&mut header, name, contents.as_slice())?;
    }
    builder.into_inner()?;
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
