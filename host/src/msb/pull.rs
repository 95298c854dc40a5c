//! `Msb::pull`.

use super::Msb;
use super::operation::{Operation, Work, sealed::Sealed};
use crate::Error;
use crate::context::Context;
use crate::credential::RegistryAuth;
use crate::image::{self, PullOptions, PullPolicy, PulledImage};
use crate::platform::Platform;
use crate::reference::Reference;

/// Pulls an image: see [`Msb::pull`].
#[derive(Clone, Debug)]
pub struct Pull {
    reference: String,
    options: PullOptions,
}

impl Msb {
    /// Pulls an image from its registry, unless the store has it already.
    ///
    /// Nothing is visible in the store until every layer has been converted and checked. What was
    /// received is kept when the pull fails, and the next one continues from there.
    pub fn pull(&self, reference: impl Into<String>) -> Operation<Pull> {
        let work = Pull {
            reference: reference.into(),
            options: PullOptions::default(),
        };
        Operation::new(self, work)
    }
}

impl Operation<Pull> {
    /// Pulls the image for this platform instead of the one for this machine.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.work.options.platform = Some(platform);
        self
    }

    /// Changes when the registry is asked. The default is [`PullPolicy::Missing`].
    pub fn policy(mut self, policy: PullPolicy) -> Self {
        self.work.options.policy = policy;
        self
    }

    /// Fetches and converts all of it, whatever the store has.
    pub fn force(mut self, force: bool) -> Self {
        self.work.options.force = force;
        self
    }

    /// Logs in to the registry of the reference with these credentials, before all that are stored or
    /// configured. [`RegistryAuth::Anonymous`] is to have none.
    pub fn auth(mut self, auth: RegistryAuth) -> Self {
        self.work.options.auth = Some(auth);
        self
    }

    /// Records that a sandbox uses the image, at the moment in which the image is there: no removal
    /// can come between. [`Msb::release`] ends the use.
    pub fn used_by(mut self, sandbox: impl Into<String>) -> Self {
        self.work.options.used_by = Some(sandbox.into());
        self
    }
}

impl Sealed for Pull {}

impl Work for Pull {
    type Output = PulledImage;

    fn work(self, msb: &Msb, context: &Context) -> Result<PulledImage, Error> {
        let reference: Reference = self.reference.parse()?;
        let settings = msb.settings()?;
        msb.tell(&settings, context);
        let client = msb.client()?;
        let options = PullOptions {
            limits: settings.limits.clone(),
            max_bytes: settings.store.max_bytes,
            chain: msb.credentials()?,
            ..self.options
        };
        let store = msb.store()?;
        msb.keep_apart(&store)?;
        let pulled = image::pull(&store, &client, &reference, &options, context)?;
        msb.serve_new(&[pulled.manifest_digest.to_string()], context)?;
        msb.merge_if_set([&pulled.manifest_digest], context)?;
        Ok(pulled)
    }
}
