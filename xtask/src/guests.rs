//! `cargo xtask guests`: compiles the plugins that ship with msb and encodes them as components, and
//! lays out what else of `plugins/` goes into packages.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::command::{Result, answer, cargo, root, run, shown};
use crate::component::{self, Identity};
use crate::setup;
use crate::sources;
use crate::toolchain::TARGET;

/// Compiles all guests and returns their components, `plugins/target/components/<crate>.wasm`.
///
/// A component whose bytes are the same as before is left as it is, so that the host, which embeds
/// it, need not be built again.
pub(crate) fn build() -> Result<Vec<PathBuf>> {
    let toolchain = setup::ensure()?;
    let root = root()?;
    let plugins = root.join("plugins");
    let target = plugins.join("target");
    run(toolchain
        .cargo("build", &root)
        .current_dir(&plugins)
        .args(["--workspace", "--release", "--quiet", "--target-dir"])
        .arg(&target))?;

    let components = target.join("components");
    fs::create_dir_all(&components)?;
    let mut paths = Vec::new();
    for guest in guests(&plugins)? {
        let module = target
            .join(TARGET)
            .join("release")
            .join(guest.name.replace('-', "_"))
            .with_extension("wasm");
        let component = component::encode(&module, &guest, "msb:plugin/")?;
        let path = components.join(&guest.name).with_extension("wasm");
        let changed = replace_if_different(&path, &component)?;
        println!(
            "guests: {} ({} KiB{})",
            shown(&path),
            component.len() / 1024,
            if changed { "" } else { ", unchanged" }
        );
        paths.push(path);
    }
    lay_out_scaffold(&root, &target.join("scaffold"))?;
    Ok(paths)
}

/// Copies what new plugins are made from to where a package of `host/kit` includes it, under the names
/// that it has there. Deletes there what the repository no longer has.
pub(crate) fn lay_out_scaffold(root: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let files = sources::in_repository(root)?;
    let name =
        |file: &String| sources::renamed(file, sources::MANIFEST, sources::PACKAGED_MANIFEST);
    let names: Vec<String> = files.iter().map(name).collect();
    for left in sources::in_package(folder)? {
        if !names.contains(&left) {
            fs::remove_file(folder.join(left))?;
        }
    }
    for (file, name) in files.iter().zip(&names) {
        let copy = folder.join(name);
        if let Some(above) = copy.parent() {
            fs::create_dir_all(above)?;
        }
        replace_if_different(&copy, &fs::read(root.join(file))?)?;
    }
    Ok(())
}

/// The members of the guests' workspace that compile to a module of their own.
fn guests(plugins: &Path) -> Result<Vec<Identity>> {
    let metadata = answer(
        Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(plugins),
    )
    .ok_or("`cargo metadata` failed in plugins/")?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let text = |package: &Value, field: &str| {
        package[field].as_str().map(str::to_owned).ok_or_else(|| {
            format!(
                "the guest {} has no {field} in its Cargo.toml",
                package["name"]
            )
        })
    };
    let mut guests = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        if is_module(package) {
            guests.push(Identity {
                name: text(package, "name")?,
                version: text(package, "version")?,
                description: text(package, "description")?,
                license: text(package, "license")?,
                imports: imports(package)?,
            });
        }
    }
    guests.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(guests)
}

/// What `package.metadata.msb.imports` lists.
fn imports(package: &Value) -> Result<Option<Vec<String>>> {
    match &package["metadata"]["msb"]["imports"] {
        Value::Null => Ok(None),
        listed => Ok(Some(serde_json::from_value(listed.clone())?)),
    }
}

fn is_module(package: &Value) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    targets
        .flat_map(|target| target["crate_types"].as_array().into_iter().flatten())
        .any(|kind| kind == "cdylib")
}

fn replace_if_different(path: &Path, bytes: &[u8]) -> Result<bool> {
    match fs::read(path) {
        Ok(present) if present == bytes => return Ok(false),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(format!("{}: {error}", path.display()).into()),
    }
    let mut staged = path.as_os_str().to_owned();
    staged.push(format!(".{}", std::process::id()));
    fs::write(&staged, bytes)?;
    fs::rename(&staged, path)?;
    Ok(true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_component_keeps_its_time_of_change() {
        let folder = std::env::temp_dir().join(format!("xtask-guests-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("guest.wasm");
        assert!(replace_if_different(&path, b"one").unwrap());
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        assert!(!replace_if_different(&path, b"one").unwrap());
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
        assert!(replace_if_different(&path, b"two").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"two");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_package_has_what_new_plugins_are_made_from_and_nothing_old() {
        let root = root().unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("wit")).unwrap();
        fs::write(folder.path().join("wit/old.wit"), "").unwrap();
        lay_out_scaffold(&root, folder.path()).unwrap();
        let packaged = sources::in_package(folder.path()).unwrap();
        // With a manifest below it, cargo would leave out the folder.
        let manifest = |path: &String| path.ends_with("Cargo.toml");
        assert!(!packaged.iter().any(manifest), "{packaged:?}");
        let mut names: Vec<String> = packaged.iter().map(|it| sources::unpackaged(it)).collect();
        names.sort();
        assert_eq!(names, sources::in_repository(&root).unwrap());
        for path in packaged {
            assert_eq!(
                fs::read(folder.path().join(&path)).unwrap(),
                fs::read(root.join(sources::unpackaged(&path))).unwrap()
            );
        }
    }
}
