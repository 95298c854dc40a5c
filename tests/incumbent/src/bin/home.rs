//! `home HOME list`, `home HOME load ARCHIVE`, `home HOME save REFERENCE ARCHIVE`, `home HOME remove
//! REFERENCE`, `home HOME prune`: what microsandbox does to images of a home.

use std::error::Error;
use std::path::Path;

use microsandbox::LocalBackend;
use microsandbox::image::Image;
use microsandbox_image::ImageArchiveFormat;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [home, command, rest @ ..] = &arguments[..] else {
        return Err("usage: home HOME COMMAND ...".into());
    };
    let backend = LocalBackend::builder().home(home).build_lazy()?;
    tokio::runtime::Runtime::new()?.block_on(run(&backend, command, rest))
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
