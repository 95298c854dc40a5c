//! Sparse files in the image.

use super::*;
use crate::limits::Limit;

#[test]
fn case_19_holes_are_zeros_in_the_image_and_nothing_in_the_tar() {
    let layer = convert_tar(&tar(
        "file a data=abcde pax.GNU.sparse.size=70 pax.GNU.sparse.map=10,2,50,3\n\
         file b pax.GNU.sparse.size=40 pax.GNU.sparse.numblocks=0\n\
         file c data=x pax.GNU.sparse.size=1 pax.GNU.sparse.map=0,1",
    ))
    .unwrap();
    let zeros = |count| "\\x00".repeat(count);
    assert_eq!(
        layer.list(),
        [
            format!("file a = {}ab{}cde{}", zeros(10), zeros(38), zeros(17)),
            format!("file b = {}", zeros(40)),
            "file c = x".to_owned(),
        ]
    );
}

#[test]
fn case_62_large_holes_take_no_space() {
    use std::os::unix::fs::MetadataExt as _;

    // Two terabytes with a few bytes in the middle.
    let archive = tar(
        "file a data=abc pax.GNU.sparse.size=2199023255552 pax.GNU.sparse.map=1099511627776,3\n\
         file b data=behind",
    );
    let converted = convert_with(&*archive, |_| {}).unwrap();
    assert!(converted.erofs_size > 2 << 40);
    let blocks = converted.erofs.metadata().unwrap().blocks();
    assert!(blocks * 512 < 10 << 20, "{blocks}");
    assert!(rebuilt(&converted) == archive);
    let image = Image::open(converted.erofs).unwrap();
    let root = image.inode(image.root()).unwrap();
    let entries = image.entries(&root).unwrap();
    let file = image.inode(entries[0].nid).unwrap();
    let mut bytes = [0; 4];
    image.read_file(&file, 1 << 40, &mut bytes).unwrap();
    assert_eq!(&bytes, b"abc\0");
}

#[test]
fn files_of_more_bytes_than_the_limit_are_refused() {
    let limits = Limits {
        sparse_bytes: 100,
        ..Limits::default()
    };
    let archive =
        tar("file a data=x pax.GNU.sparse.size=60 pax.GNU.sparse.map=0,1\nfile b fill=41");
    let error = convert_with(&*archive, |options| options.limits = limits).unwrap_err();
    let expected = Limit::SparseBytes;
    assert!(matches!(error, LayerError::Limit { limit, .. } if limit == expected));
}
