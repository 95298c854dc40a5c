//! Devices of the device mapper over files, which go with the mount that is made of them.
//!
//! Owns the calls of `losetup` and `dmsetup`, and that a device goes when nothing uses it any more. Knows
//! nothing of what the devices show.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{MountError, run};
use crate::fs;

/// How the name of a mapped device of msb begins.
const PREFIX: &str = "msb-";
/// Where the kernel tells of devices.
const DEVICES: &str = "/sys/block";
/// Where programs are that only root runs, which may be missing from `PATH`.
const SYSTEM_PROGRAMS: [&str; 2] = ["/usr/sbin", "/sbin"];
/// The suffix of the device that a mapped one reads, if it has one.
const DATA: &str = "-data";
const DMSETUP: &str = "dmsetup";
const LOSETUP: &str = "losetup";

/// Loop devices and mapped devices. When it is dropped, each goes as soon as nothing uses it: at once if
/// something has failed, and with the mount if there is one.
#[derive(Debug)]
pub(crate) struct MappedDevices {
    name: String,
    loops: Vec<LoopDevice>,
    mapped: Vec<String>,
}

/// A file as a block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoopDevice {
    pub(crate) path: PathBuf,
    /// What the kernel says that it is of.
    pub(crate) backing_file: String,
}

/// Checks that devices can be mapped on this machine.
pub(crate) fn check() -> Result<(), MountError> {
    run_program(LOSETUP, &["--version"], b"")?.map_err(|source| device("a file", source))?;
    let answer = run_program(DMSETUP, &["version"], b"")?;
    answer.map(drop).map_err(MountError::NoDeviceMapper)
}

/// Takes away what a process has left that was killed while it set up devices of a name.
pub(crate) fn remove_left(name: &str, loops: &[LoopDevice]) {
    if loops.is_empty() {
        return;
    }
    // The number of one that has gone may be that of another file's by now.
    let loops = loops.iter().filter(|left| {
        backing_file(&left.path).is_some_and(|backing_file| backing_file == left.backing_file)
    });
    drop(MappedDevices {
        name: name.to_owned(),
        loops: loops.cloned().collect(),
        mapped: vec![format!("{name}{DATA}"), name.to_owned()],
    });
}

/// Returns whether something that is mounted is a mapped device of msb.
pub(crate) fn is_ours(source: &OsStr) -> bool {
    let Some(name) = Path::new(source).file_name() else {
        return false;
    };
    let is_mapped = super::begins_with(name, OsStr::new("dm-"));
    let path = Path::new(DEVICES).join(name).join("dm/name");
    is_mapped && fs::read_text(&path).is_ok_and(|name| name.starts_with(PREFIX))
}

impl MappedDevices {
    /// Returns that there is none yet of a name.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            loops: Vec::new(),
            mapped: Vec::new(),
        }
    }

    /// Makes a file a block device, read-only.
    pub(crate) fn attach(&mut self, file: &Path) -> Result<&LoopDevice, MountError> {
        let what = || format!("`{}`", file.display());
        let options = ["--read-only", "--find", "--show"].map(OsStr::new);
        let arguments: Vec<&OsStr> = options.into_iter().chain([file.as_os_str()]).collect();
        let printed = run_program(LOSETUP, &arguments, b"")?;
        let path = printed.map_err(|source| device(&what(), source))?;
        let path = PathBuf::from(path.trim_end());
        let backing_file = backing_file(&path).unwrap_or_default();
        self.loops.push(LoopDevice { path, backing_file });
        let attached = self.loops.last();
        attached.ok_or_else(|| device(&what(), io::ErrorKind::NotFound.into()))
    }

    /// Maps the data that another device is to read, by a table. Returns where it is.
    pub(crate) fn map_data(&mut self, table: &[u8]) -> Result<PathBuf, MountError> {
        self.map(format!("{}{DATA}", self.name), table)
    }

    /// Maps the device that is to be mounted, by a table. Returns where it is.
    pub(crate) fn map_whole(&mut self, table: &[u8]) -> Result<PathBuf, MountError> {
        self.map(self.name.clone(), table)
    }

    fn map(&mut self, name: String, table: &[u8]) -> Result<PathBuf, MountError> {
        let what = format!("`{PREFIX}{name}`");
        let failed = |source| device(&what, source);
        let prefixed = format!("{PREFIX}{name}");
        let created = run_program(DMSETUP, &["create", "--readonly", &prefixed], table)?;
        created.map_err(failed)?;
        self.mapped.push(name);
        // What the kernel calls it is there without udev as well.
        let arguments = [
            "info",
            "--columns",
            "--noheadings",
            "--options=blkdevname",
            &prefixed,
        ];
        let printed = run_program(DMSETUP, &arguments, b"")?.map_err(failed)?;
        Ok(Path::new("/dev").join(printed.trim()))
    }
}

impl Drop for MappedDevices {
    fn drop(&mut self) {
        // The upper one first. One that is used goes later: the kernel sees to it.
        for name in self.mapped.iter().rev() {
            let prefixed = format!("{PREFIX}{name}");
            let _ = run_program(DMSETUP, &["remove", "--deferred", &prefixed], b"");
        }
        let mut command = vec!["--detach".to_owned()];
        command.extend(self.loops.iter().map(|it| it.path.display().to_string()));
        if command.len() > 1 {
            let _ = run_program(LOSETUP, &command, b"");
        }
    }
}

/// Returns which file the kernel says that a loop device is of.
fn backing_file(device: &Path) -> Option<String> {
    let name = device.file_name()?;
    let path = Path::new(DEVICES).join(name).join("loop/backing_file");
    let text = fs::read_text(&path).ok()?;
    Some(text.trim_end_matches('\n').to_owned())
}

fn device(what: &str, source: io::Error) -> MountError {
    MountError::Device {
        what: what.to_owned(),
        source,
    }
}

/// Runs a program of the system with something on its standard input. The outer error is that it is not
/// there.
fn run_program(
    program: &'static str,
    arguments: &[impl AsRef<OsStr>],
    input: &[u8],
) -> Result<io::Result<String>, MountError> {
    let elsewhere = SYSTEM_PROGRAMS.map(|directory| Path::new(directory).join(program));
    for path in std::iter::once(PathBuf::from(program)).chain(elsewhere) {
        let mut command = Command::new(path);
        command.args(arguments);
        match run(&mut command, input) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
            ran => return Ok(ran),
        }
    }
    Err(MountError::NoProgram { program })
}
