//! `cargo xtask test`: every check of the repository, one after the other.

use std::process::Command;
use std::thread;
use std::time::Instant;

use crate::command::{Result, cargo, root, run};
use crate::{
    authors, compiler, debian, dependencies, dist, faults, fuzz, guests, kernel, link, packages,
    setup,
};

/// The programs that msb is tested against, as Debian packages.
const TOOLS: &[&str] = &[
    "apache2-utils",
    "attr",
    "buildah",
    "busybox-static",
    "ca-certificates",
    "containerd",
    "crun",
    "cryptsetup-bin",
    "curl",
    "dbus",
    "debootstrap",
    "dmsetup",
    "docker-registry",
    "docker.io",
    "e2fsprogs",
    "erofs-utils",
    "g++",
    "gnome-keyring",
    "gnupg",
    "golang-docker-credential-helpers",
    "libcap2-bin",
    "libsecret-tools",
    "lz4",
    "minisign",
    "mount",
    "openssl",
    "pass",
    "podman",
    "qemu-system-x86",
    "qemu-utils",
    "skopeo",
    "tar",
    "tmux",
    "uidmap",
    "umoci",
    "unzip",
    "xfsprogs",
    "xz-utils",
    "zip",
];

/// Runs the checks; with `--quick` not those that only look at documents and licences, and no tests
/// that take long.
pub(crate) fn run_all(arguments: &[String]) -> Result<()> {
    let quick = match arguments {
        [] => false,
        [word] if word == "--quick" || word == "quick" => true,
        _ => return Err("test takes nothing, or --quick".into()),
    };
    let fetching = thread::spawn(move || fetch(quick));
    let mut steps = Steps::default();
    steps.begin("guests");
    guests::build()?;
    let root = root()?;
    let plugins = root.join("plugins");
    let cargo_in = |folder: &std::path::Path, line: &str| {
        let mut command = Command::new(cargo());
        command.current_dir(folder).args(line.split(' '));
        // Settings of the cargo that runs this program are not meant for the next one.
        command.env_remove("CARGO_MANIFEST_DIR");
        command
    };
    steps.run("format", &mut cargo_in(&root, "fmt --all --check"))?;
    steps.run(
        "format of plugins",
        &mut cargo_in(&plugins, "fmt --all --check"),
    )?;
    // All targets at once: for msb alone, libraries would be built with other features, and again
    // for the tests.
    steps.run(
        "build, lints and documentation",
        cargo_in(&root, "build --all-targets").args(compiler::setting()?),
    )?;
    steps.begin("tools that are not there yet");
    fetching.join().map_err(|_| "fetching tools has failed")??;
    let components = plugins.join("target/components");
    let building = link::variables(&setup::ensure()?, &components)?;
    let mut tests = cargo_in(&root, "test --no-fail-fast");
    tests
        .args(compiler::setting()?)
        .env("MSB_TEST_PLUGIN_BUILD", building);
    if quick {
        tests.env("MSB_TEST_QUICK", "1");
    }
    steps.run("tests", &mut tests)?;
    steps.begin("faults, a part of them");
    faults::part(quick)?;
    steps.run(
        "tests, lints and documentation of plugins",
        cargo_in(&plugins, "test --target-dir target/native").args(compiler::setting()?),
    )?;
    if !quick {
        // Alone first, as programs get it: examples come with features of what tests need.
        for what in ["--lib", "--examples"] {
            let line = format!("check --quiet -p msb-host --no-default-features {what}");
            steps.run(
                "the library without its features",
                &mut cargo_in(&root, &line),
            )?;
        }
        steps.begin("packages");
        packages::check(&root)?;
        steps.begin("what people install");
        dist::check(&root)?;
        steps.begin("dependencies");
        dependencies::check(&root)?;
        steps.begin("fuzzing, a little of it");
        fuzz::smoke()?;
    }
    steps.end();
    Ok(())
}

/// Gets what the tests need and nothing is compiled with, so that it waits for the network while the
/// processors compile.
fn fetch(quick: bool) -> Result<()> {
    if debian::can_install() {
        debian::install(TOOLS)?;
    }
    if !quick {
        authors::ensure()?;
        kernel::ensure()?;
    }
    Ok(())
}

/// What is being done, and what the steps before took.
#[derive(Default)]
struct Steps {
    begun: Vec<(&'static str, Instant)>,
}

impl Steps {
    fn run(&mut self, title: &'static str, command: &mut Command) -> Result<()> {
        self.begin(title);
        run(command)
    }

    fn begin(&mut self, title: &'static str) {
        println!("\n== {title}");
        self.begun.push((title, Instant::now()));
    }

    /// Says what each step took.
    fn end(self) {
        let end = Instant::now();
        let ends = self.begun.iter().skip(1).map(|(_, begun)| *begun);
        println!("\n== all checks passed");
        for ((title, begun), ended) in self.begun.iter().zip(ends.chain([end])) {
            println!("{:>5} s  {title}", (ended - *begun).as_secs());
        }
        let all = self.begun.first().map(|(_, begun)| end - *begun);
        println!("{:>5} s  in all", all.unwrap_or_default().as_secs());
    }
}
