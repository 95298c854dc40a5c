//! Where entries go.

use super::*;

#[test]
fn case_29_spellings_of_a_path_name_one_node() {
    for spelling in ["./d/a", "/d/a", "d//a", "d/./a", "../d/a", "d/x/../a"] {
        assert_layer(
            &format!("dir d\nfile d/a data=1\nfile {spelling} data=2"),
            &["dir d", "file d/a = 2"],
        );
    }
}

#[test]
fn case_30_nothing_leads_out_of_the_root() {
    assert_layer(
        "file ../../a\nfile b/../../../c\nsymlink up -> ../../..\nfile up/d\n\
         symlink abs -> /e\nfile abs/f",
        &[
            "file a",
            "symlink abs -> /e",
            "file c",
            "file d",
            "dir e",
            "file e/f",
            "symlink up -> ../../..",
        ],
    );
}

#[test]
fn case_31_a_path_leads_through_symbolic_links_of_the_same_layer() {
    assert_layer(
        "dir usr\ndir usr/lib\nsymlink lib -> usr/lib\nsymlink usr/more -> ../lib\n\
         file lib/a data=1\nfile usr/more/b data=2\nfile lib/../c",
        &[
            "file c",
            "symlink lib -> usr/lib",
            "dir usr",
            "dir usr/lib",
            "file usr/lib/a = 1",
            "file usr/lib/b = 2",
            "symlink usr/more -> ../lib",
        ],
    );
}

#[test]
fn a_path_through_a_dangling_link_makes_directories() {
    assert_layer(
        "symlink l -> far/away\nfile l/a",
        &[
            "dir far",
            "dir far/away",
            "file far/away/a",
            "symlink l -> far/away",
        ],
    );
}

#[test]
fn case_33_a_path_through_links_in_a_circle_is_refused() {
    assert_refused(
        "symlink a -> b\nsymlink b -> a\nfile a/x",
        "entry `a/x`: its path leads through too many symbolic links",
    );
}

#[test]
fn targets_of_links_are_kept_as_they_are() {
    let long = "t".repeat(4095);
    assert_layer(
        &format!("symlink a -> /nowhere/../..//x\nsymlink b -> {long}"),
        &[
            "symlink a -> /nowhere/../..//x",
            &format!("symlink b -> {long}"),
        ],
    );
}

#[test]
fn case_58_targets_that_linux_cannot_read_are_refused() {
    assert_refused("symlink a", "entry `a`: it is a symbolic link to nothing");
    let long = "t".repeat(4096);
    assert_refused(&format!("symlink a -> {long}"), "longer than 4095 bytes");
}

#[test]
fn case_35_missing_parents_are_made() {
    assert_layer(
        "file a/b/c mtime=5 uid=7",
        &["dir a", "dir a/b", "file a/b/c 7:0 mtime=5"],
    );
    assert_layer(
        "file a\nlink b/c -> a",
        &["file a links=2", "dir b", "file b/c links=2"],
    );
}

#[test]
fn case_34_what_is_no_directory_gives_way_to_one_when_a_path_leads_through_it() {
    assert_layer(
        "file a data=x\nfile a/b data=y",
        &["dir a trusted.overlay.opaque=y", "file a/b = y"],
    );
    assert_layer(
        "char a 1:3\nfile a/b",
        &["dir a trusted.overlay.opaque=y", "file a/b"],
    );
}

#[test]
fn case_37_an_entry_after_its_children_sets_the_metadata() {
    assert_layer(
        "file d/a\ndir d mode=700 uid=7 mtime=5",
        &["dir d mode=700 7:0 mtime=5", "file d/a"],
    );
}

#[test]
fn a_second_entry_of_a_directory_replaces_its_metadata_and_keeps_its_children() {
    assert_layer(
        "dir d mode=700 uid=7 pax.SCHILY.xattr.user.a=1\nfile d/a\ndir d/ gid=8",
        &["dir d 0:8", "file d/a"],
    );
}

#[test]
fn case_38_the_root_has_metadata_if_there_is_an_entry_for_it() {
    for root in [".", "./", "/"] {
        assert_layer(
            &format!("dir {root} mode=711 uid=7 mtime=5 pax.SCHILY.xattr.user.a=1\nfile a"),
            &["dir / mode=711 7:0 mtime=5 user.a=1", "file a"],
        );
    }
    assert_layer("file a", &["file a"]);
}

#[test]
fn case_18_a_directory_without_a_name_is_the_root() {
    let mut unnamed = tar("dir x mode=711\nfile a");
    unnamed[0] = 0;
    crate::tar::fixture::sign(&mut unnamed[..512]);
    let layer = convert_tar(&unnamed).unwrap();
    assert_eq!(layer.list(), ["dir / mode=711", "file a"]);
}

#[test]
fn the_root_can_only_be_a_directory() {
    for line in ["symlink . -> x", "file ./..", "link / -> x", "fifo ."] {
        assert_refused(line, "the root can only be a directory");
    }
    let mut unnamed = tar("file a data=x");
    unnamed[0] = 0;
    crate::tar::fixture::sign(&mut unnamed[..512]);
    assert!(convert_tar(&unnamed).is_err());
}

#[test]
fn case_40_names_are_bytes() {
    assert_layer(
        "file \\xff\\xfe\nfile a\\nb\nfile -rf\nfile x\\s\nfile dot.\nfile back\\\\slash",
        &[
            "file -rf",
            "file a\\nb",
            "file back\\\\slash",
            "file dot.",
            "file x ",
            "file \\xff\\xfe",
        ],
    );
}

#[test]
fn case_41_names_that_differ_in_case_or_form_are_different() {
    assert_layer(
        "file A\nfile a\nfile \\xc3\\xa9\nfile e\\xcc\\x81",
        &["file A", "file a", "file e\\xcc\\x81", "file \\xc3\\xa9"],
    );
}

#[test]
fn case_39_names_have_255_bytes_at_most() {
    let longest = "n".repeat(255);
    let expected = [
        format!("dir {longest}"),
        format!("file {longest}/{longest}"),
    ];
    assert_layer(
        &format!("file {longest}/{longest}"),
        &expected.each_ref().map(String::as_str),
    );
    for path in [
        format!("{longest}n"),
        format!("{longest}n/a"),
        format!("a/{longest}n"),
    ] {
        assert_refused(&format!("file {path}"), &format!("entry `{path}`"));
    }
}

#[test]
fn case_43_paths_may_be_deep() {
    let path = vec!["d"; 10_000].join("/");
    let archive = tar(&format!(
        "dir {path}\nfile {path}/a data=x\nfile {path}/b data=y"
    ));
    let layer = convert_tar(&archive).unwrap();
    let mut nid = layer.image.root();
    for _ in 0..10_000 {
        let inode = layer.image.inode(nid).unwrap();
        nid = layer.image.entries(&inode).unwrap()[0].nid;
    }
    let inode = layer.image.inode(nid).unwrap();
    assert_eq!(layer.image.entries(&inode).unwrap().len(), 2);
}

#[test]
fn case_42_a_directory_may_have_many_entries() {
    let names: Vec<String> = (0..100_000)
        .map(|number| format!("file d/{number}"))
        .collect();
    let layer = convert_tar(&tar(&names.join("\n"))).unwrap();
    assert_eq!(layer.list().len(), 100_001);
    assert_eq!(layer.converted.entries, 100_000);
}

#[test]
fn directories_that_only_paths_name_are_counted_and_paid() {
    let path = format!("{}f", "a/".repeat(1000));
    let archive = tar(&format!("file {path}"));
    let within = |limits: Limits| {
        convert_with(&*archive, |request| request.limits = limits)
            .map(|converted| converted.entries)
            .map_err(|error| error.to_string())
    };
    let entries = |entries| Limits {
        entries,
        ..Limits::default()
    };
    assert_eq!(within(entries(1001)), Ok(1));
    let error = within(entries(1000)).unwrap_err();
    assert!(error.contains("(limit `entries`)"), "{error}");
    let memory = |memory_bytes| Limits {
        memory_bytes,
        ..Limits::default()
    };
    assert_eq!(within(memory(1 << 20)), Ok(1));
    let error = within(memory(100_000)).unwrap_err();
    assert!(
        error.contains("files and directories (limit `memory_bytes`)"),
        "{error}"
    );
}

#[test]
fn ways_that_are_longer_than_the_headers_are_counted() {
    // Each entry leads through a link with 2000 names, and takes away what is known of its way.
    let long = "a/".repeat(2000);
    let start = format!("file {long}f\nsymlink s -> {}\n", &long[..3998]);
    let entries = (0..300).map(|number| format!("symlink t -> x\nfile s/{number}\n"));
    let archive = tar(&(start + &entries.collect::<String>()));
    let within = |entries| {
        let limits = Limits {
            entries,
            ..Limits::default()
        };
        convert_with(&*archive, |request| request.limits = limits)
            .map(|converted| converted.entries)
            .map_err(|error| error.to_string())
    };
    assert_eq!(within(10_000_000), Ok(602));
    let error = within(10_000).unwrap_err();
    assert!(error.contains("names to look up"), "{error}");
    assert!(error.contains("(limit `entries`)"), "{error}");
}
