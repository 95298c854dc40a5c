//! What pulling costs: msb, skopeo, podman, the image crate of microsandbox, and a floor that only
//! downloads and hashes, from one registry on this machine.

use std::process::Command;

use serde_json::Value;

use super::Place;
use super::contest::{Contender, compare};
use super::corpus::Corpus;
use super::registry::Registry;
use super::report::Report;
use crate::command::{Result, answer, which};
use crate::debian;

/// What takes part beside msb, as Debian packages.
const TOOLS: &[&str] = &["curl", "docker-registry", "podman", "skopeo"];

pub(super) fn run_all(place: &Place, corpus: &Corpus, report: &mut Report) -> Result<()> {
    if debian::can_install() {
        debian::install(TOOLS)?;
    }
    for tool in ["docker-registry", "skopeo", "curl"] {
        which(tool)
            .ok_or_else(|| format!("{tool} is not there, and without it nothing can be pulled"))?;
    }
    // skopeo compresses the layers, once in each way.
    let source = format!("docker-archive:{}", corpus.plain.display());
    for format in ["gzip", "zstd"] {
        println!("pushing layers compressed with {format}");
        // One of its own: of a registry that it knows, skopeo remembers the layers of the other kind
        // and takes those.
        let registry = Registry::start(&place.work.path().join(format))?;
        registry.fill(&source, format)?;
        let reference = registry.reference(format);
        let layers = layers(&reference)?;
        let size: u64 = layers.iter().map(|(_, size)| size).sum();
        let title = format!(
            "{format} layers: {} of them, {} MiB",
            layers.len(),
            size >> 20
        );
        let contenders = contenders(place, &registry, format, &layers);
        report.add(&compare(
            &title,
            &reference,
            &contenders,
            place.work.path(),
        )?);
    }
    Ok(())
}

/// Returns digest and length of each layer of an image.
fn layers(reference: &str) -> Result<Vec<(String, u64)>> {
    let manifest = answer(
        Command::new("skopeo")
            .args(["inspect", "--raw", "--tls-verify=false"])
            .arg(format!("docker://{reference}")),
    )
    .ok_or("skopeo does not find what it has pushed")?;
    let manifest: Value = serde_json::from_str(&manifest)?;
    let layers = manifest["layers"]
        .as_array()
        .ok_or("that is not an image")?;
    layers
        .iter()
        .map(|layer| {
            let digest = layer["digest"].as_str().ok_or("a layer has no digest")?;
            let size = layer["size"].as_u64().ok_or("a layer has no length")?;
            Ok((digest.to_owned(), size))
        })
        .collect()
}

fn contenders(
    place: &Place,
    registry: &Registry,
    format: &str,
    layers: &[(String, u64)],
) -> Vec<Contender> {
    let digests: Vec<&str> = layers.iter().map(|(digest, _)| digest.as_str()).collect();
    let floor = format!(
        "for digest in {}; do curl -sS {}/$digest | $X bench floor - $W/$digest; done",
        digests.join(" "),
        registry.blobs(format),
    );
    let mut contenders = vec![Contender {
        name: "floor".to_owned(),
        script: floor,
    }];
    contenders.extend(place.each_msb().into_iter().map(|(name, msb)| Contender {
        name: name.to_owned(),
        script: format!("MSB_HOME=$W {} pull -q $F", msb.display()),
    }));
    if !place.has_others() {
        return contenders;
    }
    contenders.push(Contender {
        name: "skopeo copy".to_owned(),
        script: "skopeo --insecure-policy copy -q --src-tls-verify=false docker://$F oci:$W/copy:1"
            .to_owned(),
    });
    if which("podman").is_some() {
        let script = "podman --root $W/root --runroot $W/run --storage-driver overlay \
                      --cgroup-manager=cgroupfs --events-backend=none pull -q --tls-verify=false $F";
        contenders.push(Contender {
            name: "podman".to_owned(),
            script: script.to_owned(),
        });
    } else {
        println!("podman is not there and does not take part");
    }
    if let Some(program) = place.incumbent() {
        contenders.push(Contender {
            name: "microsandbox-image".to_owned(),
            script: format!("{} pull $F $W", program.display()),
        });
    }
    contenders
}
