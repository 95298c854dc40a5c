//! The filesystem that layers show together.

use std::io::Read as _;

use super::*;
use crate::limits::Limits;

/// Merges the images of layers, the bottom one first.
pub(super) fn merged(images: &[File]) -> MergedTree {
    MergedTree::build(over_each_other(images), &budget(), &Cancel::default()).unwrap()
}

fn over_each_other(images: &[File]) -> LayerImages {
    let layers = LayerImages::default();
    for image in images {
        let image = image.try_clone().unwrap();
        layers.push(move || image.try_clone());
    }
    layers
}

fn budget() -> Budget {
    Budget::new(&Limits::default())
}

fn many_files() -> String {
    let lines: Vec<String> = (0..2000)
        .map(|number| format!("file directory/{number} data=x"))
        .collect();
    lines.join("\n")
}

/// Converts layers over each other, the bottom one first.
fn layers(texts: &[&str]) -> Vec<File> {
    let lower = LowerLayers::default();
    let mut lower = lower;
    let mut images = Vec::new();
    for text in texts {
        let chain = ChainPosition {
            id: Digest::of(b"chain"),
            lower: lower.clone(),
        };
        let erofs = convert_over(&tar(text), chain).unwrap().converted.erofs;
        let image = erofs.try_clone().unwrap();
        lower.push(move || image.try_clone());
        images.push(erofs);
    }
    images
}

/// Returns a line for everything but the root: its path, what it holds, and where it is from.
fn list(tree: &MergedTree) -> Vec<String> {
    let mut lines = Vec::new();
    let visited = tree.each(&budget(), &Cancel::default(), &mut |node| {
        let path = String::from_utf8_lossy(node.path).into_owned();
        let layer = tree.origin(node.id).unwrap().layer;
        let line = match node.kind {
            MergedKind::Directory => format!("{path}/ {:o}", node.metadata.permissions),
            MergedKind::File(mut file) => {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                assert_eq!(text.len() as u64, file.size());
                format!("{path}={text}")
            }
            MergedKind::Hardlink(first) => format!("{path} is {}", first.escape_ascii()),
            MergedKind::Symlink(target) => format!("{path} -> {}", target.escape_ascii()),
            other => format!("{path} {other:?}"),
        };
        if !path.is_empty() {
            lines.push(format!("{layer}: {line}"));
        }
        Ok::<(), LayerError>(())
    });
    visited.unwrap();
    lines
}

#[track_caller]
fn assert_merged(texts: &[&str], expected: &[&str]) {
    assert_eq!(list(&merged(&layers(texts))), expected);
}

#[test]
fn the_topmost_layer_that_has_a_name_decides() {
    assert_merged(
        &[
            "dir d mode=700\nfile d/a data=1\nfile d/b data=1\nfile c data=1",
            "dir d mode=711\nfile d/a data=2\nfile e/f data=2",
            "file d/g data=3\nsymlink c -> d",
        ],
        &[
            "2: c -> d",
            "2: d/ 711",
            "1: d/a=2",
            "0: d/b=1",
            "2: d/g=3",
            "1: e/ 755",
            "1: e/f=2",
        ],
    );
}

#[test]
fn what_was_something_else_in_between_does_not_come_back() {
    let lower = "file d/old data=1\nfile e/old data=1\nfile f/g/old data=1";
    let upper = "file d/new data=3\nfile e/new data=3\nfile f/g/new data=3";
    let expected = [
        "2: d/ 755",
        "2: d/new=3",
        "2: e/ 755",
        "2: e/new=3",
        "2: f/ 755",
        "2: f/g/ 755",
        "2: f/g/new=3",
    ];
    for between in [
        "file d\nsymlink e -> d\nfifo f",
        "file .wh.d\nfile .wh.e\nfile f/.wh.g",
        "file d/.wh..wh..opq\nfile e/.wh..wh..opq\nfile f/.wh..wh..opq",
        "file .wh..wh..opq",
    ] {
        assert_merged(&[lower, between, upper], &expected);
    }
}

#[test]
fn names_of_one_file_stay_names_of_one_file() {
    let tree = merged(&layers(&[
        "file a data=1\nlink b -> a\nlink d/c -> a\nfifo p\nlink q -> p",
        "file .wh.a\nfile x data=2\nlink y -> x",
    ]));
    assert_eq!(
        list(&tree),
        [
            "0: b=1",
            "0: d/ 755",
            "0: d/c is b",
            "0: p Fifo",
            "0: q is p",
            "1: x=2",
            "1: y is x"
        ]
    );
    let id = tree.find(b"b", false).unwrap().unwrap();
    assert_eq!(
        (tree.nlink(id), tree.find(b"d/c", false).unwrap()),
        (2, Some(id))
    );
}

#[test]
fn attributes_are_those_of_the_archives() {
    let tree = merged(&layers(&[
        "dir d pax.SCHILY.xattr.user.k=1\nfile d/x",
        "dir d pax.SCHILY.xattr.trusted.overlay.opaque=y\nfile d/.wh..wh..opq\nfile d/.wh.x",
    ]));
    let id = tree.find(b"d", false).unwrap().unwrap();
    let xattrs = &tree.tree().get(id).metadata.xattrs;
    let names: Vec<_> = xattrs
        .keys()
        .map(|name| name.escape_ascii().to_string())
        .collect();
    assert_eq!(names, ["trusted.overlay.opaque"]);
    assert_eq!(list(&tree), ["1: d/ 755"]);
}

#[test]
fn paths_lead_through_links_and_never_out() {
    let tree = merged(&layers(&[
        "file usr/lib/x data=1\nsymlink lib -> usr/lib\nsymlink up -> ../../usr\nsymlink circle -> circle",
        "symlink abs -> /lib\nfile lone",
    ]));
    let find = |path: &str, follow| tree.find(path.as_bytes(), follow).unwrap();
    let file = find("/usr/lib/x", false);
    assert!(file.is_some());
    for path in [
        "lib/x",
        "./abs//x",
        "up/lib/x",
        "../../abs/../lib/x",
        "lib/./x",
    ] {
        assert_eq!(find(path, false), file, "{path}");
    }
    assert_ne!(find("lib", false), find("lib", true));
    assert_eq!(find("abs", true), find("usr/lib", false));
    assert_eq!(find("lib/", false), find("usr/lib", false));
    assert_eq!(find("", false), Some(msb_erofs::InodeId::ROOT));
    for path in ["lib/y", "lone/x", "lone/", "x", "lone/.."] {
        assert_eq!(find(path, true), None, "{path}");
    }
    let error = tree.find(b"circle/x", false).unwrap_err().to_string();
    assert!(error.contains("symbolic links"), "{error}");
}

#[test]
fn memory_is_bounded_and_the_wish_to_stop_is_heard() {
    let text = many_files();
    let images = layers(&[&text, "file x"]);
    let small = Budget::new(&Limits {
        memory_bytes: 256 << 10,
        ..Limits::default()
    });
    let build = |budget: &Budget, cancel: &Cancel| {
        MergedTree::build(over_each_other(&images), budget, cancel).map(|tree| tree.memory())
    };
    let error = build(&small, &Cancel::default()).unwrap_err().to_string();
    assert!(error.contains("`memory_bytes`"), "{error}");
    let memory = build(&budget(), &Cancel::default()).unwrap();
    assert!((256 << 10..1 << 20).contains(&memory), "{memory}");
    let cancel = Cancel::default();
    cancel.cancel();
    let error = build(&budget(), &cancel).unwrap_err();
    assert!(matches!(error, LayerError::Cancelled(_)), "{error}");
}

#[test]
fn what_is_hidden_is_not_kept() {
    let text = many_files();
    let all = merged(&layers(&[&text])).memory();
    let hidden = merged(&layers(&[&text, &text, &text, "file .wh.directory"])).memory();
    assert!(hidden * 20 < all, "{hidden} of {all}");
    let again = merged(&layers(&[&text, &text, &text])).memory();
    assert!(again < all + all / 20, "{again}, {all}");
}

#[test]
fn no_layers_are_an_empty_directory() {
    assert_merged(&[], &[]);
    assert_merged(&["", "file .wh.x"], &[]);
}
