//! Paths that come twice.

use msb_erofs::BLOCK_SIZE;

use super::*;

/// Asserts that the image has data of this many bytes, and nothing else of it.
fn assert_data(layer: &Layer, present: &[&str], absent: &[&str]) {
    let image = bytes_of(&layer.converted.erofs);
    let holds = |text: &str| {
        image
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    for text in present {
        assert!(holds(text), "{text} is missing");
    }
    for text in absent {
        assert!(!holds(text), "{text} is still there");
    }
}

#[test]
fn case_44_the_last_entry_of_a_path_wins_and_the_data_of_the_first_leaves_the_image() {
    let archive =
        tar("file a data=first-data\nfile b data=other-data\nfile a data=second-data uid=7");
    let layer = convert_tar(&archive).unwrap();
    assert_eq!(
        layer.list(),
        ["file a = second-data 7:0", "file b = other-data"]
    );
    assert_data(&layer, &["other-data", "second-data"], &["first-data"]);
}

#[test]
fn data_that_left_the_image_is_rebuilt_from_the_recipe() {
    // More than a literal of the recipe holds, and than a buffer of the data path.
    let archive = tar(
        "file a fill=3000000\nfile b fill=70000\nfile a fill=1234567\nfile b\n\
         file c data=kept\ndir a",
    );
    let layer = convert_tar(&archive).unwrap();
    assert_eq!(
        layer.list(),
        ["dir a trusted.overlay.opaque=y", "file b", "file c = kept"]
    );
    assert!(layer.converted.recipe_size > 4_000_000);
}

#[test]
fn data_of_a_file_with_another_name_stays() {
    let layer = convert_tar(&tar(
        "file a data=linked-data\nlink b -> a\nfile a data=new",
    ));
    let layer = layer.unwrap();
    assert_eq!(layer.list(), ["file a = new", "file b = linked-data"]);
    assert_data(&layer, &["linked-data"], &[]);
}

#[test]
fn data_below_a_replaced_directory_leaves_the_image() {
    let layer = convert_tar(&tar(
        "dir d\ndir d/e\nfile d/e/a data=deep-data\nlink kept -> d/e/a\nfile d/b data=flat-data\n\
         file d data=now-a-file",
    ));
    let layer = layer.unwrap();
    assert_eq!(
        layer.list(),
        ["file d = now-a-file", "file kept = deep-data"]
    );
    assert_data(&layer, &["deep-data"], &["flat-data"]);
}

#[test]
fn case_45_an_entry_of_another_type_replaces_what_was_there() {
    for (lines, expected) in [
        ("file a data=x\nsymlink a -> b", "symlink a -> b"),
        ("symlink a -> b\nfile a data=x", "file a = x"),
        ("dir a\nsymlink a -> b", "symlink a -> b"),
        ("dir a\nfile a/b\nfile a/c/d\nfifo a", "fifo a"),
        ("fifo a\nchar a 1:3", "char a 1:3"),
    ] {
        assert_layer(lines, &[expected]);
    }
}

#[test]
fn a_directory_in_the_place_of_a_file_is_opaque() {
    // Applied one after the other, the file removes the directory of the layers below.
    assert_layer(
        "file a\ndir a mode=700\nfile a/b",
        &["dir a mode=700 trusted.overlay.opaque=y", "file a/b"],
    );
}

#[test]
fn case_46_a_directory_replaces_a_link_to_a_directory() {
    assert_layer(
        "dir d\nfile d/a\nsymlink l -> d\nfile l/b\ndir l\nfile l/c",
        &[
            "dir d",
            "file d/a",
            "file d/b",
            "dir l trusted.overlay.opaque=y",
            "file l/c",
        ],
    );
}

#[test]
fn the_image_is_not_larger_than_the_space_that_all_data_took() {
    let layer = convert_tar(&tar(&"file a data=x\n".repeat(50))).unwrap();
    assert_eq!(layer.list(), ["file a = x"]);
    assert!(layer.converted.erofs_size <= 52 * BLOCK_SIZE);
}
