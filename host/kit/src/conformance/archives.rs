//! Archives made from text: those that a format plugin may be shown, and what is in them.
//!
//! Owns their bytes. Knows nothing of plugins.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tar::{EntryType, Header};

use super::roots;
use msb_host::digest::Digest;
use msb_host::platform::Platform;

/// An entry of an archive that is going to be written.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) path: Vec<u8>,
    pub(super) kind: EntryType,
    /// Where a link leads.
    pub(super) target: Vec<u8>,
    pub(super) contents: Vec<u8>,
}

impl Member {
    pub(super) fn file(path: &str, contents: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            kind: EntryType::Regular,
            target: Vec::new(),
            contents: contents.into(),
        }
    }

    /// Returns its contents, if they are JSON.
    pub(super) fn json(&self) -> Option<Value> {
        let first = self.contents.first()?;
        let json = matches!(first, b'{' | b'[') && self.contents.len() < 1 << 20;
        serde_json::from_slice(json.then_some(&self.contents)?).ok()
    }
}

/// An archive.
#[derive(Clone, Debug)]
pub(super) struct Archive {
    pub(super) name: String,
    pub(super) members: Vec<Member>,
    /// The IDs of the images in it that suit this machine.
    pub(super) images: Vec<Digest>,
}

impl Archive {
    fn of(name: &str, members: Vec<Member>, images: &[&Image]) -> Self {
        Self {
            name: name.to_owned(),
            members,
            images: images.iter().map(|image| image.id()).collect(),
        }
    }

    /// Returns it as a tar.
    pub(super) fn bytes(&self) -> Vec<u8> {
        tar_of(&self.members)
    }
}

/// Returns a tar of some entries, also of those that no tool would write.
pub(super) fn tar_of(members: &[Member]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for member in members {
        // As GNU tar writes it: what is too long for a header stands in an entry before.
        for (kind, text) in [(b'L', &member.path), (b'K', &member.target)] {
            if text.len() > 100 {
                put(&mut bytes, kind, b"././@LongLink", b"", text);
            }
        }
        let kind = member.kind.as_byte();
        put(
            &mut bytes,
            kind,
            &member.path,
            &member.target,
            &member.contents,
        );
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn put(bytes: &mut Vec<u8>, kind: u8, path: &[u8], target: &[u8], contents: &[u8]) {
    let mut header = Header::new_gnu();
    let fields = header.as_old_mut();
    fill(&mut fields.name, path);
    fill(&mut fields.linkname, target);
    header.set_entry_type(EntryType::new(kind));
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(contents.len() as u64);
    header.set_cksum();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
}

fn fill(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}

/// An image in the making.
#[derive(Clone, Debug)]
struct Image {
    config: Vec<u8>,
    layers: Vec<Vec<u8>>,
}

impl Image {
    /// Returns an image for this machine. A layer is files: `etc/hosts = 127.0.0.1`.
    fn new(words: &str, layers: &[&str]) -> Self {
        Self::of(words, layers.iter().map(|text| layer(text)).collect())
    }

    fn of(words: &str, layers: Vec<Vec<u8>>) -> Self {
        let host = Platform::host();
        let diff_ids: Vec<String> = layers.iter().map(|it| Digest::of(it).to_string()).collect();
        let mut config = json!({
            "architecture": host.architecture,
            "config": {"Cmd": ["/bin/sh"], "Env": [format!("WORDS={words}")]},
            "os": host.os,
            "rootfs": {"diff_ids": diff_ids, "type": "layers"},
        });
        if let (Some(variant), Some(config)) = (host.variant, config.as_object_mut()) {
            config.insert("variant".to_owned(), variant.into());
        }
        Self {
            config: config.to_string().into_bytes(),
            layers,
        }
    }

    fn compressed(mut self) -> Self {
        self.layers = self.layers.iter().map(|layer| gzip(layer)).collect();
        self
    }

    fn id(&self) -> Digest {
        Digest::of(&self.config)
    }
}

fn layer(text: &str) -> Vec<u8> {
    tar_of(&members(text))
}

/// Returns the files that a text lists: `etc/hosts = 127.0.0.1`, `etc/`, and `bin/sh = PROGRAM` for a program
/// of this machine.
fn members(text: &str) -> Vec<Member> {
    let member = |line: &str| match line.split_once(" = ") {
        Some((path, "PROGRAM")) => {
            let architecture = Platform::host().architecture;
            Member::file(path, roots::program(&architecture))
        }
        Some((path, contents)) => Member::file(path, contents),
        None => Member {
            kind: EntryType::Directory,
            ..Member::file(line, "")
        },
    };
    text.lines().map(member).collect()
}

/// Returns bytes compressed with gzip.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

const BASE: &str = "bin/\nbin/sh = PROGRAM\netc/\netc/hostname = kit";
const TOP: &str = "srv/\nsrv/app = hello\nusr/\nvar/\netc/.wh.hostname = ";

/// Returns archives as tools write them, which a plugin either knows or leaves to others.
pub(super) fn golden() -> Vec<Archive> {
    let one = Image::new("one", &[BASE, TOP]);
    let two = Image::new("two", &[BASE, "srv/\nsrv/other = world"]);
    let packed = Image::new("packed", &[BASE, TOP]).compressed();
    let bare = Image::new("nothing", &[""]);
    vec![
        docker("docker archive", &[(&one, &["kit:1"])]),
        docker(
            "docker archive of two images, one with two names",
            &[
                (&one, &["kit:1", "kit.example.com/kit:latest"]),
                (&two, &["kit:2"]),
            ],
        ),
        docker(
            "docker archive, layers in gzip",
            &[(&packed, &["packed:1"])],
        ),
        docker("docker archive without a name", &[(&one, &[])]),
        docker("docker archive with an empty layer", &[(&bare, &["kit:0"])]),
        oci("OCI layout", &[(&one, Some("layout:1"))], false),
        oci(
            "OCI layout of two images",
            &[(&one, Some("layout:1")), (&two, Some("layout:2"))],
            false,
        ),
        oci(
            "OCI layout, layers in gzip",
            &[(&packed, Some("layout:3"))],
            false,
        ),
        oci("OCI layout without a name", &[(&one, None)], false),
        oci(
            "OCI layout, index in an index",
            &[(&one, Some("layout:1"))],
            true,
        ),
    ]
}

/// Returns an archive with an image that is a root filesystem, with all that files can have.
pub(super) fn root() -> Archive {
    let layer = roots::layer(&Platform::host().architecture);
    let image = Image::of("root", vec![layer]);
    docker(
        "docker archive of a root filesystem",
        &[(&image, &["root:1"])],
    )
}

/// Returns archives in which there is no image.
pub(super) fn foreign() -> Vec<Archive> {
    let sources = vec![
        Member::file("README.md", "# Not an image\n"),
        Member::file("src/main.rs", "fn main() {}\n"),
        Member::file("package.json", r#"{"name": "kit", "version": "1.0.0"}"#),
    ];
    vec![
        Archive::of("an empty archive", Vec::new(), &[]),
        Archive::of("an archive of sources", sources, &[]),
        Archive::of("an archive of files, as a layer is", members(BASE), &[]),
    ]
}

fn docker(name: &str, images: &[(&Image, &[&str])]) -> Archive {
    let mut members: Vec<Member> = Vec::new();
    let mut manifest = Vec::new();
    let mut put = |path: &str, contents: &[u8]| {
        if members.iter().all(|member| member.path != path.as_bytes()) {
            members.push(Member::file(path, contents));
        }
    };
    for (image, names) in images {
        let config = format!("{}.json", image.id().hex());
        let mut layers = Vec::new();
        for layer in &image.layers {
            let path = format!("{}/layer.tar", Digest::of(layer).hex());
            put(&path, layer);
            layers.push(path);
        }
        put(&config, &image.config);
        let names = if names.is_empty() {
            json!(null)
        } else {
            json!(names)
        };
        manifest.push(json!({"Config": config, "Layers": layers, "RepoTags": names}));
    }
    put("manifest.json", json!(manifest).to_string().as_bytes());
    let images: Vec<&Image> = images.iter().map(|(image, _)| *image).collect();
    Archive::of(name, members, &images)
}

fn oci(name: &str, images: &[(&Image, Option<&str>)], nested: bool) -> Archive {
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    let mut members = vec![Member::file(
        "oci-layout",
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )];
    let mut put = |media_type: &str, contents: &[u8]| {
        let digest = Digest::of(contents);
        let path = format!("blobs/sha256/{}", digest.hex());
        if members.iter().all(|member| member.path != path.as_bytes()) {
            members.push(Member::file(&path, contents));
        }
        json!({"digest": digest.to_string(), "mediaType": media_type, "size": contents.len()})
    };
    let index = |manifests: &[Value]| {
        json!({"manifests": manifests, "mediaType": INDEX, "schemaVersion": 2}).to_string()
    };
    let mut manifests = Vec::new();
    for (image, name) in images {
        let config = put("application/vnd.oci.image.config.v1+json", &image.config);
        let mut layers = Vec::new();
        for layer in &image.layers {
            let packed = if layer.starts_with(b"\x1f\x8b") {
                "+gzip"
            } else {
                ""
            };
            let media_type = format!("application/vnd.oci.image.layer.v1.tar{packed}");
            layers.push(put(&media_type, layer));
        }
        let manifest =
            json!({"config": config, "layers": layers, "mediaType": MANIFEST, "schemaVersion": 2});
        let mut named = put(MANIFEST, manifest.to_string().as_bytes());
        if nested {
            named = put(INDEX, index(&[named]).as_bytes());
        }
        if let Some(name) = name {
            named["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        }
        manifests.push(named);
    }
    members.push(Member::file("index.json", index(&manifests)));
    let images: Vec<&Image> = images.iter().map(|(image, _)| *image).collect();
    Archive::of(name, members, &images)
}
