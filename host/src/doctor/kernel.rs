//! What mounting images takes of the kernel of this machine. A microVM brings a kernel of its own.
//!
//! Nothing is mounted or loaded to find out: the kernel lists what it has, and the modules that it can
//! load.

use std::path::{Path, PathBuf};

use super::{Check, Problem};
use crate::fs;

/// Since this release EROFS images can be mounted without a loop device.
const FILE_BACKED: (u32, u32) = (6, 12);

/// Something that mounting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelFeature {
    /// The filesystem of layers.
    Erofs,
    /// What stacks layers.
    Overlay,
    /// Mounts of files without a loop device, or loop devices.
    Files,
    /// What verifies a disk while it is read.
    Verity,
}

impl KernelFeature {
    /// Returns the module that has it.
    pub fn module(self) -> &'static str {
        match self {
            Self::Erofs => "erofs",
            Self::Overlay => "overlay",
            Self::Files => "loop",
            Self::Verity => "dm-verity",
        }
    }

    /// Returns that it is missing, for a sentence.
    pub(super) fn missing(self) -> &'static str {
        match self {
            Self::Erofs => {
                "the kernel has no EROFS, so that layers cannot be mounted on this machine"
            }
            Self::Overlay => {
                "the kernel has no overlay, so that layers cannot be stacked on this machine"
            }
            Self::Files => {
                "the kernel has neither mounts of files nor loop devices, so that layers cannot be \
                 mounted on this machine"
            }
            Self::Verity => {
                "the kernel has no dm-verity, so that disks cannot be verified while they are read"
            }
        }
    }
}

/// What is known of a kernel.
struct Kernel {
    release: String,
    /// The text of `/proc/filesystems`.
    filesystems: String,
    /// The lists of modules that are built in, and of those that can be loaded.
    built_in: String,
    loadable: String,
    /// What the kernel shows of its devices.
    devices: PathBuf,
}

/// Looks at the kernel of this machine.
pub(super) fn features() -> Vec<Check> {
    let text = |path: &Path| fs::read_text(path).unwrap_or_default();
    let release = text(Path::new("/proc/sys/kernel/osrelease"))
        .trim()
        .to_owned();
    let modules = Path::new("/lib/modules").join(&release);
    Kernel {
        filesystems: text(Path::new("/proc/filesystems")),
        built_in: text(&modules.join("modules.builtin")),
        loadable: text(&modules.join("modules.dep")),
        devices: PathBuf::from("/dev"),
        release,
    }
    .features()
}

impl Kernel {
    fn features(&self) -> Vec<Check> {
        const AREA: &str = "kernel";
        let features = [
            (KernelFeature::Erofs, self.has_filesystem("erofs"), "EROFS"),
            (
                KernelFeature::Overlay,
                self.has_filesystem("overlay"),
                "overlay",
            ),
            (
                KernelFeature::Files,
                self.mounts_files(),
                self.way_of_files(),
            ),
            (KernelFeature::Verity, self.has_verity(), "dm-verity"),
        ];
        let found: Vec<&str> = features
            .iter()
            .filter(|(_, is_there, _)| *is_there)
            .map(|(_, _, words)| *words)
            .collect();
        let mut checks = Vec::new();
        if !found.is_empty() {
            let text = format!("Linux {} has {}", self.release, found.join(", "));
            checks.push(Check::good(AREA, text));
        }
        let missing = features.into_iter().filter(|(_, is_there, _)| !is_there);
        checks.extend(missing.map(|(feature, ..)| {
            let is_module = has_module(&self.loadable, feature.module());
            Check::doubtful(AREA, Problem::Kernel { feature, is_module })
        }));
        checks
    }

    fn has_filesystem(&self, name: &str) -> bool {
        let mut lines = self.filesystems.lines();
        lines.any(|line| line.split_whitespace().last() == Some(name))
    }

    fn mounts_files(&self) -> bool {
        self.is_file_backed() || self.devices.join("loop-control").exists()
    }

    fn is_file_backed(&self) -> bool {
        let mut numbers = self.release.split(|c: char| !c.is_ascii_digit());
        let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok());
        matches!((next(), next()), (Some(major), Some(minor)) if (major, minor) >= FILE_BACKED)
    }

    fn way_of_files(&self) -> &'static str {
        if self.is_file_backed() {
            "mounts of files"
        } else {
            "loop devices"
        }
    }

    fn has_verity(&self) -> bool {
        let is_there =
            has_module(&self.built_in, "dm-verity") || has_module(&self.loadable, "dm-verity");
        is_there && self.devices.join("mapper/control").exists()
    }
}

/// Returns whether a list of the kernel's modules has one.
fn has_module(list: &str, name: &str) -> bool {
    list.lines().any(|line| {
        let path = line.split(':').next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default();
        file.split('.').next() == Some(name)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::doctor::Finding;

    fn kernel(release: &str) -> Kernel {
        Kernel {
            release: release.to_owned(),
            filesystems: "nodev\tproc\nnodev\toverlay\n\text4\n\terofs\n".to_owned(),
            built_in: "kernel/drivers/md/dm-verity.ko\n".to_owned(),
            loadable: "kernel/drivers/block/loop.ko.zst: kernel/a.ko\n".to_owned(),
            devices: PathBuf::from("/nowhere"),
        }
    }

    #[test]
    fn what_the_kernel_has_is_found_in_its_lists() {
        let checks = kernel("6.12.3-arch1").features();
        let Finding::Good(text) = &checks[0].finding else {
            panic!("{checks:?}");
        };
        assert_eq!(
            text,
            "Linux 6.12.3-arch1 has EROFS, overlay, mounts of files"
        );
        // The kernel has no device mapper.
        assert!(matches!(
            &checks[1].finding,
            Finding::Doubtful(Problem::Kernel {
                feature: KernelFeature::Verity,
                ..
            })
        ));
        let old = kernel("6.1.0-18-amd64").features();
        assert!(old.iter().any(|check| matches!(
            &check.finding,
            Finding::Doubtful(Problem::Kernel {
                feature: KernelFeature::Files,
                is_module: true
            })
        )));
    }

    #[test]
    fn a_module_is_found_by_its_whole_name() {
        for (line, is_it) in [
            ("kernel/fs/erofs/erofs.ko", true),
            ("kernel/fs/erofs/erofs.ko.xz: kernel/lib/lz4.ko", true),
            ("kernel/fs/other.ko: kernel/fs/erofs/erofs.ko", false),
            ("kernel/fs/erofs2.ko", false),
        ] {
            assert_eq!(has_module(line, "erofs"), is_it, "{line}");
        }
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        assert!(!features().is_empty());
    }
}
