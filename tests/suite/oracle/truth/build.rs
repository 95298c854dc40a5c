//! Images of many layers that Docker and buildah build: each script runs in a container.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::engine::Docker;
use crate::mount::{Mounted, Nodes, nodes};
use crate::tools::run;

/// Copies the tools of this machine that scripts use into a folder, with their libraries.
const TOOLS: &str = r#"
    mkdir -p tools/bin tools/tmp
    for tool in sh busybox setcap setfattr touch truncate; do
        path=$(command -v "$tool")
        cp -L "$path" "tools/bin/$tool"
        for library in $(ldd "$path" 2>/dev/null | grep -o '/[^ ]*'); do
            mkdir -p "tools${library%/*}"
            cp -L "$library" "tools$library"
        done
    done
    for applet in $(busybox --list); do
        [ -e "tools/bin/$applet" ] || ln -s busybox "tools/bin/$applet"
    done
"#;

/// What an image is built from: the scripts of its layers, or whole instructions.
///
/// A step is an instruction when it begins with a word in capital letters; the files that it
/// copies come from a script that runs before everything else, in the context's folder.
pub(crate) struct Recipe<'a> {
    pub(crate) files: &'a str,
    pub(crate) steps: &'a [&'a str],
}

/// An image as the tool that built it has written it, and as that tool shows it to containers.
pub(crate) struct Built {
    directory: TempDir,
    pub(crate) transport: &'static str,
    pub(crate) shown: Nodes,
}

impl Built {
    pub(crate) fn archive(&self) -> PathBuf {
        archive_in(&self.directory)
    }
}

fn archive_in(directory: &TempDir) -> PathBuf {
    directory.path().join("built.tar")
}

impl Recipe<'_> {
    /// Writes the context of a build.
    fn context(&self) -> TempDir {
        let context = tempfile::tempdir().unwrap();
        for script in [TOOLS, self.files] {
            run(Command::new("sh")
                .args(["-euc", script])
                .current_dir(context.path()));
        }
        let mut containerfile = "FROM scratch\nCOPY tools /\nENV PATH=/bin\n".to_owned();
        let scripts = context.path().join("tools/steps");
        std::fs::create_dir(&scripts).unwrap();
        for (number, step) in self.steps.iter().enumerate() {
            if is_instruction(step) {
                containerfile = format!("{containerfile}{step}\n");
                continue;
            }
            std::fs::write(scripts.join(number.to_string()), step).unwrap();
            containerfile =
                format!("{containerfile}RUN [\"/bin/sh\", \"-eu\", \"/steps/{number}\"]\n");
        }
        std::fs::write(context.path().join("Dockerfile"), containerfile).unwrap();
        context
    }

    /// Builds with Docker, and looks at the layers as Docker mounts them for a container.
    pub(crate) fn with_docker(&self, name: &str) -> Built {
        let docker = Docker::on_overlay();
        let directory = tempfile::tempdir().unwrap();
        let context = self.context();
        let path = context.path().display().to_string();
        run(&mut docker.command(["build", "--quiet", "--network=none", "--tag", name, &path]));
        let archive = archive_in(&directory).display().to_string();
        docker.run(&format!("save --output {archive} {name}"));
        let container = docker.run(&format!("create {name} sh"));
        let details: Value =
            serde_json::from_str(&docker.run(&format!("inspect {container}"))).unwrap();
        let lower = details[0]["GraphDriver"]["Data"]["LowerDir"]
            .as_str()
            .unwrap();
        let layers: Vec<&str> = lower
            .rsplit(':')
            // What Docker adds to a container is no part of its image.
            .filter(|layer| !layer.ends_with("-init/diff"))
            .collect();
        let shown = nodes(Mounted::overlay(&layers).path());
        docker.run(&format!("rm {container}"));
        Built {
            directory,
            transport: "docker-archive",
            shown,
        }
    }

    /// Builds with buildah, and looks at the mount of a container of the image.
    pub(crate) fn with_buildah(&self, name: &str) -> Built {
        let buildah = Buildah {
            directory: tempfile::tempdir().unwrap(),
        };
        let directory = tempfile::tempdir().unwrap();
        let context = self.context();
        buildah.run(&format!(
            "build --quiet --layers --isolation=chroot --network=host --cap-add=CAP_MKNOD \
             --tag {name} {}",
            context.path().display()
        ));
        let archive = archive_in(&directory).display().to_string();
        buildah.run(&format!("push --quiet {name} oci-archive:{archive}:{name}"));
        let container = buildah.run(&format!("from --pull-never {name}"));
        let mounted = buildah.run(&format!("mount {container}"));
        Built {
            directory,
            transport: "oci-archive",
            shown: nodes(Path::new(mounted.trim())),
        }
    }
}

fn is_instruction(step: &str) -> bool {
    let word = step.split(' ').next().unwrap_or_default();
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// buildah with a store of its own.
struct Buildah {
    directory: TempDir,
}

impl Buildah {
    fn command(&self, line: &str) -> Command {
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        let mut command = Command::new("buildah");
        command
            .arg(format!("--root={}", path("root")))
            .arg(format!("--runroot={}", path("run")))
            .arg("--storage-driver=overlay")
            .args(line.split_whitespace());
        command
    }

    fn run(&self, line: &str) -> String {
        run(&mut self.command(line))
    }
}

impl Drop for Buildah {
    /// Unmounts what would keep the store's directory busy.
    fn drop(&mut self) {
        let _ = self.command("rm --all").output();
    }
}
