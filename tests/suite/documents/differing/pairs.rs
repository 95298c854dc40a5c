//! Documents of two images that readers might tell apart or mix up, and what has to become of each.

use super::MANIFEST;
use crate::archive::{Image, architecture, descriptor, gzip, sha256};

use Fate::{Odd, Read, Refused};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// What has to become of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Readers differ about it: msb refuses it and says so.
    Refused,
    /// msb reads it, as skopeo does.
    Read,
    /// It is not sound, and msb need not read it. If both do, they see the same.
    Odd,
}

/// Two images of a layer each.
pub(super) struct Pair {
    pub(super) layers: [Vec<u8>; 2],
    pub(super) diff_ids: [String; 2],
}

impl Pair {
    pub(super) fn new() -> Self {
        let images = ["one", "other"].map(|name| Image::new("", &[&format!("etc/name = {name}")]));
        Self {
            diff_ids: [0, 1].map(|number: usize| sha256(&images[number].layers[0])),
            layers: [0, 1].map(|number: usize| gzip(&images[number].layers[0])),
        }
    }

    pub(super) fn layer(&self, number: usize) -> String {
        let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        descriptor(media_type, &self.layers[number]).to_string()
    }

    /// The fields of a configuration, for the tables below to put together.
    pub(super) fn config(&self) -> String {
        Self::config_of(&format!(
            r#""rootfs":{{"type":"layers","diff_ids":["{}"]}},"config":{{"Env":["A=1"]}}"#,
            self.diff_ids[0]
        ))
    }

    pub(super) fn config_of(rest: &str) -> String {
        let architecture = architecture();
        format!(r#"{{"os":"linux","architecture":"{architecture}",{rest}}}"#)
    }

    pub(super) fn manifest(&self, config: &[u8]) -> String {
        let (config, layer) = (descriptor(CONFIG, config), self.layer(0));
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[{layer}]}}"#
        )
    }

    /// Manifests, each of the configuration of the first image.
    pub(super) fn manifests(&self) -> Vec<(Fate, Vec<u8>)> {
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
    pub(super) fn configs(&self) -> Vec<(Fate, Vec<u8>)> {
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
    pub(super) fn images(&self) -> Vec<(Fate, Vec<u8>, Vec<u8>)> {
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
