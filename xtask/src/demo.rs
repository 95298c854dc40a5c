//! `cargo xtask demo [ARCHIVE]`: msb at work on a real image, from nothing.
//!
//! Without an archive the image is made of files of this machine: msb itself, the libraries it
//! needs and a few more, in three layers, one of which takes away what another has.

mod compare;
mod image;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use self::compare::{check_saved, compare};
use self::image::write_image;
use crate::command::{Result, answer, cargo, root, run};
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

    /// Runs msb, and shows what it prints.
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
