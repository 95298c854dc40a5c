use super::*;

fn names(directory: &Path) -> Vec<String> {
    let names = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Makes a file as on a filesystem that knows none without a name.
fn named(target: &Path) -> AtomicFile {
    AtomicFile::create_named(target, 0o600).unwrap()
}

#[test]
fn an_incomplete_file_is_not_there_and_a_complete_one_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    let makers: [fn(&Path) -> AtomicFile; 2] = [
        |path| AtomicFile::create(path, Mode::Exactly(0o600)).unwrap(),
        named,
    ];
    for (number, make) in makers.into_iter().enumerate() {
        for text in ["one", "two"] {
            let before = names(directory.path());
            let file = make(&path);
            file.file().write_all(b"half").unwrap();
            if file.aside.is_none() {
                assert_eq!(names(directory.path()), before);
            }
            drop(file);
            assert_eq!(names(directory.path()), before);
            let file = make(&path);
            file.file().write_all(text.as_bytes()).unwrap();
            file.put_in_place().unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(names(directory.path()), ["out"], "{number}");
        }
    }
}

#[test]
fn a_name_that_is_taken_can_be_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    for number in 0..4 {
        let file = if number % 2 == 0 {
            AtomicFile::create(&path, Mode::Exactly(0o600)).unwrap()
        } else {
            named(&path)
        };
        write!(file.file(), "{number}").unwrap();
        assert_eq!(file.put_if_free().unwrap(), number == 0);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0");
        assert_eq!(names(directory.path()), ["out"]);
    }
}

#[test]
fn what_was_left_goes_with_the_next_file_and_what_is_alive_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    let left = named_after(&path);
    std::fs::write(&left, "left").unwrap();
    assert!(is_left(&left, None));
    write(&path, Mode::Exactly(0o600), b"new").unwrap();
    assert_eq!(names(directory.path()), ["out"]);
    let alive = named(&path);
    assert!(!is_left(&left, None));
    remove_left(directory.path(), None);
    let second = named(&path);
    assert_eq!(names(directory.path()).len(), 3);
    second.put_in_place().unwrap();
    alive.file().write_all(b"last").unwrap();
    alive.put_in_place().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "last");
    std::fs::write(&left, "left").unwrap();
    std::fs::write(directory.path().join(".msb-other"), "theirs").unwrap();
    remove_left(directory.path(), None);
    assert_eq!(names(directory.path()), [".msb-other", "out"]);
}

#[test]
fn what_an_msb_of_before_has_left_is_known_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    for (name, mode) in [
        (".tmpAb3dEf", 0o600),
        (".tmpAb3dEg", 0o644),
        (".tmp", 0o600),
        (".tmpAb3dEfg", 0o600),
        (".tmp-b3dEf", 0o600),
        ("registry.example", 0o600),
    ] {
        let path = directory.path().join(name);
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    remove_left(directory.path(), None);
    assert_eq!(names(directory.path()).len(), 6);
    remove_left(directory.path(), Some(FORMER_PASSWORD));
    let left = names(directory.path());
    assert_eq!(left.len(), 5);
    assert!(!left.contains(&".tmpAb3dEf".to_owned()));
}

#[test]
fn a_link_that_is_put_twice_leaves_nothing_next_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    std::fs::write(&from, "").unwrap();
    for _ in 0..2 {
        put_link(&to, |at| std::fs::hard_link(&from, at)).unwrap();
        assert_eq!(names(directory.path()), ["from", "to"]);
    }
}

#[test]
fn a_file_that_was_set_aside_comes_back_or_goes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    assert!(set_aside(&path).unwrap().is_none());
    std::fs::write(&path, "old").unwrap();
    let aside = set_aside(&path).unwrap().unwrap();
    remove_left(directory.path(), None);
    assert!(!path.exists());
    aside.restore().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    set_aside(&path).unwrap().unwrap().remove().unwrap();
    assert_eq!(names(directory.path()), [""; 0]);
    std::fs::write(&path, "old").unwrap();
    // As if the process were killed.
    drop(set_aside(&path).unwrap());
    remove_left(directory.path(), None);
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn many_who_write_one_file_write_it_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let path = &path;
            scope.spawn(move || {
                let text = worker.to_string().repeat(1000);
                for _ in 0..20 {
                    write(path, Mode::Exactly(0o600), text.as_bytes()).unwrap();
                }
            });
        }
    });
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.len(), 1000);
    assert!(text.chars().all(|it| text.starts_with(it)));
    assert_eq!(names(directory.path()), ["out"]);
}
