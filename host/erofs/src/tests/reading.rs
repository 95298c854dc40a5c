//! What is written is read back.

use super::*;

/// Returns every name of a tree with its inode, and which names share one.
pub(super) fn describe(tree: &Tree) -> String {
    let mut lines = Vec::new();
    let mut first_names = BTreeMap::new();
    let mut pending = vec![(InodeId::ROOT, String::new())];
    while let Some((id, path)) = pending.pop() {
        let inode = tree.get(id);
        let first = first_names.entry(id).or_insert_with(|| path.clone());
        if *first != path {
            lines.push(format!("{path} = {first}"));
            continue;
        }
        match &inode.kind {
            Kind::Directory(names) => {
                lines.push(format!("{path} {:?}", inode.metadata));
                for (name, id) in names {
                    pending.push((*id, format!("{path}/{}", name.escape_ascii())));
                }
            }
            kind => lines.push(format!("{path} {:?} {kind:?}", inode.metadata)),
        }
    }
    lines.sort();
    lines.join("\n")
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let mut fixture = all_types();
    for number in 0..500 {
        let path = format!("/dir/{number}");
        fixture.directory(&path);
        fixture.symlink(&format!("{path}/link"), &vec![b'a'; number + 1]);
    }
    let tree = fixture.tree.clone();
    let image = Image::open(fixture.image()).unwrap();
    assert_eq!(describe(&image.tree().unwrap()), describe(&tree));
}

#[test]
fn symbolic_links_of_every_length_keep_their_targets() {
    let mut fixture = Fixture::new();
    let targets: Vec<Vec<u8>> = (1..=4095).map(|length| vec![b't'; length]).collect();
    for target in &targets {
        fixture.symlink(&format!("/{:04}", target.len()), target);
    }
    let image = Image::open(fixture.image()).unwrap();
    let root = image.inode(image.root()).unwrap();
    let entries = image.entries(&root).unwrap();
    for (entry, target) in entries.iter().zip(&targets) {
        let link = image.inode(entry.nid).unwrap();
        assert_eq!(*image.read_link(&link).unwrap(), **target);
    }
    assert_eq!(entries.len(), targets.len());
}

#[test]
fn directories_of_every_size_keep_their_names() {
    // One name more or less at the size where a directory leaves its inode, and where it starts
    // another block.
    for count in (0..400).chain([4_000, 100_000]) {
        let mut fixture = Fixture::new();
        let file = fixture.file("/file", b"");
        for number in 0..count {
            fixture.link_in(InodeId::ROOT, format!("{number:06}").as_bytes(), file);
        }
        let image = Image::open(fixture.image()).unwrap();
        let root = image.inode(image.root()).unwrap();
        let entries = image.entries(&root).unwrap();
        assert_eq!(entries.len(), count + 1);
        for (number, entry) in entries.iter().take(count).enumerate() {
            assert_eq!(*entry.name, *format!("{number:06}").as_bytes());
        }
        assert_eq!(
            image.inode(entries[0].nid).unwrap().nlink as usize,
            count + 1
        );
    }
}

#[test]
fn a_directory_counts_its_subdirectories() {
    let mut fixture = Fixture::new();
    for path in ["/a", "/a/b", "/a/c", "/a/c/d"] {
        fixture.directory(path);
    }
    let links: Vec<u32> = {
        let image = Image::open(fixture.image()).unwrap();
        let mut links = Vec::new();
        let mut pending = vec![image.root()];
        while let Some(nid) = pending.pop() {
            let info = image.inode(nid).unwrap();
            links.push(info.nlink);
            pending.extend(image.entries(&info).unwrap().iter().map(|entry| entry.nid));
        }
        links
    };
    assert_eq!(links, [3, 4, 3, 2, 2]);
}

#[test]
fn files_are_read_from_any_offset() {
    let bytes: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut fixture = Fixture::new();
    fixture.file("/file", &bytes);
    fixture.directory("/dir");
    let image = Image::open(fixture.image()).unwrap();
    let entries = image.entries(&image.inode(image.root()).unwrap()).unwrap();
    let file = image.inode(entries[1].nid).unwrap();
    for (offset, length, count) in [
        (0, 200_000, 200_000),
        (0, 300_000, 200_000),
        (4095, 2, 2),
        (199_999, 10, 1),
        (200_000, 10, 0),
        (u64::MAX, 10, 0),
    ] {
        let mut buffer = vec![0; length];
        assert_eq!(image.read_file(&file, offset, &mut buffer).unwrap(), count);
        let start = usize::try_from(offset).unwrap().min(bytes.len());
        assert_eq!(buffer[..count], bytes[start..start + count]);
    }
    assert_eq!(
        image.extent(&file).unwrap(),
        Some(Extent {
            device: 0,
            block: 1,
            size: 200_000
        })
    );
    let directory = image.inode(entries[0].nid).unwrap();
    assert_eq!(image.extent(&directory).unwrap(), None);
    assert!(image.read_file(&directory, 0, &mut [0]).is_err());
    assert!(image.read_link(&file).is_err());
    assert!(image.entries(&file).is_err());
}

#[test]
fn ten_thousand_nested_directories_are_written_and_read() {
    let image = Image::open(nested(10_000).image()).unwrap();
    assert_eq!(image.superblock().inodes, 10_001);
    assert_eq!(image.tree().unwrap().len(), 10_001);
}

#[test]
fn attributes_that_are_kept_once_come_back_at_every_inode() {
    let fixture = repeated_attributes(300);
    let tree = fixture.tree.clone();
    let image = Image::open(fixture.image()).unwrap();
    assert_ne!(image.superblock().xattr_block, 0);
    assert_eq!(describe(&image.tree().unwrap()), describe(&tree));
}
