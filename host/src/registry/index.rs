//! Which image of an index suits a platform. Source: OCI image-spec, `image-index.md`.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::manifest::{is_index, is_manifest};
use crate::digest::{Digest, ParseDigestError};
use crate::platform::Platform;

/// An entry of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The digest of its manifest, or what is wrong with it.
    pub digest: Result<Digest, ParseDigestError>,
    /// What it says that it runs on.
    pub platform: Option<Platform>,
    /// It is another index.
    pub is_index: bool,
}

/// What was found in an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    /// The image for the platform.
    Image(&'a Offer),
    /// None by its platform. These may be it: indexes first, then images that do not say what they
    /// run on.
    Perhaps(Vec<&'a Offer>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfferFields {
    media_type: Option<String>,
    artifact_type: Option<String>,
    digest: Option<String>,
    platform: Option<PlatformFields>,
    #[serde(default)]
    annotations: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct PlatformFields {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

impl OfferFields {
    /// Returns the entry, unless it is something else than an image or an index.
    pub(super) fn offer(self) -> Option<Offer> {
        let media_type = self.media_type.as_deref().unwrap_or_default();
        let is_attestation = self
            .annotations
            .is_some_and(|annotations| annotations.contains_key("vnd.docker.reference.type"));
        if is_attestation || self.artifact_type.is_some() {
            return None;
        }
        if !media_type.is_empty() && !is_manifest(media_type) && !is_index(media_type) {
            return None;
        }
        let platform = match self.platform {
            Some(platform) if platform.os == "unknown" || platform.architecture == "unknown" => {
                return None;
            }
            Some(platform) if platform.os.is_empty() && platform.architecture.is_empty() => None,
            Some(platform) => Some(Platform::new(
                &platform.os,
                &platform.architecture,
                platform.variant.as_deref(),
            )),
            None => None,
        };
        Some(Offer {
            digest: self.digest.unwrap_or_default().parse(),
            platform,
            is_index: is_index(media_type),
        })
    }
}

/// Chooses the image for a platform: the one of its variant, else of the variant next below, else
/// the one without; of equals the first.
pub fn choose<'a>(wanted: &Platform, offers: &'a [Offer]) -> Choice<'a> {
    let best = offers
        .iter()
        .filter(|offer| !offer.is_index)
        .filter_map(|offer| Some((rank(wanted, offer.platform.as_ref()?)?, offer)))
        .min_by_key(|(rank, _)| *rank);
    if let Some((_, offer)) = best {
        return Choice::Image(offer);
    }
    let (indexes, others): (Vec<_>, Vec<_>) = offers
        .iter()
        .filter(|offer| offer.is_index || offer.platform.is_none())
        .partition(|offer| offer.is_index);
    Choice::Perhaps(indexes.into_iter().chain(others).collect())
}

/// Returns how far an image is from what is wanted; `None` when it does not run there.
fn rank(wanted: &Platform, image: &Platform) -> Option<u8> {
    if wanted.os != image.os || wanted.architecture != image.architecture {
        return None;
    }
    let ours = level(wanted)?;
    let theirs = level(image)?;
    // An image that does not say its variant is for all of them, and less than made to measure.
    match &image.variant {
        None if wanted.variant.is_some() => Some(u8::MAX),
        _ => ours.checked_sub(theirs),
    }
}

/// Returns the number of a variant; where none is given, that of the architecture's usual one.
fn level(platform: &Platform) -> Option<u8> {
    match (&platform.variant, platform.architecture.as_str()) {
        (None, "arm") => Some(7),
        (None, "arm64") => Some(8),
        (None, _) => Some(1),
        (Some(variant), _) => variant.strip_prefix('v')?.parse().ok(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn offers(texts: &[&str]) -> Vec<Offer> {
        texts
            .iter()
            .map(|text| Offer {
                digest: Ok(Digest::of(text.as_bytes())),
                platform: text.parse().ok(),
                is_index: *text == "index",
            })
            .collect()
    }

    fn chosen(wanted: &str, texts: &[&str]) -> String {
        let offers = offers(texts);
        let name = |offer: &Offer| {
            let of_text = |text: &&&str| Ok(Digest::of(text.as_bytes())) == offer.digest;
            (*texts.iter().find(of_text).unwrap()).to_owned()
        };
        match choose(&wanted.parse().unwrap(), &offers) {
            Choice::Image(offer) => name(offer),
            Choice::Perhaps(offers) => {
                let names: Vec<String> = offers.into_iter().map(name).collect();
                format!("perhaps {}", names.join(" "))
            }
        }
    }

    #[test]
    fn the_variant_next_below_is_the_best() {
        for (wanted, offered, expected) in [
            (
                "linux/arm/v7",
                "linux/arm/v5 linux/arm/v6 linux/arm/v7",
                "linux/arm/v7",
            ),
            ("linux/arm/v6", "linux/arm/v7 linux/arm/v5", "linux/arm/v5"),
            ("linux/arm", "linux/arm/v8 linux/arm/v6", "linux/arm/v6"),
            ("linux/arm/v7", "linux/arm linux/arm/v6", "linux/arm/v6"),
            ("linux/arm64", "linux/arm64 linux/amd64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64", "linux/arm64"),
            ("linux/amd64", "linux/amd64/v3 linux/amd64", "linux/amd64"),
            (
                "linux/amd64/v3",
                "linux/amd64 linux/amd64/v2 linux/amd64/v4",
                "linux/amd64/v2",
            ),
            ("linux/arm/v5", "linux/arm/v7", "perhaps "),
            ("linux/amd64", "linux/amd64/v3", "perhaps "),
            ("linux/amd64", "windows/amd64 linux/386", "perhaps "),
        ] {
            let offered: Vec<&str> = offered.split(' ').collect();
            assert_eq!(
                chosen(wanted, &offered),
                expected,
                "{wanted} of {offered:?}"
            );
        }
    }

    #[test]
    fn of_equals_the_first_is_taken() {
        let mut offers = offers(&["linux/amd64", "linux/amd64"]);
        offers[1].digest = Ok(Digest::of(b"second"));
        let choice = choose(&"linux/amd64".parse().unwrap(), &offers);
        assert_eq!(choice, Choice::Image(&offers[0]));
    }

    #[test]
    fn what_does_not_say_its_platform_is_the_last_resort() {
        assert_eq!(chosen("linux/amd64", &["?", "linux/amd64"]), "linux/amd64");
        assert_eq!(chosen("linux/amd64", &["?", "index"]), "perhaps index ?");
    }

    #[test]
    fn attestations_and_artifacts_are_no_offers() {
        let digest = Digest::of(b"x");
        for (rest, is_offer) in [
            (r#""platform":{"os":"linux","architecture":"amd64"}"#, true),
            (
                r#""mediaType":"application/vnd.oci.image.manifest.v1+json""#,
                true,
            ),
            (
                r#""platform":{"os":"unknown","architecture":"unknown"}"#,
                false,
            ),
            (
                r#""annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#,
                false,
            ),
            (r#""artifactType":"application/x""#, false),
            (r#""mediaType":"application/x""#, false),
        ] {
            let text = format!(r#"{{"digest":"{digest}",{rest}}}"#);
            let fields: OfferFields = serde_json::from_str(&text).unwrap();
            assert_eq!(fields.offer().is_some(), is_offer, "{rest}");
        }
    }
}
