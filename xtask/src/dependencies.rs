//! Whether the dependencies are what `deny.toml` allows: their licences, where they come from, and
//! that each is named with a version; and whether each is used.
//!
//! `cargo deny check` reads the same file and looks at advisories too; building it takes longer than
//! all of this workspace's own crates.

mod unused;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use spdx::{Expression, LicenseReq, ParseMode};

use crate::command::{Result, answer, cargo};

/// The workspaces whose dependencies end up in msb or run with its tests.
const WORKSPACES: [&str; 4] = [
    "Cargo.toml",
    "plugins/Cargo.toml",
    "tests/authors/c/Cargo.toml",
    "tests/judges/Cargo.toml",
];
/// Where a dependency may come from, besides this repository.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks the dependencies of all workspaces and names every one that may not be there.
pub(crate) fn check(root: &Path) -> Result<()> {
    let allowed = allowed_licences(&std::fs::read_to_string(root.join("deny.toml"))?)?;
    let mut faults = Vec::new();
    for manifest in WORKSPACES {
        let metadata = answer(
            Command::new(cargo())
                .current_dir(root)
                .args(["metadata", "--format-version", "1", "--locked"])
                .args(["--manifest-path", manifest]),
        )
        .ok_or_else(|| format!("`cargo metadata` fails for {manifest}"))?;
        let metadata: Value = serde_json::from_str(&metadata)?;
        let packages = metadata["packages"].as_array().ok_or("no packages")?;
        println!("{manifest}: {} packages", packages.len());
        for package in packages {
            faults.extend(faults_of(package, &allowed));
            if package["source"].is_null() {
                faults.extend(unused::of(package)?);
            }
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(faults.join("\n").into())
}

/// Returns the licences that `deny.toml` allows.
fn allowed_licences(config: &str) -> Result<Vec<String>> {
    let config: toml::Table = config.parse()?;
    let allowed = config
        .get("licenses")
        .and_then(|licenses| licenses.get("allow"))
        .and_then(toml::Value::as_array)
        .ok_or("deny.toml has no `licenses.allow`")?;
    Ok(allowed
        .iter()
        .filter_map(|name| Some(name.as_str()?.to_owned()))
        .collect())
}

/// Returns what is wrong with a package of `cargo metadata`, a line for each.
fn faults_of(package: &Value, allowed: &[String]) -> Vec<String> {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    let name = format!("{} {}", text("name"), text("version"));
    let mut faults = Vec::new();
    match package["source"].as_str() {
        None => {
            let wild = package["dependencies"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|dependency| dependency["req"] == "*" && dependency["path"].is_null());
            faults.extend(
                wild.map(|dependency| format!("{name}: `{}` has no version", dependency["name"])),
            );
        }
        Some(REGISTRY) => {}
        Some(source) => faults.push(format!("{name} comes from {source}")),
    }
    let licence = text("license");
    if !permits(licence, allowed) {
        faults.push(format!(
            "{name}: the licence `{licence}` is not in deny.toml"
        ));
    }
    faults
}

/// Whether a licence expression can be satisfied by licences that are allowed.
fn permits(expression: &str, allowed: &[String]) -> bool {
    // `MIT/Apache-2.0` is how old crates write "or".
    Expression::parse_mode(expression, ParseMode::LAX)
        .is_ok_and(|parsed| parsed.evaluate(|one: &LicenseReq| allowed.contains(&one.to_string())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allowed() -> Vec<String> {
        allowed_licences(r#"licenses.allow = ["MIT", "Apache-2.0 WITH LLVM-exception"]"#)
            .expect("a list of licences")
    }

    #[test]
    fn an_expression_is_permitted_when_what_it_needs_is_allowed() {
        let allowed = allowed();
        for (expression, right) in [
            ("MIT", true),
            ("MIT/GPL-3.0", true),
            ("MIT OR GPL-3.0-only", true),
            ("MIT AND GPL-3.0-only", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
            ("", false),
            ("nothing that is known", false),
        ] {
            assert_eq!(permits(expression, &allowed), right, "{expression}");
        }
    }

    #[test]
    fn faults_name_the_package_and_what_is_wrong() {
        let fine = json!({"name": "a", "version": "1.0.0", "license": "MIT",
            "source": REGISTRY, "dependencies": [{"name": "b", "req": "*"}]});
        assert!(faults_of(&fine, &allowed()).is_empty());
        let ours = json!({"name": "a", "version": "1.0.0", "license": "GPL-3.0-only",
            "dependencies": [{"name": "b", "req": "*"}, {"name": "c", "req": "*", "path": "c"}]});
        let faults = faults_of(&ours, &allowed());
        assert_eq!(faults.len(), 2, "{faults:?}");
        let elsewhere = json!({"name": "a", "version": "1.0.0", "license": "MIT",
            "source": "git+https://example.com/a", "dependencies": []});
        assert!(faults_of(&elsewhere, &allowed())[0].contains("git+https"));
    }
}
