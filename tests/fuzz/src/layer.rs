//! Converting layers in memory, and what has to hold for every layer that is accepted.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;

use msb_erofs::{self as erofs, Image};
use msb_host::cancel::Cancel;
use msb_host::digest::{Algorithm, Digest};
use msb_host::layer::{
    ChainPosition, ConvertOptions, Converted, LayerError, LowerLayers, Rebuilt, convert, rebuild,
};
use msb_host::limits::{Budget, Limits};

/// Most bytes that a rebuilt tar may have. A damaged recipe can ask for any number.
const MOST: usize = 4 << 20;

/// Caps that keep a run short, and are met now and then.
pub fn limits() -> Limits {
    Limits {
        layer_bytes: 1 << 20,
        sparse_bytes: 1 << 20,
        entries: 256,
        path_bytes: 4096,
        xattr_bytes: 32 << 10,
        ..Limits::default()
    }
}

/// Returns an empty file in memory.
pub fn memory_file() -> File {
    let file = rustix::fs::memfd_create("fuzz", rustix::fs::MemfdFlags::CLOEXEC);
    File::from(file.expect("memory files exist"))
}

/// Returns a file in memory that holds these bytes.
pub fn memory_file_of(bytes: &[u8]) -> File {
    let file = memory_file();
    file.write_all_at(bytes, 0).expect("memory is writable");
    file
}

/// Returns all bytes of a file, wherever it stands.
pub fn bytes_of(file: &File) -> Vec<u8> {
    let length = file.metadata().expect("files have a length").len();
    let mut bytes = vec![0; usize::try_from(length).expect("files are small")];
    file.read_exact_at(&mut bytes, 0)
        .expect("memory is readable");
    bytes
}

/// Converts a layer over layers that are not known.
pub fn converted(input: impl Read + Send) -> Result<Converted, LayerError> {
    convert_over(input, None)
}

/// Converts a layer over others.
pub fn converted_over(
    input: impl Read + Send,
    lower: &LowerLayers,
) -> Result<Converted, LayerError> {
    let chain = ChainPosition {
        id: Digest::of(b"chain"),
        lower: lower.clone(),
    };
    convert_over(input, Some(chain))
}

fn convert_over(
    input: impl Read + Send,
    chain: Option<ChainPosition>,
) -> Result<Converted, LayerError> {
    let options = ConvertOptions {
        limits: &limits(),
        budget: &Budget::new(&limits()),
        cancel: &Cancel::default(),
        advanced: &|_| {},
        expected_blob: None,
        expected_diff_id: None,
        chain: &|| Ok(chain.clone()),
    };
    convert(input, memory_file(), memory_file(), &options)
}

/// Checks the image of a layer that was accepted: it is sound, and can be read as a whole.
pub fn check_image(layer: &Converted) {
    let bytes = bytes_of(&layer.erofs);
    assert_eq!(bytes.len() as u64, layer.erofs_size, "size of the image");
    let report = erofs::verify(&bytes).expect("memory is readable");
    assert!(report.is_sound(), "findings: {:?}", report.findings);
    let image = Image::open(&bytes).expect("a sound image opens");
    erofs::dump(&image).expect("a sound image can be shown");
    image.tree().expect("a sound image is a tree");
}

/// Checks that two conversions of the same contents gave the same bytes.
pub fn check_same(one: &Converted, other: &Converted) {
    assert_eq!(one.diff_id, other.diff_id, "diff_id");
    assert_eq!(one.tar_size, other.tar_size, "length of the tar");
    assert_eq!(one.entries, other.entries, "entries");
    assert!(
        bytes_of(&one.erofs) == bytes_of(&other.erofs),
        "two images of one layer"
    );
    assert!(
        bytes_of(&one.recipe) == bytes_of(&other.recipe),
        "two recipes of one layer"
    );
}

/// Rebuilds a tar, which is given up when it becomes too long.
pub fn rebuilt(erofs: &File, recipe: &File) -> Result<(Rebuilt, Vec<u8>), LayerError> {
    let mut output = Capped(Vec::new());
    let cancel = Cancel::default();
    let rebuilt = rebuild(erofs, recipe, Algorithm::Sha256, &mut output, &cancel)?;
    Ok((rebuilt, output.0))
}

struct Capped(Vec<u8>);

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that hands out its bytes in small and uneven pieces.
#[derive(Debug)]
pub struct Trickle<'a> {
    bytes: &'a [u8],
    state: usize,
}

impl<'a> Trickle<'a> {
    /// Returns a reader of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            state: bytes.len(),
        }
    }
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.state = self.state.wrapping_mul(31).wrapping_add(7);
        let (mut piece, rest) = self
            .bytes
            .split_at(self.bytes.len().min(self.state % 700 + 1));
        let count = piece.read(buffer)?;
        self.bytes = self.bytes.get(count..).unwrap_or(rest);
        Ok(count)
    }
}
