//! Whether compiled code from the cache answers like code that was just compiled, and whether a
//! broken cache is survived.

use std::fs;
use std::io;
use std::path::Path;

use super::archives;
use super::fake_environment::Scenario;
use super::harness::{Harness, chain};
use super::probe::{Probe, configurations, question, registries};
use super::reading::{Ended, read};
use super::report::Check;
use msb_host::archive::Input;
use msb_host::credential::CredentialRequest;
use msb_host::home::Home;
use msb_host::plugin::{Inspection, PluginKind, Runtime, providers};

/// Asks with code that was compiled when the cache was empty, with code from the cache, and with a
/// cache that is broken, each time as if msb had just been started.
pub(super) fn caching(harness: &Harness<'_>, inspection: &Inspection) -> Vec<Check> {
    // It was compiled to be inspected, when there was no cache yet.
    let first = match answers(harness, inspection, &harness.runtime) {
        Ok(answers) => answers,
        Err(why) => return vec![Check::failed("cache-cold", why)],
    };
    let cold = Check::passed("cache-cold", format!("{} answers", first.len()));
    let same = |name: &'static str| match answers(harness, inspection, &harness.restarted()) {
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
    let cache = Home::at(harness.runtime.home()).plugin_cache();
    let broken = match break_all(&cache) {
        Ok(0) => Check::skipped("cache-broken", "there is no cache here"),
        Ok(_) => same("cache-broken"),
        Err(error) => Check::skipped("cache-broken", error.to_string()),
    };
    vec![cold, warm, broken]
}

/// Returns what the plugin says to a few questions.
fn answers(
    harness: &Harness<'_>,
    inspection: &Inspection,
    runtime: &Runtime,
) -> Result<Vec<String>, String> {
    let again = harness.inspect(runtime).map_err(|error| chain(&error))?;
    let mut answers = vec![format!("{:?}", again.kind)];
    match &inspection.kind {
        PluginKind::Format(_) => {
            let formats = harness.formats(runtime, inspection);
            for archive in archives::golden() {
                let path = harness.file("archive.tar", &archive.bytes());
                let path = path.map_err(|error| error.to_string())?;
                answers.push(match read(harness, &formats, Input::Path(path)) {
                    Ended::Plan(plan, _) => format!("{plan:?}"),
                    Ended::NotMine => "not mine".to_owned(),
                    Ended::Refused(why) | Ended::Unreadable(why) | Ended::Broken(why) => why,
                });
            }
        }
        PluginKind::Credential(description) => {
            let grants = super::grants(harness.subject, inspection);
            let package = harness.package(inspection, grants.clone());
            let providers = providers(runtime, &[package]);
            for registry in registries(&description.registries) {
                harness
                    .fake
                    .set(Scenario::Documents, &registry, &grants, &runtime.home())
                    .map_err(|error| error.to_string())?;
                for (settings, provider) in configurations()
                    .into_iter()
                    .flat_map(|settings| providers.iter().map(move |it| (settings.clone(), it)))
                {
                    let probe = Probe {
                        harness,
                        provider: provider.as_ref(),
                    };
                    let request = CredentialRequest {
                        settings,
                        ..question(&registry)
                    };
                    answers.push(probe.get(&request).ended.whole());
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
