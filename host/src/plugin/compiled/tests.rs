//! What is believed of compiled code that lies on disk, and what is not.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, lchown, symlink};
use std::sync::OnceLock;

use super::*;
use crate::plugin::{builtin, engine};

/// An engine, a component that ships with msb, and what the engine makes of it.
struct Bench {
    engine: Engine,
    id: Digest,
    component: Component,
}

fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        let engine = engine::start().unwrap();
        let package = builtin::packages().swap_remove(0);
        let bytes = package.component.read().unwrap();
        Bench {
            component: Component::from_binary(&engine, &bytes).unwrap(),
            id: Digest::of(&bytes),
            engine,
        }
    })
}

impl Bench {
    fn open(&self, folder: &Path) -> CompiledCode {
        CompiledCode::open(folder, &self.engine).unwrap()
    }

    fn find(&self, code: &CompiledCode) -> Kept {
        code.find(&self.engine, &self.id)
    }

    /// Keeps the component in a folder, and returns its file.
    fn keep(&self, folder: &Path) -> PathBuf {
        let code = self.open(folder);
        code.keep(&self.id, &self.component).unwrap();
        only_file(folder)
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| !path.ends_with("key")).collect()
}

fn only_file(folder: &Path) -> PathBuf {
    let files = files(folder);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

fn temporary() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("cache/plugins");
    (home, folder)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn why(kept: &Kept) -> &str {
    match kept {
        Kept::Refused(_, why) => why,
        Kept::Code(_) => panic!("it was used"),
        Kept::Nothing => panic!("there is nothing"),
    }
}

#[test]
fn what_was_kept_is_found_by_the_next_start() {
    let (_home, folder) = temporary();
    let bench = bench();
    assert!(matches!(bench.find(&bench.open(&folder)), Kept::Nothing));
    bench.keep(&folder);
    assert!(matches!(bench.find(&bench.open(&folder)), Kept::Code(_)));
    let other = Digest::of(b"another component");
    let found = bench.open(&folder).find(&bench.engine, &other);
    assert!(matches!(found, Kept::Nothing));
}

#[test]
fn no_flipped_bit_reaches_the_engine() {
    let (_home, folder) = temporary();
    let bench = bench();
    let path = bench.keep(&folder);
    let sound = fs::read(&path).unwrap();
    let code = bench.open(&folder);
    // Every bit of the header, some of each part of the rest, and the last one.
    let bits = sound.len() * 8;
    let header = (0..(32 + 32 + 2 * 64) * 8).step_by(7);
    let mut random = fastrand::Rng::with_seed(7);
    let rest = std::iter::repeat_with(|| random.usize(0..bits)).take(120);
    for bit in header.chain(rest).chain([bits - 1]) {
        let mut damaged = sound.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &damaged).unwrap();
        assert!(why(&bench.find(&code)).contains("damaged"), "bit {bit}");
    }
    for length in [0, 1, 31, 32, 33, 191, 192, 193, 4096, sound.len() - 1] {
        fs::write(&path, &sound[..length]).unwrap();
        assert!(
            why(&bench.find(&code)).contains("damaged"),
            "{length} bytes"
        );
    }
    fs::write(&path, [&sound[..], b"x"].concat()).unwrap();
    assert!(matches!(bench.find(&code), Kept::Refused(..)));
    code.keep(&bench.id, &bench.component).unwrap();
    assert!(matches!(bench.find(&code), Kept::Code(_)));
}

#[test]
fn code_under_another_key_is_not_ours() {
    let ((_one, ours), (_other, theirs)) = (temporary(), temporary());
    let bench = bench();
    let file = bench.keep(&ours);
    fs::copy(bench.keep(&theirs), &file).unwrap();
    assert!(matches!(bench.find(&bench.open(&ours)), Kept::Refused(..)));
}

#[test]
fn code_of_another_component_or_engine_is_not_taken_for_this_one() {
    let (_home, folder) = temporary();
    let bench = bench();
    let file = bench.keep(&folder);
    let code = bench.open(&folder);
    let other = Digest::of(b"another component");
    let name = file.file_name().unwrap().to_str().unwrap();
    let name = name.replace(bench.id.hex(), other.hex());
    fs::copy(&file, folder.join(name)).unwrap();
    assert!(matches!(
        code.find(&bench.engine, &other),
        Kept::Refused(..)
    ));
    let older = CompiledCode {
        engine: Digest::of(b"another engine"),
        ..bench.open(&folder)
    };
    assert!(matches!(bench.find(&older), Kept::Nothing));
    let name = name_of(&older, &bench.id);
    fs::copy(&file, folder.join(name)).unwrap();
    assert!(matches!(bench.find(&older), Kept::Refused(..)));
}

fn name_of(code: &CompiledCode, component: &Digest) -> PathBuf {
    code.path(code.subject(component))
}

#[test]
fn only_regular_files_of_this_user_are_opened() {
    let (home, folder) = temporary();
    let bench = bench();
    let file = bench.keep(&folder);
    let code = bench.open(&folder);
    let aside = home.path().join("aside");
    fs::rename(&file, &aside).unwrap();
    symlink(&aside, &file).unwrap();
    assert!(why(&bench.find(&code)).contains("regular file"));
    fs::remove_file(&file).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &file,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(why(&bench.find(&code)).contains("regular file"));
    fs::remove_file(&file).unwrap();
    fs::create_dir_all(file.join("a")).unwrap();
    assert!(why(&bench.find(&code)).contains("regular file"));
    code.keep(&bench.id, &bench.component).unwrap();
    set_mode(&file, 0o666);
    assert!(why(&bench.find(&code)).contains("other users"));
    // Only root can give files away.
    set_mode(&file, 0o600);
    if lchown(&file, Some(65_534), None).is_ok() {
        assert!(why(&bench.find(&code)).contains("another user"));
    }
    code.keep(&bench.id, &bench.component).unwrap();
    assert!(matches!(bench.find(&code), Kept::Code(_)));
}

#[test]
fn folder_and_files_are_private_whatever_the_umask() {
    let (home, folder) = temporary();
    let bench = bench();
    // The mask belongs to the whole process: modes that it would make are set by hand.
    fs::create_dir_all(&folder).unwrap();
    for path in [&folder, &home.path().join("cache")] {
        set_mode(path, 0o755);
    }
    let file = bench.keep(&folder);
    assert_eq!(mode_of(&folder), 0o700);
    assert_eq!(mode_of(&file), 0o600);
    assert_eq!(mode_of(&folder.join("key")), 0o600);
}

#[test]
fn a_folder_that_was_open_to_others_loses_its_key() {
    let bench = bench();
    for mode in [0o777, 0o770, 0o755, 0o701] {
        let (_home, folder) = temporary();
        bench.keep(&folder);
        let key = fs::read(folder.join("key")).unwrap();
        set_mode(&folder, mode);
        let code = bench.open(&folder);
        assert_eq!(mode_of(&folder), 0o700);
        assert_ne!(fs::read(folder.join("key")).unwrap(), key, "{mode:o}");
        assert!(matches!(bench.find(&code), Kept::Refused(..)));
    }
}

#[test]
fn a_key_that_others_may_know_is_replaced() {
    let bench = bench();
    let (_home, folder) = temporary();
    bench.keep(&folder);
    let path = folder.join("key");
    let spoil: [&dyn Fn(); 5] = [
        &|| set_mode(&path, 0o644),
        &|| {
            let _ = lchown(&path, Some(65_534), None);
            // Who is not root cannot give it away.
            fs::write(&path, "short").unwrap();
        },
        &|| fs::write(&path, [7; 33]).unwrap(),
        &|| {
            fs::remove_file(&path).unwrap();
            symlink("/dev/zero", &path).unwrap();
        },
        &|| {
            fs::remove_file(&path).unwrap();
            fs::create_dir_all(path.join("in")).unwrap();
        },
    ];
    for spoil in spoil {
        bench.keep(&folder);
        spoil();
        let code = bench.open(&folder);
        assert!(matches!(bench.find(&code), Kept::Refused(..)));
        assert_eq!(fs::read(&path).unwrap().len(), 32);
        assert_eq!(mode_of(&path), 0o600);
    }
}

#[test]
fn nothing_is_read_or_written_where_others_may_write() {
    let bench = bench();
    let (home, folder) = temporary();
    bench.keep(&folder);
    let error = |place: &Path| CompiledCode::open(place, &bench.engine).unwrap_err();
    for mode in [0o777, 0o775, 0o1777] {
        set_mode(&home.path().join("cache"), mode);
        let is_sticky = mode & 0o1000 != 0;
        assert_eq!(
            CompiledCode::open(&folder, &bench.engine).is_ok(),
            is_sticky
        );
    }
    set_mode(&home.path().join("cache"), 0o777);
    assert!(error(&folder).contains("other users may write"));
    let fresh = home.path().join("cache/new/plugins");
    assert!(error(&fresh).contains("other users may write"));
    assert!(!fresh.parent().unwrap().exists());
    set_mode(&home.path().join("cache"), 0o755);
    // Only root can give files away.
    if lchown(home.path().join("cache"), Some(65_534), None).is_ok() {
        assert!(error(&folder).contains("belongs to the user"));
        lchown(home.path().join("cache"), Some(0), None).unwrap();
        lchown(&folder, Some(65_534), None).unwrap();
        assert!(error(&folder).contains("not a directory of this user"));
    }
}

#[test]
fn a_link_to_a_safe_folder_is_followed() {
    let bench = bench();
    let ((home, folder), (_elsewhere, shared)) = (temporary(), temporary());
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    bench.keep(&shared);
    symlink(&shared, &folder).unwrap();
    assert!(matches!(bench.find(&bench.open(&folder)), Kept::Code(_)));
    set_mode(shared.parent().unwrap(), 0o777);
    assert!(CompiledCode::open(&folder, &bench.engine).is_err());
    drop(home);
}

#[test]
fn what_was_not_used_for_longest_makes_room() {
    let bench = bench();
    let (_home, folder) = temporary();
    let code = bench.open(&folder);
    let day = |day: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(day * 86_400);
    let sparse = |name: &str, length: u64, used: SystemTime| {
        let path = folder.join(name);
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .unwrap();
        file.set_len(length).unwrap();
        file.set_times(FileTimes::new().set_modified(used)).unwrap();
        path
    };
    let middle = sparse("b.compiled", MAX_TOTAL / 2, day(200));
    let old = sparse("a.compiled", MAX_TOTAL / 2, day(100));
    let new = sparse("c.compiled", 1000, day(300));
    let unfinished = sparse(".msb-new-abcdef", 10, day(100));
    let foreign = sparse("notes", 10, day(100));
    fs::create_dir_all(folder.join("modules/wasmtime")).unwrap();
    code.keep(&bench.id, &bench.component).unwrap();
    assert!(!old.exists());
    assert!(!unfinished.exists());
    assert!(!folder.join("modules").exists());
    assert!(middle.exists() && new.exists() && foreign.exists());
    assert!(matches!(bench.find(&code), Kept::Code(_)));
    // Its use is noted, at most once a day.
    let path = name_of(&code, &bench.id);
    let used = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    File::open(&path)
        .unwrap()
        .set_times(FileTimes::new().set_modified(day(1)))
        .unwrap();
    bench.find(&code);
    assert!(used(&path) > day(1));
}

#[test]
fn processes_that_start_together_agree_on_one_key() {
    let bench = bench();
    let (_home, folder) = temporary();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                bench
                    .open(&folder)
                    .keep(&bench.id, &bench.component)
                    .unwrap();
            });
        }
    });
    only_file(&folder);
    assert!(matches!(bench.find(&bench.open(&folder)), Kept::Code(_)));
}
