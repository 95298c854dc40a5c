//! `Msb::serve_microsandbox`.

use std::path::{Path, PathBuf};

use super::Msb;
use super::operation::{Operation, Work, sealed::Sealed};
use crate::Error;
use crate::context::Context;
use crate::home::Home;
use crate::image::{self, ServeMicrosandboxOptions, ServeMicrosandboxReport};
use crate::store::Store;

/// Serves images to microsandbox: see [`Msb::serve_microsandbox`].
#[derive(Clone, Debug)]
pub struct ServeMicrosandbox {
    home: Option<PathBuf>,
    options: ServeMicrosandboxOptions,
}

impl Msb {
    /// Lays images where microsandbox 0.7 finds them as if it had pulled them. Without any image these
    /// are all of the store. The names are hard links: nothing is copied, and what microsandbox removes of
    /// them is not lost here.
    pub fn serve_microsandbox<I>(&self, images: I) -> Operation<ServeMicrosandbox>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let work = ServeMicrosandbox {
            home: None,
            options: ServeMicrosandboxOptions {
                images: images.into_iter().map(Into::into).collect(),
                ..ServeMicrosandboxOptions::default()
            },
        };
        Operation::new(self, work)
    }

    /// Gives what comes into the store names that microsandbox does not use, if the settings say that it is
    /// served in this home.
    pub(super) fn keep_apart(&self, store: &Store) -> Result<(), Error> {
        let settings = self.settings()?;
        let mut homes = settings.store.serve_microsandbox.iter();
        if homes.any(|home| self.microsandbox_home(home.as_deref()).root() == self.home().root()) {
            store.keep_apart();
        }
        Ok(())
    }

    pub(super) fn serve_to_home(
        &self,
        home: Option<&Path>,
        images: &[String],
        prune: bool,
        context: &Context,
    ) -> Result<ServeMicrosandboxReport, Error> {
        let options = ServeMicrosandboxOptions {
            images: images.to_owned(),
            prune,
        };
        let store = self.store()?;
        let home = self.microsandbox_home(home);
        let limits = self.limits()?;
        Ok(image::serve_microsandbox(
            &store, &home, &options, &limits, context,
        )?)
    }

    /// Returns the home of microsandbox, which is ours unless another one is named.
    pub(super) fn microsandbox_home(&self, home: Option<&Path>) -> Home {
        home.map_or_else(|| self.home().clone(), Home::at)
    }
}

impl Operation<ServeMicrosandbox> {
    /// Lays them in the home of microsandbox at this directory, instead of that of the store.
    pub fn to_home(mut self, directory: impl Into<PathBuf>) -> Self {
        self.work.home = Some(directory.into());
        self
    }

    /// Removes the names of what no image of the store has any more, and that microsandbox does not have
    /// either.
    pub fn prune(mut self, prune: bool) -> Self {
        self.work.options.prune = prune;
        self
    }
}

impl Sealed for ServeMicrosandbox {}

impl Work for ServeMicrosandbox {
    type Output = ServeMicrosandboxReport;

    fn work(self, msb: &Msb, context: &Context) -> Result<ServeMicrosandboxReport, Error> {
        let Self { home, options } = self;
        let ServeMicrosandboxOptions { images, prune } = options;
        msb.serve_to_home(home.as_deref(), &images, prune, context)
    }
}
