//! What plugins cost: compiling, instances, calls, answers, and their share of a load. For
//! `cargo xtask bench plugins`, which builds it and says what is measured.
//!
//! Prints the rows of three tables. Arguments: folder for work, folder of components, archive or
//! `-`, more components.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program for the terminal of a developer"
)]

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use msb_host::Context;
use msb_host::archive::Input;
use msb_host::auth::Provider;
use msb_host::cancel::Cancel;
use msb_host::credential::{Action, CredentialRequest};
use msb_host::home::Home;
use msb_host::image::{self, LoadOptions};
use msb_host::installed::Installed;
use msb_host::plugin::{
    ComponentBytes, Formats, Package, PluginBudget, PluginKind, Runtime, providers,
};
use msb_host::progress::{Event, PluginWork, Progress};
use msb_host::settings::Settings;
use msb_host::store::Store;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Times that a component is compiled, and that an archive is loaded.
const FEW: usize = 5;
/// Times that what is fast is done.
const MANY: usize = 500;
/// The registry that is asked about.
const REGISTRY: &str = "registry.example";

/// What plugins took.
#[derive(Default)]
struct Ledger(Mutex<Vec<Item>>);

#[derive(Clone, Copy)]
struct Item {
    work: PluginWork,
    took: Duration,
    in_host: Duration,
}

impl Progress for Ledger {
    fn report(&self, event: Event<'_>) {
        if let Event::PluginWork {
            work,
            took,
            in_host,
            ..
        } = event
        {
            let item = Item {
                work,
                took,
                in_host,
            };
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(item);
        }
    }
}

impl Ledger {
    fn take(&self) -> Vec<Item> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [work, components, archive, more @ ..] = arguments.as_slice() else {
        return Err("takes WORK COMPONENTS ARCHIVE [COMPONENT…]".into());
    };
    println!("\n| component | KiB | compile ms | from the cache ms | instance ms | describe ms |");
    println!("|---|---|---|---|---|---|");
    let own = ["docker-archive", "oci-layout", "docker-config", "vault"];
    let own = own.map(|name| components.join(name).with_extension("wasm"));
    for path in own.iter().chain(more) {
        component(work, path)?;
    }
    println!("\n| one answer of a provider | median ms | p95 ms | instance ms | guest's own ms |");
    println!("|---|---|---|---|---|");
    let docker = docker_config(work)?;
    answers("docker-config, out of a file", &docker)?;
    let vault = vault(work, &components.join("vault.wasm"))?;
    answers("vault, from a server on this machine", &vault)?;
    if archive.as_os_str() != "-" {
        println!(
            "\n| load of {} | wall s | plugin ms | share % | guest's own ms |",
            archive.display()
        );
        println!("|---|---|---|---|---|");
        loads(work, archive)?;
    }
    Ok(())
}

/// Prints what it takes to have a component ready, compiled each time and from the cache.
fn component(work: &Path, path: &Path) -> Result<()> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let ledger = Arc::new(Ledger::default());
    let progress: Arc<dyn Progress> = Arc::clone(&ledger) as _;
    let home = Home::at(work.join("components"));
    let describe = |clear: bool| -> Result<Vec<Item>> {
        if clear {
            let _ = std::fs::remove_dir_all(home.root());
        }
        let runtime = Runtime::new(&home);
        runtime.inspect("measured", &bytes, &progress, &Cancel::default())?;
        Ok(ledger.take())
    };
    let (mut cold, mut cached, mut start, mut call) = (vec![], vec![], vec![], vec![]);
    for _ in 0..FEW {
        cold.push(sum(&describe(true)?, |work| work == PluginWork::Prepare));
        for _ in 0..FEW {
            let items = describe(false)?;
            cached.push(sum(&items, |work| work == PluginWork::Prepare));
            start.push(sum(&items, |work| work == PluginWork::Start));
            call.push(sum(&items, |work| matches!(work, PluginWork::Call(_))));
        }
    }
    println!(
        "| {} | {} | {:.0} | {:.2} | {:.2} | {:.2} |",
        path.file_stem().unwrap_or_default().display(),
        bytes.len() >> 10,
        median(&mut cold),
        median(&mut cached),
        median(&mut start),
        median(&mut call)
    );
    Ok(())
}

/// Returns the provider of msb for Docker's files, with such a file to look into.
fn docker_config(work: &Path) -> Result<Arc<dyn Provider>> {
    let home = Home::at(work.join("docker"));
    // Where DOCKER_CONFIG points to: the caller has set it.
    let folder = std::env::var_os("DOCKER_CONFIG").ok_or("DOCKER_CONFIG is not set")?;
    std::fs::create_dir_all(&folder)?;
    // ann:secret
    let logins = format!(r#"{{"auths": {{"{REGISTRY}": {{"auth": "YW5uOnNlY3JldA=="}}}}}}"#);
    std::fs::write(Path::new(&folder).join("config.json"), logins)?;
    let installed = Installed::open(&home, &Settings::default())?;
    let found = installed
        .providers()
        .into_iter()
        .find(|provider| provider.name() == "docker-config");
    found.ok_or_else(|| "docker-config does not ship with msb".into())
}

/// Returns the example that asks a secrets server, with such a server.
fn vault(work: &Path, path: &Path) -> Result<Arc<dyn Provider>> {
    let address = serve()?;
    let token = work.join("token");
    std::fs::write(&token, "hvs.token\n")?;
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let runtime = Runtime::new(&Home::at(work.join("vault")));
    let bytes: Arc<[u8]> = std::fs::read(path)?.into();
    let progress: Arc<dyn Progress> = Arc::new(Ledger::default());
    let inspection = runtime.inspect("vault", &bytes, &progress, &Cancel::default())?;
    let grants = [
        format!("http=GET@http://{address}"),
        format!("files={}", token.display()),
        "clock".to_owned(),
    ];
    let package = Package {
        name: "vault".into(),
        version: None,
        kind: match inspection.kind {
            kind @ PluginKind::Credential(_) => kind,
            _ => return Err("vault is no provider".into()),
        },
        component: ComponentBytes::Memory(bytes),
        grants: grants
            .iter()
            .map(|grant| grant.parse())
            .collect::<std::result::Result<_, _>>()?,
        limits: PluginBudget::CREDENTIAL,
        settings: Some(serde_json::json!({
            "address": format!("http://{address}"),
            "token_file": token,
            "registries": {REGISTRY: "registries/app"},
        })),
        builtin: false,
    };
    let provider = providers(&runtime, &[package]).pop();
    provider.ok_or_else(|| "vault is no provider".into())
}

/// Answers as a secrets server does, and returns its address.
fn serve() -> Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let body = r#"{"lease_duration": 60, "data": {"data": {"username": "ann", "password": "x"}}}"#;
    std::thread::spawn(move || -> std::io::Result<()> {
        loop {
            let (mut stream, _) = listener.accept()?;
            let mut lines = BufReader::new(stream.try_clone()?.take(64 << 10)).lines();
            while !lines.next().transpose()?.unwrap_or_default().is_empty() {}
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )?;
        }
    });
    Ok(address)
}

/// Prints what an answer of a provider takes that has answered before.
fn answers(name: &str, provider: &Arc<dyn Provider>) -> Result<()> {
    let ledger = Arc::new(Ledger::default());
    let progress: Arc<dyn Progress> = Arc::clone(&ledger) as _;
    let context = Context {
        progress,
        cancel: Cancel::default(),
    };
    let request = CredentialRequest::new(REGISTRY, Action::Pull);
    provider.get(&request, &context)?;
    ledger.take();
    let (mut took, mut start, mut guest) = (vec![], vec![], vec![]);
    for _ in 0..MANY {
        let started = Instant::now();
        provider.get(&request, &context)?;
        took.push(milliseconds(started.elapsed()));
        let items = ledger.take();
        start.push(sum(&items, |work| work == PluginWork::Start));
        guest.push(own(&items));
    }
    let middle = median(&mut took);
    println!(
        "| {name} | {middle:.2} | {:.2} | {:.2} | {:.2} |",
        took.get(took.len() * 95 / 100).copied().unwrap_or(f64::NAN),
        median(&mut start),
        median(&mut guest)
    );
    Ok(())
}

/// Prints how much of a load is time of the plugin: with nothing compiled yet, and afterwards.
fn loads(work: &Path, archive: &Path) -> Result<()> {
    let (root, kept) = (work.join("load"), work.join("compiled"));
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for number in 0..=FEW * 2 {
        let _ = std::fs::remove_dir_all(&root);
        let is_first = number % 2 == 0;
        if !is_first {
            std::fs::create_dir_all(root.join("cache"))?;
            std::fs::rename(&kept, root.join("cache/plugins"))?;
        }
        let run = load(&root, archive)?;
        // The first of all fills the caches of the system.
        match (number, is_first) {
            (0, _) => {}
            (_, true) => first.push(run),
            (_, false) => later.push(run),
        }
        if is_first {
            std::fs::rename(root.join("cache/plugins"), &kept)?;
        }
    }
    let _ = std::fs::remove_dir_all(&root);
    for (name, runs) in [("first ever", first), ("later", later)] {
        let column =
            |pick: fn(&[f64; 3]) -> f64| median(&mut runs.iter().map(pick).collect::<Vec<_>>());
        println!(
            "| {name} | {:.2} | {:.2} | {:.2} | {:.2} |",
            column(|it| it[0] / 1e3),
            column(|it| it[1]),
            column(|it| it[1] / it[0] * 1e2),
            column(|it| it[2])
        );
    }
    Ok(())
}

/// Loads an archive into a fresh store: milliseconds in all, of the plugin, of its own code.
fn load(root: &Path, archive: &Path) -> Result<[f64; 3]> {
    let ledger = Arc::new(Ledger::default());
    let progress: Arc<dyn Progress> = Arc::clone(&ledger) as _;
    let started = Instant::now();
    let home = Home::at(root);
    let store = Store::open(&home)?;
    image::load(
        &store,
        &Formats::builtin(&home),
        Input::Path(archive.to_owned()),
        &LoadOptions::default(),
        &Context {
            progress,
            ..Context::default()
        },
    )?;
    let all = milliseconds(started.elapsed());
    let items = ledger.take();
    Ok([all, sum(&items, |_| true), own(&items)])
}

/// Returns milliseconds of a kind of work.
fn sum(items: &[Item], wanted: impl Fn(PluginWork) -> bool) -> f64 {
    let wanted = items.iter().filter(|item| wanted(item.work));
    milliseconds(wanted.map(|item| item.took).sum())
}

/// Returns milliseconds that plugins have spent in their own code.
fn own(items: &[Item]) -> f64 {
    let calls = items
        .iter()
        .filter(|item| matches!(item.work, PluginWork::Call(_)));
    milliseconds(
        calls
            .map(|item| item.took.saturating_sub(item.in_host))
            .sum(),
    )
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Sorts, and returns what is in the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
