//! The bill of materials of msb: the crates that are compiled into the program and into the plugins that
//! ship with it, with versions, licences and checksums. The form is `CycloneDX` 1.6 (ECMA-424).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::command::{Result, answer, cargo};
use crate::toolchain::TARGET;

/// The plugins that ship with msb are compiled into it.
const PLUGINS: [&str; 6] = [
    "docker-archive",
    "docker-config",
    "env",
    "keychain",
    "oci-layout",
    "secret-file",
];

/// Returns the bill as JSON.
pub(super) fn of(root: &Path, triple: &str) -> Result<String> {
    let mut components = BTreeMap::new();
    let host = Workspace::read(&root.join("Cargo.toml"), triple)?;
    let version = host.version("msb")?;
    host.add(&["msb"], &mut components)?;
    Workspace::read(&root.join("plugins/Cargo.toml"), TARGET)?.add(&PLUGINS, &mut components)?;
    components.remove("msb");
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {
            "type": "application",
            "bom-ref": "msb",
            "name": "msb",
            "version": version,
            "purl": format!("pkg:cargo/msb@{version}"),
            "licenses": [{"expression": "Apache-2.0"}],
        }},
        "components": components.into_values().collect::<Vec<_>>(),
    });
    Ok(format!("{bill:#}\n"))
}

/// A workspace as `cargo metadata` and its lock file describe it.
struct Workspace {
    /// The packages by their identifiers.
    packages: HashMap<String, Value>,
    /// The packages that each one is compiled with, for the target.
    needs: HashMap<String, Vec<String>>,
    /// SHA-256 of the packages of registries, by name and version.
    checksums: HashMap<(String, String), String>,
}

impl Workspace {
    fn read(manifest: &Path, triple: &str) -> Result<Self> {
        let metadata = answer(
            Command::new(cargo())
                .args(["metadata", "--format-version", "1", "--locked"])
                .args(["--filter-platform", triple, "--manifest-path"])
                .arg(manifest),
        )
        .ok_or_else(|| format!("`cargo metadata` fails for {}", manifest.display()))?;
        let metadata: Value = serde_json::from_str(&metadata)?;
        let lock = std::fs::read_to_string(manifest.with_file_name("Cargo.lock"))?;
        Ok(Self {
            packages: list(&metadata["packages"])
                .map(|package| (text(&package["id"]), package.clone()))
                .collect(),
            needs: list(&metadata["resolve"]["nodes"])
                .map(|node| (text(&node["id"]), compiled_in(node)))
                .collect(),
            checksums: checksums(&lock)?,
        })
    }

    fn version(&self, name: &str) -> Result<String> {
        Ok(text(&self.package(name)?["version"]))
    }

    fn package(&self, name: &str) -> Result<&Value> {
        let mut packages = self.packages.values();
        let ours = packages.find(|package| package["name"] == name && package["source"].is_null());
        ours.ok_or_else(|| format!("there is no package {name}").into())
    }

    /// Adds what packages are compiled from, themselves included.
    fn add(&self, names: &[&str], components: &mut BTreeMap<String, Value>) -> Result<()> {
        let mut seen = BTreeSet::new();
        let mut open = Vec::new();
        for name in names {
            open.push(text(&self.package(name)?["id"]));
        }
        while let Some(id) = open.pop() {
            if !seen.insert(id.clone()) {
                continue;
            }
            let package = self.packages.get(&id).ok_or("a package without metadata")?;
            let (key, component) = self.component(package);
            components.insert(key, component);
            open.extend(self.needs.get(&id).into_iter().flatten().cloned());
        }
        Ok(())
    }

    fn component(&self, package: &Value) -> (String, Value) {
        let (name, version) = (text(&package["name"]), text(&package["version"]));
        let purl = format!("pkg:cargo/{name}@{version}");
        // `MIT/Apache-2.0` is how old crates write "or".
        let licence = text(&package["license"]).replace('/', " OR ");
        let mut component = json!({
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            "licenses": [{"expression": licence}],
        });
        if let Some(sum) = self.checksums.get(&(name.clone(), version)) {
            component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
        }
        let key = if name == "msb" { name } else { purl };
        (key, component)
    }
}

/// Returns the packages that a node of the resolved graph is compiled with: neither those of its tests nor
/// those of its build script.
fn compiled_in(node: &Value) -> Vec<String> {
    let is_normal =
        |dependency: &&Value| list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null());
    list(&node["deps"])
        .filter(is_normal)
        .map(|dependency| text(&dependency["pkg"]))
        .collect()
}

fn checksums(lock: &str) -> Result<HashMap<(String, String), String>> {
    let lock: toml::Table = lock.parse()?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let sums = packages.into_iter().flatten().filter_map(|package| {
        let field = |key: &str| Some(package.get(key)?.as_str()?.to_owned());
        Some(((field("name")?, field("version")?), field("checksum")?))
    });
    Ok(sums.collect())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_bill_has_what_is_compiled_in_with_licences_and_checksums() {
        let root = crate::command::root().unwrap();
        let bill: Value =
            serde_json::from_str(&of(&root, "x86_64-unknown-linux-gnu").unwrap()).unwrap();
        assert_eq!(bill["metadata"]["component"]["name"], "msb");
        let components: HashMap<String, &Value> = list(&bill["components"])
            .map(|component| (text(&component["name"]), component))
            .collect();
        let wasmtime = components["wasmtime"];
        assert_eq!(
            wasmtime["licenses"][0]["expression"],
            "Apache-2.0 WITH LLVM-exception"
        );
        assert_eq!(text(&wasmtime["hashes"][0]["content"]).len(), 64);
        // Of a plugin, of the host alone, and neither of tests nor of another system.
        for name in [
            "wit-bindgen",
            "msb-plugin",
            "docker-archive",
            "rusqlite",
            "msb-host",
        ] {
            assert!(components.contains_key(name), "{name}");
        }
        for name in [
            "msb",
            "msb-tests",
            "proptest",
            "libfuzzer-sys",
            "cc",
            "vault",
        ] {
            assert!(!components.contains_key(name), "{name}");
        }
        for (name, component) in components {
            let licence = text(&component["licenses"][0]["expression"]);
            assert!(
                spdx::Expression::parse(&licence).is_ok(),
                "{name}: {licence}"
            );
        }
    }
}
