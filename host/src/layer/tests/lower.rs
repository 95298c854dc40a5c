//! What a layer takes from the layers below, and what it hides of them.

use super::*;

/// Converts layers over each other, the bottom one first, and returns the topmost and what it was
/// over.
fn stacked(texts: &[&str]) -> Result<(Layer, LowerLayers), LayerError> {
    let (top, below) = texts.split_last().unwrap();
    let mut lower = LowerLayers::default();
    for text in below {
        let layer = convert_over(&tar(text), chain(&lower))?;
        let erofs = layer.converted.erofs;
        lower.push(move || erofs.try_clone());
    }
    Ok((convert_over(&tar(top), chain(&lower))?, lower))
}

fn chain(lower: &LowerLayers) -> ChainPosition {
    ChainPosition {
        id: Digest::of(b"chain"),
        lower: lower.clone(),
    }
}

/// Asserts what the topmost of some layers is, and that it is another one than over layers that
/// are not known.
#[track_caller]
fn assert_top(texts: &[&str], expected: &[&str]) {
    let (layer, lower) = stacked(texts).unwrap();
    assert_eq!(layer.list(), expected);
    assert!(layer.converted.chain.is_some());
    assert!(lower.change(layer.converted.dependence).unwrap());
    let alone = convert_tar(&tar(texts.last().unwrap())).unwrap();
    assert_eq!(alone.converted.dependence, layer.converted.dependence);
    assert_eq!(alone.converted.chain, None);
    let (alone, over) = (alone.converted.erofs, &layer.converted.erofs);
    assert_ne!(bytes_of(&alone), bytes_of(over));
}

/// Asserts that the topmost of some layers is the same as over layers that are not known.
#[track_caller]
fn assert_plain(texts: &[&str]) {
    let (layer, _) = stacked(texts).unwrap();
    assert_eq!(layer.converted.chain, None);
    let alone = convert_tar(&tar(texts.last().unwrap())).unwrap().converted;
    assert!(bytes_of(&alone.erofs) == bytes_of(&layer.converted.erofs));
    assert!(bytes_of(&alone.recipe) == bytes_of(&layer.converted.recipe));
    assert_eq!(alone.remainder, layer.converted.remainder);
    assert_eq!(alone.recipe_digest, layer.converted.recipe_digest);
}

#[track_caller]
fn assert_stack_refused(texts: &[&str], message: &str) {
    let error = stacked(texts).err().unwrap().to_string();
    assert!(error.contains(message), "{error}");
}

#[test]
fn case_36_implied_directories_are_as_they_are_below() {
    assert_top(
        &[
            "dir a mode=700 uid=7 gid=8 mtime=5 pax.SCHILY.xattr.user.k=v\ndir a/b mode=1777\ndir d",
            "file a/b/c/x",
        ],
        &[
            "dir a mode=700 7:8 mtime=5 user.k=v",
            "dir a/b mode=1777",
            "dir a/b/c",
            "file a/b/c/x",
        ],
    );
}

#[test]
fn case_36_the_root_without_an_entry_is_as_it_is_below() {
    assert_top(
        &["dir . mode=711 uid=7 gid=8 mtime=9", "file x"],
        &["dir / mode=711 7:8 mtime=9", "file x"],
    );
    assert_plain(&["file y", "file x"]);
    assert_plain(&["dir . mode=711", "dir . mode=700\nfile x"]);
}

#[test]
fn implied_directories_are_as_the_topmost_layer_that_has_them() {
    assert_top(
        &["dir a mode=700", "dir a mode=711", "file b", "file a/x"],
        &["dir a mode=711", "file a/x"],
    );
    // The layer in between implied it, too, and has it as it was below.
    assert_top(
        &["dir a mode=700", "file a/x", "file a/y"],
        &["dir a mode=700", "file a/y"],
    );
}

#[test]
fn directories_with_an_entry_stay_as_they_are_and_those_in_them_do_not() {
    assert_top(
        &[
            "dir a mode=701\ndir a/b mode=702",
            "dir a mode=777\nfile a/b/x",
        ],
        &["dir a mode=777", "dir a/b mode=702", "file a/b/x"],
    );
    assert_plain(&["dir a mode=701", "file a/x\ndir a mode=777"]);
}

#[test]
fn an_implied_directory_that_nothing_below_has_is_a_usual_one() {
    assert_plain(&["dir b mode=700", "file a/x"]);
    assert_plain(&["file a", "file a/x"]);
    assert_plain(&["dir a mode=700", "file .wh.a", "file a/x"]);
    assert_plain(&["file a/x"]);
}

#[test]
fn nothing_below_shows_in_an_opaque_directory_but_the_directory_itself() {
    assert_top(
        &[
            "dir a mode=701\ndir a/b mode=702",
            "file a/.wh..wh..opq\nfile a/b/x",
        ],
        &[
            "dir a mode=701 trusted.overlay.opaque=y",
            "dir a/b",
            "file a/b/x",
        ],
    );
}

#[test]
fn a_directory_that_was_whited_out_and_made_again_takes_nothing_from_below() {
    assert_plain(&["dir a mode=701\ndir a/b mode=702", "file a/b/x\nfile .wh.a"]);
}

#[test]
fn a_whiteout_of_what_the_layer_has_itself_does_not_depend_on_the_layers_below() {
    assert_plain(&["file .wh.a\nfile a"]);
    assert_plain(&["file a data=1", "file .wh.a\nfile a data=2"]);
}

#[test]
fn a_directory_that_replaced_a_file_of_its_layer_takes_nothing_from_below() {
    assert_plain(&["dir a mode=701", "file a\nfile a/x"]);
}

#[test]
fn case_32_a_directory_in_place_of_a_symbolic_link_below_is_told() {
    let (layer, _) = stacked(&["dir b\nsymlink a -> b", "file a/x"]).unwrap();
    assert_eq!(layer.list(), ["dir a", "file a/x"]);
    assert_eq!(
        layer.converted.notices,
        [
            "`a/`: it is a symbolic link in the layers below, and this layer puts a directory in \
          its place"
        ]
    );
}

#[test]
fn case_51_a_hard_link_to_a_file_below_brings_the_file_and_both_its_names() {
    assert_top(
        &[
            "dir d mode=700\nfile d/f data=text mode=4755 uid=7 gid=8 pax.mtime=1.5 pax.SCHILY.xattr.user.k=v",
            "link l -> d/f\nlink m -> ./d/f",
        ],
        &[
            "dir d mode=700",
            "file d/f = text mode=4755 7:8 mtime=1+500000000ns links=3 user.k=v",
            "file l = text mode=4755 7:8 mtime=1+500000000ns links=3 user.k=v",
            "file m = text mode=4755 7:8 mtime=1+500000000ns links=3 user.k=v",
        ],
    );
}

#[test]
fn a_hard_link_below_may_be_to_anything_but_a_directory() {
    assert_top(
        &[
            "symlink s -> x\nfifo p\nchar c 1:3\nfile e",
            "link a -> s\nlink b -> p\nlink c2 -> c\nlink e2 -> e",
        ],
        &[
            "symlink a -> x links=2",
            "fifo b links=2",
            "char c 1:3 links=2",
            "char c2 1:3 links=2",
            "file e links=2",
            "file e2 links=2",
            "fifo p links=2",
            "symlink s -> x links=2",
        ],
    );
    assert_stack_refused(&["dir d", "link l -> d"], "hard link to a directory");
}

#[test]
fn a_hard_link_below_leads_through_symbolic_links_of_the_layers_below() {
    assert_top(
        &[
            "dir usr\nfile usr/f data=x\nsymlink u -> /usr\nsymlink v -> ../v2\nsymlink v2 -> u",
            "link l -> v/f",
        ],
        &["file l = x"],
    );
    assert_stack_refused(
        &["symlink a -> b\nsymlink b -> a", "link l -> a/f"],
        "neither the layer",
    );
}

#[test]
fn a_name_that_is_gone_does_not_come_back_with_a_hard_link_to_it() {
    assert_top(
        &["file f data=x", "file .wh.f\nlink l -> f"],
        &["dir / trusted.overlay.origin=", "char f 0:0", "file l = x"],
    );
    assert_top(
        &["file d/f data=x", "file d/.wh..wh..opq\nlink l -> d/f"],
        &["dir d trusted.overlay.opaque=y", "file l = x"],
    );
}

/// As for those who unpack one entry after the other: when the link comes, only that file is there.
#[test]
fn a_hard_link_leads_to_the_file_below_and_not_to_what_comes_later() {
    let below = "file old data=OLD\ndir b";
    for (later, expected) in [
        ("file old data=NEW", &["file copy = OLD", "file old = NEW"]),
        ("fifo old", &["file copy = OLD", "fifo old"]),
        ("dir old", &["file copy = OLD", "dir old"]),
        ("symlink old -> b", &["file copy = OLD", "symlink old -> b"]),
    ] {
        assert_top(&[below, &format!("link copy -> old\n{later}")], expected);
    }
    assert_top(
        &[
            "dir dir\nfile dir/f data=F",
            "link x -> dir/f\nsymlink dir -> else\nfile else/f data=G",
        ],
        &[
            "symlink dir -> else",
            "dir else",
            "file else/f = G",
            "file x = F",
        ],
    );
    // The second link has the name of the first.
    assert_top(
        &[below, "link one -> old\nlink two -> one\nfile old data=NEW"],
        &[
            "file old = NEW",
            "file one = OLD links=2",
            "file two = OLD links=2",
        ],
    );
}

#[test]
fn a_hard_link_that_waits_goes_with_its_directory() {
    let below = "file old data=OLD\ndir b";
    for (later, expected) in [
        ("file a data=x", "file a = x"),
        ("symlink a -> b", "symlink a -> b"),
        ("link a -> old\nfile a data=x", "file a = x"),
    ] {
        let top = format!("link a/c -> old\n{later}");
        let (layer, _) = stacked(&[below, &top]).unwrap();
        assert_eq!(layer.list(), [expected]);
        assert_plain(&[below, &top]);
    }
}

#[test]
fn a_hard_link_leads_to_what_comes_later_where_nothing_below_shows() {
    for below in ["file other", "file .wh.b", "dir b/c"] {
        let top = "file .wh.b\nlink c -> b\nfile b data=x";
        let (layer, _) = stacked(&[below, top]).unwrap();
        assert_eq!(layer.list(), ["file b = x links=2", "file c = x links=2"]);
        assert_plain(&[below, top]);
    }
    assert_plain(&["file other", "link c -> b\nfile b data=x"]);
}

#[test]
fn a_hard_link_to_what_no_layer_has_is_refused() {
    assert_stack_refused(
        &["file a", "file .wh.a", "link l -> a"],
        "entry `l` is a hard link to `a`, which neither the layer has nor those below",
    );
}

#[test]
fn a_file_below_whose_only_name_a_later_link_takes_is_not_copied() {
    let file = |name: &str| format!("file {name} data={name}{name}");
    let below = format!("{}\n{}", file("a"), file("b"));
    assert_top(
        &[&below, "link l -> a\nlink l -> b\nfile .wh.a"],
        &[
            "dir / trusted.overlay.origin=",
            "char a 0:0",
            "file b = bb links=2",
            "file l = bb links=2",
        ],
    );
}

#[test]
fn a_large_file_with_holes_is_taken_from_below_as_it_is() {
    let data = fill(3 << 20);
    let below = format!("file big fill={}", data.len());
    let (layer, _) = stacked(&[&below, "link l -> big"]).unwrap();
    let expected = shown(&data);
    assert_eq!(
        layer.list(),
        [
            format!("file big = {expected} links=2"),
            format!("file l = {expected} links=2")
        ]
    );
}

#[test]
fn case_83_the_bottom_layer_hides_nothing() {
    assert_top(
        &["dir d\nfile d/.wh.x\nfile .wh.y\nfile e/.wh..wh..opq\nfile e/z\ndir f\nfile .wh.f"],
        &["dir d", "dir e", "file e/z", "dir f"],
    );
    assert_top(&["file .wh..wh..opq\nfile x"], &["file x"]);
}

#[test]
fn case_74_an_opaque_root_hides_every_name_below() {
    assert_top(
        &[
            "dir a\nfile a/1\nfile b\ndir c\nfile gone",
            "file .wh.gone",
            "file .wh..wh..opq\ndir a mode=700\nfile a/2\nfile x\nfile a/.wh.1",
        ],
        &[
            "dir / trusted.overlay.origin=",
            "dir a mode=700 trusted.overlay.opaque=y",
            "file a/2",
            "char b 0:0",
            "char c 0:0",
            "file x",
        ],
    );
}
