//! What the writer puts where.

use super::*;

#[test]
fn a_dump_shows_every_type_of_inode() {
    let image = all_types().image();
    let image = Image::open(image).unwrap();
    assert_eq!(
        dump(&image).unwrap(),
        "\
2 040755 0:0 0.000000000 3 / inline=142 trusted.overlay.opaque=y
10 060600 0:0 0.000000000 1 /block device=8:300
12 020600 0:0 0.000000000 1 /char device=4095:1048575
14 040755 0:0 0.000000000 2 /dir inline=61
27 106755 4294967294:70000 -1.999999999 2 /dir/file blocks=1+1 size=9 crc=21fdb850 \
security.capability=\\x01\\x00\\x00\\x02\\x00 \\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00 user.empty=
27 106755 4294967294:70000 -1.999999999 2 /dir/second blocks=1+1 size=9 crc=21fdb850 \
security.capability=\\x01\\x00\\x00\\x02\\x00 \\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00 user.empty=
18 100644 0:0 0.000000000 1 /empty size=0 crc=00000000
20 010600 0:0 0.000000000 1 /fifo
22 120777 0:0 0.000000000 1 /link inline=8 -> dir/file
25 140600 0:0 0.000000000 1 /socket
"
    );
    assert_eq!(image.superblock().inodes, 9);
    assert_eq!(image.superblock().uuid, *b"0123456789abcdef");
    assert_eq!(image.superblock().build_time, 1_700_000_000);
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    assert_eq!(all_types().image(), all_types().image());
}

#[test]
fn an_empty_tree_is_an_image_of_two_blocks() {
    assert_eq!(Fixture::new().image().len(), 8192);
}

#[test]
fn a_block_of_zeros_follows_when_the_last_inode_ends_with_a_block() {
    let image = full_block().image();
    assert_eq!(image.len(), 3 * BLOCK);
    let parsed = Image::open(&image[..]).unwrap();
    assert_eq!(parsed.superblock().blocks, 3);
    let root = parsed.inode(parsed.root()).unwrap();
    let last = parsed.entries(&root).unwrap().pop().unwrap();
    let last = parsed.inode(last.nid).unwrap();
    assert_eq!((last.xattr_size, last.tail()), (0, 0));
    let end = parsed.offset(last.nid).unwrap() + INODE_SIZE as u64;
    assert_eq!(end, 2 * BLOCK_SIZE, "it is to end with the block");
    assert!(image[2 * BLOCK..].iter().all(|byte| *byte == 0));
}

#[test]
fn no_block_follows_when_the_last_inode_has_something_behind_it() {
    // A slot less in use.
    let mut fixture = full_block();
    let names = fixture.tree.get_mut(InodeId::ROOT);
    if let Kind::Directory(names) = &mut names.kind {
        names.pop_last();
    }
    assert_eq!(fixture.image().len(), 2 * BLOCK);
    // Attributes in place of one inode, to the end of the block.
    let mut fixture = full_block();
    let last = fixture.find(&format!("/{}", "z".repeat(22)));
    if let Kind::Directory(names) = &mut fixture.tree.get_mut(InodeId::ROOT).kind {
        names.remove(&b"00"[..]);
        // The names are to be as long as before.
        let id = names.remove(&b"01"[..]).unwrap();
        names.insert(Box::from(&b"0123456789abcdef"[..]), id);
    }
    fixture.xattr(last, "user.a", &[7; 64 - 12 - 4 - 1]);
    let image = fixture.image();
    assert_eq!(image.len(), 2 * BLOCK);
    assert_eq!(image[2 * BLOCK - 1], 7, "the image is to be full");
}

#[test]
fn names_rise_by_unsigned_bytes_with_the_dots_among_them() {
    let mut fixture = Fixture::new();
    let file = fixture.file("/x", b"");
    for name in [&b"!"[..], b".-", b"..a", b".a", b"\x80", b"\xff"] {
        fixture.link_in(InodeId::ROOT, name, file);
    }
    let bytes = fixture.image();
    // The names of the root follow its inode and 9 entries, and the inode 64 unused bytes.
    let start = 2 * 4096 + 64 + 64 + 9 * 12 - 4096;
    assert!(bytes[start..].starts_with(b"!..-....a.ax\x80\xff\0"));
}

#[test]
fn files_start_at_blocks_and_empty_ones_take_none() {
    let mut fixture = Fixture::new();
    for (path, size) in [("/a", 1), ("/b", 4096), ("/c", 0), ("/d", 4097), ("/e", 1)] {
        fixture.file(path, &vec![b'x'; size]);
    }
    let dump = dump_of(&fixture.image());
    let places: Vec<&str> = dump
        .lines()
        .map(|line| {
            line.split_once('/')
                .unwrap()
                .1
                .split_once(" size")
                .unwrap()
                .0
        })
        .collect();
    assert_eq!(
        places,
        [
            "a blocks=1+1",
            "b blocks=2+1",
            "c",
            "d blocks=3+2",
            "e blocks=5+1"
        ]
    );
}

#[test]
fn data_is_read_back_while_the_image_grows() {
    let mut fixture = Fixture::new();
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let first = fixture.data(&large);
    let second = fixture.data(b"in the buffer");
    let mut buffer = vec![0; 16];
    let writer = &fixture.writer;
    assert_eq!(writer.read_data(second, 3, &mut buffer).unwrap(), 10);
    assert_eq!(&buffer[..10], b"the buffer");
    let end = first.size - 5;
    assert_eq!(writer.read_data(first, end, &mut buffer).unwrap(), 5);
    assert_eq!(buffer[..5], large[large.len() - 5..]);
    assert_eq!(writer.read_data(first, u64::MAX, &mut buffer).unwrap(), 0);
    let mut all = vec![0; large.len() + 1];
    assert_eq!(writer.read_data(first, 0, &mut all).unwrap(), large.len());
    assert!(all.starts_with(&large));
}

#[test]
fn a_file_is_the_same_however_its_bytes_arrive() {
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let write = |sizes: &[usize]| {
        let mut fixture = Fixture::new();
        fixture.writer.begin_file().unwrap();
        let mut rest = bytes.as_slice();
        for size in sizes.iter().cycle() {
            let (now, later) = rest.split_at((*size).min(rest.len()));
            fixture.writer.write(now).unwrap();
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let extent = fixture.writer.end_file().unwrap();
        fixture.add("/file", metadata(0o644), Kind::File(extent));
        fixture.image()
    };
    let whole = write(&[bytes.len()]);
    assert_eq!(whole[4096..4096 + bytes.len()], bytes);
    for sizes in [&[1_000, 65_536][..], &[1 << 20], &[7, 2_000_000]] {
        assert!(write(sizes) == whole, "{sizes:?}");
    }
}

#[test]
fn a_hole_is_zeros_without_space_on_disk() {
    use std::os::unix::fs::MetadataExt as _;

    let mut fixture = Fixture::new();
    let hole = 64 << 20;
    fixture.writer.begin_file().unwrap();
    fixture.writer.hole(hole).unwrap();
    fixture.writer.write(b"end").unwrap();
    fixture.writer.hole(5).unwrap();
    let extent = fixture.writer.end_file().unwrap();
    assert_eq!(extent.size, hole + 8);
    let mut end = [1; 16];
    let read = fixture.writer.read_data(extent, hole - 4, &mut end);
    assert_eq!(read.unwrap(), 12);
    assert_eq!(&end[..12], b"\0\0\0\0end\0\0\0\0\0");
    fixture.add("/sparse", metadata(0o644), Kind::File(extent));
    let (file, _) = fixture.finish().unwrap();
    assert!(file.metadata().unwrap().blocks() * 512 < 1 << 20);
    assert!(verify(&file).unwrap().is_sound());
}

#[test]
fn discarded_data_becomes_zeros_on_disk_and_in_the_buffer() {
    for filler in [0, 3 << 20] {
        let mut fixture = Fixture::new();
        let kept = fixture.data(b"kept");
        let dropped = fixture.data(&[b'x'; 10_000]);
        fixture.data(&vec![b'y'; filler]);
        let after = fixture.data(b"after");
        fixture.writer.discard(dropped).unwrap();
        let filler = Extent {
            device: 0,
            block: 5,
            size: filler as u64,
        };
        fixture.writer.discard(filler).unwrap();
        fixture.add("/kept", metadata(0o644), Kind::File(kept));
        fixture.add("/after", metadata(0o644), Kind::File(after));
        // The verifier of `image` looks for bytes that belong to nothing.
        let bytes = fixture.image();
        assert_eq!(&bytes[4096..4100], b"kept");
        let start = usize::try_from(after.block).unwrap() * 4096;
        assert_eq!(&bytes[start..start + 5], b"after");
    }
}

#[test]
fn inodes_that_no_name_reaches_are_left_out() {
    let mut fixture = Fixture::new();
    fixture.file("/kept", b"");
    let lost = fixture.file("/lost", b"");
    fixture.xattr(lost, "system.nonsense", b"");
    match &mut fixture.tree.get_mut(InodeId::ROOT).kind {
        Kind::Directory(names) => names.remove(&b"lost"[..]),
        _ => unreachable!(),
    };
    let image = fixture.image();
    assert_eq!(Image::open(image).unwrap().superblock().inodes, 2);
}

#[test]
fn calls_out_of_order_are_errors() {
    let mut fixture = Fixture::new();
    let writer = &mut fixture.writer;
    assert!(matches!(
        writer.write(b"x"),
        Err(ErofsError::OutOfOrder { .. })
    ));
    assert!(matches!(writer.hole(1), Err(ErofsError::OutOfOrder { .. })));
    assert!(matches!(
        writer.end_file(),
        Err(ErofsError::OutOfOrder { .. })
    ));
    assert_eq!(writer.begin_file().unwrap(), 4096);
    assert!(matches!(
        writer.begin_file(),
        Err(ErofsError::OutOfOrder { .. })
    ));
    assert_eq!(
        fixture.error(),
        "cannot finish the image now: the last file has not ended"
    );
}

#[test]
fn equal_attributes_are_kept_once_where_copies_would_be_large() {
    let few = repeated_attributes(20).image();
    let image = Image::open(few.as_slice()).unwrap();
    assert_eq!(image.superblock().xattr_block, 0);
    // Each inode has its own copy.
    assert!(few.len() > 20 * 12_000);
    for files in [300, 600] {
        let many = repeated_attributes(files).image();
        assert!(many.len() < 20_000 + 40_000 + files * 200, "{}", many.len());
        assert!(many == repeated_attributes(files).image());
    }
}
