//! The OCI image layout as a plugin of msb. Source: image-spec `image-layout.md`.
//!
//! Reading is the job of [`msb_plugin::oci`]; this crate adds the writing.

mod manifest;
mod write;

use msb_plugin::oci::Layout;
use msb_plugin::{Archive, Attributes, Description, Error, Format, Output, Plan, StoredImage};

/// The format.
#[derive(Debug)]
pub struct OciLayout;

impl Format for OciLayout {
    fn describe() -> Description {
        Description {
            name: "oci".to_owned(),
            title: "OCI image layout".to_owned(),
            reads: true,
            writes: true,
            attributes: Attributes::new(),
        }
    }

    fn read(archive: &dyn Archive, _: &Attributes) -> Result<Plan, Error> {
        let Some(layout) = Layout::open(archive)? else {
            return Err(Error::NotMine(
                "there is neither an oci-layout nor an index.json".to_owned(),
            ));
        };
        layout.images(archive)?.into_plan()
    }

    fn write(images: &[StoredImage], _: &Attributes, output: &mut dyn Output) -> Result<(), Error> {
        write::write(images, output)
    }
}

msb_plugin::export_format!(OciLayout);

#[cfg(test)]
mod fixture;
