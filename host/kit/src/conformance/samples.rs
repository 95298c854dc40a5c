//! Archives of the author's own format: those that a plugin must read, and the layers that it makes
//! of them.

use std::path::Path;

use super::harness::{Harness, chain};
use super::reading::{Ended, is_planned, load, read};
use super::report::{Cases, Check};
use msb_host::archive::{ArchiveSource, Input};
use msb_host::digest::{Digest, Hasher};
use msb_host::image::ImageError;
use msb_host::plugin::{Formats, LayerData, Plan, PlannedLayer};

/// Bytes of a made layer whose length is not stated, after which it has no end.
const ENDLESS: u64 = 256 << 20;
/// Why nothing came of them.
const UNREAD: &str = "none was read";

/// Shows the author's own archives, which must be read, the same each time, and loaded.
pub(super) fn samples(harness: &Harness<'_>, formats: &Formats, known: bool) -> Vec<Check> {
    let mut cases = Cases::of("samples", "archives read");
    let mut again = Cases::of("samples-again", "plans the same twice").or_none(UNREAD);
    let mut loaded = Cases::of("samples-load", "archives loaded").or_none(UNREAD);
    let mut made = Cases::of(
        "made-layers",
        "layers the same twice and with their digests",
    )
    .or_none("it made no layers itself");
    for path in &harness.subject.archives {
        if harness.cancel.is_cancelled() {
            break;
        }
        let name = path.display().to_string();
        match read(harness, formats, Input::Path(path.clone())) {
            Ended::Plan(plan, _) if plan.images.is_empty() => {
                cases.note(&name, Err("its plan has no image"));
            }
            Ended::Plan(plan, source) => {
                cases.note::<&str>(&name, Ok(()));
                again.note(
                    &name,
                    is_planned(harness, formats, Input::Path(path.clone()), &plan),
                );
                let sound = made_layers(&mut made, &name, &plan, source.as_ref());
                // It would fail for the same reason, if it ever ended.
                if sound {
                    loaded.note(&name, sample_loads(harness, formats, path));
                }
            }
            Ended::NotMine => cases.note(&name, Err("it says that it is of another format")),
            Ended::Refused(why) | Ended::Unreadable(why) | Ended::Broken(why) => {
                cases.note(&name, Err(why));
            }
        }
    }
    if harness.subject.archives.is_empty() {
        let why = if known {
            "no --archive was given; it knows archives of the kit"
        } else {
            "no --archive was given, and it knows none of the kit"
        };
        return ["samples", "samples-again", "samples-load", "made-layers"]
            .map(|name| Check::skipped(name, why))
            .into();
    }
    vec![cases.end(), again.end(), loaded.end(), made.end()]
}

fn sample_loads(harness: &Harness<'_>, formats: &Formats, path: &Path) -> Result<(), String> {
    let input = || Input::Path(path.to_owned());
    let loaded = match load(harness, formats, input(), None) {
        // An archive of another machine is as good.
        Err(ImageError::Platform { offered, .. }) => {
            load(harness, formats, input(), offered.into_iter().next())
        }
        loaded => loaded,
    };
    match loaded {
        Ok(_) => Ok(()),
        Err(error) => Err(chain(&error)),
    }
}

/// Makes each layer that the plugin makes itself twice. Returns whether all is well.
fn made_layers(cases: &mut Cases, archive: &str, plan: &Plan, source: &dyn ArchiveSource) -> bool {
    let mut sound = true;
    for layer in plan.images.iter().flat_map(|image| &image.layers) {
        let LayerData::Entry(number) = layer.data else {
            continue;
        };
        if source.index().get(number).is_some() {
            continue;
        }
        let made = made_twice(layer, number, source);
        sound &= made.is_ok();
        cases.note(&format!("{archive}, {}", source.name(number)), made);
        if cases.are_enough() {
            return false;
        }
    }
    sound
}

fn made_twice(layer: &PlannedLayer, number: u32, source: &dyn ArchiveSource) -> Result<(), String> {
    let (digest, size) = made(layer, number, source)?;
    if layer.size.is_some_and(|stated| stated != size) {
        return Err(format!("it has {size} bytes, and its plan states others"));
    }
    if let Some(stated) = layer.digest.as_ref().filter(|&stated| *stated != digest) {
        return Err(format!(
            "it has digest {digest}, and its plan states {stated}"
        ));
    }
    let again = made(layer, number, source)?;
    if again != (digest, size) {
        return Err("the second time its bytes are others".to_owned());
    }
    Ok(())
}

fn made(
    layer: &PlannedLayer,
    number: u32,
    source: &dyn ArchiveSource,
) -> Result<(Digest, u64), String> {
    let limit = layer.size.unwrap_or(ENDLESS);
    let mut stream = source.open(number).map_err(|error| chain(&error))?;
    let algorithm = layer.digest.as_ref().map(Digest::algorithm);
    let mut hasher = algorithm.map_or_else(Hasher::default, Hasher::new);
    let mut piece = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        let read = stream
            .read(&mut piece)
            .map_err(|error| match error.get_ref() {
                Some(cause) => chain(cause),
                None => error.to_string(),
            })?;
        if read == 0 {
            return Ok((hasher.finish(), size));
        }
        size += read as u64;
        if size > limit {
            return Err(match layer.size {
                Some(stated) => format!("it has more than the {stated} bytes that its plan states"),
                None => format!("it has no end after {} MiB", limit >> 20),
            });
        }
        hasher.update(piece.get(..read).unwrap_or_default());
    }
}
