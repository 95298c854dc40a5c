//! Media types, and what they say about a document. Sources: image-spec `media-types.md`, Docker's
//! manifest version 2, schema 2.

/// An index, OCI.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A manifest, OCI.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An uncompressed layer, OCI.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// A manifest, Docker.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// An uncompressed layer, Docker.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// What a descriptor in an index refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An index.
    Index,
    /// A manifest.
    Manifest,
    /// The descriptor does not say.
    Unstated,
    /// Something that is known and not supported; the text says what.
    Refused(&'static str),
    /// Something else.
    Unknown,
}

/// Returns what a descriptor with this media type refers to.
pub(super) fn kind(media_type: &str) -> Kind {
    match essence(media_type) {
        "" => Kind::Unstated,
        INDEX | DOCKER_INDEX => Kind::Index,
        MANIFEST | DOCKER_MANIFEST => Kind::Manifest,
        "application/vnd.docker.distribution.manifest.v1+json"
        | "application/vnd.docker.distribution.manifest.v1+prettyjws" => {
            Kind::Refused("a Docker manifest of the retired schema 1")
        }
        _ => Kind::Unknown,
    }
}

/// Tells whether a configuration of this media type is that of an image.
///
/// Early registries labelled configurations as plain bytes.
pub(super) fn is_image_config(media_type: &str) -> bool {
    matches!(
        essence(media_type),
        "" | CONFIG | DOCKER_CONFIG | "application/octet-stream"
    )
}

/// Returns why a layer of this media type cannot be used, if so.
pub(super) fn refused_layer(media_type: &str) -> Option<&'static str> {
    let media_type = essence(media_type);
    if media_type.ends_with("+encrypted") {
        Some("is encrypted")
    } else if media_type.starts_with("application/vnd.erofs") {
        Some("is an EROFS filesystem, not a tar")
    } else if media_type.starts_with("application/vnd.in-toto") {
        Some("is an attestation")
    } else {
        None
    }
}

/// Tells whether the document is one of Docker's own.
pub fn is_docker(media_type: &str) -> bool {
    essence(media_type).starts_with("application/vnd.docker.")
}

/// The media type without parameters.
fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_of_both_families_are_known_with_and_without_parameters() {
        for (text, expected) in [
            (INDEX, Kind::Index),
            (DOCKER_INDEX, Kind::Index),
            (DOCKER_MANIFEST, Kind::Manifest),
            (
                "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
                Kind::Manifest,
            ),
            ("", Kind::Unstated),
            ("text/plain", Kind::Unknown),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
}
