//! `cargo xtask kernel`: the Linux that virtual machines of the tests boot, below `target/guest-kernel`
//! where the tests look for it. It is Debian's for clouds, out of its backports, since the stable one is
//! too old for a disk of several parts. It is unpacked and not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Result, answer, root, run, shown};

/// The package that depends on the newest kernel.
const NEWEST: &str = "linux-image-cloud-amd64";
/// What a machine needs to mount disks: drives, the filesystem, what proves them, and what lets programs
/// write over them.
const MODULES: [&str; 6] = [
    "virtio_blk",
    "erofs",
    "loop",
    "dm_mod",
    "dm_verity",
    "overlay",
];
/// The file that says which modules were wanted.
const WANTED: &str = "wanted";
/// What stands in a module before the names of those that it needs.
const DEPENDS: &[u8] = b"\0depends=";

/// Gets the kernel, unless it is there. Where it cannot be had, says so: the tests that need it say the
/// same, and what becomes of them.
pub(crate) fn ensure() -> Result<()> {
    let folder = root()?.join("target/guest-kernel");
    // Written last: what was broken off is begun again, and so is what lacks a module.
    let wanted = fs::read_to_string(folder.join(WANTED)).unwrap_or_default();
    if folder.join("vmlinuz").is_file() && wanted == MODULES.join(" ") {
        return Ok(());
    }
    if let Err(error) = install(&folder) {
        println!("kernel: no Linux for virtual machines: {error}");
    }
    Ok(())
}

fn install(folder: &Path) -> Result<()> {
    println!("kernel: fetching into {}", shown(folder));
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let apt = Apt::new(folder)?;
    run(apt.command("apt-get").args(["update", "-qq"]))?;
    let package = apt.newest()?;
    run(apt
        .command("apt-get")
        .args(["download", "-qq", &package])
        .current_dir(folder))?;
    let archive = only(folder, |name| name.starts_with("linux-image"))?;
    let unpacked = folder.join("unpacked");
    run(Command::new("dpkg-deb")
        .arg("-x")
        .args([&archive, &unpacked]))?;
    let release = only(&unpacked.join("lib/modules"), |_| true)?;
    let mut modules = Modules {
        from: release.join("kernel"),
        into: folder.join("modules"),
        names: Vec::new(),
    };
    fs::create_dir_all(&modules.into)?;
    for name in MODULES {
        modules.add(name)?;
    }
    let kernel = only(&unpacked.join("boot"), |name| name.starts_with("vmlinuz"))?;
    fs::copy(kernel, folder.join("vmlinuz.part"))?;
    for rest in [archive, unpacked, folder.join("apt")] {
        if rest.is_dir() {
            fs::remove_dir_all(rest)?;
        } else {
            fs::remove_file(rest)?;
        }
    }
    fs::rename(folder.join("vmlinuz.part"), folder.join("vmlinuz"))?;
    fs::write(folder.join(WANTED), MODULES.join(" "))?;
    Ok(())
}

/// The package manager with a list of packages of its own: that of the machine stays as it is.
struct Apt(Vec<String>);

impl Apt {
    fn new(folder: &Path) -> Result<Self> {
        let release = fs::read_to_string("/etc/os-release")?;
        let value = |key: &str| {
            let line = release.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.trim_start_matches('=').trim_matches('"').to_owned())
        };
        let codename = value("VERSION_CODENAME").ok_or("the system has no name of its release")?;
        if value("ID").as_deref() != Some("debian") {
            return Err("the system is not Debian".into());
        }
        // From where the machine has its packages.
        let format = ["indextargets", "--format", "$(RELEASE) $(REPO_URI)"];
        let targets = answer(Command::new("apt-get").args(format)).unwrap_or_default();
        let prefix = format!("{codename} ");
        let mirror = targets.lines().find_map(|line| line.strip_prefix(&prefix));
        let mirror = mirror.ok_or("the system has no source of packages")?;
        let own = folder.join("apt");
        fs::create_dir_all(own.join("lists/partial"))?;
        fs::create_dir_all(own.join("cache/archives/partial"))?;
        let list = own.join("sources.list");
        fs::write(&list, format!("deb {mirror} {codename}-backports main\n"))?;
        let own = own.display();
        Ok(Self(vec![
            format!("Dir::Etc::SourceList={}", list.display()),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={own}/lists"),
            format!("Dir::Cache={own}/cache"),
            // A folder in `target` need not be one that its own user can read.
            "APT::Sandbox::User=root".to_owned(),
        ]))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for option in &self.0 {
            command.args(["-o", option]);
        }
        command
    }

    /// Returns the package with the newest kernel.
    fn newest(&self) -> Result<String> {
        let text = answer(self.command("apt-cache").args(["depends", NEWEST])).unwrap_or_default();
        let found = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("Depends: "));
        let found = found.map(str::to_owned);
        found.ok_or_else(|| format!("no package depends on a kernel as {NEWEST} does").into())
    }
}

/// Modules of a kernel, which are numbered in the order in which they are loaded.
struct Modules {
    from: PathBuf,
    into: PathBuf,
    names: Vec<String>,
}

impl Modules {
    /// Adds a module, and before it those that it needs. One that is built in is not there.
    fn add(&mut self, name: &str) -> Result<()> {
        let name = name.replace('-', "_");
        if self.names.contains(&name) {
            return Ok(());
        }
        let Some(path) = find(&self.from, &name)? else {
            return Ok(());
        };
        let bytes = if path.extension().is_some_and(|it| it == "xz") {
            let mut command = Command::new("xz");
            command.args(["--decompress", "--stdout"]).arg(&path);
            command.output()?.stdout
        } else {
            fs::read(&path)?
        };
        let at = bytes.windows(DEPENDS.len()).position(|it| it == DEPENDS);
        let needed = at.and_then(|at| bytes.get(at + DEPENDS.len()..));
        let needed = needed.and_then(|rest| rest.split(|byte| *byte == 0).next());
        let needed = needed.ok_or_else(|| format!("{} says not what it needs", path.display()))?;
        for needed in String::from_utf8_lossy(needed).split(',') {
            if !needed.is_empty() {
                self.add(needed)?;
            }
        }
        let file = format!("{:02}-{name}.ko", self.names.len());
        fs::write(self.into.join(file), bytes)?;
        self.names.push(name);
        Ok(())
    }
}

/// Returns the file of a module below a folder.
fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let stem = entry.file_name().to_string_lossy().replace('-', "_");
        if entry.file_type()?.is_dir() {
            if let Some(found) = find(&path, name)? {
                return Ok(Some(found));
            }
        } else if stem.split('.').next() == Some(name) && stem.contains(".ko") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Returns the only entry of a folder whose name is like that.
fn only(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_wanted(&entry.file_name().to_string_lossy()) {
            return Ok(entry.path());
        }
    }
    Err(format!("what was expected in {} is not there", folder.display()).into())
}
