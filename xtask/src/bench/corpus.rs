//! Images to measure with: real files, in a few layers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Result, answer, run};

/// One image, as an archive of plain layers and as one of gzip layers.
pub(super) struct Corpus {
    /// A Docker archive.
    pub(super) plain: PathBuf,
    /// The same image, its layers compressed with gzip.
    pub(super) compressed: PathBuf,
}

impl Corpus {
    /// Takes archives that were made before.
    pub(super) fn of(folder: &Path) -> Self {
        Self {
            plain: folder.join("app-docker.tar"),
            compressed: folder.join("app-oci-gz.tar"),
        }
    }

    /// Packs real files of this machine: programs and libraries, up to 300 MB, in three layers.
    pub(super) fn quick(work: &Path) -> Result<Self> {
        println!("packing files of this machine");
        let (plain, compressed) = (work.join("plain.tar"), work.join("compressed.tar"));
        let script = r#"
        cd "$W"; mkdir layers
        for part in bin lib share; do
            find /usr/$part -xdev -type f -size -8M -printf '%s %p\n' | sort -k 2 |
                awk '{ sum += $1; if (sum > 100000000) exit; sub(/^[0-9]+ /, ""); print }' > $part.list
            tar -cf layers/$part.tar --no-recursion -T $part.list 2>/dev/null || true
        done
    "#;
        run(Command::new("bash").args(["-c", script]).env("W", work))?;
        let mut layers: Vec<PathBuf> = fs::read_dir(work.join("layers"))?
            .map(|file| Ok(file?.path()))
            .collect::<Result<_>>()?;
        layers.sort();
        docker_archive(&layers, &plain, false)?;
        docker_archive(&layers, &compressed, true)?;
        Ok(Self { plain, compressed })
    }
}

/// Writes a Docker archive of layers, which are compressed with gzip on demand.
fn docker_archive(layers: &[PathBuf], archive: &Path, compress: bool) -> Result<()> {
    let digest = |path: &Path| -> Result<String> {
        let line = answer(Command::new("sha256sum").arg(path)).ok_or("sha256sum has failed")?;
        Ok(line.split(' ').next().unwrap_or_default().to_owned())
    };
    let mut builder = tar::Builder::new(fs::File::create(archive)?);
    let (mut names, mut diff_ids) = (Vec::new(), Vec::new());
    for layer in layers {
        let hex = digest(layer)?;
        let name = format!("{hex}/layer.tar");
        let mut path = layer.clone();
        if compress {
            path = layer.with_extension("tar.gz");
            let output = fs::File::create(&path)?;
            run(Command::new("gzip")
                .args(["-c", "-6"])
                .arg(layer)
                .stdout(output))?;
        }
        builder.append_path_with_name(&path, &name)?;
        diff_ids.push(format!("sha256:{hex}"));
        names.push(name);
    }
    let architecture = if std::env::consts::ARCH == "aarch64" {
        "arm64"
    } else {
        "amd64"
    };
    let config = serde_json::to_vec(&serde_json::json!({
        "architecture": architecture,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }))?;
    let parent = archive.parent().ok_or("the archive has no folder")?;
    let config_file = parent.join("config.json");
    fs::write(&config_file, &config)?;
    let config_name = format!("{}.json", digest(&config_file)?);
    let manifest = serde_json::json!([{
        "Config": config_name, "RepoTags": ["corpus:1"], "Layers": names,
    }]);
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    for (name, contents) in [
        (config_name.as_str(), config),
        ("manifest.json", serde_json::to_vec(&manifest)?),
    ] {
        header.set_size(contents.len() as u64);
        builder.append_data(&mut header, name, contents.as_slice())?;
    }
    builder.into_inner()?;
    Ok(())
}
