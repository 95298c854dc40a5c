//! Which images of an archive are loaded: those for the platform, under the names they have.
//!
//! Owns skipping: what is not an image, is for other machines or is not valid is reported and left out,
//! as long as anything is loaded. [`super::selection`] decides which image of an index is the right one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use msb_documents::Role;

use super::document::Config;
use super::manifest::Manifest;
use super::selection::{IndexEntry, order};
use super::{ImageError, LoadOptions, name};
use crate::archive::ArchiveSource;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::limits::{Account, Purpose};
use crate::platform::Platform;
use crate::plugin::{Document, PlannedImage, PlannedLayer};
use crate::progress::{Event, Progress};
use crate::reference::Reference;

/// Bytes of memory that a document takes for each of its own: as text, and as what it says.
pub(super) const DOCUMENT: u64 = 3;

/// An image that was picked: its documents are read and agree with each other.
pub(super) struct SelectedImage {
    pub(super) config: Config,
    pub(super) manifest: Option<Manifest>,
    pub(super) layers: Vec<PlannedLayer>,
    pub(super) references: Vec<Reference>,
}

/// An image whose documents are in order.
struct Candidate {
    config: Config,
    manifest: Option<Manifest>,
    image: PlannedImage,
}

/// Images of which one is the right one: those of one index under one name.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    /// Of an index within the archive.
    Index(Digest, Vec<String>),
    /// Of the archive itself, with names.
    Named(Vec<String>),
    /// Of the archive itself, without a name: a group of its own.
    Single(usize),
}

/// Reads the documents of the planned images and picks those for the platform.
pub(super) fn select(
    source: &Arc<dyn ArchiveSource>,
    planned: Vec<PlannedImage>,
    options: &LoadOptions,
    progress: &Arc<dyn Progress>,
    account: &mut Account,
    cancel: &Cancel,
) -> Result<Vec<SelectedImage>, ImageError> {
    let wanted = options.platform.clone().unwrap_or_else(Platform::host);
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut obstacles = Vec::new();
    // An index may list one image again and again; its documents are read once.
    let mut known: HashMap<(u32, u32), Option<usize>> = HashMap::new();
    for image in planned {
        cancel.check()?;
        let documents = entries_of(&image);
        if let Some(number) = documents.and_then(|documents| known.get(&documents)) {
            if let Some(same) = number.and_then(|number| candidates.get_mut(number)) {
                same.image.references.extend(image.references);
                same.image.indexes.extend(image.indexes);
            }
            continue;
        }
        let number = match Candidate::read(source, image, options) {
            Ok(candidate) => {
                account.take(Purpose::Documents, DOCUMENT * candidate.size())?;
                candidates.push(candidate);
                Some(candidates.len() - 1)
            }
            Err(error) if error.is_of_one_image() => {
                obstacles.push(error);
                None
            }
            Err(error) => return Err(error),
        };
        known.extend(documents.map(|documents| (documents, number)));
    }
    for candidate in &mut candidates {
        once_each(&mut candidate.image.references);
        once_each(&mut candidate.image.indexes);
    }
    let chosen = choose(&wanted, &candidates);
    if chosen.is_empty() {
        return Err(no_image(wanted, &candidates, obstacles));
    }
    for error in &obstacles {
        progress.report(Event::Notice(&format!("skipped: {error}")));
    }
    let mut selected: Vec<SelectedImage> = Vec::new();
    for (position, candidate) in candidates.into_iter().enumerate() {
        let Candidate {
            config,
            manifest,
            image,
        } = candidate;
        if !chosen.contains(&position) {
            progress.report(Event::Notice(&format!(
                "skipped image {}: it is for {}",
                config.digest.short(),
                image.platform.as_ref().unwrap_or(&config.platform)
            )));
            continue;
        }
        let mut references = Vec::new();
        add_references(&mut references, image.references, &config, progress);
        selected.push(SelectedImage {
            config,
            manifest,
            layers: image.layers,
            references,
        });
    }
    name::add_tags(&mut selected, &options.tags);
    Ok(selected)
}

impl Candidate {
    fn read(
        source: &Arc<dyn ArchiveSource>,
        image: PlannedImage,
        options: &LoadOptions,
    ) -> Result<Self, ImageError> {
        // What a manifest is of is told by itself, whatever its configuration is.
        let manifest = Manifest::read(source, &image, &options.limits)?;
        let config = Config::read(source, &image, &options.limits)?;
        if let Some(manifest) = &manifest {
            manifest.check_config(&config)?;
        }
        Ok(Self {
            config,
            manifest,
            image,
        })
    }

    /// Returns the bytes of its documents.
    fn size(&self) -> u64 {
        let manifest = self.manifest.as_ref().map_or(0, |it| it.bytes.len());
        (self.config.bytes.len() + manifest) as u64
    }

    fn entry(&self) -> IndexEntry {
        IndexEntry {
            platform: self.image.platform.clone(),
            role: Role::Manifest,
        }
    }

    /// Returns whether an index that this is an entry of would lead to it.
    fn suits(&self, wanted: &Platform) -> bool {
        match &self.image.platform {
            Some(stated) => wanted.runs(stated),
            None => wanted.runs(&self.config.platform),
        }
    }

    /// What it runs on, in what counts where it has no index.
    fn platform(&self) -> &Platform {
        let stated = self.image.platform.as_ref();
        stated.unwrap_or(&self.config.platform)
    }
}

/// Leaves of equal items the first.
fn once_each<T: Clone + Eq + std::hash::Hash>(items: &mut Vec<T>) {
    let mut known = HashSet::new();
    items.retain(|item| known.insert(item.clone()));
}

/// Returns the entries of an image's documents, if it is one that the archive describes by them.
fn entries_of(image: &PlannedImage) -> Option<(u32, u32)> {
    match (&image.manifest, &image.config) {
        (Some(Document::Entry(manifest)), Document::Entry(config)) => Some((*manifest, *config)),
        _ => None,
    }
}

/// Adds the references that can be read and that the image does not have yet.
fn add_references(
    references: &mut Vec<Reference>,
    texts: Vec<String>,
    config: &Config,
    progress: &Arc<dyn Progress>,
) {
    let mut known: HashSet<Reference> = references.iter().cloned().collect();
    for text in texts {
        match text.parse::<Reference>() {
            Ok(reference) if known.insert(reference.clone()) => references.push(reference),
            Ok(_) => {}
            Err(error) => progress.report(Event::Notice(&format!(
                "image {} is kept without the reference `{text}`: {error}",
                config.digest.short()
            ))),
        }
    }
}

/// Returns the positions of the images that are loaded: of each index the one that a pull of it
/// would give, of what the archive itself lists all that suit, unless another one of the same name
/// suits better.
fn choose(wanted: &Platform, candidates: &[Candidate]) -> BTreeSet<usize> {
    let mut groups: BTreeMap<Group, Vec<(usize, &[Digest])>> = BTreeMap::new();
    for (position, candidate) in candidates.iter().enumerate() {
        let mut names = candidate.image.references.clone();
        names.sort();
        for way in &candidate.image.indexes {
            if let Some((outermost, inner)) = way.split_first() {
                let group = Group::Index(outermost.clone(), names.clone());
                groups.entry(group).or_default().push((position, inner));
            }
        }
        if candidate.image.indexes.is_empty() {
            let group = if names.is_empty() {
                Group::Single(position)
            } else {
                Group::Named(names)
            };
            groups.entry(group).or_default().push((position, &[]));
        }
    }
    let mut chosen = BTreeSet::new();
    for (group, members) in groups {
        if let Group::Index(..) = group {
            chosen.extend(of_index(wanted, candidates, &members));
        } else {
            let distance = |(position, _): &(usize, &[Digest])| {
                let candidate = candidates.get(*position)?;
                Some((wanted.distance(candidate.platform())?, *position))
            };
            let suiting: Vec<(u16, usize)> = members.iter().filter_map(distance).collect();
            let best = suiting.iter().map(|(distance, _)| *distance).min();
            let best = suiting.into_iter().filter(|(it, _)| Some(*it) == best);
            chosen.extend(best.map(|(_, position)| position));
        }
    }
    chosen
}

/// The position of a candidate, and the way to it through the indexes that are left.
type Member<'a> = (usize, &'a [Digest]);

/// Returns the position of the image of an index, whose members come with the ways from it to them.
fn of_index(wanted: &Platform, candidates: &[Candidate], members: &[Member<'_>]) -> Option<usize> {
    let mut entries = Vec::new();
    let mut nested: Vec<(Option<&Digest>, Vec<Member<'_>>)> = Vec::new();
    let mut places: HashMap<&Digest, usize> = HashMap::new();
    for &(position, way) in members {
        let Some((index, inner)) = way.split_first() else {
            entries.push(candidates.get(position)?.entry());
            nested.push((None, vec![(position, way)]));
            continue;
        };
        let known = places.get(index).and_then(|place| nested.get_mut(*place));
        if let Some((_, members)) = known {
            members.push((position, inner));
        } else {
            entries.push(IndexEntry {
                platform: None,
                role: Role::Index,
            });
            places.insert(index, nested.len());
            nested.push((Some(index), vec![(position, inner)]));
        }
    }
    order(wanted, &entries).into_iter().find_map(|number| {
        let (index, members) = nested.get(number)?;
        if index.is_some() {
            return of_index(wanted, candidates, members);
        }
        let (position, _) = members.first()?;
        let suits = candidates.get(*position)?.suits(wanted);
        suits.then_some(*position)
    })
}

/// Returns the error of an archive of which nothing is loaded.
fn no_image(wanted: Platform, candidates: &[Candidate], obstacles: Vec<ImageError>) -> ImageError {
    let offered: Vec<Platform> = candidates
        .iter()
        .map(|candidate| candidate.platform().clone())
        .collect();
    // What might have been the image comes first, then what there is for other machines.
    let (others, broken): (Vec<_>, Vec<_>) = obstacles
        .into_iter()
        .partition(ImageError::is_of_another_kind);
    let others = others.into_iter().filter(|_| offered.is_empty());
    let obstacle = broken.into_iter().chain(others).next();
    match obstacle {
        Some(error) => error,
        None if offered.is_empty() => ImageError::NoImages,
        None => ImageError::Platform { wanted, offered },
    }
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
