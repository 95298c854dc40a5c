//! Credential providers: the world `credential` as the chain of providers sees it.
//!
//! Owns the calls into a provider. Knows nothing of the order of providers, nor of what its
//! answers may look like (`credential_answers`).

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::access::Access;
use super::bindings::exports::msb::plugin::credentials as wit;
use super::capability::prompt::Conversation;
use super::component::{Component, Exports};
use super::credential_answers as answers;
use super::error::{Failure, PluginError};
use super::format::CallContext;
use super::guest::Guest;
use super::kept_answers::KeptAnswers;
use super::limits::Stopped;
use super::package::{CredentialDescription, Package, PluginKind};
use super::runtime::Runtime;
use crate::auth::{Answer, CredentialEntry, LoginPrompt, Operations, Provider, ProviderError};
use crate::context::Context;
use crate::credential::{AuthSourceKind, CredentialRequest, Outcome, RegistryAuth, Tier};

/// A plugin that knows credentials.
struct CredentialPlugin {
    runtime: Runtime,
    package: Package,
    description: CredentialDescription,
    component: OnceLock<Arc<Component>>,
    access: Access,
}

/// Returns the providers among some plugins, in the order of the plugins. Starts nothing.
pub fn providers(runtime: &Runtime, packages: &[Package]) -> Vec<Arc<dyn Provider>> {
    packages
        .iter()
        .filter_map(|package| {
            let PluginKind::Credential(description) = &package.kind else {
                return None;
            };
            let access = Access {
                grants: Arc::new(package.grants.clone()),
                settings: package.settings.as_ref().map(|it| it.to_string().into()),
                registry_name: None,
                registry: None,
                msb_home: runtime.home(),
                servers: Some(runtime.servers()),
                environment: runtime.environment(),
                runtime: Some(runtime.clone()),
                describing: false,
            };
            Some(Arc::new(CredentialPlugin {
                runtime: runtime.clone(),
                package: package.clone(),
                description: description.clone(),
                component: OnceLock::new(),
                access,
            }) as Arc<dyn Provider>)
        })
        .collect()
}

/// Asks a provider to describe itself.
pub(super) fn describe(
    component: &Arc<Component>,
    call_context: &CallContext<'_>,
) -> Result<CredentialDescription, Failure> {
    let (description, _) = component.run(
        call_context,
        "describe",
        |guest| guest.access.describing = true,
        async |exports| {
            let credentials = exports.credentials()?;
            credentials.call_describe(&mut *exports.store).await
        },
    )?;
    answers::description(description)
}

impl CredentialPlugin {
    /// Calls the plugin in a fresh instance, and has `convert` take its answer over while the
    /// secrets in it are still there.
    fn call<T, A>(
        &self,
        function: &'static str,
        request: Option<&CredentialRequest>,
        context: &Context,
        call: impl AsyncFnOnce(&wit::Guest, &mut Exports<'_>) -> wasmtime::Result<Result<A, wit::Error>>,
        convert: impl FnOnce(A, &mut Guest) -> Result<T, Failure>,
    ) -> Result<T, ProviderError> {
        self.call_with(function, request, context, |_| (), call, convert)
    }

    /// The same, in an instance whose state `prepare` has filled.
    fn call_with<T, A>(
        &self,
        function: &'static str,
        request: Option<&CredentialRequest>,
        context: &Context,
        prepare: impl FnOnce(&mut Guest),
        call: impl AsyncFnOnce(&wit::Guest, &mut Exports<'_>) -> wasmtime::Result<Result<A, wit::Error>>,
        convert: impl FnOnce(A, &mut Guest) -> Result<T, Failure>,
    ) -> Result<T, ProviderError> {
        let call_context = CallContext {
            plugin: &self.package.name,
            progress: &context.progress,
            cancel: &context.cancel,
        };
        let (answer, mut guest) = self
            .component(&call_context)
            .and_then(|component| {
                component.run(
                    &call_context,
                    function,
                    |guest| {
                        guest.access = Access {
                            registry_name: request.map(|it| it.registry.as_str().into()),
                            registry: request.and_then(|request| request.settings.clone()),
                            ..self.access.clone()
                        };
                        prepare(guest);
                    },
                    async |exports| {
                        let credentials = exports.credentials()?;
                        call(&credentials, exports).await
                    },
                )
            })
            .map_err(|failure| self.failed(failure))?;
        match answer {
            Ok(answer) => convert(answer, &mut guest).map_err(|failure| self.failed(failure)),
            Err(error) => Err(answers::error(error, guest.denied_request())),
        }
    }

    /// Returns the answers that outlive a run.
    fn kept(&self, context: &Context) -> Option<KeptAnswers<'_>> {
        let progress = context.progress.as_ref();
        KeptAnswers::open(&self.runtime, &self.package, &self.access, progress)
    }

    fn component(&self, call_context: &CallContext<'_>) -> Result<&Arc<Component>, Failure> {
        if let Some(component) = self.component.get() {
            return Ok(component);
        }
        let bytes = self.package.component.read()?;
        let engine = self.runtime.engine_for_call()?;
        let (origin, limits) = (self.package.origin(), self.package.limits.clone());
        let compiled =
            Component::compile(&self.runtime, engine, &bytes, origin, limits, call_context)?;
        Ok(self.component.get_or_init(|| compiled.into()))
    }

    fn failed(&self, failure: Failure) -> ProviderError {
        match failure {
            Failure::Stopped(Stopped::Cancelled(cancelled)) => cancelled.into(),
            failure => {
                PluginError::new(&self.package.name, self.package.version.as_deref(), failure)
                    .into()
            }
        }
    }
}

impl Provider for CredentialPlugin {
    fn name(&self) -> &str {
        &self.package.name
    }

    fn provides(&self) -> &str {
        &self.description.name
    }

    fn tier(&self) -> Tier {
        self.description.tier.unwrap_or(Tier::Installed)
    }

    fn reads(&self) -> Option<AuthSourceKind> {
        self.description.reads
    }

    fn title(&self) -> &str {
        &self.description.title
    }

    fn operations(&self) -> Operations {
        self.description.operations
    }

    fn registries(&self) -> &[String] {
        &self.description.registries
    }

    fn get(&self, request: &CredentialRequest, context: &Context) -> Result<Answer, ProviderError> {
        let kept = self.kept(context);
        // One that was refused is forgotten before it is asked for once more.
        if request.attempt <= 1
            && let Some(kept) = &kept
            && let Some(answer) = kept.find(request, &context.cancel)
        {
            return Ok(answer);
        }
        let asked = answers::request(request);
        let (answer, inputs) = self.call(
            "get",
            Some(request),
            context,
            async |credentials, exports| credentials.call_get(&mut *exports.store, &asked).await,
            |said, guest| {
                let may_be_kept = answers::may_be_kept(&said);
                let inputs = guest.inputs.take().filter(|_| may_be_kept);
                Ok((answers::answer(said, guest)?, inputs))
            },
        )?;
        if let (Some(kept), Some(inputs)) = (kept, inputs) {
            kept.keep(request, &answer, inputs);
        }
        Ok(answer)
    }

    fn forget(&self, request: &CredentialRequest, context: &Context) {
        if let Some(kept) = self.kept(context) {
            kept.forget(request);
        }
    }

    fn log_in(
        &self,
        request: &CredentialRequest,
        prompt: &Arc<dyn LoginPrompt>,
        context: &Context,
    ) -> Result<Answer, ProviderError> {
        if !self.description.operations.login {
            return Err(ProviderError::Unsupported);
        }
        self.forget(request, context);
        let asked = answers::interactive(request);
        self.call_with(
            "get",
            Some(request),
            context,
            |guest| {
                guest.meter.wait_for_user();
                guest.conversation = Some(Conversation::new(Arc::clone(prompt)));
            },
            async |credentials, exports| credentials.call_get(&mut *exports.store, &asked).await,
            answers::answer,
        )
    }

    fn store(
        &self,
        request: &CredentialRequest,
        credential: &RegistryAuth,
        context: &Context,
    ) -> Result<(), ProviderError> {
        self.forget(request, context);
        let asked = answers::request(request);
        self.call(
            "store",
            Some(request),
            context,
            async |credentials, exports| {
                let credential = answers::handed(credential, exports.store.data_mut())?;
                credentials
                    .call_store(&mut *exports.store, &asked, &credential)
                    .await
            },
            |(), _| Ok(()),
        )
    }

    fn erase(&self, request: &CredentialRequest, context: &Context) -> Result<(), ProviderError> {
        self.forget(request, context);
        let asked = answers::request(request);
        self.call(
            "erase",
            Some(request),
            context,
            async |credentials, exports| credentials.call_erase(&mut *exports.store, &asked).await,
            |(), _| Ok(()),
        )
    }

    fn list(&self, context: &Context) -> Result<Vec<CredentialEntry>, ProviderError> {
        self.call(
            "list",
            None,
            context,
            async |credentials, exports| credentials.call_list(&mut *exports.store).await,
            |entries, _| answers::entries(entries),
        )
    }

    fn report(
        &self,
        request: &CredentialRequest,
        outcome: Outcome,
        context: &Context,
    ) -> Result<(), ProviderError> {
        let asked = answers::request(request);
        let outcome = match outcome {
            Outcome::Accepted => wit::Outcome::Accepted,
            Outcome::Rejected => wit::Outcome::Rejected,
        };
        self.call(
            "report",
            Some(request),
            context,
            async |credentials, exports| {
                credentials
                    .call_report(&mut *exports.store, &asked, outcome)
                    .await
            },
            |(), _| Ok(()),
        )
    }
}

impl fmt::Debug for CredentialPlugin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CredentialPlugin")
            .field("name", &self.package.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "credential_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
