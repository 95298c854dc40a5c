//! `incumbent load ARCHIVE CACHE` and `incumbent pull REFERENCE CACHE`: what microsandbox does to get
//! an image.

use std::error::Error;
use std::path::Path;

use microsandbox_image::{
    GlobalCache, ImageLoadOptions, Platform, PullOptions, Reference, Registry,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    let layers = match arguments[..] {
        ["load", archive, cache] => runtime.block_on(load(Path::new(archive), Path::new(cache)))?,
        ["pull", reference, cache] => runtime.block_on(pull(reference, Path::new(cache)))?,
        _ => return Err("usage: incumbent load ARCHIVE CACHE | pull REFERENCE CACHE".into()),
    };
    println!("{layers} layers");
    Ok(())
}

async fn load(archive: &Path, cache: &Path) -> Result<usize, Box<dyn Error>> {
    let options = ImageLoadOptions::default();
    let images = microsandbox_image::load_archive(cache, archive, options).await?;
    Ok(images.iter().map(|image| image.metadata.layers.len()).sum())
}

/// Pulls over plain HTTP.
async fn pull(reference: &str, cache: &Path) -> Result<usize, Box<dyn Error>> {
    let reference: Reference = reference.parse()?;
    let cache = GlobalCache::new(cache)?;
    let registry = Registry::builder(Platform::host_linux(), cache)
        .add_insecure_registries(vec![reference.registry().to_owned()])
        .build()?;
    let pulled = registry.pull(&reference, &PullOptions::default()).await?;
    Ok(pulled.layer_diff_ids.len())
}
