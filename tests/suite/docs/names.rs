//! The names of what ships with msb: no code of the library or of the command line compares them, so
//! that a plugin of another author can be everything that one of msb is.

use std::collections::BTreeSet;
use std::path::Path;

use crate::tests;

tests! {
    no_code_knows_a_plugin_by_its_name;
    a_name_in_the_code_is_found;
}

/// Where a name may stand as a text of its own, and why.
const ALLOWED: [(&str, &str, &str); 18] = [
    (
        "cli/src/commands/pull.rs",
        "docker-archive",
        "a transport of skopeo, which no reference is",
    ),
    (
        "cli/src/commands/pull.rs",
        "oci",
        "a transport of skopeo, which no reference is",
    ),
    (
        "host/kit/src/conformance/archives.rs",
        "oci-layout",
        "a file of the OCI image layout",
    ),
    (
        "host/kit/src/scaffold/names.rs",
        "env",
        "a placeholder of the templates",
    ),
    (
        "host/src/image/save.rs",
        "docker",
        "the default, which `plugins.format` changes",
    ),
    (
        "host/src/reference/pasted.rs",
        "docker",
        "a part of addresses at Docker Hub",
    ),
    ("host/src/plugin/builtin.rs", "docker", "the plugin itself"),
    (
        "host/src/plugin/builtin.rs",
        "docker-archive",
        "the plugin itself",
    ),
    (
        "host/src/plugin/builtin.rs",
        "docker-config",
        "the plugin itself",
    ),
    ("host/src/plugin/builtin.rs", "env", "the plugin itself"),
    (
        "host/src/plugin/builtin.rs",
        "keychain",
        "the plugin itself",
    ),
    ("host/src/plugin/builtin.rs", "oci", "the plugin itself"),
    (
        "host/src/plugin/builtin.rs",
        "oci-layout",
        "the plugin itself",
    ),
    (
        "host/src/plugin/builtin.rs",
        "secret-file",
        "the plugin itself",
    ),
    ("host/src/plugin/grant.rs", "env", "a capability"),
    ("host/src/plugin/grant.rs", "keychain", "a capability"),
    ("host/src/settings/policy.rs", "env", "a capability"),
    ("host/src/settings/policy.rs", "keychain", "a capability"),
];

fn no_code_knows_a_plugin_by_its_name() {
    let names = names();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = BTreeSet::new();
    for folder in ["cli/src", "host/src", "host/kit/src"] {
        for entry in walkdir::WalkDir::new(root.join(folder)) {
            let entry = entry.unwrap();
            let path = entry.path().strip_prefix(&root).unwrap();
            let is_source = path.extension().is_some_and(|it| it == "rs");
            let is_test = super::modules::is_test(path) || path.ends_with("auth/fake.rs");
            if is_source && !is_test {
                let code = std::fs::read_to_string(entry.path()).unwrap();
                let path = path.to_str().unwrap();
                let texts = texts(&code, &names).into_iter();
                found.extend(texts.map(|text| (path.to_owned(), text)));
            }
        }
    }
    let allowed = ALLOWED.map(|(file, name, _)| (file.to_owned(), name.to_owned()));
    let allowed: BTreeSet<(String, String)> = allowed.into_iter().collect();
    assert_eq!(found, allowed);
}

fn a_name_in_the_code_is_found() {
    let code = "\
        /// \"env\"\n\
        const NAME: &str = \"keychain\";\n\
        match name { \"env\" | \"x\" => \"the `docker` format\" }\n\
        #[cfg(test)]\n\
        mod tests {\n\
        \"oci\" }\n";
    assert_eq!(texts(code, &names()), ["keychain", "env"]);
}

/// The names of what ships with msb: of the plugins, and of what they provide.
fn names() -> BTreeSet<String> {
    let packages = msb_host::plugin::builtin_packages();
    let both = |package: &msb_host::plugin::Package| {
        [package.name.to_string(), package.kind.name().to_owned()]
    };
    let names: BTreeSet<String> = packages.iter().flat_map(both).collect();
    assert_eq!(names.len(), 8, "{names:?}");
    names
}

/// Returns the literals that are just one of these names, outside of comments and tests.
fn texts(code: &str, names: &BTreeSet<String>) -> Vec<String> {
    let mut lines = code.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        if line == "#[cfg(test)]" && super::modules::is_module(lines.clone()) {
            break;
        }
        if line.starts_with("//") {
            continue;
        }
        for name in names {
            if line.contains(&format!("\"{name}\"")) {
                found.push(name.clone());
            }
        }
    }
    found
}
