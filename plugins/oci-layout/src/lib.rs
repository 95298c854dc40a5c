//! The OCI image layout as a plugin of msb. Source: image-spec `image-layout.md`.
//!
//! Reading is the job of [`msb_plugin::oci`]; this crate adds the writing. The directories of
//! skopeo's `dir:` hold the same documents under other names, and are read as well.

mod manifest;
mod write;

use msb_plugin::oci::{Directory, Layout};
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
        if let Some(layout) = Layout::open(archive)? {
            return layout.images(archive)?.into_plan();
        }
        match Directory::open(archive)? {
            Some(directory) => directory.images(archive)?.into_plan(),
            None => Err(Error::NotMine(
                "there is neither an oci-layout nor an index.json, nor the manifest.json of a \
                 single image"
                    .to_owned(),
            )),
        }
    }

    fn write(images: &[StoredImage], _: &Attributes, output: &mut dyn Output) -> Result<(), Error> {
        write::write(images, output)
    }
}

msb_plugin::export_format!(OciLayout);

#[cfg(test)]
mod fixture;
