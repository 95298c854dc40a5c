//! GNU long names, and extended headers.

use super::*;

#[test]
fn case_01_gnu_long_names_replace_those_of_the_header() {
    let long = "d/".repeat(200);
    let archive = tar(&format!(
        "longpath {long}a\\0\nlonglink {long}b\nsymlink short -> short\nfile next"
    ));
    let lines = read_with(&archive, |entry, _| {
        format!(
            "{} -> {}",
            entry.path.escape_ascii(),
            entry.link.escape_ascii()
        )
    });
    assert_eq!(
        lines.unwrap(),
        [format!("{long}a -> {long}b"), "next -> ".to_owned()]
    );
}

#[test]
fn a_gnu_long_name_ends_at_its_first_nul() {
    assert_entries(&tar("longpath long\\0hidden\nfile short"), &["long"]);
}

#[test]
fn the_last_of_several_names_counts() {
    assert_entries(&tar("longpath one\nlongpath two\nfile short"), &["two"]);
}

#[test]
fn the_last_of_several_extended_headers_counts_alone() {
    let archive = tar("pax path=one uid=7\npax gid=8\nfile short");
    let owners = read_with(&archive, |entry, _| {
        format!("{} {}:{}", entry.path.escape_ascii(), entry.uid, entry.gid)
    });
    assert_eq!(owners.unwrap(), ["short 0:8"]);
}

#[test]
fn records_replace_what_the_header_says() {
    let archive = tar(
        "symlink a -> b pax.path=c pax.linkpath=d pax.uid=3000000 pax.gid=9 pax.mtime=-1.5\n\
         file next",
    );
    let lines = read_with(&archive, |entry, _| {
        format!(
            "{} -> {} {}:{} {}.{}",
            entry.path.escape_ascii(),
            entry.link.escape_ascii(),
            entry.uid,
            entry.gid,
            entry.mtime.seconds,
            entry.mtime.nanoseconds,
        )
    });
    assert_eq!(
        lines.unwrap(),
        ["c -> d 3000000:9 -2.500000000", "next ->  0:0 0.0"]
    );
}

#[test]
fn case_03_a_size_record_wins_over_the_header() {
    // The header says 0, so a reader that believes it takes the data for a header.
    let archive = tar("file a data=hello size=0 pax.size=5\nfile b");
    assert_entries(&archive, &["a = hello", "b"]);
    let archive = tar("file a data=hello size=2000 pax.size=5\nfile b");
    assert_entries(&archive, &["a = hello", "b"]);
}

#[test]
fn case_04_a_size_record_is_not_about_headers_in_between() {
    for between in ["longpath long", "longlink long", "global comment=x"] {
        let archive = tar(&format!(
            "pax size=1024\n{between}\nfile a fill=1024 size=0\nfile b"
        ));
        let sizes = read_with(&archive, |entry, _| entry.size.to_string());
        assert_eq!(sizes.unwrap(), ["1024", "0"], "{between}");
    }
}

#[test]
fn case_05_global_records_are_about_all_entries_until_they_are_taken_back() {
    let archive = tar(
        "global uid=7\nfile a\nfile b pax.uid=8\nfile c\nglobal gid=9\nfile d\nglobal uid=\nfile e",
    );
    let lines = read_with(&archive, |entry, _| {
        format!("{} {}:{}", entry.path.escape_ascii(), entry.uid, entry.gid)
    });
    assert_eq!(
        lines.unwrap(),
        ["a 7:0", "b 8:0", "c 7:0", "d 7:9", "e 0:9"]
    );
}

#[test]
fn unknown_records_do_not_matter() {
    assert_entries(
        &tar("file a data=x pax.GOLANG.pkg=tar pax.comment=\\n\\0="),
        &["a = x"],
    );
}

#[test]
fn records_with_hidden_ends_are_refused() {
    assert_refused(&tar("file a pax.path=b\\0c"), "a record holds a NUL");
    assert_refused(
        &tar("symlink a -> b pax.linkpath=b\\0c"),
        "a record holds a NUL",
    );
    assert_refused(&tar("pax a\\0b=c\nfile a"), "a record holds a NUL");
}

#[test]
fn a_time_that_is_none_is_refused() {
    assert_refused(&tar("file a pax.mtime=yesterday"), "`mtime`");
}

#[test]
fn case_64_extended_attributes_come_under_their_names() {
    let archive = tar(
        "file a pax.SCHILY.xattr.security.capability=\\x01\\0\\0=\\n \
         pax.LIBARCHIVE.xattr.user.b=QUI= pax.SCHILY.xattr.user.empty=",
    );
    let lines = read_with(&archive, |entry, _| {
        let xattrs = entry.xattrs.iter();
        let xattrs =
            xattrs.map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()));
        xattrs.collect::<Vec<_>>().join(" ")
    });
    assert_eq!(
        lines.unwrap(),
        ["security.capability=\\x01\\x00\\x00=\\n user.b=AB user.empty="]
    );
}

#[test]
fn case_07_an_extended_header_with_nothing_in_its_other_fields_is_read() {
    let mut archive = tar("file a data=x pax.path=b");
    archive[..100].fill(0);
    archive[100..124].fill(0);
    archive[136..148].fill(0);
    crate::tar::fixture::sign(&mut archive[..512]);
    assert_entries(&archive, &["b = x"]);
}

#[test]
fn extension_headers_need_an_entry() {
    for header in ["pax path=a", "longpath a", "longlink a"] {
        assert_refused(&unended(header), "belongs to no entry");
        assert_refused(&tar(header), "belongs to no entry");
    }
    assert_entries(&tar("file a\nglobal uid=7"), &["a"]);
}

#[test]
fn extension_headers_that_were_cut_are_refused() {
    let archive = unended("pax comment=words");
    for length in 513..512 + 17 {
        assert_refused(&archive[..length], "inside of an extension header");
    }
}

#[test]
fn extension_headers_beyond_the_limit_are_refused_without_reading_them() {
    for (kind, limit) in [
        ("x", "xattr_bytes"),
        ("g", "xattr_bytes"),
        ("L", "path_bytes"),
    ] {
        let archive = unended(&format!("entry {kind} a size=8589934591"));
        let error = read(&archive).unwrap_err().to_string();
        assert!(
            error.contains("8589934591 bytes") && error.contains(&format!("`{limit}`")),
            "{error}"
        );
    }
}

#[test]
fn paths_beyond_the_limit_are_refused() {
    let long = "a".repeat(70_000);
    for line in [format!("file {long}"), format!("symlink a -> {long}")] {
        assert_refused(&tar(&line), "more than 65536 (limit `path_bytes`)");
    }
}

/// Reads all entries of an archive that may take so much memory.
fn read_within(archive: &[u8], memory_bytes: u64) -> Result<usize, TarError> {
    let limits = Limits {
        memory_bytes,
        ..Limits::default()
    };
    let mut reader = TarReader::new(archive, &limits, &Budget::new(&limits)).keeping_skeleton();
    let mut entries = 0;
    while reader.next_entry()?.is_some() {
        reader.skeleton().clear();
        entries += 1;
    }
    Ok(entries)
}

#[test]
fn global_headers_are_limited_together() {
    let header = |number: usize| unended(&format!("global k{number}={}", "v".repeat(300_000)));
    let archive = |numbers: &[usize]| {
        let mut archive: Vec<u8> = Vec::new();
        for number in numbers {
            archive.extend(header(*number));
        }
        archive.extend(tar("file a"));
        archive
    };
    assert!(read(&archive(&[1, 2, 3])).is_ok());
    // The same keys again take the place of those before.
    assert!(read(&archive(&[1, 2, 3, 1, 2, 3, 1, 2])).is_ok());
    let error = read(&archive(&[1, 2, 3, 4])).unwrap_err().to_string();
    assert!(
        error.contains("sum of all global extension headers"),
        "{error}"
    );
    assert!(error.contains("(limit `xattr_bytes`)"), "{error}");
}

#[test]
fn headers_in_front_of_one_entry_are_paid_from_the_budget() {
    let mut archive = unended(&format!("pax comment={}", "v".repeat(100_000))).repeat(30);
    archive.extend(tar("file a"));
    assert_eq!(read_within(&archive, 4 << 20).unwrap(), 1);
    let error = read_within(&archive, 2 << 20).unwrap_err().to_string();
    assert!(
        error.contains("for extension headers (limit `memory_bytes`)"),
        "{error}"
    );
}

#[test]
fn entries_cost_what_they_say_and_not_what_the_global_headers_say() {
    let value = "v".repeat(60_000);
    let mut archive = unended(&format!("global SCHILY.xattr.user.a={value}"));
    let files: Vec<String> = (0..1000).map(|number| format!("file {number}")).collect();
    archive.extend(tar(&files.join("\n")));
    assert_eq!(read_within(&archive, 1 << 20).unwrap(), 1000);
}
