//! Whiteouts, in the form that overlayfs wants.

use super::*;

#[test]
fn a_whiteout_is_a_device_in_a_directory_that_says_so() {
    assert_layer(
        "dir d mode=700\nfile d/.wh.a\nfile d/b\nfile .wh.c",
        &[
            "dir / trusted.overlay.origin=",
            "char c 0:0",
            "dir d mode=700 trusted.overlay.origin=",
            "char d/a 0:0",
            "file d/b",
        ],
    );
}

#[test]
fn case_71_a_whiteout_is_about_the_layers_below_only() {
    for lines in ["file .wh.a\nfile a data=x", "file a data=x\nfile .wh.a"] {
        assert_layer(lines, &["file a = x"]);
    }
}

#[test]
fn case_72_a_directory_that_is_whited_out_and_made_again_is_opaque() {
    for lines in [
        "file .wh.d\ndir d mode=700\nfile d/a",
        "dir d mode=700\nfile .wh.d\nfile d/a",
        "dir d mode=700\nfile d/a\nfile .wh.d",
    ] {
        assert_layer(
            lines,
            &["dir d mode=700 trusted.overlay.opaque=y", "file d/a"],
        );
    }
    assert_layer(
        "file .wh.d\nfile d/a",
        &["dir d trusted.overlay.opaque=y", "file d/a"],
    );
}

#[test]
fn case_73_an_opaque_marker_counts_wherever_it_stands() {
    for lines in [
        "dir d\nfile d/.wh..wh..opq\nfile d/a",
        "dir d\nfile d/a\nfile d/.wh..wh..opq",
        "file d/.wh..wh..opq\ndir d\nfile d/a",
        "file d/.wh..wh..opq\nfile d/a",
    ] {
        assert_layer(lines, &["dir d trusted.overlay.opaque=y", "file d/a"]);
    }
}

#[test]
fn case_74_an_opaque_marker_makes_the_directory_that_it_is_in() {
    assert_layer(
        "file d/e/.wh..wh..opq",
        &["dir d", "dir d/e trusted.overlay.opaque=y"],
    );
}

#[test]
fn the_root_can_be_opaque() {
    assert_layer(
        "file .wh..wh..opq\nfile a",
        &["dir / trusted.overlay.opaque=y", "file a"],
    );
}

#[test]
fn case_75_there_are_no_whiteouts_in_and_below_opaque_directories() {
    assert_layer(
        "file d/.wh.a\nfile d/.wh..wh..opq\nfile d/e/.wh.b\nfile d/e/f/.wh.c",
        &["dir d trusted.overlay.opaque=y", "dir d/e", "dir d/e/f"],
    );
}

#[test]
fn case_76_whiteouts_that_say_nothing_new_do_not_matter() {
    assert_layer(
        "file .wh.a\nfile ./.wh.a\nfile missing/.wh.b",
        &[
            "dir / trusted.overlay.origin=",
            "char a 0:0",
            "dir missing trusted.overlay.origin=",
            "char missing/b 0:0",
        ],
    );
}

#[test]
fn whiteouts_go_with_the_directory_that_they_are_in() {
    assert_layer("file d/.wh.a\nfile d data=x", &["file d = x"]);
    assert_layer(
        "file d/.wh.a\nfile d/.wh..wh..opq\nfile d\ndir e\nlink f -> d",
        &["file d links=2", "dir e", "file f links=2"],
    );
}

#[test]
fn case_79_a_marker_is_known_by_its_name_alone() {
    for marker in [
        "file .wh.a data=body",
        "dir .wh.a",
        "symlink .wh.a -> x",
        "link .wh.a -> missing",
        "char .wh.a 0:0",
        "dir .wh.a\nfile .wh.a/hidden",
    ] {
        assert_layer(marker, &["dir / trusted.overlay.origin=", "char a 0:0"]);
    }
}

#[test]
fn whiteouts_are_found_through_links() {
    assert_layer(
        "dir usr\nsymlink u -> usr\nfile u/.wh.a\nsymlink v -> usr/lib\nfile v/.wh..wh..opq",
        &[
            "symlink u -> usr",
            "dir usr trusted.overlay.origin=",
            "char usr/a 0:0",
            "dir usr/lib trusted.overlay.opaque=y",
            "symlink v -> usr/lib",
        ],
    );
}

#[test]
fn case_77_whiteouts_of_nothing_are_refused() {
    for marker in [".wh.", "d/.wh..", "d/.wh..."] {
        assert_refused(&format!("file {marker}"), "it is a whiteout of no name");
    }
}

#[test]
fn case_78_bookkeeping_of_aufs_is_left_out() {
    assert_layer(
        "file .wh..wh.aufs\ndir .wh..wh.orph\nfile .wh..wh.orph/x data=y\ndir d/.wh..wh.tmp\nfile a",
        &["file a"],
    );
}

#[test]
fn an_image_has_no_name_of_a_marker() {
    let layer = convert_tar(&tar(
        "file .wh.a\nfile d/.wh..wh..opq\nfile .wh..wh.plnk/1\ndir .wh.b\nfile .wh.b/c\n\
         file .wh..wh.aufs\nfile .why",
    ))
    .unwrap();
    let marked = layer.list().into_iter().filter(|line| line.contains(".wh"));
    assert_eq!(marked.collect::<Vec<_>>(), ["file .why"]);
}
