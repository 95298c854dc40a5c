//! Where plugins in JavaScript, Python and C are built: with the tools of `cargo xtask authors`, as
//! their authors build them, and once. The tools take 5 to 30 s for a component, so each is kept
//! under a name that stands for all that went into it.

use std::path::{Path, PathBuf};

use crate::archive::sha256;
use crate::tools::{authors, run};

use super::scaffold::NewPlugin;

/// What tells builds of the same sources apart: the versions of the tools.
const TOOLS: [&str; 3] = [
    include_str!("../../authors/package-lock.json"),
    include_str!("../../authors/requirements.txt"),
    include_str!("../../authors/c/Cargo.lock"),
];

/// What is in the folder of a project without being its source.
const NO_SOURCES: [&str; 4] = [".venv", "bindings", "node_modules", "__pycache__"];

/// Returns a project in Python or JavaScript, built, tested and installed by the steps of its
/// README, which may do whatever it asks for.
pub(super) fn finished(name: &str, kind: &str, language: &str) -> NewPlugin {
    let plugin = NewPlugin::new(name, kind, language);
    provide(&plugin.folder);
    plugin.take_steps(|step| {
        let installs = step.contains("-m venv") || step.contains("pip install");
        if installs || step == "npm install" {
            return None;
        }
        if step == "npm run build" || step.contains(" componentize ") {
            return Some(built(&plugin.folder, step, &format!("{name}.wasm")));
        }
        if step.starts_with("msb plugin install ") {
            return Some(format!("{step} --yes"));
        }
        Some(step.to_owned())
    });
    plugin
}

/// Gives a project the tools that the first steps of its README install, after it has asked for
/// the same versions.
pub(super) fn provide(folder: &Path) {
    let wanted = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let (tools, at) = if let Some(package) = wanted("package.json") {
        let pinned = |text: &str| -> serde_json::Value { serde_json::from_str(text).unwrap() };
        let here = pinned(include_str!("../../authors/package.json"));
        for (name, version) in pinned(&package)["devDependencies"].as_object().unwrap() {
            assert_eq!(here["dependencies"][name], *version, "{name}");
        }
        ("node/node_modules", "node_modules")
    } else {
        assert_eq!(wanted("requirements.txt").unwrap(), TOOLS[1]);
        ("python/venv", ".venv")
    };
    std::os::unix::fs::symlink(authors(tools), folder.join(at)).unwrap();
}

/// Returns a line for a shell that builds a component in a folder, or takes the one that was built
/// of the same before.
pub(super) fn built(folder: &Path, line: &str, component: &str) -> String {
    let mut all = format!("{line}\n{}", TOOLS.concat()).into_bytes();
    for path in sources(folder) {
        let name = path.strip_prefix(folder).unwrap();
        all.extend(format!("\n{}\n", name.display()).into_bytes());
        all.extend(std::fs::read(&path).unwrap());
    }
    let kept = authors("components");
    std::fs::create_dir_all(&kept).unwrap();
    let kept = kept.join(sha256(&all).replace(':', "-"));
    let kept = kept.display();
    format!(
        "if [ -f {kept} ]; then cp {kept} {component}; else\n{line}\n\
         cp {component} {kept}.$$ && mv {kept}.$$ {kept}; fi"
    )
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let name = path.file_name().unwrap().to_str().unwrap();
        if NO_SOURCES.contains(&name) || path.extension().is_some_and(|it| it == "wasm") {
            continue;
        }
        if path.is_dir() {
            open.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Runs a line in a project after it was changed, and builds its component.
pub(super) fn build(plugin: &NewPlugin, line: &str, component: &str) -> PathBuf {
    run(&mut plugin.shell(&built(&plugin.folder, line, component)));
    plugin.folder.join(component)
}
