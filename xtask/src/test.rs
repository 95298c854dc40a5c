//! `cargo xtask test`: every check of the repository, one after the other.

use std::process::Command;
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
    "xz-utils",
];

/// Runs the checks; with `--quick` not those that only look at documents and licences, and no tests
/// that take long.
pub(crate) fn run_all(arguments: &[String]) -> Result<()> {
    let quick = match arguments {
        [] => false,
        [word] if word == "--quick" || word == "quick" => true,
        _ => return Err("test takes nothing, or --quick".into()),
    };
    let started = Instant::now();
    if debian::can_install() {
        debian::install(TOOLS)?;
    }
    guests::build()?;
    if !quick {
        authors::ensure()?;
        kernel::ensure()?;
    }
    let root = root()?;
    let plugins = root.join("plugins");
    let step = |title: &str, command: &mut Command| -> Result<()> {
        println!("\n== {title}");
        run(command)
    };
    let cargo_in = |folder: &std::path::Path, line: &str| {
        let mut command = Command::new(cargo());
        command.current_dir(folder).args(line.split(' '));
        // Settings of the cargo that runs this program are not meant for the next one.
        command.env_remove("CARGO_MANIFEST_DIR");
        command
    };
    step("format", &mut cargo_in(&root, "fmt --all --check"))?;
    step(
        "format of plugins",
        &mut cargo_in(&plugins, "fmt --all --check"),
    )?;
    // All targets at once: for msb alone, libraries would be built with other features, and again
    // for the tests.
    step(
        "build, lints and documentation",
        cargo_in(&root, "build --all-targets").args(compiler::setting()?),
    )?;
    let components = plugins.join("target/components");
    let building = link::variables(&setup::ensure()?, &components)?;
    let mut tests = cargo_in(&root, "test --no-fail-fast");
    tests
        .args(compiler::setting()?)
        .env("MSB_TEST_PLUGIN_BUILD", building);
    if quick {
        tests.env("MSB_TEST_QUICK", "1");
    }
    step("tests", &mut tests)?;
    faults::part(quick)?;
    step(
        "tests, lints and documentation of plugins",
        cargo_in(&plugins, "test --target-dir target/native").args(compiler::setting()?),
    )?;
    if !quick {
        step(
            "the library without its features",
            &mut cargo_in(
                &root,
                "check --quiet -p msb-host --no-default-features --examples",
            ),
        )?;
        println!("\n== packages");
        packages::check(&root)?;
        println!("\n== what people install");
        dist::check(&root)?;
        println!("\n== dependencies");
        dependencies::check(&root)?;
        fuzz::smoke()?;
    }
    println!("\nall checks passed in {} s", started.elapsed().as_secs());
    Ok(())
}
