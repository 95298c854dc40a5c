//! Hard links.

use super::*;

#[test]
fn case_47_names_of_one_inode_share_its_data_and_metadata() {
    let layer = convert_tar(&tar(
        "file a data=x mode=600 uid=7 mtime=5\nlink d/b -> a mode=777 uid=8 pax.mtime=9.5\n\
         link c -> d/b",
    ))
    .unwrap();
    assert_eq!(
        layer.list(),
        [
            "file a = x mode=600 7:0 mtime=5 links=3",
            "file c = x mode=600 7:0 mtime=5 links=3",
            "dir d",
            "file d/b = x mode=600 7:0 mtime=5 links=3",
        ]
    );
}

#[test]
fn case_48_a_link_to_itself_changes_nothing() {
    assert_layer(
        "file a data=x\nlink a -> a\nlink ./a -> /a",
        &["file a = x"],
    );
}

#[test]
fn case_49_everything_but_a_directory_can_have_several_names() {
    assert_layer(
        "symlink s -> x\nlink s2 -> s\nfifo p\nlink p2 -> p\nchar c 1:3\nlink c2 -> c",
        &[
            "char c 1:3 links=2",
            "char c2 1:3 links=2",
            "fifo p links=2",
            "fifo p2 links=2",
            "symlink s -> x links=2",
            "symlink s2 -> x links=2",
        ],
    );
}

#[test]
fn a_directory_has_one_name() {
    for target in ["d", "d/", ".", "/", "d/.."] {
        assert_refused(
            &format!("dir d\nlink l -> {target}"),
            "entry `l`: it is a hard link to a directory",
        );
    }
}

#[test]
fn case_52_targets_are_found_inside_of_the_root_and_through_links() {
    for target in [
        "usr/a",
        "/usr/a",
        "./usr/a",
        "../../usr/a",
        "u/a",
        "x/../usr/a",
    ] {
        assert_layer(
            &format!("dir usr\nfile usr/a data=x\nsymlink u -> usr\nlink l -> {target}"),
            &[
                "file l = x links=2",
                "symlink u -> usr",
                "dir usr",
                "file usr/a = x links=2",
            ],
        );
    }
}

#[test]
fn case_50_a_target_may_come_later() {
    assert_layer(
        "link c -> b\nlink b -> a\nfile a data=x",
        &[
            "file a = x links=3",
            "file b = x links=3",
            "file c = x links=3",
        ],
    );
}

#[test]
fn a_link_that_waits_replaces_what_was_there_and_is_replaced_by_what_comes() {
    assert_layer(
        "file l data=old\nlink l -> a\nfile a data=x",
        &["file a = x links=2", "file l = x links=2"],
    );
    assert_layer(
        "link l -> a\nfile l data=new\nfile a data=x",
        &["file a = x", "file l = new"],
    );
}

#[test]
fn a_target_that_never_comes_is_refused_with_both_paths() {
    assert_refused(
        "file a\nlink b/l -> ./usr/missing",
        "entry `b/l` is a hard link to `usr/missing`, which neither the layer has nor those below",
    );
    assert_refused(
        "link a -> b\nlink b -> a",
        "entry `a` is a hard link to `b`",
    );
    assert_refused("link a -> a", "entry `a` is a hard link to `a`");
    assert_refused("file a\nlink b -> a/x", "entry `b` is a hard link to `a/x`");
}

#[test]
fn many_links_in_the_wrong_order_do_not_take_for_ever() {
    let link = |number: u32| format!("link l{number} -> l{}", number + 1);
    let mut lines: Vec<String> = (0..20_000).map(link).collect();
    lines.push("file l20000".to_owned());
    let layer = convert_tar(&tar(&lines.join("\n"))).unwrap();
    assert_eq!(layer.list().len(), 20_001);
    // From either end in turn.
    let mut lines: Vec<String> = (0..1000)
        .map(|number| {
            link(if number % 2 == 0 {
                number
            } else {
                1000 - number
            })
        })
        .collect();
    lines.push("file l1000".to_owned());
    let layer = convert_tar(&tar(&lines.join("\n"))).unwrap();
    assert_eq!(layer.list().len(), 1001);
}

#[test]
fn case_53_a_link_keeps_the_inode_when_its_target_is_replaced() {
    assert_layer(
        "file a data=old\nlink b -> a\nfile a data=new\nlink c -> a",
        &[
            "file a = new links=2",
            "file b = old",
            "file c = new links=2",
        ],
    );
    assert_layer(
        "file a data=old\nlink b -> a\nfile .wh.a",
        &["file a = old links=2", "file b = old links=2"],
    );
}

#[test]
fn case_55_data_behind_a_link_is_skipped() {
    let layer = convert_tar(&tar("file a data=x\nlink b -> a fill=600\nfile c")).unwrap();
    assert_eq!(
        layer.list(),
        ["file a = x links=2", "file b = x links=2", "file c"]
    );
}

#[test]
fn case_54_files_kept_by_aufs_for_their_links_are_not_part_of_the_layer() {
    assert_layer(
        "dir .wh..wh.plnk\nfile .wh..wh.plnk/7.9 data=x\nlink a -> .wh..wh.plnk/7.9\n\
         link b -> .wh..wh.plnk/7.9\nfile .wh..wh.plnk/8.1 data=lonely",
        &["file a = x links=2", "file b = x links=2"],
    );
}

#[test]
fn case_63_a_file_may_have_more_than_65535_names() {
    let mut lines = vec!["file a".to_owned()];
    lines.extend((0..70_000).map(|number| format!("link {number} -> a")));
    let layer = convert_tar(&tar(&lines.join("\n"))).unwrap();
    let root = layer.image.inode(layer.image.root()).unwrap();
    let entries = layer.image.entries(&root).unwrap();
    assert_eq!(entries.len(), 70_001);
    assert!(entries.iter().all(|entry| entry.nid == entries[0].nid));
    let file = layer.image.inode(entries[0].nid).unwrap();
    assert_eq!((file.nlink, file.size), (70_001, 0));
}
