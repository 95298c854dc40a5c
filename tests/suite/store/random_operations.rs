//! A store under a budget: random operations by the library's front door, each compared with a model
//! that is told nothing but what was asked for.
//!
//! Owns the model: which image each name leads to, and which images sandboxes use. What a budget or a
//! prune lets go is learned from the store; that it was allowed to go is checked here.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;

use fastrand::Rng;
use msb_host::{Input, Msb, PruneReport, SaveTarget};
use serde_json::json;

use crate::archive::Image;
use crate::env::TestEnv;
use crate::tests;

tests! {
    random_operations_keep_the_budget_and_all_that_is_in_use;
}

/// Set to run 10,000 operations, which takes minutes.
const WHOLE_WALK: &str = "MSB_TEST_WHOLE_WALK";
const OPERATIONS: [usize; 2] = [500, 10_000];
const LAYERS: u64 = 12;
const IMAGES: u64 = 40;
const SANDBOXES: usize = 5;
/// Less than half of what all images take together.
const BUDGET: u64 = 1 << 20;

/// The names and uses that there ought to be.
#[derive(Default)]
struct Model {
    /// The digest of the image that each name leads to.
    names: BTreeMap<String, String>,
    /// The digests that each sandbox uses.
    uses: BTreeMap<String, BTreeSet<String>>,
}

/// A store, its model and what is random about them.
struct Walk {
    env: TestEnv,
    msb: Msb,
    model: Model,
    random: Rng,
    done: BTreeMap<&'static str, usize>,
}

fn random_operations_keep_the_budget_and_all_that_is_in_use() {
    let is_whole = std::env::var_os(WHOLE_WALK).is_some();
    let seed = if is_whole { fastrand::u64(..) } else { 1 };
    eprintln!("random operations with the seed {seed}");
    let mut walk = Walk::start(seed);
    let operations = OPERATIONS[usize::from(is_whole)];
    for number in 0..operations {
        let what = walk.step();
        *walk.done.entry(what).or_default() += 1;
        walk.check(&format!("seed {seed}, operation {number}: {what}"));
        if number % 100 == 99 {
            walk.msb.verify([] as [&str; 0]).run().unwrap();
        }
    }
    eprintln!("{:?}", walk.done);
    walk.env.msb("image verify").success();
    walk.env.assert_nothing_in_flight();
    // Each kind of operation had its turn, also those that seldom find what they need.
    for what in [
        "load",
        "load over budget",
        "use",
        "release",
        "prune",
        "remove",
        "tag",
    ] {
        assert!(walk.done.contains_key(what), "{what}: {:?}", walk.done);
    }
}

impl Walk {
    fn start(seed: u64) -> Self {
        let env = TestEnv::new();
        env.write("first.tar", &image(0, "first:1").docker());
        // The home and the compiled plugins are made.
        env.msb("load -q -i first.tar").success();
        env.msb("rmi first:1").success();
        let settings = json!({"store": {"max_bytes": BUDGET}}).to_string();
        env.write_settings(settings);
        let msb = Msb::builder().home(env.home()).open().unwrap();
        Self {
            env,
            msb,
            model: Model::default(),
            random: Rng::with_seed(seed),
            done: BTreeMap::new(),
        }
    }

    /// Does something, and returns what it was.
    fn step(&mut self) -> &'static str {
        match self.random.u8(0..100) {
            0..35 => self.load(),
            35..45 => self.tag(),
            45..55 => self.remove(),
            55..70 => self.use_image(),
            70..82 => self.release(),
            82..88 => self.save(),
            _ => self.prune(),
        }
    }

    fn load(&mut self) -> &'static str {
        let number = self.random.u64(0..IMAGES);
        let name = self.fresh_name();
        let path = self.env.write("in.tar", &image(number, &name).docker());
        match self.msb.load(Input::Path(path)).run() {
            Ok(report) => {
                let digest = report.images[0].manifest_digest.to_string();
                self.model.names.insert(name, digest);
                self.learn();
                "load"
            }
            Err(error) => {
                let text = chain(&error);
                assert!(text.contains("`store.max_bytes`"), "{text}");
                "load over budget"
            }
        }
    }

    fn tag(&mut self) -> &'static str {
        let Some((_, digest)) = self.some_name() else {
            return "nothing";
        };
        let name = self.fresh_name();
        let reference = name.parse().unwrap();
        self.msb.tag(&digest, [reference]).run().unwrap();
        self.model.names.insert(name, digest);
        "tag"
    }

    fn remove(&mut self) -> &'static str {
        let Some((name, digest)) = self.some_name() else {
            return "nothing";
        };
        let is_last = self.model.names_of(&digest) == 1;
        let is_used = self.model.users(&digest) > 0;
        match self.msb.remove(&name).run() {
            Ok(_) => {
                assert!(!is_last || !is_used, "{name} is in use and was removed");
                self.model.names.remove(&name);
                "remove"
            }
            Err(error) => {
                assert!(is_last && is_used, "{name}: {}", chain(&error));
                "remove in use"
            }
        }
    }

    fn use_image(&mut self) -> &'static str {
        let Some((name, digest)) = self.some_name() else {
            return "nothing";
        };
        let sandbox = format!("box-{}", self.random.usize(0..SANDBOXES));
        self.msb.use_image(&sandbox, &name).run().unwrap();
        self.model.uses.entry(sandbox).or_default().insert(digest);
        "use"
    }

    fn release(&mut self) -> &'static str {
        let sandbox = format!("box-{}", self.random.usize(0..SANDBOXES));
        let released = self.msb.release(&sandbox).run().unwrap();
        let known = self.model.uses.remove(&sandbox).unwrap_or_default();
        assert_eq!(released, known.len(), "{sandbox}");
        "release"
    }

    fn save(&mut self) -> &'static str {
        let Some((name, _)) = self.some_name() else {
            return "nothing";
        };
        let target = SaveTarget::File(self.env.path("out.tar"));
        self.msb.save([name], target).run().unwrap();
        "save"
    }

    /// Prunes as announced: what the dry run says is what comes, to the byte.
    fn prune(&mut self) -> &'static str {
        let kind = self.random.u8(0..4);
        let (keep, most) = (self.random.usize(1..4), self.random.u64(0..BUDGET));
        let prune = |dry_run| -> PruneReport {
            let prune = self.msb.prune().dry_run(dry_run);
            let prune = match kind {
                // Everything, which is rare.
                0 if keep == 1 => prune,
                1 => prune.keep(keep),
                2 => prune.filter("dangling=true".parse().unwrap()),
                _ => prune.max_bytes(most),
            };
            prune.run().unwrap()
        };
        let would = prune(true);
        let before = self.disk();
        let did = prune(false);
        assert_eq!(would, did);
        assert_eq!(did.bytes_reclaimed, before - self.disk());
        self.learn();
        "prune"
    }

    /// Learns which names are gone. Of an image in use, none may be: but for names beyond those that a
    /// prune was told to keep, of which one is left.
    fn learn(&mut self) {
        let listed = self.listed();
        let model = &self.model;
        let used: BTreeSet<&String> = model.uses.values().flatten().collect();
        for digest in used {
            let had = model.names_of(digest);
            let has = listed.values().filter(|other| *other == digest).count();
            assert!(
                had == 0 || has > 0,
                "{digest} is in use and has lost its names"
            );
        }
        self.model.names.retain(|name, _| listed.contains_key(name));
    }

    /// Checks what holds after every operation.
    fn check(&self, after: &str) {
        assert_eq!(self.listed(), self.model.names, "{after}");
        let images = self.msb.disk_usage().run().unwrap().images_bytes;
        assert!(images <= BUDGET, "{after}: {images} bytes of {BUDGET}");
        for digest in self.model.uses.values().flatten() {
            let details = self.msb.inspect(digest).run();
            let details = details.unwrap_or_else(|error| panic!("{after}: {}", chain(&error)));
            for layer in details.layers {
                let path = layer
                    .erofs_path
                    .unwrap_or_else(|| panic!("{after}: {digest}"));
                assert!(path.exists(), "{after}: {}", path.display());
            }
        }
    }

    /// Returns the digest of the image of each name that the store has.
    fn listed(&self) -> BTreeMap<String, String> {
        let list = self.msb.images().run().unwrap();
        assert!(list.incomplete.is_none(), "{:?}", list.incomplete);
        let pairs = list.images.iter().flat_map(|image| {
            let digest = image.digest.to_string();
            let names = image.references.iter();
            names.map(move |name| (name.to_string(), digest.clone()))
        });
        pairs.collect()
    }

    /// Returns the bytes of disk of what a prune may remove.
    fn disk(&self) -> u64 {
        let cache = self.env.home().join("cache");
        let folders =
            ["layers", "blobs", "sidecars", "fsmeta", "vmdk"].map(|name| cache.join(name));
        let files = folders.iter().filter_map(|folder| folder.read_dir().ok());
        files
            .flatten()
            .map(|file| file.unwrap().metadata().unwrap().blocks() * 512)
            .sum()
    }

    /// Returns a name that there may be already: few repositories with few tags.
    fn fresh_name(&mut self) -> String {
        let (repository, tag) = (self.random.u8(0..4), self.random.u8(0..8));
        format!("repository-{repository}:{tag}")
    }

    fn some_name(&mut self) -> Option<(String, String)> {
        let names: Vec<_> = self.model.names.iter().collect();
        let (name, digest) = self.random.choice(names)?;
        Some((name.clone(), digest.clone()))
    }
}

impl Model {
    fn names_of(&self, digest: &str) -> usize {
        let images = self.names.values();
        images.filter(|image| *image == digest).count()
    }

    fn users(&self, digest: &str) -> usize {
        let uses = self.uses.values();
        uses.filter(|digests| digests.contains(digest)).count()
    }
}

/// Returns an image of three of the layers: many share some.
fn image(number: u64, name: &str) -> Image {
    let mut random = Rng::with_seed(number);
    let mut layers = BTreeSet::new();
    while layers.len() < 3 {
        layers.insert(random.u64(0..LAYERS));
    }
    let layers: Vec<String> = layers.into_iter().map(layer).collect();
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    let mut image = Image::new(name, &layers);
    // Images of the same layers are images of their own.
    image.config["config"]["Labels"] = json!({"number": number.to_string()});
    image
}

/// Returns a layer of 20 to 240 KiB.
fn layer(number: u64) -> String {
    let mut random = Rng::with_seed(1000 + number);
    let length = usize::try_from((number + 1) * (20 << 10)).unwrap();
    let noise: String = std::iter::repeat_with(|| random.alphanumeric())
        .take(length)
        .collect();
    format!("data-{number} = {noise}")
}

fn chain(error: &msb_host::Error) -> String {
    let first: &dyn std::error::Error = error;
    let causes = std::iter::successors(Some(first), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
