//! Equal contents of files in a layer, kept once.

use msb_erofs::{Algorithm, BLOCK_SIZE, Extent, FileCompression};

use super::merge::merged;
use super::*;

/// Returns the extents of the files in the root directory, by name.
fn extents(image: &Image<File>) -> BTreeMap<String, Extent> {
    let root = image.inode(image.root()).unwrap();
    let mut extents = BTreeMap::new();
    for entry in image.entries(&root).unwrap() {
        let inode = image.inode(entry.nid).unwrap();
        if let Some(extent) = image.extent(&inode).unwrap() {
            let name = String::from_utf8(entry.name.to_vec()).unwrap();
            extents.insert(name, extent);
        }
    }
    extents
}

/// Numbers that only look random.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

#[test]
fn equal_files_share_their_blocks_and_files_of_one_length_do_not() {
    let layer = convert_tar(&tar(
        "file a data=same\nfile b data=some\nfile c data=same uid=7\nfile d fill=70000\n\
         file e fill=70001\nfile f fill=70000\nfile g\nfile h",
    ))
    .unwrap();
    let extents = extents(&layer.image);
    assert_eq!(extents["a"], extents["c"]);
    assert_eq!(extents["d"], extents["f"]);
    for (one, two) in [("a", "b"), ("a", "d"), ("d", "e")] {
        assert_ne!(extents[one].block, extents[two].block, "{one} {two}");
    }
}

#[test]
fn a_layer_of_equal_files_is_no_larger_than_one_of_them() {
    let line = |number| format!("file {number} fill=6000\n");
    let layer = convert_tar(&tar(&(0..300).map(line).collect::<String>())).unwrap();
    // The superblock, the file, 300 inodes and their names.
    assert!(layer.converted.erofs_size < 14 * BLOCK_SIZE);
    let extents = extents(&layer.image);
    assert_eq!(extents.len(), 300);
    assert!(extents.values().all(|extent| *extent == extents["0"]));
}

#[test]
fn data_that_a_file_that_is_left_has_in_common_stays() {
    for text in [
        "file a data=common-data\nfile b data=common-data\nfile a data=new",
        "file b data=common-data\nfile a data=common-data\nfile a data=new",
        "file a data=common-data\nfile a data=new\nfile b data=common-data",
    ] {
        assert_layer(text, &["file a = new", "file b = common-data"]);
    }
    // All that had it are gone.
    let layer = convert_tar(&tar(
        "file a data=common-data\nfile b data=common-data\nfile a data=new\nfile b data=new",
    ))
    .unwrap();
    assert_eq!(layer.list(), ["file a = new", "file b = new"]);
    let image = bytes_of(&layer.converted.erofs);
    let text = b"common-data";
    assert!(!image.windows(text.len()).any(|window| window == text));
}

#[test]
fn a_sparse_file_may_equal_one_without_holes() {
    let layer = convert_tar(&tar("file a data=\\0\\0\\0x\n\
         file b data=x pax.GNU.sparse.size=4 pax.GNU.sparse.map=3,1\n\
         file c data=abcde pax.GNU.sparse.size=70 pax.GNU.sparse.map=10,2,50,3\n\
         file d data=abcde pax.GNU.sparse.size=70 pax.GNU.sparse.map=10,2,50,3\n\
         file e data=xy pax.GNU.sparse.size=900000 pax.GNU.sparse.map=10,2\n\
         file f data=xy pax.GNU.sparse.size=900000 pax.GNU.sparse.map=10,2"))
    .unwrap();
    let extents = extents(&layer.image);
    assert_eq!(extents["a"], extents["b"]);
    assert_eq!(extents["c"], extents["d"]);
    // A long hole takes no space, and is not read back to be compared.
    assert_ne!(extents["e"], extents["f"]);
}

#[test]
fn what_is_shared_does_not_depend_on_the_memory() {
    // Each of the contents comes twice, the second time when the index has all of them.
    let line = |number| format!("file {number} data={}\n", number % 1000);
    let archive = tar(&(0..2000).map(line).collect::<String>());
    let size = |memory_bytes| {
        let limits = Limits {
            memory_bytes,
            ..Limits::default()
        };
        let converted = convert_with(&*archive, |options| options.limits = limits);
        checked(converted.unwrap(), &archive, &archive)
            .converted
            .erofs_size
    };
    let shared = size(Limits::default().memory_bytes);
    assert!(shared < 1100 * BLOCK_SIZE, "{shared}");
    // The least with which the layer is taken.
    let taken = |memory_bytes| {
        let limits = Limits {
            memory_bytes,
            ..Limits::default()
        };
        convert_with(&*archive, |options| options.limits = limits).is_ok()
    };
    let (mut refused, mut least) = (0, 1 << 20);
    assert!(taken(least));
    while least - refused > 1 {
        let middle = u64::midpoint(refused, least);
        if taken(middle) {
            least = middle;
        } else {
            refused = middle;
        }
    }
    assert_eq!(size(least), shared, "{least}");
}

#[test]
fn shared_blocks_are_not_counted_as_written() {
    let line = |number| format!("file {number} fill=40000\n");
    let archive = tar(&(0..50).map(line).collect::<String>());
    let limits = Limits {
        image_bytes: 200_000,
        ..Limits::default()
    };
    convert_with(&*archive, |options| options.limits = limits).unwrap();
}

#[test]
fn trees_with_repeated_contents_are_what_their_archives_say() {
    const SIZES: [usize; 14] = [
        0, 1, 511, 512, 4095, 4096, 4097, 65_535, 65_536, 65_537, 131_072, 1_048_575, 1_048_577,
        2_500_000,
    ];
    for seed in 1..40 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut builder = ::tar::Builder::new(Vec::new());
        let mut expected: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut known: Vec<Vec<u8>> = Vec::new();
        for _ in 0..random.below(40) + 2 {
            // Contents as before, as before but for one byte, or new ones; small ones mostly.
            let bytes = match (random.below(4), known.is_empty()) {
                (0 | 1, false) => known[random.below(known.len())].clone(),
                (2, false) => {
                    let mut bytes = known[random.below(known.len())].clone();
                    if !bytes.is_empty() {
                        let place = random.below(bytes.len());
                        bytes[place] ^= 1;
                    }
                    bytes
                }
                _ => {
                    let kinds = if random.below(8) == 0 { SIZES.len() } else { 8 };
                    vec![random.below(3).to_le_bytes()[0]; SIZES[random.below(kinds)]]
                }
            };
            known.push(bytes.clone());
            // A path may come twice.
            let path = format!("{}", random.below(30));
            let mut header = ::tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, &path, &*bytes).unwrap();
            expected.insert(path, bytes);
        }
        let archive = builder.into_inner().unwrap();
        // Verified, and rebuilt.
        let layer = convert_tar(&archive).unwrap();
        let extents = extents(&layer.image);
        assert_eq!(extents.len(), expected.len(), "{seed}");
        let mut places: BTreeMap<u32, &[u8]> = BTreeMap::new();
        for (path, extent) in &extents {
            let mut bytes = vec![0; usize::try_from(extent.size).unwrap()];
            layer.image.read_extent(*extent, 0, &mut bytes).unwrap();
            assert!(bytes == expected[path], "{seed} {path}");
            if extent.size > 0 {
                let before = places.insert(extent.block, &expected[path]);
                assert!(before.is_none_or(|before| before == expected[path]));
            }
        }
        // Small files are shared without exception: their keys have all of their bytes.
        let small = |bytes: &[u8]| (1..=4097).contains(&bytes.len());
        let kept = places.values().filter(|bytes| small(bytes)).count();
        let mut different: Vec<&Vec<u8>> = expected.values().filter(|it| small(it)).collect();
        different.sort_unstable();
        different.dedup();
        assert_eq!(kept, different.len(), "{seed}");
        // The same bytes, however they come in.
        let slow = Slow(&archive, random.below(5000) + 1);
        let again = convert_with(slow, |_| {}).unwrap();
        let bytes = bytes_of(&layer.converted.erofs);
        assert!(bytes_of(&again.erofs) == bytes, "{seed}");
        assert!(bytes_of(&again.recipe) == bytes_of(&layer.converted.recipe));
    }
}

/// A reader that gives a few bytes at a time.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(self.1);
        self.0.read(&mut buffer[..count])
    }
}

#[test]
fn an_image_with_all_contents_shares_what_its_layers_share() {
    let text = "file a fill=90000\nfile b fill=90000\nfile c data=other\nlink d -> a";
    let bottom = convert_tar(&tar(text)).unwrap().converted.erofs;
    let top = convert_tar(&tar("file c data=new\nfile e data=new")).unwrap();
    let layers = [bottom, top.converted.erofs];
    for compression in [None, Some(FileCompression::new(Algorithm::Zstd))] {
        let options = FlatOptions {
            compression,
            ..FlatOptions::default()
        };
        let budget = Budget::new(&Limits::default());
        let written = std::sync::atomic::AtomicU64::new(0);
        let advanced = |count| {
            written.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
        };
        let tree = merged(&layers);
        let file = tempfile::tempfile().unwrap();
        let flat = tree
            .write_flat(file, &options, &budget, &advanced, &Cancel::default())
            .unwrap();
        assert_eq!(written.into_inner(), 2 * 90_000 + 2 * 3);
        assert!(erofs::verify(&flat.file).unwrap().is_sound());
        // The data of one large file, and little else.
        assert!(flat.size < 90_000 + 5 * BLOCK_SIZE, "{}", flat.size);
        let image = Image::open(flat.file).unwrap();
        let root = image.inode(image.root()).unwrap();
        for entry in image.entries(&root).unwrap() {
            let inode = image.inode(entry.nid).unwrap();
            let mut bytes = vec![0; usize::try_from(inode.size).unwrap()];
            image.read_file(&inode, 0, &mut bytes).unwrap();
            let expected = match &*entry.name {
                b"c" | b"e" => b"new".to_vec(),
                _ => fill(90_000),
            };
            assert!(bytes == expected);
        }
    }
}
