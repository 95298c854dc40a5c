//! `home HOME COMMAND ...`: what microsandbox does to images of a home.
//!
//! | command | what it does |
//! |---|---|
//! | `list` | prints the names in its database |
//! | `load ARCHIVE`, `save REFERENCE ARCHIVE`, `remove REFERENCE`, `prune` | the same as its command line |
//! | `cached REFERENCE` | finds an image without asking a registry, enters it into the database as its command line does, and prints the digest of the manifest, or `no` |
//! | `inspect REFERENCE` | prints the configuration and the layers that are in the database |
//! | `read REFERENCE` | reads every byte of every layer with its own reader, and prints what it finds |
//! | `rebuild REFERENCE` | merges the layers again, in place of the merged filesystem and the disk |

use std::error::Error;
use std::fs::File;
use std::path::Path;

use microsandbox::LocalBackend;
use microsandbox::image::Image;
use microsandbox_image::erofs::{ErofsEntryKind, ErofsReader};
use microsandbox_image::{
    CachedImageMetadata, Digest, GlobalCache, ImageArchiveFormat, Platform, PullOptions, Reference,
    Registry,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [home, command, rest @ ..] = &arguments[..] else {
        return Err("usage: home HOME COMMAND ...".into());
    };
    let backend = LocalBackend::builder().home(home).build_lazy()?;
    let cache = GlobalCache::new(&Path::new(home).join("cache"))?.operation();
    tokio::runtime::Runtime::new()?.block_on(async {
        match rest {
            [reference] if ["cached", "inspect", "read", "rebuild"].contains(command) => {
                look(&backend, &cache, command, reference).await
            }
            _ => run(&backend, command, rest).await,
        }
    })
}

async fn look(
    backend: &LocalBackend,
    cache: &GlobalCache,
    command: &str,
    reference: &str,
) -> Result<(), Box<dyn Error>> {
    let parsed: Reference = reference.parse()?;
    match command {
        "cached" => {
            let options = PullOptions::default();
            let found = Registry::pull_cached_async(cache, &parsed, &options).await?;
            let Some((pulled, metadata)) = found else {
                println!("no");
                return Ok(());
            };
            Image::persist(backend, reference, metadata).await?;
            println!("{}", pulled.manifest_digest);
        }
        "inspect" => {
            let detail = Image::inspect_local(backend, reference).await?;
            let config = detail.config.ok_or("no configuration")?;
            println!("{:?} {:?} {:?}", config.env, config.cmd, config.entrypoint);
            for layer in detail.layers {
                println!("{}", layer.diff_id);
            }
        }
        "read" => {
            for layer in recorded(cache, &parsed)?.layers {
                let digest: Digest = layer.diff_id.parse()?;
                read(&cache.layer_erofs_path(&digest))?;
            }
        }
        _ => {
            let metadata = recorded(cache, &parsed)?;
            let digest: Digest = metadata.manifest_digest.parse()?;
            std::fs::remove_file(cache.fsmeta_erofs_path(&digest))?;
            std::fs::remove_file(cache.vmdk_path(&digest))?;
            let registry = Registry::new(Platform::host_linux(), cache.clone())?;
            registry
                .materialize_cached_layers(&parsed, &metadata, false)
                .await?;
        }
    }
    Ok(())
}

fn recorded(
    cache: &GlobalCache,
    reference: &Reference,
) -> Result<CachedImageMetadata, Box<dyn Error>> {
    let found = cache.read_image_metadata(reference)?;
    found.ok_or_else(|| format!("no record of {reference}").into())
}

fn read(layer: &Path) -> Result<(), Box<dyn Error>> {
    let mut reader = ErofsReader::new(File::open(layer)?)?;
    for entry in reader.walk()? {
        let path = entry.path.display();
        let (kind, mode, xattrs) = (entry.kind, entry.metadata.mode, entry.xattrs.len());
        print!("{path} {kind:?} {mode:o} {xattrs}");
        match kind {
            ErofsEntryKind::RegularFile => {
                let mut bytes = Vec::new();
                std::io::copy(&mut reader.file_data_reader(entry.nid)?, &mut bytes)?;
                println!(" {}", String::from_utf8_lossy(&bytes));
            }
            ErofsEntryKind::Symlink => {
                let target = reader.read_link_by_nid(entry.nid)?;
                println!(" {}", String::from_utf8_lossy(&target));
            }
            _ => println!(),
        }
    }
    Ok(())
}

async fn run(
    backend: &LocalBackend,
    command: &str,
    arguments: &[&str],
) -> Result<(), Box<dyn Error>> {
    match (command, arguments) {
        ("list", []) => {
            for image in Image::list_local(backend).await? {
                println!("{}", image.reference());
            }
        }
        ("load", [archive]) => {
            for image in Image::load_local(backend, Path::new(archive), Vec::new()).await? {
                println!("{}", image.reference());
            }
        }
        ("save", [reference, archive]) => {
            let references = [(*reference).to_owned()];
            let format = ImageArchiveFormat::Docker;
            Image::save_local(backend, &references, Path::new(archive), format).await?;
        }
        ("remove", [reference]) => Image::remove_local(backend, reference, false).await?,
        ("prune", []) => {
            Image::prune_local(backend).await?;
        }
        _ => return Err(format!("no command {command} with these arguments").into()),
    }
    Ok(())
}
