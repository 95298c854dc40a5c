//! Documents that two readers could read as two images, against what skopeo reads of the same bytes:
//! Go's decoder, as in docker, podman and containerd. msb has to read the same, or to refuse.

use std::process::Command;

use serde_json::{Value, json};

use crate::archive::{Image, architecture, archive, descriptor, gzip, hex, sha256};
use crate::env::TestEnv;
use crate::faulty::Registry;
use crate::tests;

tests! {
    documents_of_registries_are_read_as_skopeo_reads_them needs Skopeo;
    documents_of_layouts_are_read_as_skopeo_reads_them needs Skopeo;
    documents_of_docker_archives_are_read_as_skopeo_reads_them needs Skopeo;
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// What has to become of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Readers differ about it: msb refuses it and says so.
    Refused,
    /// msb reads it, as skopeo does.
    Read,
    /// It is not sound, and msb need not read it. If both do, they see the same.
    Odd,
}

use Fate::{Odd, Read, Refused};

/// What a reader sees of an image.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    layers: Vec<String>,
    env: Vec<String>,
    labels: Value,
    architecture: String,
}

/// Two images of a layer each.
struct Pair {
    layers: [Vec<u8>; 2],
    diff_ids: [String; 2],
}

impl Pair {
    fn new() -> Self {
        let images = ["one", "other"].map(|name| Image::new("", &[&format!("etc/name = {name}")]));
        Self {
            diff_ids: [0, 1].map(|number: usize| sha256(&images[number].layers[0])),
            layers: [0, 1].map(|number: usize| gzip(&images[number].layers[0])),
        }
    }

    fn layer(&self, number: usize) -> String {
        let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        descriptor(media_type, &self.layers[number]).to_string()
    }

    /// The fields of a configuration, for the tables below to put together.
    fn config(&self) -> String {
        Self::config_of(&format!(
            r#""rootfs":{{"type":"layers","diff_ids":["{}"]}},"config":{{"Env":["A=1"]}}"#,
            self.diff_ids[0]
        ))
    }

    fn config_of(rest: &str) -> String {
        let architecture = architecture();
        format!(r#"{{"os":"linux","architecture":"{architecture}",{rest}}}"#)
    }

    fn manifest(&self, config: &[u8]) -> String {
        let (config, layer) = (descriptor(CONFIG, config), self.layer(0));
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[{layer}]}}"#
        )
    }

    /// Manifests, each of the configuration of the first image.
    fn manifests(&self) -> Vec<(Fate, Vec<u8>)> {
        let config = self.config();
        let plain = self.manifest(config.as_bytes());
        let (one, other) = (self.layer(0), self.layer(1));
        let config = descriptor(CONFIG, config.as_bytes()).to_string();
        let of_config = |key: &str| format!(r#""{key}":{config}"#);
        let with = |more: &str| format!("{}{more}}}", &plain[..plain.len() - 1]);
        let renamed =
            |from: &str, to: &str| plain.replacen(&format!("\"{from}\""), &format!("\"{to}\""), 1);
        let digest = sha256(&self.layers[0]);
        let twice = |key: &str| {
            let field = format!(r#""digest":"{digest}""#);
            let more = format!(r#"{field},"{key}":"{}""#, sha256(&self.layers[1]));
            plain.replace(&field, &more)
        };
        let mut table: Vec<(Fate, String)> = vec![
            (Read, plain.clone()),
            (Refused, with(&format!(r#","Layers":[{other}]"#))),
            (Refused, with(&format!(r#","layers":[{other}]"#))),
            (Refused, with(&format!(r#","LAYERS":[{other}]"#))),
            (Refused, with(&format!(",\"layer\u{17f}\":[{other}]"))),
            (Refused, with(&format!(r#","layer\u017f":[{other}]"#))),
            (Refused, with(&format!(r#","\u006cayers":[{other}]"#))),
            (Refused, with(r#","Layers":null"#)),
            (Refused, with(r#","Layers":[]"#)),
            (Refused, with(&format!(",{}", of_config("Config")))),
            (
                Refused,
                with(r#","MediaType":"application/vnd.oci.image.index.v1+json""#),
            ),
            (Refused, with(r#","SchemaVersion":1"#)),
            (
                Refused,
                with(r#","artifactType":"a/b","ArtifactType":"c/d""#),
            ),
            (Refused, twice("Digest")),
            (Refused, twice("DIGEST")),
            (Refused, twice("digest")),
            (Refused, twice(r"di\u0067est")),
            (Refused, with(r#","subject":{"digest":"a","Digest":"b"}"#)),
            (Refused, with(r#","annotations":{"a":"1","a":"2"}"#)),
            (Odd, with(r#","Manifests":[]"#)),
            (Odd, with(r#","manifests":[]"#)),
            (Read, with(r#","manifests":null"#)),
            (Read, renamed("layers", "Layers")),
            (Read, renamed("layers", "LAYERS")),
            (Read, renamed("layers", "layer\u{17f}")),
            (Read, renamed("layers", r"layer\u017f")),
            (Read, renamed("config", "Config")),
            (Read, renamed("mediaType", "MEDIATYPE")),
            (Read, renamed("schemaVersion", "SchemaVersion")),
            (Read, plain.replace("\"digest\"", "\"Digest\"")),
            (Read, plain.replace("\"size\"", "\"SIZE\"")),
            (Read, with(r#","annotations":{"A":"1","a":"2"}"#)),
            (Read, with(r#","annotations":null"#)),
            (Read, with(r#","annotations":{"a":"\ud800"}"#)),
            (Read, with(r#","unknown":{"A":[{"b":1,"B":2}]}"#)),
            (Read, with(r#","unknown":1.5e300"#)),
            (Odd, with(&format!(r#","layers2":[{one}]"#))),
            (Odd, format!("{plain} {{}}")),
            (Odd, format!("\u{feff}{plain}")),
            (Odd, plain.replacen("\"size\":", "\"size\":0", 1)),
            (Odd, with(r#","unknown":1e999"#)),
            (
                Odd,
                with(&format!(
                    r#","deep":{}{}"#,
                    "[".repeat(500),
                    "]".repeat(500)
                )),
            ),
            (Odd, plain.replacen("2,", "2.0,", 1)),
            (Odd, plain.replace(&format!("[{one}]"), &one)),
            (
                Odd,
                plain.replace(&format!("[{one}]"), &format!("[{one},null]")),
            ),
        ];
        // Positions of keys count for readers that take the first or the last.
        table.push((
            Refused,
            plain.replacen('{', &format!(r#"{{"Layers":[{other}],"#), 1),
        ));
        let mut table: Vec<(Fate, Vec<u8>)> = table
            .into_iter()
            .map(|(fate, text)| (fate, text.into_bytes()))
            .collect();
        let mut bytes = with(r#","annotations":{"a":"?"}"#).into_bytes();
        let place = bytes.iter().rposition(|byte| *byte == b'?').unwrap();
        bytes[place] = 0xff;
        table.push((Read, bytes));
        table
    }

    /// Configurations of an image with the first layer.
    fn configs(&self) -> Vec<(Fate, Vec<u8>)> {
        let [one, other] = [0, 1].map(|number: usize| {
            format!(
                r#"{{"type":"layers","diff_ids":["{}"]}}"#,
                self.diff_ids[number]
            )
        });
        let run = r#"{"Env":["A=1"],"Labels":{"A":"1","a":"2"}}"#;
        let of = |rest: &str| Pair::config_of(rest);
        let ids = format!(r#"["{}"]"#, self.diff_ids[0]);
        [
            (Read, of(&format!(r#""rootfs":{one},"config":{run}"#))),
            (Read, of(&format!(r#""RootFS":{one},"Config":{run}"#))),
            (
                Read,
                of(&format!(
                    r#""rootfs":{{"Diff_Ids":{ids}}},"config":{{"env":["B=2"]}}"#
                )),
            ),
            (
                Read,
                of(&format!(r#""rootfs":{one},"config":{{"ENV":["B=2"]}}"#)),
            ),
            (
                Read,
                of(&format!(r#""rootfs":{one},"config":null,"history":null"#)),
            ),
            (
                Read,
                of(&format!(r#""rootfs":{one},"author":"\udfff\ud800x""#)),
            ),
            (Refused, of(&format!(r#""rootfs":{one},"RootFS":{other}"#))),
            (Refused, of(&format!(r#""RootFS":{other},"rootfs":{one}"#))),
            (Refused, of(&format!(r#""rootfs":{one},"rootfs":{other}"#))),
            (
                Refused,
                of(&format!(r#""rootfs":{{"diff_ids":{ids},"DIFF_IDS":[]}}"#)),
            ),
            (
                Refused,
                of(&format!(
                    r#""rootfs":{{"diff_ids":{ids},"diff_id\u017f":[]}}"#
                )),
            ),
            (Refused, of(&format!(r#""rootfs":{one},"OS":"windows""#))),
            (
                Refused,
                of(&format!(r#""rootfs":{one},"o\u017f":"windows""#)),
            ),
            (
                Refused,
                of(&format!(r#""rootfs":{one},"Architecture":"s390x""#)),
            ),
            (
                Refused,
                of(&format!(r#""rootfs":{one},"variant":"v1","Variant":"v4""#)),
            ),
            (
                Refused,
                of(&format!(r#""rootfs":{one},"config":{run},"Config":{{}}"#)),
            ),
            (
                Refused,
                of(&format!(
                    r#""rootfs":{one},"config":{{"Env":["A=1"],"env":["A=2"]}}"#
                )),
            ),
            (
                Refused,
                of(&format!(
                    r#""rootfs":{one},"config":{{"Wor\u212aingDir":"/","WorkingDir":"/x"}}"#
                )),
            ),
            (
                Refused,
                of(&format!(
                    r#""rootfs":{one},"config":{{"Labels":{{"a":"1","a":"2"}}}}"#
                )),
            ),
            (
                Refused,
                of(&format!(
                    r#""rootfs":{one},"history":[{{"created_by":"a","Created_By":"b"}}]"#
                )),
            ),
            (
                Odd,
                of(&format!(r#""rootfs":{one},"config":{{"Env":"A=1"}}"#)),
            ),
            (Odd, of(&format!(r#""rootfs":[{one}]"#))),
        ]
        .into_iter()
        .map(|(fate, text)| (fate, text.into_bytes()))
        .collect()
    }

    /// Manifests with their configurations: all of one table, and all of the other.
    fn images(&self) -> Vec<(Fate, Vec<u8>, Vec<u8>)> {
        let config = self.config().into_bytes();
        let manifests = self.manifests().into_iter();
        let manifests = manifests.map(|(fate, manifest)| (fate, manifest, config.clone()));
        let configs = self.configs().into_iter().map(|(fate, config)| {
            let manifest = self.manifest(&config).into_bytes();
            (fate, manifest, config)
        });
        manifests.chain(configs).collect()
    }
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
