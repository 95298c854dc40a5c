//! A bare root filesystem in a tar as an image: what `docker export`, `debootstrap` with `tar`, and
//! LXC make.
//!
//! The plugin looks at names and at the headers of a few programs. The layer, with every owner, mode,
//! time, attribute and device, is put together by the host.

mod reading;
mod writing;

use msb_plugin::{
    Archive, Attributes, Description, Error, FilesystemOutput as _, Format, Level, Output, Plan,
    Sink, Source, StoredImage,
};

/// The format.
#[derive(Debug)]
pub struct Rootfs;

impl Format for Rootfs {
    fn describe() -> Description {
        Description {
            name: "rootfs".to_owned(),
            title: "Root filesystem in a tar".to_owned(),
            reads: true,
            writes: true,
            // Everything in it is needed, and half of it is too large to be kept otherwise.
            attributes: vec![("keep".to_owned(), "input".to_owned())],
        }
    }

    fn read(archive: &dyn Archive, _: &Attributes) -> Result<Plan, Error> {
        reading::read(archive, &Source)
    }

    fn write(images: &[StoredImage], _: &Attributes, output: &mut dyn Output) -> Result<(), Error> {
        let layers = writing::layers(images)?;
        output.log(Level::Info, writing::LOST);
        Sink.put_merged("", &layers)
    }
}

msb_plugin::export_format!(Rootfs);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
