//! `cargo xtask demo [ARCHIVE]`: msb at work on a real image, from nothing.
//!
//! Without an archive the image is made of files of this machine: msb itself, the libraries it
//! needs and a few more, in three layers, one of which takes away what another has.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::command::{Result, answer, cargo, root, run};
use crate::digest::{sha256, sha256_of};
use crate::guests;

/// The steps that were shown and checked.
struct Demo {
    msb: PathBuf,
    directory: tempfile::TempDir,
    home: PathBuf,
}

/// Builds msb and shows it at work.
pub(crate) fn run_all(arguments: &[String]) -> Result<()> {
    guests::build()?;
    let root = root()?;
    run(Command::new(cargo())
        .current_dir(&root)
        .args(["build", "--package", "msb"])
        .env_remove("CARGO_MANIFEST_DIR"))?;
    let directory = tempfile::tempdir()?;
    let mut demo = Demo {
        msb: target_directory(&root)?.join("debug/msb"),
        home: directory.path().join("home"),
        directory,
    };
    let archive = if let Some(archive) = arguments.first() {
        fs::canonicalize(archive)?
    } else {
        println!("\n# An image of files of this machine, in a Docker archive.");
        let path = demo.directory.path().join("demo.tar");
        write_image(&demo.msb, &path)?;
        path
    };
    demo.show(&archive)
}

impl Demo {
    fn show(&mut self, archive: &Path) -> Result<()> {
        println!("\n# It is loaded through a sandboxed plugin: each layer becomes an EROFS image.");
        let name = archive.display().to_string();
        self.msb(&["load", "--input", &name])?;
        self.msb(&["images"])?;
        let images: Value = serde_json::from_str(&self.quiet(&["images", "--format", "json"])?)?;
        let id = images[0]["id"]
            .as_str()
            .ok_or("nothing was loaded")?
            .to_owned();
        let image = images[0]["reference"].as_str().unwrap_or_default();
        let image = if image == "<none>" {
            id.as_str()
        } else {
            image
        }
        .to_owned();
        self.msb(&["image", "inspect", &image])?;
        let before = self.inspect(&image)?;

        println!("\n# It is saved, and the layers are the bytes that they were.");
        let saved = self.directory.path().join("saved.tar");
        self.msb(&["save", "--output", &saved.display().to_string(), &image])?;
        check_saved(&saved, &before)?;
        self.mount(&saved, &before)?;

        println!("\n# Another store loads it from a pipe, with the same digests.");
        self.home = self.directory.path().join("other-home");
        let mut save = Command::new("cat");
        save.arg(&saved).stdout(Stdio::piped());
        let mut save = save.spawn()?;
        println!("$ cat saved.tar | msb load");
        let status = self
            .command(&["load"])
            .stdin(save.stdout.take().ok_or("cat has no output")?)
            .status()?;
        save.wait()?;
        if !status.success() {
            return Err("msb load has failed".into());
        }
        let after = self.inspect(&image)?;
        for key in ["id", "digest", "references"] {
            if key != "digest" && before[key] != after[key] {
                return Err(format!("{key} is {} and was {}", after[key], before[key]).into());
            }
        }
        if diff_ids(&before) != diff_ids(&after) {
            return Err("the layers are others".into());
        }
        println!(
            "  image ID and {} layers are the same",
            diff_ids(&after).len()
        );

        println!("\n# And it is gone.");
        self.msb(&["rmi", &image])?;
        self.msb(&["images"])?;
        println!("\ndemo: everything is as it should be");
        Ok(())
    }

    /// Mounts the layers as the kernel would for a sandbox, and compares each with its tar.
    fn mount(&self, saved: &Path, image: &Value) -> Result<()> {
        if answer(Command::new("id").arg("-u")).as_deref() != Some("0") {
            println!("\n# Mounting needs root; this part is left out.");
            return Ok(());
        }
        println!("\n# The kernel mounts each layer, and every file is compared with the tar.");
        let mut mounts = Mounts::default();
        for layer in layers(image) {
            let (path, diff_id) = (text(&layer["erofs_path"]), text(&layer["diff_id"]));
            let point = self
                .directory
                .path()
                .join(format!("mnt-{}", mounts.points.len()));
            mounts.mount(&["-t", "erofs", "-o", "ro,loop", path], &point)?;
            let compared = compare(saved, diff_id, &point)?;
            println!("  {}  {compared} entries are the same", &diff_id[..19]);
        }
        let lower: Vec<String> = mounts
            .points
            .iter()
            .rev()
            .map(|point| point.display().to_string())
            .collect();
        let empty = self.directory.path().join("empty");
        fs::create_dir(&empty)?;
        let options = format!("ro,lowerdir={}:{}", lower.join(":"), empty.display());
        let point = self.directory.path().join("rootfs");
        mounts.mount(&["-t", "overlay", "overlay", "-o", &options], &point)?;
        println!("\n# Over each other they are the root filesystem of a sandbox.");
        println!("$ ls {}", point.display());
        run(Command::new("ls").arg(&point))?;
        if point.join("usr/bin/msb").exists() {
            println!("$ chroot {} /usr/bin/msb --version", point.display());
            run(Command::new("chroot")
                .arg(&point)
                .args(["/usr/bin/msb", "--version"]))?;
        }
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.msb);
        command.args(arguments).env("MSB_HOME", &self.home);
        command
    }

    /// Runs msb for everybody to see.
    fn msb(&self, arguments: &[&str]) -> Result<()> {
        let folder = format!("{}/", self.directory.path().display());
        println!("$ msb {}", arguments.join(" ").replace(&folder, ""));
        std::io::stdout().flush()?;
        run(&mut self.command(arguments))
    }

    fn quiet(&self, arguments: &[&str]) -> Result<String> {
        answer(&mut self.command(arguments)).ok_or_else(|| "msb has failed".into())
    }

    fn inspect(&self, image: &str) -> Result<Value> {
        let text = self.quiet(&["image", "inspect", image, "--format", "json"])?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// Mount points, unmounted in the reverse order when dropped.
#[derive(Default)]
struct Mounts {
    points: Vec<PathBuf>,
}

impl Mounts {
    fn mount(&mut self, arguments: &[&str], point: &Path) -> Result<()> {
        fs::create_dir(point)?;
        run(Command::new("mount").args(arguments).arg(point))?;
        self.points.push(point.to_owned());
        Ok(())
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for point in self.points.iter().rev() {
            let _ = Command::new("umount").arg(point).status();
        }
    }
}

fn layers(image: &Value) -> Vec<Value> {
    image["layers"].as_array().cloned().unwrap_or_default()
}

fn diff_ids(image: &Value) -> Vec<String> {
    layers(image)
        .iter()
        .map(|layer| text(&layer["diff_id"]).to_owned())
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Hashes the layers of a saved archive.
fn check_saved(saved: &Path, image: &Value) -> Result<()> {
    let mut wanted: BTreeSet<String> = diff_ids(image).into_iter().collect();
    let mut archive = tar::Archive::new(File::open(saved)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()?.ends_with("layer.tar") {
            let digest = format!("sha256:{}", sha256_of(&mut entry)?);
            println!("  {} is saved bit for bit", &digest[..19]);
            wanted.remove(&digest);
        }
    }
    if wanted.is_empty() {
        Ok(())
    } else {
        Err(format!("these layers were not saved as they were: {wanted:?}").into())
    }
}

/// Compares every entry of a layer's tar with what the kernel shows, and returns their number.
fn compare(saved: &Path, diff_id: &str, point: &Path) -> Result<usize> {
    let mut archive = tar::Archive::new(File::open(saved)?);
    let hex = diff_id.trim_start_matches("sha256:");
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.path()?.starts_with(hex) {
            let mut compared = 0;
            for entry in tar::Archive::new(entry).entries()? {
                compare_entry(&mut entry?, point)?;
                compared += 1;
            }
            return Ok(compared);
        }
    }
    Err(format!("{diff_id} is not in the archive").into())
}

fn compare_entry<R: std::io::Read>(entry: &mut tar::Entry<'_, R>, point: &Path) -> Result<()> {
    let path = entry.path()?.into_owned();
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let differs = |what: &str| Err(format!("{}: {what} differs", path.display()).into());
    if let Some(victim) = name.strip_prefix(".wh.") {
        if name != ".wh..wh..opq" {
            let metadata = point.join(path.with_file_name(victim)).symlink_metadata()?;
            if metadata.rdev() != 0 || metadata.mode() & 0o170_000 != 0o020_000 {
                return differs("the whiteout");
            }
        }
        return Ok(());
    }
    let target = point.join(path.strip_prefix("/").unwrap_or(&path));
    let metadata = target.symlink_metadata()?;
    let header = entry.header();
    if u64::from(metadata.uid()) != header.uid()? || u64::from(metadata.gid()) != header.gid()? {
        return differs("the owner");
    }
    match header.entry_type() {
        tar::EntryType::Symlink => {
            if Some(fs::read_link(&target)?) != entry.link_name()?.map(PathBuf::from) {
                return differs("the target");
            }
        }
        kind => {
            if metadata.mode() & 0o7777 != header.mode()? & 0o7777 {
                return differs("the mode");
            }
            if kind.is_file() {
                let mut wanted = Vec::new();
                entry.read_to_end(&mut wanted)?;
                if fs::read(&target)? != wanted {
                    return differs("the contents");
                }
            }
        }
    }
    Ok(())
}

/// Writes a Docker archive of an image made of files of this machine.
fn write_image(msb: &Path, path: &Path) -> Result<()> {
    let mut libraries: BTreeSet<PathBuf> = BTreeSet::new();
    let listed = answer(Command::new("ldd").arg(msb)).unwrap_or_default();
    for word in listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        libraries.insert(PathBuf::from(word));
    }
    let mut base = tar::Builder::new(Vec::new());
    base.follow_symlinks(true);
    for directory in ["etc/", "usr/bin/", "tmp/"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(if directory == "tmp/" { 0o1777 } else { 0o755 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        base.append_data(&mut header, directory, std::io::empty())?;
    }
    for file in libraries
        .iter()
        .map(PathBuf::as_path)
        .chain([Path::new("/etc/os-release")])
    {
        if file.is_file() {
            base.append_path_with_name(file, file.strip_prefix("/").unwrap_or(file))?;
        }
    }
    append(
        &mut base,
        "etc/motd",
        b"a text that the last layer takes away\n",
    )?;
    let mut program = tar::Builder::new(Vec::new());
    program.append_path_with_name(msb, "usr/bin/msb")?;
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Link);
    link.set_mode(0o755);
    link.set_uid(0);
    link.set_gid(0);
    link.set_size(0);
    program.append_link(&mut link, "usr/bin/msb-too", "usr/bin/msb")?;
    let mut last = tar::Builder::new(Vec::new());
    append(&mut last, "etc/.wh.motd", b"")?;
    append(&mut last, "etc/hostname", b"demo\n")?;

    let layers = [
        base.into_inner()?,
        program.into_inner()?,
        last.into_inner()?,
    ];
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|layer| format!("sha256:{}", sha256(layer)))
        .collect();
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = serde_json::to_vec(&json!({
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["/usr/bin/msb", "--help"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }))?;
    let config_name = format!("{}.json", sha256(&config));
    let names: Vec<String> = diff_ids
        .iter()
        .map(|diff_id| format!("{}/layer.tar", diff_id.trim_start_matches("sha256:")))
        .collect();
    let manifest = json!([{"Config": config_name, "RepoTags": ["demo:latest"], "Layers": names}]);
    let mut archive = tar::Builder::new(File::create(path)?);
    for (name, layer) in names.iter().zip(&layers) {
        append(&mut archive, name, layer)?;
    }
    append(&mut archive, &config_name, &config)?;
    append(
        &mut archive,
        "manifest.json",
        &serde_json::to_vec(&manifest)?,
    )?;
    archive.into_inner()?;
    Ok(())
}

fn append<W: std::io::Write>(
    builder: &mut tar::Builder<W>,
    path: &str,
    contents: &[u8],
) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(contents.len() as u64);
    Ok(builder.append_data(&mut header, path, contents)?)
}

/// Returns the folder that cargo builds into.
pub(crate) fn target_directory(root: &Path) -> Result<PathBuf> {
    let metadata = answer(
        Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(root),
    )
    .ok_or("`cargo metadata` failed")?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    Ok(PathBuf::from(text(&metadata["target_directory"])))
}
