//! An OCI layout in a zip archive as images: what CI systems make of a folder that they keep, such as
//! `actions/upload-artifact` of GitHub.
//!
//! A zip archive is not a tar, so the host shows it as one entry, whose directory lies at its end. The plugin
//! reads documents itself. It inflates each layer when the host asks for it, and the host compares its digest.

mod body;
mod members;

use msb_plugin::oci::{CONFIG_LIMIT, Layout};
use msb_plugin::{
    Archive, Attributes, Description, Document, Error, Format, Image, LayerData, Layers, Output,
    Plan, StoredImage, Stream,
};

use body::Body;
use members::{Files, Zip};

/// The attribute of a plan with the number of an entry, which those of the members are not.
const INDEX: &str = "index";

/// The format.
#[derive(Debug)]
pub struct ZipLayout;

impl Format for ZipLayout {
    fn describe() -> Description {
        Description {
            name: "zip-layout".to_owned(),
            title: "OCI image layout in a zip archive".to_owned(),
            reads: true,
            writes: false,
            attributes: vec![("input".to_owned(), "any".to_owned())],
        }
    }

    fn read(archive: &dyn Archive, _: &Attributes) -> Result<Plan, Error> {
        let zip = Zip::open(archive)?;
        let files = Files::new(archive, &zip);
        let Some(layout) = Layout::open(&files)? else {
            return Err(zip.is_no_layout());
        };
        let mut plan = layout.images(&files)?.into_plan()?;
        for image in &mut plan.images {
            detach(image, &files, &zip)?;
        }
        plan.attributes.retain(|(key, _)| key != INDEX);
        Ok(plan)
    }

    fn write(_: &[StoredImage], _: &Attributes, _: &mut dyn Output) -> Result<(), Error> {
        Err(Error::Unsupported(
            "a zip archive is only read: save an OCI layout, and zip that".to_owned(),
        ))
    }
}

impl Layers for ZipLayout {
    fn open(archive: Box<dyn Archive>, name: &str) -> Result<Box<dyn Stream>, Error> {
        let zip = Zip::open(archive.as_ref())?;
        let member = zip.member(name);
        let member =
            member.ok_or_else(|| Error::Missing(format!("the plan has no layer `{name}`")))?;
        Ok(Box::new(Opened {
            body: Body::of(member)?,
            archive,
        }))
    }
}

/// A layer that the host is reading.
struct Opened {
    archive: Box<dyn Archive>,
    body: Body,
}

impl Stream for Opened {
    fn next(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        self.body.next(self.archive.as_ref(), limit)
    }
}

/// Puts bytes and names in the place of the numbers of members, which mean nothing to the host.
fn detach(image: &mut Image, files: &Files<'_>, zip: &Zip) -> Result<(), Error> {
    let documents = image.manifest.iter_mut().chain([&mut image.config]);
    for document in documents {
        if let Document::Entry(index) = *document {
            *document = Document::Bytes(files.document(index, CONFIG_LIMIT)?);
        }
    }
    for layer in &mut image.layers {
        if let LayerData::Entry(index) = layer.data {
            layer.data = LayerData::Generated(zip.path(index)?.to_owned());
        }
    }
    Ok(())
}

msb_plugin::export_format!(ZipLayout);
msb_plugin::export_layers!(ZipLayout);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
