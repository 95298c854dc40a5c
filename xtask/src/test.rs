//! `cargo xtask test`: every check of the repository, one after the other.

use std::process::Command;
use std::time::Instant;

use crate::command::{Result, cargo, root, run, which};
use crate::{authors, debian, faults, fuzz, guests, link, setup};

/// The programs that msb is tested against, as Debian packages.
const TOOLS: &[&str] = &[
    "apache2-utils",
    "attr",
    "buildah",
    "busybox-static",
    "ca-certificates",
    "containerd",
    "crun",
    "curl",
    "dbus",
    "docker-registry",
    "docker.io",
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
    "skopeo",
    "tar",
    "tmux",
    "uidmap",
    "umoci",
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
    step(
        "format of fuzz targets",
        &mut cargo_in(&root.join("tests/fuzz"), "fmt --check"),
    )?;
    // All targets at once: for msb alone, libraries would be built with other features, and again
    // for the tests.
    step(
        "build",
        &mut cargo_in(&root, "build --workspace --all-targets"),
    )?;
    let components = plugins.join("target/components");
    let building = link::variables(&setup::ensure()?, &components)?;
    let mut tests = cargo_in(&root, "test --workspace --no-fail-fast");
    tests.env("MSB_TEST_PLUGIN_BUILD", building);
    if quick {
        tests.env("MSB_TEST_QUICK", "1");
    }
    step("tests", &mut tests)?;
    faults::part(quick)?;
    step(
        "tests of plugins",
        &mut cargo_in(&plugins, "test --target-dir target/native"),
    )?;
    step(
        "lints",
        &mut cargo_in(&root, "clippy --workspace --all-targets -- --deny warnings"),
    )?;
    step(
        "lints of plugins",
        &mut cargo_in(
            &plugins,
            "clippy --all-targets --target-dir target/native -- --deny warnings",
        ),
    )?;
    if !quick {
        step(
            "documentation",
            cargo_in(&root, "doc --workspace --no-deps").env("RUSTDOCFLAGS", "--deny warnings"),
        )?;
        check_dependencies(&root)?;
        fuzz::smoke()?;
    }
    println!("\nall checks passed in {} s", started.elapsed().as_secs());
    Ok(())
}

/// Checks licences, sources and duplicates of the dependencies. Advisories need a database that
/// not every machine can fetch, so `cargo deny check` by hand is for those.
fn check_dependencies(root: &std::path::Path) -> Result<()> {
    println!("\n== dependencies");
    if which("cargo-deny").is_none() {
        println!("cargo-deny is not there: installing it");
        run(Command::new(cargo())
            .args([
                "install",
                "--locked",
                "--quiet",
                "cargo-deny",
                "--version",
                "0.20.2",
            ])
            // Quick to build rather than quick to run: it runs once.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"))?;
    }
    for manifest in ["Cargo.toml", "plugins/Cargo.toml"] {
        run(Command::new(cargo())
            .current_dir(root)
            .args(["deny", "--manifest-path", manifest, "--log-level", "error"])
            .args([
                "--config",
                "deny.toml",
                "check",
                "bans",
                "licenses",
                "sources",
            ]))?;
    }
    Ok(())
}
