//! `cargo xtask dist`: what people install, in `target/dist`.
//!
//! An archive with the program, completions and manual pages, a Debian package where `cargo deb` is
//! installed, a list of what is inside (SBOM) and checksums. The same commit, compiler and program give
//! the same bytes: times are those of the commit, or of `SOURCE_DATE_EPOCH`.

mod archive;
mod sbom;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Result, answer, cargo, root, run, shown};
use crate::demo::target_directory;
use crate::digest::sha256_of;
use crate::guests;

const USAGE: &str = "dist takes: [--binary FILE] [--target TRIPLE] [--out DIR]";
/// Shells and what completion files are called there.
const SHELLS: [(&str, &str); 5] = [
    ("bash", "msb.bash"),
    ("elvish", "msb.elv"),
    ("fish", "msb.fish"),
    ("powershell", "_msb.ps1"),
    ("zsh", "_msb"),
];
/// Files of the repository that go along.
const DOCUMENTS: [&str; 3] = ["CHANGELOG.md", "LICENSE", "README.md"];

/// Builds msb with optimisation, unless a program is given, and packs it.
pub(crate) fn run_all(arguments: &[String]) -> Result<()> {
    let (mut binary, mut triple, mut out) = (None, None, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let into = match word.as_str() {
            "--binary" => &mut binary,
            "--target" => &mut triple,
            "--out" => &mut out,
            _ => return Err(USAGE.into()),
        };
        *into = Some(words.next().ok_or(USAGE)?.clone());
    }
    let root = root()?;
    let target = target_directory(&root)?;
    let binary = match binary {
        Some(binary) => std::path::absolute(binary)?,
        None => build(&root, &target, triple.as_deref())?,
    };
    let triple = triple.map_or_else(host_triple, Ok)?;
    let out = out.map_or_else(|| Ok(target.join("dist")), std::path::absolute)?;
    for file in pack(&root, &binary, &triple, &out)? {
        println!("dist: {}", shown(&file));
    }
    Ok(())
}

fn build(root: &Path, target: &Path, triple: Option<&str>) -> Result<PathBuf> {
    guests::build()?;
    let mut command = Command::new(cargo());
    command
        .current_dir(root)
        .args(["build", "--release", "--locked", "--package", "msb"])
        .env_remove("CARGO_MANIFEST_DIR");
    if let Some(triple) = triple {
        command.args(["--target", triple]);
    }
    run(&mut command)?;
    let folder = triple.map_or_else(|| target.to_owned(), |triple| target.join(triple));
    Ok(folder.join("release/msb"))
}

/// Packs a program. Returns the files that were made, the checksums last.
pub(crate) fn pack(root: &Path, binary: &Path, triple: &str, out: &Path) -> Result<Vec<PathBuf>> {
    let version = answer(Command::new(binary).arg("--version"))
        .and_then(|line| line.split_whitespace().nth(1).map(str::to_owned))
        .ok_or_else(|| format!("{} does not run here", binary.display()))?;
    let name = format!("msb-{version}-{triple}");
    let folder = out.join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    lay_out(root, binary, &folder)?;
    let bill = out.join(format!("{name}.cdx.json"));
    fs::write(&bill, sbom::of(root, triple)?)?;
    let mut files = vec![bill];
    let time = commit_time(root)?;
    let tarball = out.join(format!("{name}.tar.gz"));
    archive::write(&folder, &name, time, &tarball)?;
    files.push(tarball);
    files.extend(debian_package(root, triple, &folder)?);
    let sums = out.join("SHA256SUMS");
    fs::write(&sums, checksums(&files)?)?;
    files.push(sums);
    Ok(files)
}

/// Packs the msb that the tests use, and checks what comes of it.
pub(crate) fn check(root: &Path) -> Result<()> {
    let out = tempfile::tempdir()?;
    let binary = target_directory(root)?.join("debug/msb");
    let triple = host_triple()?;
    pack(root, &binary, &triple, out.path())?;
    let sums = ["--check", "--strict", "--quiet", "SHA256SUMS"];
    run(Command::new("sha256sum").current_dir(out.path()).args(sums))?;
    let version = answer(Command::new(&binary).arg("--version")).unwrap_or_default();
    let name = format!("{}-{triple}", version.replace(' ', "-"));
    let unpacked = out.path().join("unpacked");
    fs::create_dir(&unpacked)?;
    let tarball = out.path().join(format!("{name}.tar.gz"));
    run(Command::new("tar")
        .arg("xzf")
        .arg(tarball)
        .arg("-C")
        .arg(&unpacked))?;
    let folder = unpacked.join(name);
    if answer(Command::new(folder.join("msb")).arg("--version")) != Some(version) {
        return Err("the program in the archive is another one".into());
    }
    for file in SHELLS.map(|(_, file)| format!("completions/{file}")) {
        if fs::read_to_string(folder.join(&file))?.contains("target/debug") {
            return Err(format!("{file} names the program where it was built").into());
        }
    }
    for page in ["msb.1", "msb-pull.1", "msb-image-inspect.1"] {
        fs::metadata(folder.join("man/man1").join(page))?;
    }
    Ok(())
}

/// Lays out the files of the archive in a folder.
fn lay_out(root: &Path, binary: &Path, folder: &Path) -> Result<()> {
    let completions = folder.join("completions");
    fs::create_dir_all(&completions)?;
    for document in DOCUMENTS {
        fs::copy(root.join(document), folder.join(document))?;
    }
    fs::copy(binary, folder.join("msb"))?;
    for (shell, file) in SHELLS {
        let script = Command::new(binary).args(["completion", shell]).output()?;
        if !script.status.success() {
            return Err(format!("there is no completion for {shell}").into());
        }
        fs::write(completions.join(file), script.stdout)?;
    }
    run(Command::new(binary).arg("man").arg(folder.join("man/man1")))
}

/// Returns the Debian package of the files in a folder, or nothing where what makes it is not installed.
fn debian_package(root: &Path, triple: &str, folder: &Path) -> Result<Option<PathBuf>> {
    if answer(Command::new(cargo()).args(["deb", "--version"])).is_none() {
        println!("dist: no Debian package is made: that takes `cargo install cargo-deb`");
        return Ok(None);
    }
    let package = folder.with_file_name(format!("msb-{triple}.deb"));
    // What goes into it is named in cli/Cargo.toml, below this link.
    let link = target_directory(root)?.join("release/dist");
    fs::create_dir_all(link.with_file_name(""))?;
    if link.symlink_metadata().is_ok() {
        fs::remove_file(&link)?;
    }
    std::os::unix::fs::symlink(folder, &link)?;
    run(Command::new(cargo())
        .current_dir(root)
        .args([
            "deb",
            "--package",
            "msb",
            "--no-build",
            "--no-strip",
            "--output",
        ])
        .arg(&package)
        .env_remove("CARGO_MANIFEST_DIR"))?;
    Ok(Some(package))
}

/// Returns lines for `sha256sum --check`.
fn checksums(files: &[PathBuf]) -> Result<String> {
    let line = |file: &PathBuf| -> Result<String> {
        let digest = sha256_of(&mut fs::File::open(file)?)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Ok(format!("{digest}  {name}\n"))
    };
    files.iter().map(line).collect()
}

/// Returns the seconds since 1970 that files of the archive have.
fn commit_time(root: &Path) -> Result<u64> {
    if let Ok(time) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(time.parse()?);
    }
    let log = answer(
        Command::new("git")
            .current_dir(root)
            .args(["log", "-1", "--format=%ct"]),
    );
    Ok(log
        .ok_or("git does not tell the time of the commit; set SOURCE_DATE_EPOCH")?
        .parse()?)
}

fn host_triple() -> Result<String> {
    let version = answer(Command::new("rustc").arg("-vV")).ok_or("rustc does not run")?;
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.ok_or("rustc does not tell its host")?.to_owned())
}
