//! The installed archive formats, in the order in which they are asked.
//!
//! Owns the choice of the plugin for an archive. The engine starts when the first plugin is
//! called, so commands that need none never pay for it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::component::Component;
use super::error::{EngineError, Failure, PluginError, Refusal};
use super::format::{self, CallContext, Description, Plan, StoredImage};
use super::generated::Maker;
use super::grants::Grants;
use super::limits::PluginBudget;
use super::package::{ComponentBytes, Origin, Package, PluginKind};
use super::runtime::Runtime;
use crate::archive::{self, ArchiveError, ArchiveOutput, ArchiveSource, Contents};
use crate::cancel::Cancel;
use crate::home::Home;
use crate::progress::Progress;

/// A format plugin and, once it was called, its compiled code.
struct Installed {
    package: Package,
    description: Description,
    component: OnceLock<Arc<Component>>,
}

/// The installed archive formats.
pub struct Formats {
    runtime: Runtime,
    installed: Vec<Installed>,
}

/// Why no plugin could do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// No installed plugin knows the format of an archive.
    #[error("no installed format plugin recognises this archive")]
    Unrecognised {
        /// What each plugin said, in the order of asking.
        said: Vec<PluginError>,
        /// What the archive seems to hold instead.
        contents: Option<Contents>,
    },
    /// No installed plugin has this name or writes archives.
    #[error("there is no format `{name}` to write")]
    NoSuchFormat {
        /// What was asked for.
        name: String,
        /// The formats that can be written.
        offered: Vec<String>,
    },
    /// A plugin failed.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The archive failed while a plugin was at work on it; the plugin is not to blame.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The engine could not be started.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Formats {
    /// Returns the formats that ship with msb: `docker` and `oci`.
    pub fn builtin(home: &Home) -> Self {
        Self::of(&Runtime::new(home), &super::builtin::packages())
    }

    /// Returns the formats among some plugins, in the order of the plugins.
    pub fn of(runtime: &Runtime, packages: &[Package]) -> Self {
        let installed = packages.iter().filter_map(|package| {
            let PluginKind::Format(description) = &package.kind else {
                return None;
            };
            Some(Installed {
                package: package.clone(),
                description: description.clone(),
                component: OnceLock::new(),
            })
        });
        Self {
            runtime: runtime.clone(),
            installed: installed.collect(),
        }
    }

    /// Adds a component under the name `plugin`, after the others: it is compiled, asked to
    /// describe itself, and from then on asked like the built-in ones. A format that has the name
    /// of an earlier one takes its place.
    ///
    /// # Errors
    /// When the bytes are not a component of the world `format`, or its description is not valid.
    pub fn add(
        &mut self,
        plugin: &str,
        component: Vec<u8>,
        budget: PluginBudget,
        progress: &Arc<dyn Progress>,
        cancel: &Cancel,
    ) -> Result<&Description, FormatError> {
        let name: Arc<str> = plugin.into();
        let component: Arc<[u8]> = component.into();
        let call_context = CallContext {
            plugin: &name,
            progress,
            cancel,
        };
        let compiled = Component::compile(
            &self.runtime,
            self.runtime.engine()?,
            &Bytes::from_owner(Arc::clone(&component)),
            Origin::Author,
            budget.clone(),
            &call_context,
        )
        .map(Arc::new)
        .map_err(|failure| PluginError::new(plugin, None, failure))?;
        let description = format::describe(&compiled, &call_context)
            .map_err(|failure| PluginError::new(plugin, None, failure))?;
        self.installed
            .retain(|other| other.description.name != description.name);
        self.installed.push(Installed {
            package: Package {
                name,
                version: None,
                kind: PluginKind::Format(description.clone()),
                component: ComponentBytes::Memory(component),
                grants: Grants::default(),
                limits: budget,
                settings: None,
                builtin: false,
            },
            description,
            component: OnceLock::from(compiled),
        });
        let last = self.installed.len() - 1;
        Ok(&self.installed[last].description)
    }

    /// Returns what the installed formats are, without starting the engine.
    pub fn descriptions(&self) -> impl Iterator<Item = &Description> {
        self.installed
            .iter()
            .map(|installed| &installed.description)
    }

    /// Returns whether a format that reads wants all of an input to be kept, also of a pipe.
    pub fn keeps_input(&self) -> bool {
        self.descriptions()
            .any(|description| description.reads && description.keeps_input)
    }

    /// Returns whether a format that reads takes inputs that are not tar archives.
    pub fn takes_any(&self) -> bool {
        self.descriptions()
            .any(|description| description.reads && description.takes_any)
    }

    /// Returns the names of the formats that can be written.
    pub fn names_that_write(&self) -> Vec<&str> {
        self.descriptions()
            .filter(|description| description.writes)
            .map(|description| description.name.as_str())
            .collect()
    }

    /// Asks the plugins in turn what is in an archive, until one knows. The source that comes
    /// back with the plan is the archive and the layers that the plugin makes itself: it has all
    /// entries that the plan names.
    ///
    /// One that knows the format and does not support this archive keeps no other from being asked.
    ///
    /// Where none knows and all of the archive lies in one folder, they are asked about what is in
    /// the folder. An input that is not a tar archive is for those that take any.
    ///
    /// # Errors
    /// [`FormatError::Unrecognised`] when none knows; otherwise the error of the first one that knows.
    pub fn read(
        &self,
        source: &Arc<dyn ArchiveSource>,
        progress: &Arc<dyn Progress>,
        cancel: &Cancel,
    ) -> Result<(Plan, Arc<dyn ArchiveSource>), FormatError> {
        let outside = self.ask(source, progress, cancel);
        if source.is_opaque() {
            return match outside {
                Err(FormatError::Unrecognised { .. }) => {
                    Err(archive::not_an_archive(source).into())
                }
                outside => outside,
            };
        }
        if !matches!(outside, Err(FormatError::Unrecognised { .. })) {
            return outside;
        }
        let Some((folder, inner)) = archive::in_innermost_folder(source) else {
            return outside;
        };
        match self.ask(&inner, progress, cancel) {
            Ok((mut plan, source)) => {
                let notice =
                    format!("the images are those in the folder `{folder}` of the archive");
                plan.notices.push(format::shown(&notice));
                Ok((plan, source))
            }
            inside => inside,
        }
    }

    fn ask(
        &self,
        source: &Arc<dyn ArchiveSource>,
        progress: &Arc<dyn Progress>,
        cancel: &Cancel,
    ) -> Result<(Plan, Arc<dyn ArchiveSource>), FormatError> {
        let mut said = Vec::new();
        let mut unsupported = None;
        let can_read = |it: &&Installed| {
            it.description.reads && (it.description.takes_any || !source.is_opaque())
        };
        for installed in self.installed.iter().filter(can_read) {
            let answer = self.call(installed, progress, cancel, |component, call_context| {
                let (mut plan, defined) = format::read(component, call_context, source)?;
                let maker = Maker {
                    component: Arc::clone(component),
                    plugin: Arc::clone(call_context.plugin),
                    version: installed.package.version.clone(),
                    source: defined.over(source),
                    progress: Arc::clone(progress),
                    cancel: cancel.clone(),
                };
                let source = plan.number_made_layers(maker, defined.count());
                Ok((plan, source))
            });
            match answer {
                Err(FormatError::Plugin(error)) => match &*error.failure {
                    Failure::Refused(Refusal::NotMine(_)) => said.push(error),
                    Failure::Refused(Refusal::Unsupported(_)) => {
                        unsupported.get_or_insert(error);
                    }
                    // The first one that knows the format says best what is wrong.
                    Failure::Refused(_) if unsupported.is_some() => {}
                    _ => return Err(error.into()),
                },
                answer => return answer,
            }
        }
        if let Some(error) = unsupported {
            return Err(error.into());
        }
        let contents = Contents::of(source.index());
        Err(FormatError::Unrecognised { said, contents })
    }

    /// Has the format `name` write images to `output`, which is returned for its end.
    pub fn write(
        &self,
        name: &str,
        images: &[StoredImage],
        output: Box<dyn ArchiveOutput>,
        progress: &Arc<dyn Progress>,
        cancel: &Cancel,
    ) -> Result<Box<dyn ArchiveOutput>, FormatError> {
        self.check_writes(name)?;
        let installed = self
            .installed
            .iter()
            .find(|it| it.description.name == name && it.description.writes)
            .ok_or_else(|| self.no_such_format(name))?;
        self.call(installed, progress, cancel, |component, call_context| {
            format::write(component, call_context, images, output)
        })
    }

    /// Returns an error unless the format `name` can be written. Starts no engine.
    pub fn check_writes(&self, name: &str) -> Result<(), FormatError> {
        if self.names_that_write().contains(&name) {
            Ok(())
        } else {
            Err(self.no_such_format(name))
        }
    }

    fn no_such_format(&self, name: &str) -> FormatError {
        FormatError::NoSuchFormat {
            name: name.to_owned(),
            offered: self
                .names_that_write()
                .into_iter()
                .map(str::to_owned)
                .collect(),
        }
    }

    fn call<T>(
        &self,
        installed: &Installed,
        progress: &Arc<dyn Progress>,
        cancel: &Cancel,
        call: impl FnOnce(&Arc<Component>, &CallContext<'_>) -> Result<T, Failure>,
    ) -> Result<T, FormatError> {
        let package = &installed.package;
        let error = |failure| PluginError::new(&package.name, package.version.as_deref(), failure);
        let call_context = CallContext {
            plugin: &package.name,
            progress,
            cancel,
        };
        let component = if let Some(component) = installed.component.get() {
            component
        } else {
            let engine = self.runtime.engine()?;
            let bytes = package.component.read().map_err(error)?;
            let (origin, limits) = (package.origin(), package.limits.clone());
            let compiled =
                Component::compile(&self.runtime, engine, &bytes, origin, limits, &call_context)
                    .map_err(error)?;
            installed.component.get_or_init(|| compiled.into())
        };
        call(component, &call_context).map_err(|failure| match failure {
            Failure::Host(failure) => failure.into(),
            failure => error(failure).into(),
        })
    }
}

impl fmt::Debug for Formats {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.descriptions()).finish()
    }
}
