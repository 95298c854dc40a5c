//! Platforms: operating system, architecture and variant of an image.
//!
//! Owns the normal form of the names and the question which platform suits a host. Source: OCI
//! image-spec, `image-index.md`, "Platform Variants".

mod cpu;

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
#[error("`{0}` is not a platform, such as linux/amd64, arm64 or linux/arm/v7")]
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
    /// Linux, on the processor of the host; the variant is the highest that this processor is.
    pub fn host() -> Self {
        Self::new("linux", std::env::consts::ARCH, cpu::variant())
    }

    /// Returns whether its text is one that names it: archives and registries may say anything.
    pub fn can_be_named(&self) -> bool {
        self.to_string()
            .parse()
            .is_ok_and(|named: Self| named == *self)
    }

    /// Returns whether an image of platform `image` runs on this one.
    pub fn runs(&self, image: &Self) -> bool {
        self.distance(image).is_some()
    }

    /// Returns how far an image of platform `image` is from what suits this one best; `None` when
    /// it does not run here. Of one system and architecture it is the variant that counts: this
    /// one's is the best, then the next below, then one that is not stated; none above it runs.
    pub fn distance(&self, image: &Self) -> Option<u16> {
        if self.os != image.os || self.architecture != image.architecture {
            return None;
        }
        if self.variant == image.variant {
            return Some(0);
        }
        match &image.variant {
            // For all machines of its architecture, and less than made to measure.
            None => Some(u16::MAX),
            Some(_) => self.level()?.checked_sub(image.level()?),
        }
    }

    /// Returns a number for the variant, higher for more of a processor. Where none is given it is
    /// that of the architecture's usual one. `None` for names that have no order.
    fn level(&self) -> Option<u16> {
        let variant = match (&self.variant, self.architecture.as_str()) {
            (Some(variant), _) => variant.strip_prefix('v')?,
            (None, "arm") => "7",
            (None, "arm64") => "8",
            (None, "amd64") => "1",
            (None, _) => return None,
        };
        // ARM has v8.2 between v8 and v9.
        let (major, minor) = variant.split_once('.').unwrap_or((variant, "0"));
        let number = |text: &str| text.parse::<u8>().ok().map(u16::from);
        Some(number(major)? * 256 + number(minor)?)
    }

    /// Returns the platform of one word: an architecture of Linux, or the system of a host like
    /// this one.
    fn of_one_word(word: &str) -> Option<Self> {
        if is_architecture(word) {
            return Some(Self::new("linux", word, None));
        }
        let host = Self::host();
        SYSTEMS
            .contains(&&*word.to_ascii_lowercase())
            .then(|| Self::new(word, &host.architecture, host.variant.as_deref()))
    }
}

/// Returns whether a word is the name of an architecture, however it is spelled.
fn is_architecture(word: &str) -> bool {
    let platform = Platform::new("linux", word, None);
    ARCHITECTURES.contains(&&*platform.architecture)
}

/// Architectures that a word is taken for, as Go's `GOARCH`.
const ARCHITECTURES: [&str; 11] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64",
    "s390x",
];

/// Systems that a word is taken for, as Go's `GOOS`.
const SYSTEMS: [&str; 4] = ["linux", "windows", "darwin", "freebsd"];

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
            [word] if valid => {
                Self::of_one_word(word).ok_or_else(|| ParsePlatformError(text.to_owned()))
            }
            // `arm/v7`: no system has the name of an architecture.
            [architecture, variant] if valid && is_architecture(architecture) => {
                Ok(Self::new("linux", architecture, Some(variant)))
            }
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

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn spellings_of_one_platform_are_equal() {
        for (text, normal) in [
            ("linux/x86_64", "linux/amd64"),
            ("Linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm/7", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("arm64", "linux/arm64"),
            ("amd64", "linux/amd64"),
            ("X86_64", "linux/amd64"),
            ("aarch64", "linux/arm64"),
            ("armhf", "linux/arm/v7"),
            ("arm/v7", "linux/arm/v7"),
            ("arm64/v8", "linux/arm64"),
            ("s390x", "linux/s390x"),
        ] {
            assert_eq!(platform(text).to_string(), normal);
        }
        assert_eq!(platform("linux"), Platform::host());
    }

    #[test]
    fn texts_that_are_no_platforms_are_refused() {
        for text in [
            "",
            "/",
            "nonsense",
            "linux/",
            "/amd64",
            "a/b/c/d",
            "linux/a b",
            "arm64/",
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_higher_variant_does_not_run_on_a_lower_one() {
        for (host, image, runs) in [
            ("linux/arm/v7", "linux/arm/v6", true),
            ("linux/arm/v6", "linux/arm/v7", false),
            ("linux/arm", "linux/arm/v7", true),
            ("linux/arm", "linux/arm/v8", false),
            ("linux/amd64", "linux/amd64/v2", false),
            ("linux/amd64/v2", "linux/amd64/v2", true),
            ("linux/amd64/v2", "linux/amd64", true),
            ("linux/amd64/v2", "linux/amd64/v3", false),
            ("linux/amd64/v4", "linux/amd64/v3", true),
            ("linux/arm64", "linux/arm64/v9", false),
            ("linux/arm64/v9", "linux/arm64/v8.2", true),
            ("linux/arm64/v8.1", "linux/arm64/v8.2", false),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/riscv64", "linux/riscv64/rva22u64", false),
            ("linux/riscv64/rva22u64", "linux/riscv64/rva22u64", true),
            ("linux/riscv64/rva22u64", "linux/riscv64", true),
            ("linux/amd64", "linux/arm64", false),
            ("linux/amd64", "windows/amd64", false),
        ] {
            assert_eq!(
                platform(host).runs(&platform(image)),
                runs,
                "{host} {image}"
            );
        }
    }

    #[test]
    fn this_machine_runs_what_is_for_all_of_its_kind() {
        let host = Platform::host();
        assert!(host.runs(&Platform::new("linux", std::env::consts::ARCH, None)));
        assert!(!host.runs(&Platform::new("linux", &host.architecture, Some("v99"))));
    }
}
