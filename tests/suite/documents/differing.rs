//! Documents that two readers could read as two images, against what skopeo reads of the same bytes:
//! Go's decoder, as in docker, podman and containerd. msb has to read the same, or to refuse.

mod pairs;

use std::process::Command;

use serde_json::{Value, json};

use self::pairs::Fate::{self, Odd, Read, Refused};
use self::pairs::Pair;
use crate::archive::{Image, archive, descriptor, hex, sha256};
use crate::env::TestEnv;
use crate::faulty::Registry;
use crate::tests;

tests! {
    documents_of_registries_are_read_as_skopeo_reads_them needs Skopeo;
    documents_of_layouts_are_read_as_skopeo_reads_them needs Skopeo;
    documents_of_docker_archives_are_read_as_skopeo_reads_them needs Skopeo;
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What a reader sees of an image.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    layers: Vec<String>,
    env: Vec<String>,
    labels: Value,
    architecture: String,
}

/// Returns what skopeo reads, if it does.
fn by_skopeo(source: &str) -> Option<Seen> {
    let output = Command::new("skopeo")
        .args(["inspect", "--no-tags", "--tls-verify=false", source])
        .output()
        .unwrap();
    let seen: Value = serde_json::from_slice(&output.stdout).ok()?;
    Some(Seen {
        layers: texts(&seen["Layers"]),
        env: texts(&seen["Env"]),
        labels: labels(&seen["Labels"]),
        architecture: seen["Architecture"].as_str().unwrap().to_owned(),
    })
}

/// Returns what msb has read.
fn by_msb(env: &TestEnv, name: &str) -> Seen {
    let seen = env.json(&format!("image inspect {name} --format json"));
    let layers = seen["layers"].as_array().unwrap().iter();
    Seen {
        layers: layers
            .map(|layer| layer["blob_digest"].as_str().unwrap().to_owned())
            .collect(),
        env: texts(&seen["config"]["env"]),
        labels: labels(&seen["config"]["labels"]),
        architecture: seen["architecture"].as_str().unwrap().to_owned(),
    }
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.map(|it| it.as_str().unwrap().to_owned()).collect()
}

fn labels(labels: &Value) -> Value {
    match labels {
        Value::Null => json!({}),
        labels => labels.clone(),
    }
}

/// Judges a run by what has to become of the document and by what skopeo has read.
fn judge(
    (fate, document): (Fate, &[u8]),
    (env, run, name): (&TestEnv, crate::env::Run, &str),
    skopeo: Option<&Seen>,
) {
    let text = String::from_utf8_lossy(document);
    let short: String = text.chars().take(3000).collect();
    if run.code != Some(0) {
        assert_ne!(fate, Read, "{short}\n{run:#?}");
        if fate == Refused {
            assert!(run.stderr.contains("readers differ"), "{short}\n{run:#?}");
        }
        env.assert_nothing_in_flight();
        return;
    }
    assert_ne!(fate, Refused, "{short}\n{run:#?}");
    let own = by_msb(env, name);
    match skopeo {
        Some(skopeo) => assert_eq!(own, *skopeo, "{short}"),
        None => assert_eq!(fate, Odd, "skopeo does not read it: {short}"),
    }
}

fn documents_of_registries_are_read_as_skopeo_reads_them() {
    let (pair, env) = (Pair::new(), TestEnv::new());
    for (fate, manifest, config) in pair.images() {
        let registry = Registry::start();
        for blob in pair.layers.iter().chain([&config]) {
            registry.put_blob(blob);
        }
        registry.put_document("app", "1", MANIFEST, &manifest);
        let name = format!("{}/app:1", registry.host());
        let skopeo = by_skopeo(&format!("docker://{name}"));
        let run = env.msb(&format!("pull {name}"));
        judge((fate, &manifest), (&env, run, &name), skopeo.as_ref());
    }
}

fn documents_of_layouts_are_read_as_skopeo_reads_them() {
    let (pair, env) = (Pair::new(), TestEnv::new());
    let index_of = |manifest: &[u8]| {
        let mut entry = descriptor(MANIFEST, manifest);
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": "app:1"});
        format!(r#"{{"schemaVersion":2,"manifests":[{entry}]}}"#)
    };
    let config = pair.config().into_bytes();
    let manifest = pair.manifest(&config).into_bytes();
    let plain = index_of(&manifest);
    let other = plain.replace(&sha256(&manifest), &sha256(b"another"));
    let others = &other[r#"{"schemaVersion":2,"#.len()..other.len() - 1];
    let with = |more: &str| format!("{}{more}}}", &plain[..plain.len() - 1]);
    let indexes = [
        (Read, plain.clone()),
        (Read, plain.replace("\"manifests\"", "\"Manifests\"")),
        (Read, plain.replace("\"digest\"", "\"DIGEST\"")),
        (Read, plain.replace("\"manifests\"", r#""manife\u017fts""#)),
        (Refused, with(&format!(",{others}"))),
        (Refused, with(&format!(",{}", others.replacen('m', "M", 1)))),
        (Refused, with(r#","Manifests":null"#)),
        (
            Refused,
            with(&format!(",{}", others.replacen('s', "\u{17f}", 1))),
        ),
        (
            Refused,
            plain.replace("\"digest\"", "\"Digest\":\"x\",\"digest\""),
        ),
        (
            Refused,
            plain.replace("\"annotations\"", "\"Annotations\":{},\"annotations\""),
        ),
    ];
    let of_indexes = indexes.map(|(fate, index)| (fate, manifest.clone(), config.clone(), index));
    let of_images = pair.images().into_iter().map(|(fate, manifest, config)| {
        let index = index_of(&manifest);
        (fate, manifest, config, index)
    });
    for (fate, manifest, config, index) in of_images.chain(of_indexes) {
        let mut files = vec![
            (
                "oci-layout".to_owned(),
                br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
            ),
            ("index.json".to_owned(), index.clone().into_bytes()),
        ];
        for blob in pair.layers.iter().chain([&config, &manifest]) {
            files.push((format!("blobs/sha256/{}", hex(&sha256(blob))), blob.clone()));
        }
        env.msb("rmi --force app:1");
        let path = env.write("in.tar", &archive(&files));
        let skopeo = by_skopeo(&format!("oci-archive:{}", path.display()));
        let run = env.msb("load -i in.tar");
        let document = [index.as_bytes(), b"\n", &manifest].concat();
        judge((fate, &document), (&env, run, "app:1"), skopeo.as_ref());
    }
}

fn documents_of_docker_archives_are_read_as_skopeo_reads_them() {
    let (pair, env) = (Pair::new(), TestEnv::new());
    let config = pair.config();
    let other = config.replace("A=1", "A=2");
    let plain = r#"[{"Config":"one.json","RepoTags":["app:1"],"Layers":["one.tar"]}]"#;
    let with = |more: &str| plain.replace("}]", &format!("{more}}}]"));
    let lists = [
        (Read, plain.to_owned()),
        (Read, plain.replace("Config", "config")),
        (Read, plain.replace("Layers", "LAYERS")),
        (Read, plain.replace("RepoTags", "repotag\u{17f}")),
        (Refused, with(r#","config":"other.json""#)),
        (Refused, with(r#","Config":"other.json""#)),
        (Refused, with(r#","layers":["other.tar"]"#)),
        (Refused, with(r#","Layer\u017f":["other.tar"]"#)),
        (Refused, with(r#","RepoTag\u017f":["other:1"]"#)),
        (Odd, format!("{plain}[]")),
    ];
    let of_lists = lists.map(|(fate, list)| (fate, list, config.clone().into_bytes()));
    let of_configs = pair.configs().into_iter();
    let of_configs = of_configs.map(|(fate, config)| (fate, plain.to_owned(), config));
    for (fate, list, config) in of_configs.chain(of_lists) {
        let [one_layer, other_layer] = ["one", "other"]
            .map(|name| Image::new("", &[&format!("etc/name = {name}")]).layers[0].clone());
        let files = [
            ("one.json", config.clone()),
            ("other.json", other.clone().into_bytes()),
            ("one.tar", one_layer),
            ("other.tar", other_layer),
            ("manifest.json", list.clone().into_bytes()),
        ]
        .map(|(path, contents)| (path.to_owned(), contents));
        env.msb("rmi --force app:1");
        let path = env.write("in.tar", &archive(&files));
        let skopeo = by_skopeo(&format!("docker-archive:{}", path.display()));
        let run = env.msb("load -i in.tar");
        let document = [list.as_bytes(), b"\n", &config].concat();
        judge((fate, &document), (&env, run, "app:1"), skopeo.as_ref());
    }
}
