//! Platforms: operating system, architecture and variant of an image.
//!
//! Owns the normal form of the names and the question which platform suits a host. Source: OCI
//! image-spec, `image-index.md`, "Platform Variants".

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A platform, in normal form: `amd64` rather than `x86_64`, no `v8` on arm64.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Platform {
    /// Operating system, as Go's `GOOS`.
    pub os: String,
    /// Processor architecture, as Go's `GOARCH`.
    pub architecture: String,
    /// Variant of the architecture (`v7`), where one matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Why a text does not name a platform.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a platform of the form os/architecture or os/architecture/variant")]
pub struct ParsePlatformError(String);

impl Platform {
    /// Returns a platform in normal form.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = os.to_ascii_lowercase();
        let (architecture, implied) = match architecture.to_ascii_lowercase().as_str() {
            "x86_64" | "x86-64" => ("amd64".to_owned(), None),
            "aarch64" => ("arm64".to_owned(), None),
            "i386" | "i486" | "i586" | "i686" | "x86" => ("386".to_owned(), None),
            "armhf" | "armv7l" => ("arm".to_owned(), Some("v7")),
            "armel" | "armv6l" => ("arm".to_owned(), Some("v6")),
            other => (other.to_owned(), None),
        };
        let variant = variant
            .filter(|variant| !variant.is_empty())
            .or(implied)
            .map(|variant| {
                let variant = variant.to_ascii_lowercase();
                if variant.starts_with(|first: char| first.is_ascii_digit()) {
                    format!("v{variant}")
                } else {
                    variant
                }
            })
            .filter(|variant| {
                !matches!(
                    (architecture.as_str(), variant.as_str()),
                    ("arm64", "v8") | ("amd64", "v1")
                )
            });
        Self {
            os,
            architecture,
            variant,
        }
    }

    /// Returns the platform that images must have to run here. The guest of a microVM is always
    /// Linux, on the processor of the host.
    pub fn host() -> Self {
        Self::new("linux", std::env::consts::ARCH, None)
    }

    /// Returns whether an image of platform `image` runs on this one: same system and
    /// architecture, and a variant that is the same or not above ours where ours is known.
    pub fn runs(&self, image: &Self) -> bool {
        self.os == image.os
            && self.architecture == image.architecture
            && match (&self.variant, &image.variant) {
                (Some(ours), Some(theirs)) => theirs <= ours,
                _ => true,
            }
    }
}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        let valid = parts.iter().all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        });
        match parts.as_slice() {
            [os, architecture] if valid => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] if valid => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(ParsePlatformError(text.to_owned())),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        if let Some(variant) = &self.variant {
            write!(formatter, "/{variant}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_platform_are_equal() {
        for (text, normal) in [
            ("linux/x86_64", "linux/amd64"),
            ("Linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm/7", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), normal);
        }
    }

    #[test]
    fn texts_that_are_no_platforms_are_refused() {
        for text in ["", "linux", "linux/", "a/b/c/d", "linux/a b"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_higher_variant_does_not_run_on_a_lower_one() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        assert!(platform("linux/arm/v7").runs(&platform("linux/arm/v6")));
        assert!(!platform("linux/arm/v6").runs(&platform("linux/arm/v7")));
        assert!(platform("linux/amd64").runs(&platform("linux/amd64/v2")));
        assert!(!platform("linux/amd64").runs(&platform("linux/arm64")));
        assert!(!platform("linux/amd64").runs(&platform("windows/amd64")));
    }
}
