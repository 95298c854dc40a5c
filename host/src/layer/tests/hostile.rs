//! Malicious bytes.

use proptest::prelude::*;

use super::*;
use crate::tar::fixture::sign;

/// An archive with everything that is interesting to break.
fn base() -> Vec<u8> {
    tar(
        "dir d\nfile d/a data=hello\nlink l -> d/a\nlink later -> z\nsymlink s -> d\nfile s/b fill=700\n\
         file .wh.w\nfile d/.wh..wh..opq\nlongpath dd/long\nfile short data=x\nchar c 1:3\n\
         file x data=abcde pax.GNU.sparse.size=70 pax.GNU.sparse.map=10,2,50,3 pax.mtime=1.5\n\
         file y pax.SCHILY.xattr.user.a=b\nglobal uid=7\nfile z\nfile d/a data=again",
    )
}

/// Corrects the checksum of every block that might be a header, so that changes get further.
fn sign_headers(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(512) {
        if block[257..262] == *b"ustar" {
            sign(block);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn changed_archives_are_converted_and_rebuilt_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut archive = base();
        for (place, byte) in changes {
            let place = place.index(archive.len());
            archive[place] = byte;
        }
        sign_headers(&mut archive);
        if cut {
            archive.truncate(length.index(archive.len()));
        }
        // The helper asserts that what is converted is sound and comes back.
        if let Ok(layer) = convert_tar(&archive) {
            layer.list();
        }
    }

    #[test]
    fn blocks_in_any_order_are_converted_and_rebuilt_or_refused(
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
    ) {
        let base = base();
        let blocks: Vec<&[u8]> = base.chunks(512).collect();
        let archive: Vec<u8> = order
            .iter()
            .flat_map(|place| blocks[place.index(blocks.len())])
            .copied()
            .collect();
        let _ = convert_tar(&archive);
    }
}
