//! Whether compiled code from the cache answers like code that was just compiled, and whether a
//! broken cache is survived.

use std::fs;
use std::io;
use std::path::Path;

use super::archives;
use super::asking::{Asker, configurations, question, registries};
use super::lab::{Lab, chain};
use super::reading::{Ended, read};
use super::report::Check;
use super::stage::Scene;
use crate::archive::Input;
use crate::auth::ProviderRequest;
use crate::plugin::{Inspection, Kind, Runtime, credential};
use crate::store::Home;

/// Asks with code that was compiled when the cache was empty, with code from the cache, and with a
/// cache that is broken, each time as if msb had just been started.
pub(super) fn caching(lab: &Lab<'_>, inspection: &Inspection) -> Vec<Check> {
    // It was compiled to be inspected, when there was no cache yet.
    let first = match answers(lab, inspection, &lab.runtime) {
        Ok(answers) => answers,
        Err(why) => return vec![Check::failed("cache-cold", why)],
    };
    let cold = Check::passed("cache-cold", format!("{} answers", first.len()));
    let same = |name: &'static str| match answers(lab, inspection, &lab.restarted()) {
        Ok(answers) if answers == first => Check::passed(name, "the same answers"),
        Ok(answers) => {
            let other = answers
                .iter()
                .zip(&first)
                .filter(|(one, other)| one != other);
            Check::failed(name, format!("{} answers are others", other.count().max(1)))
        }
        Err(why) => Check::failed(name, why),
    };
    let warm = same("cache-warm");
    let cache = Home::at(lab.runtime.home()).plugin_cache();
    let broken = match break_all(&cache) {
        Ok(0) => Check::skipped("cache-broken", "there is no cache here"),
        Ok(_) => same("cache-broken"),
        Err(error) => Check::skipped("cache-broken", error.to_string()),
    };
    vec![cold, warm, broken]
}

/// Returns what the plugin says to a few questions.
fn answers(
    lab: &Lab<'_>,
    inspection: &Inspection,
    runtime: &Runtime,
) -> Result<Vec<String>, String> {
    let name = &lab.subject.name;
    let again = runtime
        .inspect(name, &lab.subject.component, &lab.progress, lab.cancel)
        .map_err(|error| chain(&error))?;
    let mut answers = vec![format!("{:?}", again.kind)];
    match &inspection.kind {
        Kind::Format(_) => {
            let formats = lab.formats(runtime, inspection);
            for archive in archives::golden() {
                let path = lab.file("archive.tar", &archive.bytes());
                let path = path.map_err(|error| error.to_string())?;
                answers.push(match read(lab, &formats, Input::Path(path)) {
                    Ended::Plan(plan, _) => format!("{plan:?}"),
                    Ended::NotMine => "not mine".to_owned(),
                    Ended::Refused(why) | Ended::Unreadable(why) | Ended::Broken(why) => why,
                });
            }
        }
        Kind::Credential(description) => {
            let grants = super::grants(lab.subject, inspection);
            let package = lab.package(inspection, grants.clone());
            let providers = credential::providers(runtime, &[package]);
            for registry in registries(&description.registries) {
                lab.stage
                    .set(Scene::Documents, &registry, &grants, &runtime.home())
                    .map_err(|error| error.to_string())?;
                for (settings, provider) in configurations()
                    .into_iter()
                    .flat_map(|settings| providers.iter().map(move |it| (settings.clone(), it)))
                {
                    let asker = Asker {
                        lab,
                        provider: provider.as_ref(),
                    };
                    let request = ProviderRequest {
                        settings,
                        ..question(&registry)
                    };
                    answers.push(asker.get(&request).ended.whole());
                }
            }
        }
    }
    Ok(answers)
}

/// Breaks every file below a directory, each in one of three ways, and returns how many there were.
fn break_all(folder: &Path) -> io::Result<usize> {
    let mut broken = 0;
    for entry in walkdir::WalkDir::new(folder).into_iter().flatten() {
        if entry.file_type().is_file() {
            let mut contents = fs::read(entry.path())?;
            let middle = contents.len() / 2;
            match (broken % 3, contents.get_mut(middle)) {
                (0, Some(byte)) => *byte ^= 1,
                (1, _) => contents.truncate(middle),
                _ => contents = b"not what was compiled".to_vec(),
            }
            fs::write(entry.path(), contents)?;
            broken += 1;
        }
    }
    Ok(broken)
}
