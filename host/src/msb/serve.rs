//! `Msb::serve_containerd`, and what keeps a served directory up to date.

use std::error::Error as _;
use std::path::{Path, PathBuf};

use super::Msb;
use super::operation::{Operation, Work, sealed::Sealed};
use crate::Error;
use crate::context::Context;
use crate::image::{self, ServeOptions, ServeReport};
use crate::progress::Event;

/// Serves layers to containerd: see [`Msb::serve_containerd`].
#[derive(Clone, Debug)]
pub struct ServeContainerd {
    directory: PathBuf,
    options: ServeOptions,
}

impl Msb {
    /// Lays the layers of images in a directory, under the names by which the EROFS snapshotter of
    /// containerd 2.4 looks for them (`layer_content_caches`). Without any image these are all of the
    /// store. They are hard links, or symbolic ones on another filesystem: nothing is copied.
    pub fn serve_containerd<I>(
        &self,
        directory: impl Into<PathBuf>,
        images: I,
    ) -> Operation<ServeContainerd>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let work = ServeContainerd {
            directory: directory.into(),
            options: ServeOptions {
                images: images.into_iter().map(Into::into).collect(),
                ..ServeOptions::default()
            },
        };
        Operation::new(self, work)
    }

    /// Hands images that have come into the store to the programs that the settings name. What fails is told
    /// as a notice: the images are there all the same.
    pub(super) fn serve_new(&self, images: &[String], context: &Context) -> Result<(), Error> {
        let settings = self.settings()?;
        if images.is_empty() {
            return Ok(());
        }
        for directory in &settings.store.serve_containerd {
            if let Err(error) = self.serve(directory, images, context) {
                let shown = directory.display();
                let what = format!("the layers are not served to containerd in `{shown}`");
                tell(&what, &error, context)?;
            }
        }
        for home in &settings.store.serve_microsandbox {
            match self.serve_to_home(home.as_deref(), images, false, context) {
                Ok(report) => {
                    for unserved in &report.unserved {
                        let text = format!("not served to microsandbox: {unserved}");
                        context.progress.report(Event::Notice(&text));
                    }
                }
                Err(error) => {
                    tell("the images are not served to microsandbox", &error, context)?;
                }
            }
        }
        Ok(())
    }

    fn serve(
        &self,
        directory: &Path,
        images: &[String],
        context: &Context,
    ) -> Result<ServeReport, Error> {
        let options = ServeOptions {
            images: images.to_owned(),
            ..ServeOptions::default()
        };
        let store = self.store()?;
        Ok(image::serve_containerd(
            &store, directory, &options, context,
        )?)
    }
}

/// Tells as a notice what went wrong, unless the user asked to stop.
fn tell(what: &str, error: &Error, context: &Context) -> Result<(), Error> {
    context.cancel.check()?;
    let mut text = format!("{what}: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.extend([": ", &cause.to_string()]);
        source = cause.source();
    }
    context.progress.report(Event::Notice(&text));
    Ok(())
}

impl Operation<ServeContainerd> {
    /// Removes the names of layers that no image of the store has any more, unless containerd refers to
    /// them.
    pub fn prune(mut self, prune: bool) -> Self {
        self.work.options.prune = prune;
        self
    }

    /// Lays copies with a dm-verity hash tree and a file next to each that says where the tree is, for a
    /// containerd with `dmverity_mode`. A directory that has them once keeps to that.
    pub fn verity(mut self, verity: bool) -> Self {
        self.work.options.verity = verity;
        self
    }

    /// Looks for what containerd refers to in this directory: `root` of its configuration, or
    /// `root_path` of its EROFS snapshotter. The default is `/var/lib/containerd`.
    pub fn containerd_root(mut self, root: impl Into<PathBuf>) -> Self {
        self.work.options.containerd_root = root.into();
        self
    }
}

impl Sealed for ServeContainerd {}

impl Work for ServeContainerd {
    type Output = ServeReport;

    fn work(self, msb: &Msb, context: &Context) -> Result<ServeReport, Error> {
        let store = msb.store()?;
        Ok(image::serve_containerd(
            &store,
            &self.directory,
            &self.options,
            context,
        )?)
    }
}
