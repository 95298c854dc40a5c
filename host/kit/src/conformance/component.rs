//! What a component is from outside, and what it says of itself.

use super::harness::{Harness, chain};
use super::report::Check;
use msb_host::plugin::{Capability, Failure, Inspection, PluginKind};

/// Bytes of a component that msb installs.
const MAX_COMPONENT: usize = 32 << 20;
/// Bytes of a title that lists have room for.
const MAX_TITLE: usize = 80;

/// Says what the component is. Without an inspection nothing else can be checked.
pub(super) fn inspected(harness: &Harness<'_>) -> (Vec<Check>, Option<Inspection>) {
    harness.fake.take_refused();
    let inspection = match harness.inspect(&harness.runtime) {
        Ok(inspection) => inspection,
        Err(error) => {
            let why = chain(&*error.failure);
            let checks = match &*error.failure {
                Failure::Unusable(_)
                | Failure::Mismatch(_)
                | Failure::TooNew(_)
                | Failure::NewerWasi(_) => {
                    vec![Check::failed("component", why)]
                }
                _ => vec![
                    Check::passed("component", "it can be compiled and linked"),
                    Check::failed("description", why),
                ],
            };
            return (checks, None);
        }
    };
    let refused = harness.fake.take_refused();
    let checks = vec![
        form(harness, &inspection),
        imports(&inspection),
        metadata(&inspection),
        description(&inspection),
        again(harness, &inspection),
        alone(&refused),
    ];
    (checks, Some(inspection))
}

fn form(harness: &Harness<'_>, inspection: &Inspection) -> Check {
    const NAME: &str = "component";
    let size = harness.subject.component.len();
    if size > MAX_COMPONENT {
        return Check::failed(
            NAME,
            format!(
                "it has {size} bytes, and msb installs {} MiB at most",
                MAX_COMPONENT >> 20
            ),
        );
    }
    let world = match inspection.kind {
        PluginKind::Format(_) => "archive format",
        PluginKind::Credential(_) => "credential provider",
    };
    let wasi = if inspection.wasi {
        "needs WASI"
    } else {
        "needs no WASI"
    };
    Check::passed(
        NAME,
        format!(
            "{world}, API {}, {} KiB, {wasi}",
            inspection.api,
            size.div_ceil(1024)
        ),
    )
}

fn imports(inspection: &Inspection) -> Check {
    let capabilities: Vec<&str> = inspection.capabilities.iter().map(|it| it.name()).collect();
    let summary = match capabilities.as_slice() {
        [] => "it can make use of no permission".to_owned(),
        capabilities => format!("it can make use of {}", capabilities.join(", ")),
    };
    let imports = inspection.imports.iter().cloned();
    Check::passed("imports", summary).with(imports)
}

fn metadata(inspection: &Inspection) -> Check {
    let metadata = &inspection.metadata;
    let fields = [
        ("name", &metadata.name),
        ("version", &metadata.version),
        ("description", &metadata.description),
        ("licenses", &metadata.licenses),
    ];
    let (there, missing): (Vec<_>, Vec<_>) = fields.iter().partition(|(_, value)| value.is_some());
    let names = |fields: Vec<&(&str, &Option<String>)>| {
        fields
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let summary = match there.len() {
        0 => "it states nothing".to_owned(),
        _ => format!("it states {}", names(there)),
    };
    let note = (!missing.is_empty()).then(|| format!("not stated: {}", names(missing)));
    Check::passed("metadata", summary).with(note)
}

fn description(inspection: &Inspection) -> Check {
    const NAME: &str = "description";
    let kind = &inspection.kind;
    let (name, title) = (kind.name(), kind.title());
    let mut notes = Vec::new();
    if title.trim().is_empty() || title.chars().any(char::is_control) {
        return Check::failed(NAME, "its title is empty or has a control character");
    }
    if title.len() > MAX_TITLE {
        notes.push(format!("its title has more than {MAX_TITLE} bytes"));
    }
    match kind {
        PluginKind::Format(format) if !format.reads && !format.writes => {
            return Check::failed(NAME, "it says that it neither reads nor writes");
        }
        PluginKind::Format(format) => {
            let does = match (format.reads, format.writes) {
                (true, true) => "reads and writes",
                (true, false) => "reads",
                _ => "writes",
            };
            Check::passed(NAME, format!("{name} ({title}), {does}"))
        }
        PluginKind::Credential(credential) => {
            if credential.registries.is_empty() {
                return Check::failed(NAME, "it names no registries, so it is never asked");
            }
            for need in &credential.needs {
                let capability = need.grant.capability();
                // The host keeps the answers of a provider, which imports nothing for that.
                if capability != Capability::State && !inspection.capabilities.contains(&capability)
                {
                    return Check::failed(
                        NAME,
                        format!(
                            "it asks for `{}`, and imports nothing that makes use of it",
                            need.grant
                        ),
                    );
                }
            }
            for capability in &inspection.capabilities {
                let asked = credential
                    .needs
                    .iter()
                    .any(|need| need.grant.capability() == *capability);
                if !asked {
                    notes.push(format!("it imports `{capability}` and does not ask for it"));
                }
            }
            let registries = credential.registries.join(" ");
            Check::passed(NAME, format!("{name} ({title}), for {registries}")).with(
                credential
                    .needs
                    .iter()
                    .map(|need| format!("asks for {}", need.grant)),
            )
        }
    }
    .with(notes)
}

fn again(harness: &Harness<'_>, first: &Inspection) -> Check {
    const NAME: &str = "description-again";
    match harness.inspect(&harness.runtime) {
        Ok(second) if second.kind == first.kind => Check::passed(NAME, "the same"),
        Ok(_) => Check::failed(NAME, "the second description is another one"),
        Err(error) => Check::failed(NAME, chain(&*error.failure)),
    }
}

fn alone(refused: &[String]) -> Check {
    const NAME: &str = "description-alone";
    match refused.first() {
        None => Check::passed(NAME, "it uses no permission to describe itself"),
        Some(wish) => Check::failed(
            NAME,
            format!("it uses `{wish}` to describe itself, when nothing is granted"),
        ),
    }
}
