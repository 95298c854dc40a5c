//! `incumbent ARCHIVE CACHE`: loads an archive as microsandbox does.

use std::path::PathBuf;

use microsandbox_image::ImageLoadOptions;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(archive), Some(cache)) = (arguments.next(), arguments.next()) else {
        return Err("usage: incumbent ARCHIVE CACHE".into());
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let images = runtime.block_on(microsandbox_image::load_archive(
        &cache,
        &archive,
        ImageLoadOptions::default(),
    ))?;
    println!("{} images", images.len());
    Ok(())
}
