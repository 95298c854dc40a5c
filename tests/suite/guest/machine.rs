//! A virtual machine under QEMU: its drives, its files, and what it says.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::tools::{self, guest_kernel, run};

/// Seconds after which it is stopped. On an idle machine it takes 20 s.
const TIME_LIMIT: &str = "600";
/// Bytes of the disk with its files, most of which are holes.
const DISK_SIZE: u64 = 1 << 30;
/// Everything that QEMU emulates, but for an instruction with which version 7.2 corrupts registers now and then,
/// and for page tables of five levels, which take longer.
const CPU: &str = "max,-cx16,-la57";
/// What a line begins with that says what comes next.
const HEADING: &str = "== ";
/// The programs that msb starts, and those of the script.
const PROGRAMS: [&str; 2] = ["losetup", "dmsetup"];

/// What runs first: it loads modules, has the script run in the files of the last drive, and then switches
/// to the root filesystem of the command line, with a tmpfs over it that takes what is written.
const INIT: &str = r#"
/bin/busybox mkdir -p /proc /files /lower /over /root /sbin
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do insmod $module; done
mount -t ext4 FILES /files
mount -t proc proc /files/proc
mount -t sysfs sysfs /files/sys
mount -t devtmpfs devtmpfs /files/dev
mount -t tmpfs tmpfs /files/run
chroot /files /bin/busybox sh /script < /dev/null 2>&1

mount_as "$(cat /proc/cmdline)" /lower
mount -t tmpfs tmpfs /over
mkdir /over/upper /over/work
mount -t overlay -o lowerdir=/lower,upperdir=/over/upper,workdir=/over/work overlay /root
mkdir -p /root/proc /root/dev
mount --move /proc /root/proc
mount --move /dev /root/dev
exec switch_root /root /sbin/init < /root/dev/console > /root/dev/console 2>&1
"#;

/// Mounts the root filesystem of a command line, as an initramfs does.
const MOUNT_AS: &str = r"
mount_as() {
    root= type= flags=ro
    for word in $1; do
        case $word in
            root=*) root=${word#root=} ;;
            rootfstype=*) type=${word#rootfstype=} ;;
            rootflags=*) flags=$flags,${word#rootflags=} ;;
        esac
    done
    mount -t $type -o $flags $root $2
}
";

/// What the script has of functions.
const FUNCTIONS: &str = r#"
/bin/busybox --install -s /bin
export PATH=/sbin:/bin MSB_HOME=/home NO_COLOR=1

say() { echo "== $1"; }
show() { (cd $1 && find . -type f | sort | while read -r file; do sha256sum "$file"; done); }
left() {
    for wait in 1 2 3 4 5 6 7 8 9 10; do
        [ -z "$(losetup -a)" ] && break
        sleep 1
    done
    dmsetup ls | grep -v '^No devices found$'
    losetup -a
    grep ' /mnt ' /proc/mounts
    ls /run/msb 2> /dev/null
}
# Changes one bit of a byte of a file, which kernels then read from there.
flip_bit() {
    byte=$(dd if=$2 bs=1 skip=$1 count=1 2> /dev/null | od -An -tu1)
    printf "\\$(printf %o $((byte ^ 1)))" | dd of=$2 bs=1 seek=$1 conv=notrunc 2> /dev/null
    sync
    echo 3 > /proc/sys/vm/drop_caches
}
"#;

/// A file as a drive.
pub(super) struct Drive {
    path: PathBuf,
    format: &'static str,
}

impl Drive {
    pub(super) fn raw(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            format: "raw",
        }
    }

    pub(super) fn vmdk(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            format: "vmdk",
        }
    }

    fn option(&self, mode: &str) -> String {
        let Self { path, format } = self;
        format!("file={},format={format},if=virtio,{mode}", path.display())
    }
}

/// A machine that is put together.
pub(super) struct Machine {
    directory: TempDir,
    drives: Vec<Drive>,
}

impl Machine {
    pub(super) fn new() -> Self {
        let machine = Self {
            directory: tempfile::tempdir().unwrap(),
            drives: Vec::new(),
        };
        for name in [
            "bin", "sbin", "proc", "sys", "dev", "run", "mnt", "tmp", "home",
        ] {
            fs::create_dir_all(machine.file(name)).unwrap();
        }
        machine
    }

    /// Adds a drive, and returns what Linux calls it.
    pub(super) fn add(&mut self, drive: Drive) -> String {
        let letter = char::from(b'a' + u8::try_from(self.drives.len()).unwrap());
        assert!(letter < 'z');
        self.drives.push(drive);
        format!("/dev/vd{letter}")
    }

    /// Adds the home of msb, without what it would make again.
    pub(super) fn add_home(&self, home: &Path) {
        let copy = self.file("home");
        run(Command::new("cp").arg("-a").arg(home.join(".")).arg(&copy));
        let _ = fs::remove_dir_all(copy.join("cache/plugins"));
    }

    pub(super) fn add_file(&self, name: &str, text: &str) {
        let path = self.file(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn add_program(&self, name: &str, text: &str) {
        self.add_file(name, text);
        fs::set_permissions(self.file(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Boots it with a command line, has it run a script, and then `/sbin/init` of the root filesystem that
    /// the command line names. Returns what both have said, by their headings; `end` must be the last.
    pub(super) fn run(mut self, line: &str, script: &str) -> BTreeMap<String, String> {
        self.add_file("script", &format!("{FUNCTIONS}{MOUNT_AS}{script}"));
        fs::copy("/bin/busybox", self.file("bin/busybox")).unwrap();
        self.copy_program(tools::msb(), "sbin/msb");
        for name in PROGRAMS {
            let found = ["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).join(name));
            let found = found.iter().find(|path| path.is_file()).unwrap();
            self.copy_program(found, &format!("sbin/{name}"));
        }
        let disk = self.directory.path().join("files.img");
        fs::File::create(&disk).unwrap().set_len(DISK_SIZE).unwrap();
        run(Command::new("mkfs.ext4")
            .args([
                "-q",
                "-F",
                "-E",
                "lazy_itable_init=1",
                "-O",
                "^has_journal",
                "-d",
            ])
            .arg(self.file(""))
            .arg(&disk));
        let device = self.add(Drive::raw(&disk));
        let start = self.initramfs(&device);
        let mut command = Command::new("timeout");
        command
            .args([
                TIME_LIMIT,
                "qemu-system-x86_64",
                "-accel",
                "tcg",
                "-machine",
                "q35",
            ])
            .args(["-cpu", CPU, "-m", "512", "-nodefaults", "-no-user-config"])
            .args([
                "-display",
                "none",
                "-serial",
                "stdio",
                "-no-reboot",
                "-kernel",
            ])
            .arg(guest_kernel("vmlinuz"))
            .arg("-initrd")
            .arg(start)
            .arg("-append")
            .arg(format!(
                "console=ttyS0 panic=-1 loglevel=1 random.trust_cpu=on {line}"
            ));
        let last = self.drives.len() - 1;
        for (number, drive) in self.drives.iter().enumerate() {
            // What the machine changes is thrown away with it.
            let mode = if number == last {
                "cache=unsafe"
            } else {
                "readonly=on"
            };
            command.arg("-drive").arg(drive.option(mode));
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        let said = by_headings(&text);
        assert!(
            said.contains_key("end"),
            "the machine ended with {} after:\n{text}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join("files").join(name)
    }

    /// Copies a program of this machine, and the libraries that it needs.
    fn copy_program(&self, program: &Path, name: &str) {
        fs::copy(program, self.file(name)).unwrap();
        let libraries = run(Command::new("ldd").arg(program));
        let paths = libraries
            .split_whitespace()
            .filter(|it| it.starts_with('/'));
        for path in paths {
            let copy = self.file(path.trim_start_matches('/'));
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(path, copy).unwrap();
        }
    }

    /// Makes what the kernel starts with: busybox, modules, and the script that loads them.
    fn initramfs(&self, files: &str) -> PathBuf {
        let folder = self.directory.path().join("initramfs");
        fs::create_dir_all(folder.join("bin")).unwrap();
        fs::create_dir_all(folder.join("dev")).unwrap();
        fs::copy("/bin/busybox", folder.join("bin/busybox")).unwrap();
        let modules = guest_kernel("modules");
        run(Command::new("cp").arg("-r").arg(modules).arg(&folder));
        let init = folder.join("init");
        let script = format!("#!/bin/busybox sh\n{MOUNT_AS}{INIT}");
        fs::write(&init, script.replace("FILES", files)).unwrap();
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).unwrap();
        let archive = self.directory.path().join("initramfs.cpio");
        let pack = "busybox find . | busybox cpio -o -H newc 2> /dev/null > \"$1\"";
        run(Command::new("sh")
            .args(["-ec", pack, "sh"])
            .arg(&archive)
            .current_dir(&folder));
        archive
    }
}

/// Splits what was said by its headings. What comes before the first one is left out.
fn by_headings(text: &str) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    let mut heading = None;
    for line in text.lines() {
        if let Some(next) = line.strip_prefix(HEADING) {
            heading = Some(next.to_owned());
            said.insert(next.to_owned(), String::new());
        } else if let Some(text) = heading.as_ref().and_then(|it| said.get_mut(it)) {
            text.push_str(line);
            text.push('\n');
        }
    }
    said
}
