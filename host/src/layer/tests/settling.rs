//! What a layer takes from the layers below, for directories that it only implies.

use std::collections::BTreeMap;

use super::super::settle::ParentChain;
use super::super::tree::LayerTree;
use crate::erofs::{Inode, InodeId, Kind, Metadata, Tree};

/// Layers below that have these directories, each with permissions of its own.
struct Below(&'static [(&'static str, u16)]);

impl ParentChain for Below {
    fn directory(&self, path: &[u8]) -> Option<Metadata> {
        let found = self.0.iter().find(|(name, _)| name.as_bytes() == path)?;
        Some(of(found.1))
    }
}

const BELOW: Below = Below(&[
    ("", 0o700),
    ("a", 0o701),
    ("a/b", 0o702),
    ("a/b/c", 0o703),
    ("d", 0o704),
    ("d/b", 0o705),
]);

fn of(permissions: u16) -> Metadata {
    Metadata {
        permissions,
        ..Metadata::default()
    }
}

fn directory() -> Inode {
    Inode {
        metadata: of(0o777),
        kind: Kind::Directory(BTreeMap::new()),
    }
}

fn fifo() -> Inode {
    Inode {
        metadata: of(0o644),
        kind: Kind::Fifo,
    }
}

/// Returns the permissions of every directory of a tree, by path.
fn permissions(tree: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = vec![(InodeId::ROOT, String::new())];
    while let Some((id, path)) = open.pop() {
        let inode = tree.get(id);
        if let Kind::Directory(names) = &inode.kind {
            lines.push(format!("{path}/ {:o}", inode.metadata.permissions));
            let names = names.iter();
            open.extend(names.map(|(name, id)| (*id, format!("{path}/{}", name.escape_ascii()))));
        }
    }
    lines.sort();
    lines
}

#[track_caller]
fn assert_settled(fill: impl FnOnce(&mut LayerTree), expected: &[&str]) {
    let mut tree = LayerTree::new();
    fill(&mut tree);
    let settled = tree.settle(Some(&BELOW)).unwrap();
    assert_eq!(permissions(&settled.tree), expected);
}

#[test]
fn implied_directories_are_as_they_are_below() {
    assert_settled(
        |tree| {
            tree.insert(b"a/b/c/x", fifo()).unwrap();
            tree.insert(b"d/b/x", fifo()).unwrap();
            tree.insert(b"e/x", fifo()).unwrap();
        },
        &[
            "/ 700",
            "/a/ 701",
            "/a/b/ 702",
            "/a/b/c/ 703",
            "/d/ 704",
            "/d/b/ 705",
            "/e/ 755",
        ],
    );
}

#[test]
fn directories_of_the_layer_stay_as_they_are_and_those_in_them_do_not() {
    assert_settled(
        |tree| {
            tree.set_root(of(0o711));
            tree.insert(b"a", directory()).unwrap();
            tree.insert(b"a/b/x", fifo()).unwrap();
        },
        &["/ 711", "/a/ 777", "/a/b/ 702"],
    );
}

#[test]
fn an_entry_that_follows_its_children_takes_the_implied_metadata_away() {
    assert_settled(
        |tree| {
            tree.insert(b"a/b/x", fifo()).unwrap();
            tree.insert(b"a/b", directory()).unwrap();
        },
        &["/ 700", "/a/ 701", "/a/b/ 777"],
    );
}

#[test]
fn nothing_below_shows_in_an_opaque_directory_but_the_directory_itself() {
    assert_settled(
        |tree| {
            tree.make_opaque(b"a/.wh..wh..opq").unwrap();
            tree.insert(b"a/b/c/x", fifo()).unwrap();
        },
        &["/ 700", "/a/ 701", "/a/b/ 755", "/a/b/c/ 755"],
    );
}

#[test]
fn a_directory_that_was_whited_out_and_made_again_takes_nothing_from_below() {
    assert_settled(
        |tree| {
            tree.insert(b"a/b/c/x", fifo()).unwrap();
            tree.whiteout(b"a/.wh.b", b"b").unwrap();
        },
        &["/ 700", "/a/ 701", "/a/b/ 755", "/a/b/c/ 755"],
    );
}
