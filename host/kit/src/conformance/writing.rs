//! Writing archives: what a format plugin makes of images of the store.
//!
//! Owns the images that are saved and the comparison of what comes back. The store is filled by
//! the formats that ship with msb, so that a plugin which only writes can be tested as well.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::archives;
use super::harness::{Harness, chain};
use super::reading::load;
use super::report::{Cases, Check};
use super::roots;
use msb_host::archive::{Input, TarOutput};
use msb_host::home::Home;
use msb_host::image::{self, SaveError, SaveOptions, SaveTarget};
use msb_host::plugin::{Description, Failure, FormatError, Formats, Refusal};
use msb_host::store::Store;

/// What is saved: a name for it, and what names the images.
struct Selection {
    name: &'static str,
    selectors: Vec<String>,
}

/// What became of writing.
#[derive(Default)]
pub(super) struct Written {
    pub(super) checks: Vec<Check>,
    /// An archive that the plugin wrote, as an example of its format.
    pub(super) archives: Vec<PathBuf>,
}

/// Saves images in every way, and reads what was written, if the plugin reads.
pub(super) fn writing(
    harness: &Harness<'_>,
    formats: &Formats,
    description: &Description,
) -> Written {
    let names = ["write-none", "write", "write-again", "write-read"];
    if !description.writes {
        let skip = |name| Check::skipped(name, "it says that it does not write");
        return Written {
            checks: names.map(skip).into(),
            ..Written::default()
        };
    }
    let (store, selections) = match filled(harness) {
        Ok(filled) => filled,
        Err(why) => {
            return Written {
                checks: names.map(|name| Check::failed(name, why.clone())).into(),
                ..Written::default()
            };
        }
    };
    let mut written = Cases::of("write", "archives written");
    let mut again = Cases::of("write-again", "archives the same twice");
    let mut back = Cases::of(
        "write-read",
        "archives read again with the images they were of",
    );
    let writer = Writer {
        harness,
        store,
        formats,
        description,
    };
    let mut archives = Vec::new();
    for (number, selection) in selections.iter().enumerate() {
        if harness.cancel.is_cancelled() || written.are_enough() || back.are_enough() {
            break;
        }
        let name = selection.name;
        let saved = match writer.save(selection, "saved.tar") {
            Ok(saved) => saved,
            // A format may have no room for several images or names, as long as it has for one.
            Err(Unsaved::Unsupported(why)) if number > 0 => {
                written.remark(format!("{name}: unsupported: {why}"));
                continue;
            }
            Err(Unsaved::Unsupported(why) | Unsaved::Failed(why)) => {
                written.note(name, Err(why));
                continue;
            }
        };
        written.note::<&str>(name, Ok(()));
        again.note(name, writer.is_written(selection, &saved));
        if saved.images.len() == 2 && archives.is_empty() {
            let path = harness.path("example.tar");
            archives.extend(fs::copy(&saved.path, &path).ok().map(|_| path));
        }
        if description.reads {
            let read = writer.reads_back(selection, &saved, &mut back);
            back.note(name, read);
        }
    }
    let back = if description.reads {
        back.end()
    } else {
        Check::skipped("write-read", "it says that it does not read")
    };
    let checks = vec![
        writes_nothing(harness, formats, description),
        written.end(),
        again.end(),
        back,
    ];
    Written { checks, archives }
}

/// Fills a store, and says what can be saved of it.
fn filled(harness: &Harness<'_>) -> Result<(Store, Vec<Selection>), String> {
    let failed =
        |error: &dyn std::error::Error| format!("the kit could not fill a store: {}", chain(error));
    let home = harness.fresh("stock").map_err(|error| failed(&error))?;
    let store = Store::open(&Home::at(home)).map_err(|error| failed(&error))?;
    let shipped = Formats::of(&harness.runtime, &msb_host::plugin::builtin_packages());
    for archive in archives::golden().into_iter().chain([archives::root()]) {
        let path = harness.file("stock.tar", &archive.bytes());
        let path = path.map_err(|error| failed(&error))?;
        let loaded = image::load(
            &store,
            &shipped,
            Input::Path(path),
            &image::LoadOptions::default(),
            &harness.context(),
        );
        loaded.map_err(|error| failed(&error))?;
    }
    // Only now: an image that comes with a manifest takes the place of one that came without.
    let found = store.find("kit:1").map_err(|error| failed(&error))?;
    let digest = found.image.digest.to_string();
    let select = |name, selectors: &[&str]| Selection {
        name,
        selectors: selectors.iter().map(|&it| it.to_owned()).collect(),
    };
    let selections = vec![
        select("an image", &["kit:1"]),
        select(
            "a root filesystem with all that files can have",
            &["root:1"],
        ),
        select("an image with an empty layer", &["kit:0"]),
        select(
            "an image with two names",
            &["kit:1", "kit.example.com/kit:latest"],
        ),
        select("an image by its digest", &[&digest]),
        select("two images with a layer in common", &["kit:1", "kit:2"]),
        select("an image by name and one by digest", &["kit:2", &digest]),
        select(
            "images with manifests of their own",
            &["layout:1", "layout:3"],
        ),
    ];
    Ok((store, selections))
}

/// An archive that was written.
struct Saved {
    path: PathBuf,
    images: Vec<image::SavedImage>,
    /// Whether the plugin had something to say.
    logged: bool,
}

/// Why there is none.
enum Unsaved {
    /// The plugin says that the format has no room for it.
    Unsupported(String),
    /// Anything else.
    Failed(String),
}

/// Who writes, and what.
struct Writer<'a> {
    harness: &'a Harness<'a>,
    store: Store,
    formats: &'a Formats,
    description: &'a Description,
}

impl Writer<'_> {
    fn save(&self, selection: &Selection, name: &str) -> Result<Saved, Unsaved> {
        let path = self.harness.path(name);
        let options = SaveOptions {
            format: self.description.name.clone(),
        };
        self.harness.journal.take();
        let report = image::save(
            &self.store,
            self.formats,
            &selection.selectors,
            &options,
            SaveTarget::File(path.clone()),
            &self.harness.context(),
        );
        let images = match report {
            Ok(report) => report.images,
            Err(SaveError::Format(FormatError::Plugin(error))) => {
                return Err(match &*error.failure {
                    Failure::Refused(Refusal::Unsupported(why)) => {
                        Unsaved::Unsupported(why.clone())
                    }
                    failure => Unsaved::Failed(chain(failure)),
                });
            }
            Err(error) => return Err(Unsaved::Failed(chain(&error))),
        };
        Ok(Saved {
            path,
            images,
            logged: !self.harness.journal.take().is_empty(),
        })
    }

    /// Returns an error unless the same images give the same bytes.
    fn is_written(&self, selection: &Selection, first: &Saved) -> Result<(), String> {
        let second = match self.save(selection, "again.tar") {
            Ok(second) => second,
            Err(Unsaved::Unsupported(why) | Unsaved::Failed(why)) => return Err(why),
        };
        let read = |saved: &Saved| fs::read(&saved.path).map_err(|error| error.to_string());
        if read(first)? == read(&second)? {
            Ok(())
        } else {
            Err("the second archive has other bytes".to_owned())
        }
    }

    /// Returns an error unless the plugin reads what it has written, and it is the same: the images, or, of a
    /// format that holds one filesystem, the filesystem.
    fn reads_back(
        &self,
        selection: &Selection,
        saved: &Saved,
        cases: &mut Cases,
    ) -> Result<(), String> {
        let harness = self.harness;
        let read = load(harness, self.formats, Input::Path(saved.path.clone()), None);
        let (store, loaded) = match read {
            Ok(read) => read,
            Err(error) => {
                let what = selection.selectors.first().map_or("", String::as_str);
                if roots::merged(harness, &self.store, what).is_ok_and(|it| roots::is_empty(&it)) {
                    cases.remark(format!(
                        "{}: not tried: nothing is in it that could be read again",
                        selection.name
                    ));
                    return Ok(());
                }
                return Err(format!("it does not read what it wrote: {}", chain(&error)));
            }
        };
        if let ([image], [other]) = (saved.images.as_slice(), loaded.images.as_slice())
            && image.config_digest != other.config_digest
        {
            let what = |image: &msb_host::digest::Digest| image.to_string();
            let before = roots::merged(harness, &self.store, &what(&image.manifest_digest))?;
            let now = roots::merged(harness, &store, &what(&other.manifest_digest))?;
            if let Some(difference) = roots::difference(&before, &now) {
                return Err(format!(
                    "image {} is missing, and what came of it is not its filesystem: {difference}",
                    image.config_digest.short()
                ));
            }
            cases.remark(
                "images come back as the filesystem that they show, with other IDs; \
                 configurations and references were not compared"
                    .to_owned(),
            );
            return Ok(());
        }
        same_images(saved, &loaded, cases)
    }
}

/// Returns an error unless the images that were read are those that were written.
fn same_images(saved: &Saved, loaded: &image::LoadReport, cases: &mut Cases) -> Result<(), String> {
    for image in &saved.images {
        let same = |other: &&image::LoadedImage| other.config_digest == image.config_digest;
        let Some(other) = loaded.images.iter().find(same) else {
            return Err(format!("image {} is missing", image.config_digest.short()));
        };
        let kept = |reference| other.references.contains(reference);
        let lost = image.references.iter().find(|reference| !kept(reference));
        match lost {
            Some(lost) if saved.logged => {
                cases.remark(format!(
                    "the reference {lost} does not come back; its log has a line"
                ));
            }
            Some(lost) => {
                return Err(format!(
                    "the reference {lost} is missing, and its log has no word of that"
                ));
            }
            None => {}
        }
        if other.manifest_digest != image.manifest_digest {
            cases.remark("manifests do not come back as they were, image IDs do".to_owned());
        }
    }
    Ok(())
}

/// Has the plugin write no image at all, which must not crash it.
fn writes_nothing(harness: &Harness<'_>, formats: &Formats, description: &Description) -> Check {
    const NAME: &str = "write-none";
    let output = TarOutput::new(
        "nothing".to_owned(),
        Box::new(std::io::sink()),
        Vec::new(),
        Arc::clone(&harness.progress),
        harness.cancel.clone(),
    );
    let written = formats.write(
        &description.name,
        &[],
        Box::new(output),
        &harness.progress,
        harness.cancel,
    );
    match written {
        Ok(output) => match output.finish() {
            Ok(bytes) => Check::passed(NAME, format!("an archive of {bytes} bytes")),
            Err(error) => Check::failed(NAME, chain(&error)),
        },
        Err(FormatError::Plugin(error)) if matches!(&*error.failure, Failure::Refused(_)) => {
            Check::passed(NAME, "it refuses")
        }
        Err(FormatError::Plugin(error)) => Check::failed(NAME, chain(&*error.failure)),
        Err(error) => Check::failed(NAME, chain(&error)),
    }
}
