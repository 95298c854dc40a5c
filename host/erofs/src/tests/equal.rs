//! Equal contents of files, kept once.

use super::*;

/// Bytes that leave the CRC32C of anything the same when they are combined with it by `xor`: the polynomial.
const POLYNOMIAL: [u8; 5] = [0xf1, 0x76, 0xec, 0x05, 0x01];

impl Fixture {
    fn sharing() -> Self {
        let mut fixture = Self::new();
        fixture.writer.share_equal_files(&CancellationToken::new());
        fixture
    }

    /// Writes files, adds them as `/0`, `/1` and so on, and returns their first blocks.
    fn blocks(&mut self, files: &[&[u8]]) -> Vec<u32> {
        let mut blocks = Vec::new();
        for (number, bytes) in files.iter().enumerate() {
            let extent = self.data(bytes);
            assert_eq!(extent.size, bytes.len() as u64);
            blocks.push(extent.block);
            let path = format!("/{number}");
            self.add(&path, metadata(0o644), Kind::File(extent));
        }
        blocks
    }
}

/// Returns the contents of the files that [`Fixture::blocks`] has added.
fn contents(image: &[u8], count: usize) -> Vec<Vec<u8>> {
    let image = Image::open(image).unwrap();
    let root = image.inode(image.root()).unwrap();
    let mut entries: Vec<(usize, Nid)> = image
        .entries(&root)
        .unwrap()
        .into_iter()
        .map(|entry| {
            let name = String::from_utf8(entry.name.to_vec()).unwrap();
            (name.parse().unwrap(), entry.nid)
        })
        .collect();
    entries.sort_unstable();
    assert_eq!(entries.len(), count);
    let read = |(_, nid)| {
        let inode = image.inode(nid).unwrap();
        let mut bytes = vec![0; usize::try_from(inode.size).unwrap()];
        assert_eq!(image.read_file(&inode, 0, &mut bytes).unwrap(), bytes.len());
        bytes
    };
    entries.into_iter().map(read).collect()
}

#[test]
fn equal_files_share_their_blocks_and_others_do_not() {
    let mut fixture = Fixture::sharing();
    let long = noise(10_000);
    let files: [&[u8]; 8] = [b"one", b"two", b"one", &long, b"", &long, b"two", b"one\0"];
    assert_eq!(fixture.blocks(&files), [1, 2, 1, 3, 0, 3, 2, 6]);
    let image = fixture.image();
    assert_eq!(contents(&image, files.len()), files);
}

#[test]
fn without_being_asked_the_writer_keeps_every_file() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.blocks(&[b"one", b"one"]), [1, 2]);
}

#[test]
fn what_comes_after_an_equal_file_takes_its_place_without_a_trace() {
    // Longer than the buffer of the writer, so much of the equal file has reached the disk.
    let long = noise(3_000_000);
    for last in [&b"x"[..], b"", &long[..5000], &long] {
        let mut fixture = Fixture::sharing();
        let files: [&[u8]; 5] = [&long, b"short", &long, b"short", last];
        let blocks = fixture.blocks(&files);
        assert_eq!(blocks[2..4], blocks[..2]);
        // The image is sound: what belongs to nothing is zero.
        let image = fixture.image();
        assert!(contents(&image, files.len()) == files);
        let size = (image.len() as u64).div_ceil(BLOCK_SIZE);
        assert!(size < 3_000_000 / BLOCK_SIZE + 8, "{size}");
    }
}

#[test]
fn files_that_collide_in_the_index_stay_apart() {
    let one = noise(5000);
    let mut two = one.clone();
    for (byte, other) in two[2000..].iter_mut().zip(POLYNOMIAL) {
        *byte ^= other;
    }
    assert_ne!(one, two);
    assert_eq!(crc32c::crc32c(&one), crc32c::crc32c(&two));
    // The index does not look at the end of a large file.
    let large = noise(200_000);
    let mut other = large.clone();
    other[199_999] ^= 1;
    let files: [&[u8]; 8] = [&one, &two, &two, &one, &large, &other, &large, &other];
    let mut fixture = Fixture::sharing();
    let blocks = fixture.blocks(&files);
    assert_ne!(blocks[0], blocks[1]);
    assert_eq!(blocks[0], blocks[3]);
    assert_ne!(blocks[4], blocks[5]);
    assert_eq!(blocks[4], blocks[6]);
    let image = fixture.image();
    assert!(contents(&image, files.len()) == files);
}

#[test]
fn holes_are_zeros_or_leave_a_file_out() {
    let mut fixture = Fixture::sharing();
    let mut file = |write: &dyn Fn(&mut ImageWriter)| {
        fixture.writer.begin_file().unwrap();
        write(&mut fixture.writer);
        fixture.writer.end_file().unwrap()
    };
    let zeros = file(&|writer| writer.write(&[0; 9000]).unwrap());
    let hole = file(&|writer| writer.hole(9000).unwrap());
    assert_eq!(zeros, hole);
    let large = |writer: &mut ImageWriter| {
        writer.write(b"start").unwrap();
        writer.hole(1 << 40).unwrap();
    };
    let (one, two) = (file(&large), file(&large));
    assert_eq!(one.size, two.size);
    assert_ne!(one.block, two.block);
}

#[test]
fn what_comes_after_the_end_of_sharing_is_kept() {
    let mut fixture = Fixture::sharing();
    fixture.blocks(&[b"one", b"two", b"one", b"one"]);
    fixture.writer.stop_sharing();
    assert_eq!(fixture.data(b"one").block, 3);
}

#[test]
fn nothing_shares_with_discarded_data() {
    let mut fixture = Fixture::sharing();
    let gone = fixture.data(&[0; 100]);
    fixture.writer.discard(gone).unwrap();
    assert_ne!(fixture.data(&[0; 100]).block, gone.block);
}

#[test]
fn comparing_stops_when_asked() {
    let cancel = CancellationToken::new();
    let mut fixture = Fixture::new();
    fixture.writer.share_equal_files(&cancel);
    fixture.data(b"one");
    cancel.cancel();
    fixture.writer.begin_file().unwrap();
    fixture.writer.write(b"one").unwrap();
    let error = fixture.writer.end_file().unwrap_err();
    assert!(matches!(error, ErofsError::Cancelled));
}
