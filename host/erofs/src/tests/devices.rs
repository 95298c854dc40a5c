//! Images whose files have their data in other images.

use std::path::PathBuf;

use super::kernel::{Mount, compare, fsck_with};
use super::*;
use crate::device::table_end;
use crate::raw::{DEVICE_SLOT_SIZE, DEVICE_TABLE_OFFSET};

/// Files with data of these sizes, each in an image of its own, and an image of their inodes alone.
struct Spread {
    directory: tempfile::TempDir,
    devices: Vec<PathBuf>,
    image: PathBuf,
    tree: Tree,
}

fn spread(sizes: &[usize]) -> Spread {
    let directory = tempfile::tempdir().unwrap();
    let mut slots = Vec::new();
    let mut devices = Vec::new();
    let mut extents = Vec::new();
    for (number, size) in sizes.iter().enumerate() {
        let mut layer = Fixture::new();
        layer.file("/before", b"another file first");
        let bytes: Vec<u8> = (0..*size).map(|n| n.to_le_bytes()[0] ^ 7).collect();
        layer.file("/file", &bytes);
        let bytes = layer.image();
        let path = directory.path().join(format!("{number}.erofs"));
        std::fs::write(&path, &bytes).unwrap();
        let image = Image::open(&bytes[..]).unwrap();
        let root = image.inode(image.root()).unwrap();
        let file = image.inode(image.entries(&root).unwrap()[1].nid).unwrap();
        let mut extent = image.extent(&file).unwrap().unwrap();
        if *size > 0 {
            extent.device = u16::try_from(number + 1).unwrap();
        }
        extents.push(extent);
        let blocks = u32::try_from(bytes.len() / BLOCK).unwrap();
        slots.push(DeviceSlot::new(
            format!("layer {number}").as_bytes(),
            blocks,
        ));
        devices.push(path);
    }
    let mut fixture = all_types();
    fixture.writer = ImageWriter::with_devices(tempfile::tempfile().unwrap(), slots).unwrap();
    // What was written for a file of the other fixtures is in the first one's writer.
    let own = fixture.data(b"contents\n");
    let file = fixture.find("/dir/file");
    fixture.tree.get_mut(file).kind = Kind::File(own);
    for (number, extent) in extents.into_iter().enumerate() {
        let id = fixture.add(&format!("/{number}"), metadata(0o644), Kind::File(extent));
        // The indexes of the chunks follow attributes of any length.
        fixture.xattr(id, "user.x", &vec![b'v'; number % 9]);
        fixture.link(&format!("/dir/{number}"), id);
    }
    let (file, tree) = fixture.finish().unwrap();
    let image = directory.path().join("image.erofs");
    std::fs::write(&image, bytes_of(&file)).unwrap();
    Spread {
        directory,
        devices,
        image,
        tree,
    }
}

impl Spread {
    fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.image).unwrap()
    }

    fn open(&self) -> Image<File> {
        let open = |path: &PathBuf| File::open(path).unwrap();
        Image::with_devices(open(&self.image), self.devices.iter().map(open)).unwrap()
    }

    /// Writes one disk of the image and its devices.
    fn disk(&self) -> PathBuf {
        let parts = std::iter::once(&self.image).chain(&self.devices);
        let bytes: Vec<u8> = parts
            .flat_map(|path| std::fs::read(path).unwrap())
            .collect();
        let path = self.directory.path().join("disk");
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

const SIZES: [usize; 9] = [
    0,
    1,
    4096,
    4097,
    8192,
    70_000,
    1 << 20,
    (1 << 20) + 1,
    3 << 20,
];

#[test]
fn the_kernel_and_fsck_read_files_on_other_devices() {
    let spread = spread(&SIZES);
    assert_eq!(findings(&spread.bytes()), "");
    fsck_with(&spread.image, &spread.devices);
    let mount = spread.directory.path().join("mount");
    if let Some(mount) = Mount::with_devices(&spread.image, &spread.devices, mount) {
        compare(&spread.tree, &spread.open(), &mount.directory);
    }
}

#[test]
fn a_disk_of_all_devices_is_mounted_without_options() {
    let spread = spread(&SIZES);
    let disk = spread.disk();
    assert!(verify(File::open(&disk).unwrap()).unwrap().is_sound());
    let image = Image::open(File::open(&disk).unwrap()).unwrap();
    assert_eq!(dump(&image).unwrap(), dump(&spread.open()).unwrap());
    let mount = spread.directory.path().join("mount");
    if let Some(mount) = Mount::with_devices(&disk, &[], mount) {
        compare(&spread.tree, &image, &mount.directory);
    }
}

#[test]
fn a_table_that_is_longer_than_the_first_block_is_read_by_all() {
    let spread = spread(&[5; 60]);
    assert!(table_end(60) > BLOCK_SIZE);
    assert_eq!(findings(&spread.bytes()), "");
    fsck_with(&spread.image, &spread.devices);
    let disk = spread.disk();
    let mount = spread.directory.path().join("mount");
    if let Some(mount) = Mount::with_devices(&disk, &[], mount) {
        compare(&spread.tree, &spread.open(), &mount.directory);
    }
}

#[test]
fn what_is_written_is_read_back() {
    let spread = spread(&SIZES);
    let image = spread.open();
    let read = image.tree().unwrap();
    let mut written = Fixture::new();
    written.tree = read;
    for number in 0..SIZES.len() {
        let path = format!("/{number}");
        let before = Fixture {
            tree: spread.tree.clone(),
            ..Fixture::new()
        };
        let ids = (written.find(&path), before.find(&path));
        assert_eq!(written.tree.get(ids.0), before.tree.get(ids.1), "{path}");
    }
    let devices = image.devices();
    assert_eq!(devices.len(), SIZES.len());
    assert_eq!(devices[0].mapped_block, image.superblock().blocks);
    assert_eq!(u64::from(devices[1].mapped_block), devices[0].end());
    assert!(devices[0].tag.starts_with(b"layer 0\0"));
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let spread = spread(&[10, 10]);
    let image = Image::open(spread.bytes()).unwrap();
    let root = image.inode(image.root()).unwrap();
    let entries = image.entries(&root).unwrap();
    let file = image.inode(entries[1].nid).unwrap();
    let error = image.read_file(&file, 0, &mut [0; 10]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the data is on device 2 of the image, which is not there"
    );
    assert!(dump(&image).unwrap().contains("crc=?"));
}

#[test]
fn data_outside_of_a_device_is_refused() {
    for (device, block) in [(1, 2), (1, 0), (2, 1), (1, u32::MAX)] {
        let slots = vec![DeviceSlot::new(b"only", 2)];
        let mut fixture = Fixture::new();
        fixture.writer = ImageWriter::with_devices(tempfile::tempfile().unwrap(), slots).unwrap();
        let extent = Extent {
            device,
            block,
            size: 1,
        };
        fixture.add("/file", metadata(0o644), Kind::File(extent));
        let error = fixture.error();
        assert!(error.contains("`/file`: its data lies outside"), "{error}");
    }
}

#[test]
fn every_flipped_bit_of_the_table_and_the_indexes_is_found() {
    let spread = spread(&[10, 5000]);
    let bytes = spread.bytes();
    let end = DEVICE_TABLE_OFFSET + 2 * DEVICE_SLOT_SIZE;
    for bit in DEVICE_TABLE_OFFSET * 8..end * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!verify(&flipped[..]).unwrap().is_sound(), "bit {bit}");
    }
    // A table that is sealed again, and breaks a rule of its own.
    for (offset, found) in [
        (0x40, "does not follow"),
        (0x44, "does not follow"),
        (0x48, "not zero"),
    ] {
        let mut changed = bytes.clone();
        changed[DEVICE_TABLE_OFFSET + offset] ^= 0x10;
        seal(&mut changed);
        assert!(
            findings(&changed).contains(found),
            "{offset}: {}",
            findings(&changed)
        );
    }
    let image = Image::open(&bytes[..]).unwrap();
    let root = image.inode(image.root()).unwrap();
    let file = image.entries(&root).unwrap()[0].nid;
    let start = image.offset(file).unwrap();
    let (first, _) = image.inode(file).unwrap().index_range(start).unwrap();
    let first = usize::try_from(first).unwrap();
    for (byte, value) in [(0, 1), (2, 0), (2, 7), (4, 0), (7, 1)] {
        let mut changed = bytes.clone();
        changed[first + byte] = value;
        assert_ne!(findings(&changed), "", "byte {byte}");
    }
}
