//! Hostile images: any bytes, and images of our own with numbers changed. No panic, no end that
//! never comes, no memory that the image is not worth; and what is sound can be read.
//!
//! The first byte says which: 0 for the bytes that follow, else one of our images and a list of
//! edits. Bit 7 leaves the checksum of the superblock as it is.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use msb_erofs::{self as erofs, FileType, Image, Nid};
use msb_fuzz::{edits, seeds};

const BLOCK: usize = 4096;
const SUPERBLOCK: usize = 1024;

static IMAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(seeds::images);

fuzz_target!(|data: &[u8]| {
    let Some((how, rest)) = data.split_first() else {
        return;
    };
    let mut image = match usize::from(how & 0x7f) {
        0 => rest.to_vec(),
        number => {
            let mut image = IMAGES[(number - 1) % IMAGES.len()].clone();
            let meta = u32::from_le_bytes(image[SUPERBLOCK + 40..][..4].try_into().expect("4"));
            let meta = usize::try_from(meta).expect("32 bits") * BLOCK;
            let length = image.len();
            let regions = [
                (SUPERBLOCK, 128),
                (meta, length - meta),
                (meta, 512),
                (0, length),
            ];
            edits::apply(&mut image, rest, &regions);
            image
        }
    };
    if how & 0x80 == 0 {
        sign(&mut image);
    }
    read(&image);
});

fn read(bytes: &[u8]) {
    let is_sound = erofs::verify(bytes).expect("memory is readable").is_sound();
    let image = match Image::open(bytes) {
        Ok(image) => image,
        Err(error) => {
            assert!(!is_sound, "a sound image does not open: {error}");
            return;
        }
    };
    let shown = erofs::dump(&image);
    let tree = image.tree();
    if is_sound {
        shown.expect("a sound image can be shown");
        tree.expect("a sound image is a tree");
    }
    // Also what no name leads to.
    for nid in (0..64).chain([u64::MAX, u64::MAX / 32, 1 << 58, 1 << 32]) {
        let Ok(inode) = image.inode(Nid(nid)) else {
            continue;
        };
        let _ = image.xattrs(&inode);
        let _ = image.entries(&inode);
        let _ = image.read_link(&inode);
        let _ = image.extent(&inode);
        let mut buffer = [0; 100];
        for offset in [0, 1, 4095, inode.size, u64::MAX] {
            if let Ok(count) = image.read_file(&inode, offset, &mut buffer) {
                assert_eq!(inode.file_type, FileType::Regular);
                let left = inode.size.saturating_sub(offset);
                assert_eq!(count as u64, left.min(buffer.len() as u64));
            }
        }
    }
}

/// Sets the checksum of the superblock, as far as there is one.
fn sign(image: &mut [u8]) {
    let Some(block) = image.get_mut(SUPERBLOCK..BLOCK) else {
        return;
    };
    block[4..8].fill(0);
    let checksum = !crc32c::crc32c(block);
    block[4..8].copy_from_slice(&checksum.to_le_bytes());
}
