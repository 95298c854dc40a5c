//! Media types, and what they say. Sources: image-spec `media-types.md`, `layer.md`; Docker's
//! "Image Manifest V 2, Schema 2".

/// An index, OCI.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An index, Docker.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A manifest, OCI.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// A manifest, Docker.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// An uncompressed layer, OCI.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// An uncompressed layer, Docker.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_PLUGIN: &str = "application/vnd.docker.plugin.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const BUILD_CACHE: &str = "application/vnd.buildkit.cacheconfig.v0";
const OCI_LAYERS: &str = "application/vnd.oci.image.layer.";
const DOCKER_LAYERS: &str = "application/vnd.docker.image.rootfs.";
const FOREIGN: [&str; 2] = [
    "application/vnd.oci.image.layer.nondistributable.",
    "application/vnd.docker.image.rootfs.foreign.",
];

/// Returns a media type without parameters, in lower case.
pub fn essence(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// Returns whether a media type is that of an index.
pub fn is_index(media_type: &str) -> bool {
    matches!(&*essence(media_type), INDEX | DOCKER_INDEX)
}

/// Returns whether a media type is that of an image's manifest.
pub fn is_manifest(media_type: &str) -> bool {
    matches!(&*essence(media_type), MANIFEST | DOCKER_MANIFEST)
}

/// Returns whether a media type is one of Docker's own.
pub fn is_docker(media_type: &str) -> bool {
    essence(media_type).starts_with("application/vnd.docker.")
}

/// Returns whether a layer of this type may be had from where its descriptor says. Source:
/// image-spec `layer.md`, "Non-Distributable Layers".
pub fn is_foreign(media_type: &str) -> bool {
    let essence = essence(media_type);
    FOREIGN.iter().any(|layer| essence.starts_with(layer))
}

/// What a configuration is by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConfigKind {
    /// That of an image.
    Image,
    /// Anything: old registries said `application/octet-stream`, `application/json`, `text/html` or
    /// nothing, of configurations of images.
    Unstated,
    /// That of something else.
    Other,
    /// That of something else, whatever the layers are.
    Never,
    /// That of a build cache.
    BuildCache,
}

/// Returns what a configuration of this type is.
pub(crate) fn config_kind(media_type: &str) -> ConfigKind {
    match &*essence(media_type) {
        CONFIG | DOCKER_CONFIG => ConfigKind::Image,
        BUILD_CACHE => ConfigKind::BuildCache,
        EMPTY | DOCKER_PLUGIN => ConfigKind::Never,
        other if other.starts_with("application/vnd.") => ConfigKind::Other,
        _ => ConfigKind::Unstated,
    }
}

/// What a layer is by its type. How it is compressed is found out from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayerKind {
    /// That of an image, by Docker's own type.
    Docker,
    /// That of an image.
    Oci,
    /// Perhaps that of an image: old registries said nothing, or `application/octet-stream`.
    Unstated,
    /// That of an image, and encrypted.
    Encrypted,
    /// An EROFS filesystem.
    Erofs,
    /// A statement about an image.
    Attestation,
    /// Something else.
    Other,
}

/// Returns what a layer of this type is.
pub(crate) fn layer_kind(media_type: &str) -> LayerKind {
    match &*essence(media_type) {
        "" | "application/octet-stream" => LayerKind::Unstated,
        encrypted if encrypted.ends_with("+encrypted") => LayerKind::Encrypted,
        docker if docker.starts_with(DOCKER_LAYERS) => LayerKind::Docker,
        oci if oci.starts_with(OCI_LAYERS) => LayerKind::Oci,
        erofs if erofs.starts_with("application/vnd.erofs") => LayerKind::Erofs,
        statement if statement.starts_with("application/vnd.in-toto") => LayerKind::Attestation,
        _ => LayerKind::Other,
    }
}

/// Returns whether an entry of an index is the description of a build cache.
pub(crate) fn is_build_cache(media_type: &str) -> bool {
    essence(media_type) == BUILD_CACHE
}

/// Returns whether a manifest is of Docker's schema 1.
pub(crate) fn is_first_schema(media_type: &str) -> bool {
    matches!(
        &*essence(media_type),
        "application/vnd.docker.distribution.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v1+prettyjws"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_both_families_are_known_with_parameters_and_in_capitals() {
        for media_type in [
            MANIFEST,
            DOCKER_MANIFEST,
            "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
            "Application/vnd.OCI.image.manifest.v1+JSON",
        ] {
            assert!(
                is_manifest(media_type) && !is_index(media_type),
                "{media_type}"
            );
        }
        for media_type in [INDEX, DOCKER_INDEX] {
            assert!(
                is_index(media_type) && !is_manifest(media_type),
                "{media_type}"
            );
        }
        assert!(!is_manifest("") && !is_index("") && !is_manifest("text/plain"));
    }

    #[test]
    fn every_known_layer_is_one_however_it_is_compressed() {
        for (media_type, kind) in [
            (LAYER, LayerKind::Oci),
            (
                "application/vnd.oci.image.layer.v1.tar+zstd",
                LayerKind::Oci,
            ),
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                LayerKind::Oci,
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                LayerKind::Docker,
            ),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                LayerKind::Docker,
            ),
            // What Docker wrote in 2015.
            (
                "application/vnd.docker.image.rootfs.diff+x-gtar",
                LayerKind::Docker,
            ),
            ("application/octet-stream", LayerKind::Unstated),
            ("", LayerKind::Unstated),
            ("application/vnd.oci.image.layers", LayerKind::Other),
            ("application/x-tar", LayerKind::Other),
        ] {
            assert_eq!(layer_kind(media_type), kind, "{media_type}");
            let is_elsewhere = media_type.contains("foreign") || media_type.contains("nondistr");
            assert_eq!(is_foreign(media_type), is_elsewhere, "{media_type}");
        }
    }
}
