//! The tools that tests need besides msb.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Something that a machine has or has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// The rights to mount filesystems, and `fsck.erofs`.
    Root,
    /// A Docker engine that the tests start themselves.
    Docker,
    /// podman
    Podman,
    /// skopeo
    Skopeo,
    /// `docker` alone, without an engine.
    DockerCli,
    /// gnome-keyring and a bus for it: what programs call the Secret Service.
    SecretService,
    /// The credential helpers that Docker's authors made.
    Helpers,
    /// pass, and gpg
    Pass,
    /// containerd, which the tests start themselves, and `ctr`.
    Containerd,
    /// buildah
    Buildah,
    /// What installs Debian into a directory, from where the machine has its packages.
    Debootstrap,
    /// The reference implementation's tool that unpacks images.
    Umoci,
    /// busybox, and what sets capabilities and attributes of files: what images are built with.
    Busybox,
    /// A terminal that programs can type into and read from.
    Tmux,
    /// The registry of the distribution project.
    DockerRegistry,
    /// What makes files of passwords.
    Htpasswd,
    /// What makes keys and certificates.
    Openssl,
    /// minisign
    Minisign,
    /// The package tool of the WebAssembly world, which not every machine has.
    Wkg,
    /// What builds Rust, for programs that tests need.
    Cargo,
    /// What compiles Rust for WebAssembly.
    RustForWasm,
    /// What makes components of JavaScript, in the versions that `cargo xtask authors` installs.
    JavaScriptForWasm,
    /// What makes components of Python, likewise.
    PythonForWasm,
    /// What compiles C for WebAssembly, and the programs of `cargo xtask authors` that make components
    /// of it.
    CForWasm,
    /// curl
    Curl,
    /// QEMU's tool for virtual disks.
    QemuImg,
    /// QEMU, and the kernel that `cargo xtask kernel` fetches for it.
    VirtualMachine,
    /// What makes and checks dm-verity trees.
    Veritysetup,
    /// What makes an XFS.
    Xfs,
    /// GNU tar
    Tar,
    /// What packs files in other ways than archives of images: lz4, xz and zip.
    Packers,
    /// Images that others made, in the folder that `MSB_FIXTURES` names.
    Fixtures,
}

impl Tool {
    pub(crate) fn is_there(self) -> bool {
        match self {
            Self::Root => rustix::process::geteuid().is_root() && succeeds("fsck.erofs -V"),
            Self::Docker => {
                rustix::process::geteuid().is_root() && answers("dockerd") && answers("docker")
            }
            Self::Podman => rustix::process::geteuid().is_root() && answers("podman"),
            Self::Skopeo => answers("skopeo"),
            Self::Containerd => {
                rustix::process::geteuid().is_root() && answers("containerd") && answers("ctr")
            }
            Self::Buildah => rustix::process::geteuid().is_root() && answers("buildah"),
            Self::DockerCli => answers("docker"),
            Self::SecretService => {
                answers("dbus-daemon")
                    && answers("gnome-keyring-daemon")
                    && exists("dbus-send")
                    && exists("secret-tool")
            }
            Self::Helpers => {
                exists("docker-credential-secretservice") && exists("docker-credential-pass")
            }
            Self::Pass => succeeds("pass version") && answers("gpg"),
            Self::Debootstrap => {
                rustix::process::geteuid().is_root() && exists("apt-get") && answers("debootstrap")
            }
            Self::Umoci => answers("umoci"),
            Self::Busybox => ["busybox true", "setcap -h", "setfattr --version"]
                .iter()
                .all(|line| succeeds(line)),
            Self::Tmux => succeeds("tmux -V"),
            Self::Minisign => succeeds("minisign -v"),
            Self::Wkg => answers("wkg"),
            Self::DockerRegistry => answers("docker-registry"),
            Self::Htpasswd => succeeds("htpasswd -Bbn user password"),
            Self::Openssl => succeeds("openssl version"),
            Self::Cargo => answers("cargo"),
            Self::RustForWasm => plugin_build().is_some(),
            Self::JavaScriptForWasm => {
                authors("node/installed").is_file() && answers("node") && answers("npm")
            }
            Self::PythonForWasm => authors("python/installed").is_file(),
            Self::CForWasm => {
                authors("c/installed").is_file()
                    && succeeds(
                        "clang --target=wasm32-wasi -mexec-model=reactor -x c /dev/null -o /dev/null",
                    )
            }
            Self::Curl => answers("curl"),
            Self::QemuImg => answers("qemu-img"),
            Self::VirtualMachine => {
                answers("qemu-system-x86_64") && guest_kernel("vmlinuz").is_file()
            }
            Self::Veritysetup => answers("veritysetup"),
            Self::Xfs => succeeds("mkfs.xfs -V"),
            Self::Tar => answers("tar"),
            Self::Packers => answers("lz4") && answers("xz") && exists("zip") && exists("unzip"),
            Self::Fixtures => fixtures().is_some(),
        }
    }
}

/// Returns the folder of images that others made.
pub(crate) fn fixtures() -> Option<PathBuf> {
    std::env::var_os("MSB_FIXTURES")
        .map(PathBuf::from)
        .filter(|folder| folder.join("images").is_dir())
}

/// Returns the variables that cargo needs to build a plugin that an author has begun with
/// `msb plugin new`, as the beginning of a command: none where rustup's toolchain does it alone.
/// `cargo xtask test` says what others need, in `MSB_TEST_PLUGIN_BUILD`, one in a line.
pub(crate) fn plugin_build() -> Option<String> {
    if let Ok(lines) = std::env::var("MSB_TEST_PLUGIN_BUILD") {
        let quoted = lines.lines().filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            Some(format!("{name}='{value}' "))
        });
        return Some(quoted.collect());
    }
    let output = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = String::from_utf8(output.ok()?.stdout).ok()?;
    let rustlib = PathBuf::from(sysroot.trim()).join("lib/rustlib");
    let linkers = rustlib.read_dir().ok()?.filter_map(|target| {
        let linker = target.ok()?.path().join("bin/wasm-component-ld");
        linker.is_file().then_some(linker)
    });
    let has_target = rustlib.join("wasm32-unknown-unknown/lib").is_dir();
    (has_target && linkers.count() > 0).then(String::new)
}

/// Returns a file of what `cargo xtask authors` installs.
pub(crate) fn authors(name: &str) -> PathBuf {
    let folder = std::env::var_os("MSB_AUTHORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/authors"),
        PathBuf::from,
    );
    let folder = folder.canonicalize().unwrap_or(folder);
    folder.join(name)
}

/// Returns a file of what `cargo xtask kernel` fetches.
pub(crate) fn guest_kernel(name: &str) -> PathBuf {
    let folder = std::env::var_os("MSB_GUEST_KERNEL").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guest-kernel"),
        PathBuf::from,
    );
    folder.join(name)
}

/// Returns whether there is a program, whatever it says.
fn exists(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

fn answers(program: &str) -> bool {
    succeeds(&format!("{program} --version"))
}

fn succeeds(line: &str) -> bool {
    let mut words = line.split(' ');
    Command::new(words.next().unwrap_or_default())
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Returns the path of the binary under test: `MSB_BIN`, or what cargo has built beside us.
pub(crate) fn msb() -> &'static PathBuf {
    static MSB: OnceLock<PathBuf> = OnceLock::new();
    MSB.get_or_init(|| {
        if let Some(path) = std::env::var_os("MSB_BIN") {
            return PathBuf::from(path);
        }
        let test = std::env::current_exe().unwrap();
        let built = test.ancestors().nth(2).unwrap().join("msb");
        assert!(
            built.exists(),
            "{} is not there: build it with `cargo build -p msb`, or set MSB_BIN",
            built.display()
        );
        built
    })
}

/// Runs a program that has to succeed and returns what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
