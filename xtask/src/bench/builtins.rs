//! What the plugins that ship with msb cost in two of them, which take turns.
//!
//! Each step is what msb itself has measured and shows with `--debug`; a whole load is measured from
//! outside.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::Place;
use crate::command::Result;
use crate::digest;

/// Turns of each msb.
const TURNS: usize = 21;
/// Uses of a plugin that was compiled before, in each turn.
const USES: usize = 5;
/// The registries that the settings name, by the providers that are asked about them.
const REGISTRIES: &str = r#"{"registries": {"auth": {
    "variable.example": {"username": "ann", "password_env": "BENCH_PASSWORD"},
    "file.example": {"username": "ann", "secret_name": "bench"}
}}}"#;

/// What was measured, in milliseconds, by its title.
type Costs = BTreeMap<String, Vec<f64>>;

/// Prints a row for each plugin and step.
pub(super) fn run_all(place: &Place, before: &Path) -> Result<()> {
    let archives = archives(place.work.path())?;
    let programs = [before.to_owned(), place.msb()];
    let mut turns: [Vec<Costs>; 2] = [Vec::new(), Vec::new()];
    for turn in 0..TURNS {
        // Who is first has the colder machine.
        let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
        for index in order {
            let home = place.work.path().join("home");
            let _ = fs::remove_dir_all(&home);
            fs::create_dir_all(&home)?;
            turns[index].push(measured(&programs[index], &home, &archives)?);
        }
    }
    println!("\nmedians of {TURNS} turns of each; the ratio is that of two turns in a row\n");
    println!("| | before ms | now ms | now / before | middle half of the ratios |");
    println!("|---|---|---|---|---|");
    for title in turns[0][0].keys() {
        let each = |index: usize| -> Result<Vec<f64>> {
            let values = turns[index].iter().map(|costs| costs.get(title));
            let values: Option<Vec<f64>> =
                values.map(|values| Some(quantile(values?, 0.5))).collect();
            values.ok_or_else(|| format!("only one of both has `{title}`").into())
        };
        let (before, now) = (each(0)?, each(1)?);
        let ratios: Vec<f64> = now
            .iter()
            .zip(&before)
            .map(|(now, before)| now / before)
            .collect();
        println!(
            "| {title} | {:.2} | {:.2} | {:.2} | {:.2} to {:.2} |",
            quantile(&before, 0.5),
            quantile(&now, 0.5),
            quantile(&ratios, 0.5),
            quantile(&ratios, 0.25),
            quantile(&ratios, 0.75),
        );
    }
    Ok(())
}

/// Uses all plugins in a new home, where they are compiled, and then again.
fn measured(msb: &Path, home: &Path, archives: &[PathBuf; 2]) -> Result<Costs> {
    fs::write(home.join("config.json"), REGISTRIES)?;
    let mut costs = Costs::new();
    for number in 0..=USES {
        for archive in archives {
            let started = Instant::now();
            let steps = run(msb, home, &["load", "--input"], Some(archive))?;
            let took = started.elapsed().as_secs_f64() * 1e3;
            let name = archive.file_stem().unwrap_or_default().display();
            let when = if number == 0 { "first" } else { "later" };
            push(
                &mut costs,
                format!("load of a small {name} archive, {when}"),
                took,
            );
            add(&mut costs, &steps, number == 0);
            run(msb, home, &["rmi", "bench:1"], None)?;
        }
        for registry in ["variable.example", "file.example", "other.example"] {
            let steps = run(msb, home, &["plugin", "explain-auth", registry], None)?;
            // What is asked about a second registry in this home is compiled.
            add(&mut costs, &steps, number == 0);
        }
    }
    Ok(costs)
}

/// Runs msb and returns what it says about its work.
fn run(msb: &Path, home: &Path, words: &[&str], path: Option<&Path>) -> Result<String> {
    let output = Command::new(msb)
        .arg("--debug")
        .args(words)
        .args(path)
        .env("MSB_HOME", home)
        .env("DOCKER_CONFIG", home.join("docker"))
        .env("BENCH_PASSWORD", "secret")
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", msb.display()))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(format!("`{} {}` fails: {said}", msb.display(), words.join(" ")).into())
    }
}

/// Adds what lines such as ``debug: plugin env: `get` took 0.24 ms, 0.02 ms of it in the host, 7 calls``
/// say.
fn add(costs: &mut Costs, said: &str, is_first: bool) {
    for line in said.lines() {
        let Some((plugin, step, took, in_host)) = step_of(line) else {
            continue;
        };
        let known = costs.contains_key(&format!("{plugin}: compiled"));
        match step {
            "making it ready" if is_first && !known => {
                push(costs, format!("{plugin}: compiled"), took);
            }
            "making it ready" => push(costs, format!("{plugin}: from the cache"), took),
            "making an instance" => push(costs, format!("{plugin}: instance"), took),
            call => push(
                costs,
                format!("{plugin}: {call}, without the host"),
                took - in_host,
            ),
        }
    }
}

/// Returns plugin, step, milliseconds, and those of them in the host.
fn step_of(line: &str) -> Option<(&str, &str, f64, f64)> {
    let (plugin, rest) = line.strip_prefix("debug: plugin ")?.split_once(": ")?;
    let (step, rest) = rest.split_once(" took ")?;
    let mut times = rest.split(", ").filter_map(|part| part.split_once(" ms"));
    let took = times.next()?.0.parse().ok()?;
    let in_host = times.next().and_then(|(time, _)| time.parse().ok());
    Some((plugin, step, took, in_host.unwrap_or(0.0)))
}

fn push(costs: &mut Costs, title: String, value: f64) {
    costs.entry(title).or_default().push(value);
}

/// Returns the value below which this share of all values is.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a place among a few values"
    )]
    let place = ((values.len().saturating_sub(1)) as f64 * share).round() as usize;
    values.get(place).copied().unwrap_or(f64::NAN)
}

/// Writes an image with one file, as Docker saves it and as an OCI layout.
fn archives(folder: &Path) -> Result<[PathBuf; 2]> {
    let layer = tar(&[("etc-hosts", b"127.0.0.1 localhost\n")])?;
    let diff_id = digest::sha256(&layer);
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{diff_id}")]},
    })
    .to_string();
    let list = serde_json::json!([
        {"Config": "config.json", "RepoTags": ["bench:1"], "Layers": ["layer.tar"]}
    ]);
    let docker = tar(&[
        ("config.json", config.as_bytes()),
        ("layer.tar", &layer),
        ("manifest.json", list.to_string().as_bytes()),
    ])?;
    let descriptor = |media_type: &str, bytes: &[u8]| {
        serde_json::json!({
            "mediaType": format!("application/vnd.oci.image.{media_type}"),
            "digest": format!("sha256:{}", digest::sha256(bytes)), "size": bytes.len(),
        })
    };
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "config": descriptor("config.v1+json", config.as_bytes()),
        "layers": [descriptor("layer.v1.tar", &layer)],
    })
    .to_string();
    let mut listed = descriptor("manifest.v1+json", manifest.as_bytes());
    listed["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": "bench:1"});
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [listed]}).to_string();
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", digest::sha256(bytes));
    let oci = tar(&[
        ("oci-layout", br#"{"imageLayoutVersion": "1.0.0"}"#),
        ("index.json", index.as_bytes()),
        (&blob(manifest.as_bytes()), manifest.as_bytes()),
        (&blob(config.as_bytes()), config.as_bytes()),
        (&blob(&layer), &layer),
    ])?;
    let paths = [folder.join("docker.tar"), folder.join("oci.tar")];
    for (path, bytes) in paths.iter().zip([docker, oci]) {
        fs::write(path, bytes)?;
    }
    Ok(paths)
}

fn tar(files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(contents.len() as u64);
        builder.append_data(&mut header, name, *contents)?;
    }
    Ok(builder.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_msb_says_about_its_work_is_understood() {
        let line = "debug: plugin env: `get` took 0.24 ms, 0.02 ms of it in the host, 7 calls";
        assert_eq!(step_of(line), Some(("env", "`get`", 0.24, 0.02)));
        let line = "debug: plugin oci-layout: making it ready took 468.94 ms";
        assert_eq!(
            step_of(line),
            Some(("oci-layout", "making it ready", 468.94, 0.0))
        );
        assert_eq!(step_of("info: Reading archive"), None);
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5).to_bits(), 2.0f64.to_bits());
    }
}
