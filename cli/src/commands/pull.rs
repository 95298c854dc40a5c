//! `msb pull`, `msb image pull`

use std::sync::Arc;
use std::time::Instant;

use clap::ValueEnum;
use msb_host::{Platform, PullPolicy, PulledImage, Reference, TagLookup};

use super::DataFormat;
use super::connection::Connection;
use super::tag::{MovedData, note_moved};
use serde::Serialize;

use crate::error::{CommandError, Exit};
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::ui::Ui;

/// Pull images from registries to the local cache.
///
/// An image that is already in the store is not pulled again, and its tag is not looked up: --policy
/// newer does that, and fetches only what has changed. If a pull stops, the same command continues where
/// it stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb pull python
  msb pull alpine ghcr.io/my-org/my-image:v1
  msb pull --policy newer python
  msb pull --platform linux/arm64 alpine
  msb pull --insecure registry.local:5000/app")]
pub(crate) struct Args {
    /// The images to pull.
    #[arg(required = true, value_name = "REF")]
    references: Vec<String>,
    /// Force re-download even if cached.
    #[arg(short, long)]
    force: bool,
    /// When the registry is asked.
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value_t = Policy::Missing,
        conflicts_with = "force"
    )]
    policy: Policy,
    /// Suppress progress output; print only the digest that the registry knows each image by.
    #[arg(short, long)]
    quiet: bool,
    /// Output format, of what was pulled.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
    /// Pull the image for this platform instead of the one for this machine.
    #[arg(long, value_name = "[OS/]ARCH[/VARIANT]")]
    platform: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// What is printed of an image as JSON.
#[derive(Serialize)]
struct PulledData {
    already_present: bool,
    digest: String,
    id: String,
    moved: Vec<MovedData>,
    platform: String,
    reference: String,
    registry_digest: String,
    /// Whether the registry was asked, and named this image.
    tag_confirmed: bool,
}

impl PulledData {
    fn of(image: &PulledImage) -> Self {
        Self {
            already_present: image.already_present,
            digest: image.manifest_digest.to_string(),
            id: image.config_digest.to_string(),
            moved: MovedData::of(&image.moved),
            platform: image.platform.to_string(),
            reference: image.reference.familiar(),
            registry_digest: image.registry_digest.to_string(),
            tag_confirmed: image.lookup == TagLookup::Confirmed,
        }
    }
}

/// When the registry is asked. An image that is named by its digest is not asked for if it is there.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Policy {
    /// If the image is not in the store.
    Missing,
    /// Always; the image is fetched if its tag has moved, and kept if the registry cannot be asked.
    Newer,
    /// Always; it is an error if the registry cannot be asked.
    Always,
    /// Never; it is an error if the image is not in the store.
    Never,
}

impl From<Policy> for PullPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Missing => Self::Missing,
            Policy::Newer => Self::Newer,
            Policy::Always => Self::Always,
            Policy::Never => Self::Never,
        }
    }
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let quiet = ui.quiet(args.quiet);
    let references = args
        .references
        .iter()
        .map(|text| text.parse::<Reference>())
        .collect::<Result<Vec<_>, _>>()?;
    let platform = args.platform.as_deref().map(str::parse::<Platform>);
    let platform = platform.transpose()?;
    let msb = args.connection.open()?;
    let interrupt = Interrupt::watch();
    let mut failed = Vec::new();
    let mut pulled_images = Vec::new();
    for reference in &references {
        let started = Instant::now();
        let pulled = progress::during(quiet, Work::Pull, |progress| {
            let mut pull = msb
                .pull(reference)
                .policy(args.policy.into())
                .force(args.force);
            if let Some(platform) = &platform {
                pull = pull.platform(platform.clone());
            }
            pull.progress(Arc::clone(progress))
                .cancel(interrupt.cancel())
                .run()
        });
        match interrupt.settle(pulled) {
            Ok(image) => {
                tell(quiet, &image, started);
                pulled_images.push(PulledData::of(&image));
                if args.quiet && args.format.is_none() {
                    ui.data(&format!("{}\n", image.registry_digest))?;
                }
            }
            Err(error) if error.exit() == Exit::Interrupted => {
                return Err(error.hint(
                    "what was received is kept: the same command continues where this one stopped",
                ));
            }
            Err(error) => {
                let error = match transport_hint(reference) {
                    Some(hint) => error.hint(hint),
                    None => error,
                };
                quiet.failure("Pulling", &reference.familiar());
                failed.push(error.exit());
                // The caller shows the last one, unless there is more to say.
                if references.len() == 1 {
                    if args.format == Some(DataFormat::Json) {
                        ui.json(&pulled_images)?;
                    }
                    return Err(error);
                }
                ui.error(&error);
            }
        }
    }
    if args.format == Some(DataFormat::Json) {
        ui.json(&pulled_images)?;
    }
    if failed.is_empty() {
        return Ok(());
    }
    let error = CommandError::new(format!(
        "{} of {} images could not be pulled",
        failed.len(),
        references.len()
    ));
    Err(error.exiting(Exit::together(&failed)))
}

/// Returns what else may be meant by a reference that has the form of a transport of skopeo and
/// podman: `oci:folder` is the tag `folder` of an image `oci`.
fn transport_hint(reference: &Reference) -> Option<String> {
    let name = reference.familiar_name();
    let tag = reference.tag()?;
    match name.as_str() {
        "oci" | "oci-archive" | "docker-archive" | "dir" => Some(format!(
            "if `{tag}` is a file or folder here: `msb load --input {tag}`"
        )),
        "docker-daemon" | "containers-storage" => Some(format!(
            "if `{tag}` is an image of another engine here: `docker save {tag} | msb load`"
        )),
        _ => None,
    }
}

fn tell(ui: Ui, image: &PulledImage, started: Instant) {
    note_moved(ui, &image.moved);
    let aside = match (image.already_present, image.lookup) {
        (false, _) => "",
        (true, TagLookup::Confirmed) => "up to date",
        (true, TagLookup::NotAsked) if image.reference.digest().is_none() => {
            "already cached; the tag was not looked up, which --policy newer does"
        }
        (true, _) => "already cached",
    };
    // Where the reference has it, all is said.
    if image.reference.digest() != Some(&image.registry_digest) {
        ui.status(&format!("     {:<12} {}", "Digest", image.registry_digest));
    }
    let name = image.reference.familiar();
    ui.success("Pulled", &name, aside, started.elapsed());
}
