//! Archives that cannot be loaded, and the words that the refusal of each has.

use serde_json::json;

use crate::archive::{Files, Image, archive, gzip, layer, other_architecture, sha256};

pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) archive: Vec<u8>,
    pub(super) words: Vec<String>,
}

pub(super) fn image() -> Image {
    Image::new("bad:1", &["etc/hosts = here", "srv/new = y"])
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn cases() -> Vec<Case> {
    let good = image();
    let docker = |change: &dyn Fn(&mut Files)| {
        let mut files = image().docker_files();
        change(&mut files);
        archive(&files)
    };
    let oci = |change: &dyn Fn(&mut Files)| {
        let mut files = image().oci_files();
        change(&mut files);
        archive(&files)
    };
    let config = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut image = image();
        change(&mut image.config);
        image.docker()
    };
    let second = sha256(&good.layers[1]);
    let blob = &second[7..];
    let other = layer("another = thing");
    let whole = good.docker();
    let mut broken_gzip = gzip(&good.layers[1]);
    let middle = broken_gzip.len() / 2;
    broken_gzip.truncate(middle);
    vec![
        case(
            "no archive",
            b"this is a text, and not a short one at all".repeat(40),
            &["is not a tar archive", "hint: "],
        ),
        case("empty", Vec::new(), &["is empty", "hint: "]),
        case(
            "truncated in a header",
            whole[..whole.len() - 1500].to_vec(),
            &["error: "],
        ),
        case(
            "truncated in a layer",
            whole[..700].to_vec(),
            &["error: ", "hint: "],
        ),
        case(
            "truncated gzip",
            gzip(&whole)[..400].to_vec(),
            &["error: ", "caused by: "],
        ),
        case(
            "no manifest at all",
            archive(&[("notes".to_owned(), b"x".to_vec())]),
            &["no installed format plugin recognises", "hint: "],
        ),
        case(
            "malformed manifest.json",
            docker(&|files| replace(files, "manifest.json", b"{nonsense")),
            &[
                "plugin `docker-archive`",
                "manifest.json",
                "caused by: ",
                "hint: ",
            ],
        ),
        case(
            "empty manifest.json",
            docker(&|files| replace(files, "manifest.json", b"[]")),
            &["plugin `docker-archive`", "no image"],
        ),
        case(
            "malformed index.json",
            oci(&|files| replace(files, "index.json", b"[]")),
            &["plugin `oci-layout`", "index.json"],
        ),
        case(
            "malformed configuration",
            oci(&|files| {
                let config = b"{\"rootfs\": 7}".to_vec();
                let mut changed = image();
                changed.config = serde_json::from_slice(&config).unwrap();
                *files = changed.oci_files();
            }),
            &["configuration", "cannot be understood", "caused by: "],
        ),
        case(
            "missing layer",
            docker(&|files| remove(files, "layer1/")),
            &["neither in the archive nor in the store", &second, "hint: "],
        ),
        case(
            "missing blob",
            oci(&|files| remove(files, blob)),
            &["neither in the archive nor in the store", "hint: "],
        ),
        case(
            "missing configuration",
            oci(&|files| remove(files, &good.id()[7..])),
            &[&good.id()],
        ),
        case(
            "blob of another digest",
            oci(&|files| replace(files, blob, &other)),
            &[
                "does not match its digest",
                &second,
                &sha256(&other),
                "hint: ",
            ],
        ),
        case(
            "configuration of another digest",
            oci(&|files| replace(files, &good.id()[7..], b"{}")),
            &["configuration", "does not match its digest", "hint: "],
        ),
        case(
            "layer of another diff_id",
            docker(&|files| replace(files, "layer1/", &other)),
            &[
                "layer1/layer.tar",
                "diff_id",
                &second,
                &sha256(&other),
                "hint: ",
            ],
        ),
        case(
            "broken gzip layer",
            docker(&|files| replace(files, "layer1/", &broken_gzip)),
            &["layer1/layer.tar", "caused by: ", "hint: "],
        ),
        case(
            "layer that is not a tar",
            docker(&|files| replace(files, "layer1/", &gzip(&b"text".repeat(500)))),
            &["layer1/layer.tar", "not a valid tar", "hint: "],
        ),
        case(
            "too few layers",
            config(&|config| {
                config["rootfs"]["diff_ids"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!(sha256(b"more")));
            }),
            &["3 layers by its configuration, and 2"],
        ),
        case(
            "another platform",
            config(&|config| config["architecture"] = json!(other_architecture())),
            &[
                "no image for platform linux/",
                other_architecture(),
                "--platform linux/",
            ],
        ),
        case(
            "windows",
            config(&|config| config["os"] = json!("windows")),
            &["no image for platform linux/", "windows/"],
        ),
        case(
            "digest that is a path",
            oci(&|files| {
                let index = json!({"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:../../../../etc/passwd", "size": 3}]});
                replace(files, "index.json", &serde_json::to_vec(&index).unwrap());
            }),
            &["plugin `oci-layout`", "digest"],
        ),
        case(
            "hard link to nowhere",
            Image::new("bad:1", &["a => missing/target"]).docker(),
            &["hard link", "missing/target"],
        ),
        case(
            "manifest beyond its limit",
            docker(&|files| replace(files, "manifest.json", &vec![b' '; 9 << 20])),
            &["manifest.json"],
        ),
    ]
}

fn case(name: &'static str, archive: Vec<u8>, words: &[&str]) -> Case {
    let words = words.iter().map(|words| (*words).to_owned()).collect();
    Case {
        name,
        archive,
        words,
    }
}

fn replace(files: &mut Files, name: &str, contents: &[u8]) {
    let file = files
        .iter_mut()
        .find(|(path, _)| path.contains(name))
        .unwrap();
    file.1 = contents.to_vec();
}

fn remove(files: &mut Files, name: &str) {
    files.retain(|(path, _)| !path.contains(name));
}
