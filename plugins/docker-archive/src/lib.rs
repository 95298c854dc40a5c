//! Docker's image archive as a plugin of msb: what `docker save` and `podman save` write, and what
//! `docker load` reads. There is no specification but the tools.

mod list;
mod read;
mod write;

use msb_plugin::{Archive, Attributes, Description, Error, Format, Output, Plan, StoredImage};

/// The format.
#[derive(Debug)]
pub struct DockerArchive;

impl Format for DockerArchive {
    fn describe() -> Description {
        Description {
            name: "docker".to_owned(),
            title: "Docker image archive".to_owned(),
            reads: true,
            writes: true,
            attributes: Attributes::new(),
        }
    }

    fn read(archive: &dyn Archive, _: &Attributes) -> Result<Plan, Error> {
        read::read(archive)
    }

    fn write(images: &[StoredImage], _: &Attributes, output: &mut dyn Output) -> Result<(), Error> {
        write::write(images, output)
    }
}

msb_plugin::export_format!(DockerArchive);
