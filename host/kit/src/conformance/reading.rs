//! Reading archives: what a format plugin must make of those that are in order.
//!
//! Owns the calls to `read` and the judgement of how each ended.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use super::archives::{self, Archive};
use super::harness::{Harness, chain};
use super::report::{Cases, Check};
use msb_host::archive::{ArchiveError, ArchiveSource, Input, StreamedLayer, StreamedLayers};
use msb_host::digest::{Digest, Hasher};
use msb_host::home::Home;
use msb_host::image::{self, ImageError, LoadOptions, LoadReport};
use msb_host::limits::{Budget, Limits};
use msb_host::platform::Platform;
use msb_host::plugin::{Failure, FormatError, Formats, Plan, Refusal};
use msb_host::store::Store;

/// Why nothing came of the archives of the kit.
const UNKNOWN: &str = "it knows none of them; show it one of its own with --archive";

/// How a call to `read` ended.
pub(super) enum Ended {
    /// With a plan, which the host takes.
    Plan(Plan, Arc<dyn ArchiveSource>),
    /// With a word that it is of another format.
    NotMine,
    /// With an error that the contract has.
    Refused(String),
    /// The host could not read the archive itself.
    Unreadable(String),
    /// In no way that is allowed.
    Broken(String),
}

/// Shows an archive to the plugin.
pub(super) fn read(harness: &Harness<'_>, formats: &Formats, input: Input) -> Ended {
    let limits = Limits::default();
    let source = match input.read(
        &mut NoLayers {
            takes_any: formats.takes_any(),
        },
        &limits,
        &Budget::new(&limits),
        harness.cancel,
    ) {
        Ok(source) => source,
        Err(error) => return Ended::Unreadable(chain(&error)),
    };
    match formats.read(&source, &harness.progress, harness.cancel) {
        Ok((plan, source)) => Ended::Plan(plan, source),
        Err(FormatError::Unrecognised { .. }) => Ended::NotMine,
        Err(FormatError::Archive(error)) => Ended::Unreadable(chain(&error)),
        Err(FormatError::Plugin(error)) => match &*error.failure {
            Failure::Refused(refusal) => Ended::Refused(format!("{}: {refusal}", word(refusal))),
            failure => Ended::Broken(chain(failure)),
        },
        Err(error) => Ended::Broken(chain(&error)),
    }
}

fn word(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotMine(_) => "not-mine",
        Refusal::Malformed(_) => "malformed",
        Refusal::Unsupported(_) => "unsupported",
        Refusal::Missing(_) => "missing",
        Refusal::TooLarge(_) => "too-large",
        Refusal::Io(_) => "io",
        Refusal::Other(_) => "other",
    }
}

/// Takes no layer off a stream: they are looked at when an archive is loaded.
struct NoLayers {
    /// The format is shown what is not a tar archive as well.
    takes_any: bool,
}

impl StreamedLayers for NoLayers {
    fn layer(
        &mut self,
        _: u32,
        _: &str,
        _: u64,
        bytes: &mut (dyn Read + Send),
    ) -> Result<Option<StreamedLayer>, ArchiveError> {
        let mut hasher = Hasher::default();
        let mut piece = vec![0; 64 << 10];
        while let Ok(length @ 1..) = bytes.read(&mut piece) {
            hasher.update(piece.get(..length).unwrap_or_default());
        }
        let digest = hasher.finish();
        Ok(Some(StreamedLayer { digest }))
    }

    fn takes_any(&self) -> bool {
        self.takes_any
    }
}

/// An archive as it is shown: in a file, in a directory, or through a compressed pipe.
enum Shown {
    Path(PathBuf),
    Stream(Vec<u8>),
}

impl Shown {
    fn input(&self) -> Input {
        match self {
            Self::Path(path) => Input::Path(path.clone()),
            Self::Stream(bytes) => Input::Stream {
                name: "a pipe".to_owned(),
                reader: Box::new(io::Cursor::new(bytes.clone())),
            },
        }
    }
}

/// Lays an archive out in every way in which one may come.
fn shown(harness: &Harness<'_>, archive: &Archive) -> io::Result<Vec<(String, Shown)>> {
    let bytes = archive.bytes();
    let file = harness.file("archive.tar", &bytes)?;
    let directory = harness.fresh("archive")?;
    for member in &archive.members {
        let path = directory.join(String::from_utf8_lossy(&member.path).as_ref());
        if member.kind == tar::EntryType::Directory {
            fs::create_dir_all(path)?;
        } else {
            fs::create_dir_all(path.parent().unwrap_or(&directory))?;
            fs::write(path, &member.contents)?;
        }
    }
    let name = &archive.name;
    Ok(vec![
        (name.clone(), Shown::Path(file)),
        (format!("{name}, as a directory"), Shown::Path(directory)),
        (
            format!("{name}, compressed, through a pipe"),
            Shown::Stream(archives::gzip(&bytes)),
        ),
    ])
}

/// What the golden archives came to.
pub(super) struct Golden {
    pub(super) checks: Vec<Check>,
    /// Whether the plugin knows any of them.
    pub(super) known: bool,
}

/// Shows archives that tools write, each twice, and loads those that the plugin knows.
pub(super) fn golden(harness: &Harness<'_>, formats: &Formats) -> Golden {
    let mut cases = Cases::of("golden", "archives read or left to others");
    let mut again = Cases::of("golden-again", "plans the same twice").or_none(UNKNOWN);
    let mut loaded = Cases::of(
        "golden-load",
        "archives loaded with the image IDs they have",
    )
    .or_none(UNKNOWN);
    let mut known = false;
    for archive in archives::golden() {
        let shown = match shown(harness, &archive) {
            Ok(shown) => shown,
            Err(error) => {
                cases.note(&archive.name, Err(error));
                continue;
            }
        };
        for (name, shown) in shown {
            if cases.are_enough() || harness.cancel.is_cancelled() {
                break;
            }
            match read(harness, formats, shown.input()) {
                Ended::Plan(plan, _) => {
                    known = true;
                    cases.note::<&str>(&name, Ok(()));
                    again.note(&name, is_planned(harness, formats, shown.input(), &plan));
                    if !loaded.are_enough() {
                        loaded.note(
                            &name,
                            loads(harness, formats, shown.input(), &archive.images),
                        );
                    }
                }
                Ended::NotMine => cases.note::<&str>(&name, Ok(())),
                Ended::Refused(why) | Ended::Unreadable(why) | Ended::Broken(why) => {
                    let why = harness.kept("golden", cases.next(), &archive.bytes(), &why);
                    cases.note(&name, Err(why));
                }
            }
        }
    }
    Golden {
        checks: vec![cases.end(), again.end(), loaded.end()],
        known,
    }
}

/// Returns an error unless an archive comes to the same plan again.
pub(super) fn is_planned(
    harness: &Harness<'_>,
    formats: &Formats,
    input: Input,
    plan: &Plan,
) -> Result<(), String> {
    match read(harness, formats, input) {
        Ended::Plan(again, _) if format!("{again:?}") == format!("{plan:?}") => Ok(()),
        Ended::Plan(..) => Err("the second plan is another one".to_owned()),
        Ended::NotMine => Err("the second time it is not its own any more".to_owned()),
        Ended::Refused(why) | Ended::Unreadable(why) | Ended::Broken(why) => {
            Err(format!("the second time it ends in an error: {why}"))
        }
    }
}

/// Loads an archive into a store of its own.
pub(super) fn load(
    harness: &Harness<'_>,
    formats: &Formats,
    input: Input,
    platform: Option<Platform>,
) -> Result<(Store, LoadReport), ImageError> {
    let home = harness
        .fresh("store")
        .map_err(|source| ArchiveError::Open {
            path: harness.path("store"),
            source,
        })?;
    let store = Store::open(&Home::at(home))?;
    let options = LoadOptions {
        platform,
        ..LoadOptions::default()
    };
    let mut report = image::load(&store, formats, input, &options, &harness.context())?;
    match report.failed.pop() {
        Some(failed) => Err(failed.error),
        None => Ok((store, report)),
    }
}

/// Returns an error unless an archive can be loaded and has these images.
fn loads(
    harness: &Harness<'_>,
    formats: &Formats,
    input: Input,
    images: &[Digest],
) -> Result<(), String> {
    let (_, report) = load(harness, formats, input, None).map_err(|error| chain(&error))?;
    let ids: Vec<&Digest> = report.images.iter().map(|it| &it.config_digest).collect();
    if images.iter().eq(ids.iter().copied()) {
        return Ok(());
    }
    let listed = |ids: &mut dyn Iterator<Item = &Digest>| {
        ids.map(Digest::short).collect::<Vec<_>>().join(", ")
    };
    let (has, made) = (listed(&mut images.iter()), listed(&mut ids.into_iter()));
    Err(format!("it has the images {has}, and {made} came of it"))
}

/// Shows archives in which there is no image.
pub(super) fn foreign(harness: &Harness<'_>, formats: &Formats) -> Check {
    let mut cases = Cases::of("foreign", "archives without images left to others");
    for archive in archives::foreign() {
        let shown = match shown(harness, &archive) {
            Ok(shown) => shown,
            Err(error) => {
                cases.note(&archive.name, Err(error));
                continue;
            }
        };
        for (name, shown) in shown {
            let ended = match read(harness, formats, shown.input()) {
                // The host handles inputs that are not archives at all.
                Ended::NotMine | Ended::Unreadable(_) => Ok(()),
                Ended::Plan(plan, _) => Err(format!(
                    "it claims to know it and has {} images; `not-mine` lets other plugins look",
                    plan.images.len()
                )),
                Ended::Refused(why) => Err(format!(
                    "it ends in an error, and no other plugin is asked: {why}"
                )),
                Ended::Broken(why) => Err(why),
            };
            let kept = |why: String| harness.kept("foreign", cases.next(), &archive.bytes(), &why);
            let ended = ended.map_err(kept);
            cases.note(&name, ended);
            if cases.are_enough() {
                return cases.end();
            }
        }
    }
    cases.end()
}
