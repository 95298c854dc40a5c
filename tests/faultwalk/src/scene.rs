//! The commands that are looked at, and the homes in which they run.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use msb_host::home::Home;
use msb_host::store::Store;

use crate::Result;
use crate::images::{Image, gzip};
use crate::place::{PATIENCE, Place, finish};
use crate::registry;

/// A command that is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    start: Start,
    /// Its words; `IN` is the folder of archives, `REGISTRY` and `CLOSED` are hosts, `PLUGIN` is a
    /// component, `FORMAT` one beside it that needs no permission.
    line: &'static str,
    input: Input,
    /// What a later run may say instead of succeeding, when this one was done after all.
    pub(crate) done_already: Option<&'static str>,
    /// A line that makes what the command has rightly thrown away.
    pub(crate) restores: Option<&'static str>,
}

/// What is there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// A home that has compiled the plugins of msb, and nothing else.
    Compiled,
    /// An image in use, and one that is not.
    Images,
    /// The same, and garbage.
    Garbage,
    /// The same, and an image from the registry.
    Pulled,
    /// The same, and a damaged layer.
    Damaged,
}

/// What comes in on standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Nothing,
    Archive,
    Password,
}

const fn scene(name: &'static str, start: Start, line: &'static str) -> Scene {
    Scene {
        name,
        start,
        line,
        input: Input::Nothing,
        done_already: None,
        restores: None,
    }
}

/// All of them.
pub(crate) const SCENES: [Scene; 13] = [
    scene("load", Start::Images, "load -i IN/new.tar"),
    Scene {
        input: Input::Archive,
        ..scene("load-pipe", Start::Images, "load")
    },
    scene("load-gzip", Start::Images, "load -i IN/new.tar.gz"),
    scene("first-load", Start::Compiled, "load -i IN/new.tar"),
    scene("pull", Start::Images, "pull REGISTRY/app:1"),
    scene("pull-force", Start::Pulled, "pull --force REGISTRY/app:1"),
    Scene {
        done_already: Some("not found"),
        ..scene("rmi", Start::Images, "rmi other:1")
    },
    scene("prune", Start::Garbage, "image prune --yes"),
    scene("save", Start::Images, "save -o out/saved.tar other:1"),
    scene(
        "save-new",
        Start::Images,
        "save -o out/new.tar --format oci other:1",
    ),
    Scene {
        restores: Some("load -i IN/other.tar"),
        ..scene("verify-repair", Start::Damaged, "image verify --repair")
    },
    Scene {
        done_already: Some("already"),
        ..scene(
            "plugin-install",
            Start::Images,
            "plugin install --yes PLUGIN",
        )
    },
    Scene {
        input: Input::Password,
        ..scene(
            "login",
            Start::Images,
            "registry login CLOSED --username ann --password-stdin --store file --insecure",
        )
    },
];

/// What all runs share: archives, registries, and homes to start from.
pub(crate) struct Stage {
    pub(crate) root: PathBuf,
    msb: PathBuf,
    plugin: PathBuf,
    registry: String,
    closed: String,
}

impl Stage {
    /// Prepares everything in an empty folder.
    pub(crate) fn prepare(root: &Path, msb: &Path, plugin: &Path) -> Result<Self> {
        let inputs = root.join("in");
        fs::create_dir_all(&inputs)?;
        for name in ["keep", "other", "new", "garbage"] {
            let archive = Image::new(&format!("{name}:1"))?.archive()?;
            fs::write(inputs.join(format!("{name}.tar.gz")), gzip(&archive)?)?;
            fs::write(inputs.join(format!("{name}.tar")), archive)?;
        }
        fs::write(inputs.join("password"), registry::PASSWORD)?;
        let app = Image::new("app:1")?;
        let stage = Self {
            root: root.to_owned(),
            msb: msb.to_owned(),
            plugin: plugin.to_owned(),
            registry: registry::start(&[("app", "1", &app)], false)?,
            closed: registry::start(&[], true)?,
        };
        for start in [
            Start::Compiled,
            Start::Images,
            Start::Garbage,
            Start::Pulled,
            Start::Damaged,
        ] {
            stage.furnish(start)?;
        }
        Ok(stage)
    }

    /// Returns a place of a name of its own.
    pub(crate) fn place(&self, name: &str) -> Place {
        Place::new(self.root.join(name), &self.msb)
    }

    /// Returns the folders in which calls are counted.
    pub(crate) fn below(&self, place: &Place) -> Vec<PathBuf> {
        vec![place.folder().to_owned(), self.root.join("in")]
    }

    /// Makes a place what it is before a command.
    pub(crate) fn set(&self, scene: &Scene, place: &Place) -> Result<()> {
        place.reset(&self.template(scene.start))
    }

    /// Makes a place a home with an image in use and one that is not.
    pub(crate) fn set_images(&self, place: &Place) -> Result<()> {
        place.reset(&self.template(Start::Images))
    }

    /// Returns the command of a scene.
    pub(crate) fn command(&self, scene: &Scene, place: &Place) -> Result<Command> {
        let mut command = place.command(&self.words(scene.line));
        match scene.input {
            Input::Nothing => {}
            Input::Archive => {
                // As through a pipe: it cannot be read twice.
                let cat = Command::new("cat")
                    .arg(self.root.join("in/new.tar"))
                    .stdout(Stdio::piped())
                    .spawn()?;
                command.stdin(cat.stdout.map_or_else(Stdio::null, Stdio::from));
            }
            Input::Password => {
                command.stdin(self.password()?);
            }
        }
        Ok(command)
    }

    /// Returns a password as it comes on standard input.
    pub(crate) fn password(&self) -> Result<File> {
        Ok(File::open(self.root.join("in/password"))?)
    }

    /// Runs a line in a place; it must succeed.
    pub(crate) fn must(&self, place: &Place, line: &str) -> Result<()> {
        let run = finish(place.command(&self.words(line)), PATIENCE)?;
        if run.status.success() {
            return Ok(());
        }
        Err(format!("`msb {line}`: {}", run.words()).into())
    }

    /// Returns the words of a line.
    pub(crate) fn words(&self, line: &str) -> Vec<String> {
        let inputs = self.root.join("in");
        line.split(' ')
            .map(|word| {
                word.replace("REGISTRY", &self.registry)
                    .replace("CLOSED", &self.closed)
                    .replace("PLUGIN", &self.plugin.to_string_lossy())
                    .replace(
                        "FORMAT",
                        &self
                            .plugin
                            .with_file_name("image-json.wasm")
                            .to_string_lossy(),
                    )
                    .replace("IN/", &format!("{}/", inputs.display()))
            })
            .collect()
    }

    fn template(&self, start: Start) -> Place {
        self.place(&format!("template-{start:?}"))
    }

    fn furnish(&self, start: Start) -> Result<()> {
        let place = self.template(start);
        if start == Start::Compiled {
            return self.compile(&place);
        }
        place.reset(&self.template(Start::Compiled))?;
        place.make("out")?;
        fs::write(
            place.folder().join("out/saved.tar"),
            "what was there before",
        )?;
        self.must(&place, "load -i IN/keep.tar")?;
        self.must(&place, "load -i IN/other.tar")?;
        if start == Start::Garbage {
            self.must(&place, "load -i IN/garbage.tar")?;
        }
        if start == Start::Pulled {
            self.must(&place, "pull REGISTRY/app:1")?;
        }
        let store = Store::open(&Home::at(place.home()))?;
        store.use_image("devbox", "keep:1")?;
        if start == Start::Damaged {
            let image = store.find("other:1")?.image;
            let own = image.layers.last().ok_or("the image has no layers")?;
            let file = Self::erofs(&place, &own.key.diff_id.file_stem())?;
            let mut bytes = fs::read(&file)?;
            let middle = bytes.len() / 2;
            *bytes.get_mut(middle).ok_or("the layer is empty")? ^= 1;
            fs::write(&file, bytes)?;
        }
        Ok(())
    }

    /// Makes a home with nothing but all plugins of msb, compiled: that takes a second of work, which
    /// no command has to do again.
    fn compile(&self, place: &Place) -> Result<()> {
        place.make("")?;
        let first = self.place("compiling");
        first.make("out")?;
        self.must(&first, "load -i IN/keep.tar")?;
        for format in ["docker", "oci"] {
            let line = format!("save -o out/{format}.tar --format {format} keep:1");
            self.must(&first, &line)?;
        }
        self.must(&first, "pull REGISTRY/app:1")?;
        let login = SCENES.iter().find(|scene| scene.name == "login");
        let login = login.ok_or("there is no scene of a login")?;
        let run = finish(self.command(login, &first)?, PATIENCE)?;
        if !run.status.success() {
            return Err(format!("the first login: {}", run.words()).into());
        }
        place.make("home/cache")?;
        let compiled = "home/cache/plugins";
        fs::rename(first.folder().join(compiled), place.folder().join(compiled))?;
        Ok(())
    }

    /// Returns the file of a layer.
    fn erofs(place: &Place, stem: &str) -> Result<PathBuf> {
        let layers = place.home().join("cache/layers");
        for entry in fs::read_dir(&layers)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_image = path.extension().is_some_and(|it| it == "erofs");
            if is_image && name.starts_with(stem) {
                return Ok(path);
            }
        }
        Err(format!("`{}` has no file of layer {stem}", layers.display()).into())
    }
}
