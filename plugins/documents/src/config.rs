//! Configurations of images. Source: image-spec `config.md`; the fields that Docker has beside
//! those.

use serde::Deserialize;

use crate::shape::Shape;

/// What a configuration says of the platform and the layers. `""` is absent, as Go writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The operating system, empty if it is not stated.
    pub os: String,
    /// The architecture, empty if it is not stated.
    pub architecture: String,
    /// The variant of the architecture, empty if it is not stated.
    pub variant: String,
    /// The file system.
    pub rootfs: RootFs,
}

/// The file system of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RootFs {
    /// The digests of the contents of the layers, the bottom one first.
    pub diff_ids: Vec<String>,
}

/// The shape of a [`Config`].
pub const CONFIG: Shape = Shape::Record(&[
    ("os", Shape::Text),
    ("architecture", Shape::Text),
    ("variant", Shape::Text),
    ("rootfs", ROOTFS),
    ("created", Shape::Unread),
    ("author", Shape::Unread),
    ("os.version", Shape::Unread),
    ("os.features", Shape::Unread),
    ("config", Shape::Perhaps(&RUN)),
    ("container_config", Shape::Perhaps(&RUN)),
    ("history", Shape::Perhaps(&HISTORY)),
]);

/// The shape of a configuration with all that is shown of it. What is of another kind than it
/// should be counts as absent.
pub const CONFIG_DETAILS: Shape = Shape::Record(&[
    ("os", Shape::Any),
    ("architecture", Shape::Any),
    ("variant", Shape::Any),
    ("os.version", Shape::Any),
    ("os.features", Shape::Any),
    ("rootfs", Shape::Perhaps(&ROOTFS)),
    ("created", Shape::Any),
    ("author", Shape::Any),
    ("config", Shape::Perhaps(&RUN)),
    ("history", Shape::Perhaps(&HISTORY)),
]);

const ROOTFS: Shape = Shape::Record(&[
    ("type", Shape::Unread),
    ("diff_ids", Shape::List(&Shape::Text)),
]);

const HISTORY: Shape = Shape::List(&Shape::Perhaps(&Shape::Record(&[
    ("created", Shape::Any),
    ("created_by", Shape::Any),
    ("author", Shape::Any),
    ("comment", Shape::Any),
    ("empty_layer", Shape::Any),
])));

/// How an image is run. Its fields have names of Go, its sets are maps.
const RUN: Shape = Shape::Record(&[
    ("User", Shape::Any),
    ("ExposedPorts", Shape::Perhaps(&Shape::Map(&Shape::Any))),
    ("Env", Shape::Any),
    ("Entrypoint", Shape::Any),
    ("Cmd", Shape::Any),
    ("Volumes", Shape::Perhaps(&Shape::Map(&Shape::Any))),
    ("WorkingDir", Shape::Any),
    ("Labels", Shape::Perhaps(&Shape::Map(&Shape::Any))),
    ("StopSignal", Shape::Any),
    ("Healthcheck", Shape::Perhaps(&HEALTHCHECK)),
]);

const HEALTHCHECK: Shape = Shape::Record(&[
    ("Test", Shape::Any),
    ("Interval", Shape::Any),
    ("Timeout", Shape::Any),
    ("StartPeriod", Shape::Any),
    ("StartInterval", Shape::Any),
    ("Retries", Shape::Any),
]);
