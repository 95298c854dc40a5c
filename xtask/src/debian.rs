//! Debian's package manager, for machines where it is the only source of tools.

use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::command::{Result, answer, run, which};

/// Held while packages are installed, which dpkg does for one at a time.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Tells whether packages can be installed: the system is Debian or a child of it, and this
/// program runs as root.
pub(crate) fn can_install() -> bool {
    which("apt-get").is_some() && answer(Command::new("id").arg("-u")).as_deref() == Some("0")
}

/// Tells whether a package is installed.
pub(crate) fn is_installed(package: &str) -> bool {
    answer(Command::new("dpkg-query").args(["-W", "-f=${db:Status-Status}", package])).as_deref()
        == Some("installed")
}

/// Installs those of the packages that are missing and returns their names. Asks for a fresh
/// package list only when the one at hand does not lead to the goal.
pub(crate) fn install(packages: &[&str]) -> Result<Vec<String>> {
    let missing: Vec<String> = packages
        .iter()
        .filter(|package| !is_installed(package))
        .map(|&package| package.to_owned())
        .collect();
    if missing.is_empty() {
        return Ok(missing);
    }
    let _turn = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    println!("apt-get: installing {}", missing.join(", "));
    if run(apt_get()
        .args(["install", "--yes", "-qq", "--no-install-recommends"])
        .args(&missing))
    .is_err()
    {
        run(apt_get().args(["update", "-qq"]))?;
        run(apt_get()
            .args(["install", "--yes", "-qq", "--no-install-recommends"])
            .args(&missing))?;
    }
    Ok(missing)
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
