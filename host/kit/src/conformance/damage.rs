//! What may have happened to an archive: cut off, changed a byte, a value of a document, an
//! entry.
//!
//! Owns the damage. Knows nothing of plugins.

use serde_json::Value;
use tar::EntryType;

use super::archives::{Archive, Member, tar_of};
use msb_host::digest::Digest;

/// Places at which an archive is cut off, and places at which a byte is another.
const PLACES: usize = 24;
/// Entries of an archive that are damaged one by one.
const ENTRIES: usize = 8;
/// Documents of an archive that are damaged one by one.
const DOCUMENTS: usize = 6;
/// Values of a document that are damaged one by one.
const VALUES: usize = 10;
/// How deep a document goes that is nothing but deep.
const DEPTH: usize = 100_000;
/// How often something is there that should be there once.
const MANY: usize = 10_000;

/// A damaged archive.
pub(super) type Damaged = (String, Vec<u8>);
/// A way to damage one.
pub(super) type Damage = fn(&Archive) -> Vec<Damaged>;

/// Cuts an archive off, and changes bytes in it.
pub(super) fn broken_bytes(archive: &Archive) -> Vec<Damaged> {
    let whole = archive.bytes();
    let mut damaged = Vec::new();
    let cuts = (0..PLACES).map(|place| whole.len() * place / PLACES);
    for cut in [1, 511, 512, 513].into_iter().chain(cuts) {
        let bytes = whole.get(..cut).unwrap_or(&whole).to_vec();
        damaged.push((format!("cut off after {cut} bytes"), bytes));
    }
    // The same places each time: what fails today fails tomorrow.
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..PLACES {
        let mut bytes = whole.clone();
        let at = random.usize(..bytes.len());
        bytes[at] ^= 1 << random.u8(..8);
        damaged.push((format!("another byte at {at}"), bytes));
    }
    damaged
}

/// Changes the documents of an archive, with the digests that lead to them as they were and as
/// they are then.
pub(super) fn broken_documents(archive: &Archive) -> Vec<Damaged> {
    let mut damaged = Vec::new();
    let documents = archive.members.iter().enumerate();
    let documents = documents.filter_map(|(at, member)| Some((at, member.json()?)));
    for (at, document) in documents.take(DOCUMENTS) {
        let path = String::from_utf8_lossy(&archive.members[at].path).into_owned();
        for (what, contents) in broken_json(&document, &archive.members[at].contents) {
            let mut members = archive.members.clone();
            members[at].contents = contents;
            let bytes = tar_of(&members);
            rehash(&mut members);
            let rehashed = tar_of(&members);
            if rehashed != bytes {
                damaged.push((format!("{path}: {what}, digests made good"), rehashed));
            }
            damaged.push((format!("{path}: {what}"), bytes));
        }
    }
    damaged
}

/// Gives documents that are named by their digest their new names, wherever these stand.
fn rehash(members: &mut [Member]) {
    for _ in 0..8 {
        let stale = members.iter().position(|member| {
            let name = String::from_utf8_lossy(&member.path);
            let name = name.rsplit('/').next().unwrap_or_default();
            let is_hex = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hex && Digest::of(&member.contents).hex() != name
        });
        let Some(at) = stale else {
            return;
        };
        let path = String::from_utf8_lossy(&members[at].path).into_owned();
        let (folder, old) = path.split_at(path.len() - 64);
        let new = Digest::of(&members[at].contents).hex().to_owned();
        let size = members[at].contents.len();
        members[at].path = format!("{folder}{new}").into_bytes();
        for member in members.iter_mut() {
            if let Some(mut document) = member.json()
                && rename(&mut document, old, &new, size)
            {
                member.contents = document.to_string().into_bytes();
            }
        }
    }
}

/// Replaces a digest in a document, and the length that stands beside it.
fn rename(value: &mut Value, old: &str, new: &str, size: usize) -> bool {
    match value {
        Value::String(text) if text.contains(old) => {
            *text = text.replace(old, new);
            true
        }
        Value::Array(values) => values
            .iter_mut()
            .fold(false, |found, value| rename(value, old, new, size) | found),
        Value::Object(fields) => {
            let beside =
                matches!(fields.get("digest"), Some(Value::String(it)) if it.contains(old));
            if beside && fields.contains_key("size") {
                fields.insert("size".to_owned(), size.into());
            }
            fields
                .values_mut()
                .fold(false, |found, value| rename(value, old, new, size) | found)
        }
        _ => false,
    }
}

/// Returns the damaged variants of a document.
fn broken_json(document: &Value, text: &[u8]) -> Vec<Damaged> {
    let mut damaged: Vec<Damaged> = [0, 1, 2, 3]
        .map(|quarter| {
            let end = text.len() * quarter / 4;
            (format!("cut off after {end} bytes"), text[..end].to_vec())
        })
        .into();
    for whole in [
        "null",
        "[]",
        "{}",
        "0",
        "\"\"",
        "[{}]",
        "[null]",
        "{\"\":0}",
        "\u{feff}{}",
    ] {
        damaged.push((format!("nothing but {whole}"), whole.into()));
    }
    damaged.push(("not UTF-8".to_owned(), b"{\"\xff\xfe\": \"\xc3\"}".to_vec()));
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}0{}", open.repeat(DEPTH), close.repeat(DEPTH));
        damaged.push((format!("{DEPTH} levels of {open}"), deep.into()));
    }
    let mut pointers = Vec::new();
    point(document, String::new(), &mut pointers);
    let step = pointers.len().div_ceil(VALUES).max(1);
    for pointer in pointers.iter().step_by(step) {
        for (what, value) in hostile_values(document.pointer(pointer)) {
            let mut document = document.clone();
            if let Some(place) = document.pointer_mut(pointer) {
                *place = value;
            }
            damaged.push((format!("{pointer} is {what}"), document.to_string().into()));
        }
        let mut document = document.clone();
        if let Some((above, key)) = pointer.rsplit_once('/')
            && let Some(fields) = document.pointer_mut(above).and_then(Value::as_object_mut)
            && fields.remove(&unescaped(key)).is_some()
        {
            damaged.push((format!("{pointer} is missing"), document.to_string().into()));
        }
    }
    damaged
}

/// Collects the places of all values in a document.
fn point(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::Array(values) => {
            for (number, value) in values.iter().enumerate().take(3) {
                point(value, format!("{at}/{number}"), pointers);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                point(value, format!("{at}/{key}"), pointers);
            }
        }
        _ => {}
    }
    pointers.push(at);
}

fn unescaped(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

fn hostile_values(value: Option<&Value>) -> Vec<(String, Value)> {
    let mut values: Vec<(String, Value)> = vec![
        ("null".to_owned(), Value::Null),
        ("-1".to_owned(), (-1).into()),
        ("the largest number".to_owned(), u64::MAX.into()),
        (
            "a path that leads out".to_owned(),
            "../../../etc/passwd".into(),
        ),
        (
            "an escape sequence".to_owned(),
            "\u{1b}[2J\u{202e}\0\n".into(),
        ),
        ("a long text".to_owned(), "x".repeat(1 << 16).into()),
        ("an empty list".to_owned(), Value::Array(Vec::new())),
        (
            "an empty object".to_owned(),
            Value::Object(serde_json::Map::new()),
        ),
    ];
    if let Some(Value::Array(list)) = value
        && let Some(first) = list.first().filter(|first| first.to_string().len() < 1000)
    {
        values.push((
            format!("there {MANY} times"),
            vec![first.clone(); MANY].into(),
        ));
    }
    values
}

/// Changes the entries of an archive.
pub(super) fn broken_entries(archive: &Archive) -> Vec<Damaged> {
    let mut damaged = Vec::new();
    let mut put = |what: String, change: &dyn Fn(&mut Vec<Member>)| {
        let mut members = archive.members.clone();
        change(&mut members);
        damaged.push((what, tar_of(&members)));
    };
    let step = archive.members.len().div_ceil(ENTRIES).max(1);
    for (at, member) in archive.members.iter().enumerate().step_by(step) {
        let path = String::from_utf8_lossy(&member.path).into_owned();
        put(format!("without {path}"), &|members| {
            members.remove(at);
        });
        put(format!("{path} twice, the second one empty"), &|members| {
            members.push(Member::file(&path, ""));
        });
        put(format!("{path} as a directory"), &|members| {
            members[at].kind = EntryType::Directory;
            members[at].contents.clear();
        });
        for (what, target) in [
            ("a link to itself", path.as_str()),
            ("a link that leads out", "../../../etc/passwd"),
            ("a link to nothing", "nothing"),
        ] {
            for kind in [EntryType::Symlink, EntryType::Link] {
                put(format!("{path} as {what} ({kind:?})"), &|members| {
                    members[at].kind = kind;
                    members[at].target = target.into();
                    members[at].contents.clear();
                });
            }
        }
        let long = "d/".repeat(2000);
        for (what, name) in [
            (
                "a path that leads out",
                format!("../../{path}").into_bytes(),
            ),
            ("an absolute path", format!("/{path}").into_bytes()),
            (
                "an escape sequence in its path",
                format!("\u{1b}[2J\u{202e}{path}").into_bytes(),
            ),
            (
                "a path of 4,000 bytes",
                format!("{long}{path}").into_bytes(),
            ),
            ("a path that is not UTF-8", b"\xff\xfe/\xc3".to_vec()),
        ] {
            put(format!("{path} with {what}"), &|members| {
                members[at].path.clone_from(&name);
            });
        }
        put(format!("{path} empty"), &|members| {
            members[at].contents.clear();
        });
        put(format!("{path} full of zeros"), &|members| {
            members[at].contents.fill(0);
        });
    }
    put(format!("with {MANY} more entries"), &|members| {
        members.extend((0..MANY).map(|number| Member::file(&format!("more/{number}"), "")));
    });
    let mut bytes = archive.bytes();
    if let Some(size) = bytes.get_mut(124..136) {
        size.copy_from_slice(b"77777777777\0");
        let sum: u32 = (0..512)
            .map(|at| {
                if (148..156).contains(&at) {
                    32
                } else {
                    u32::from(bytes[at])
                }
            })
            .sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    damaged.push(("the first entry said to have 8 GiB".to_owned(), bytes));
    damaged
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::archives;
    use super::*;

    #[test]
    fn digests_are_made_good_up_to_the_index() {
        let mut archive = archives::golden().remove(5);
        let config = archive
            .members
            .iter()
            .position(|member| member.json().is_some_and(|it| it.get("rootfs").is_some()))
            .unwrap();
        let before = archive.members.clone();
        archive.members[config].contents = b"{}".to_vec();
        rehash(&mut archive.members);
        for member in &archive.members {
            let path = String::from_utf8_lossy(&member.path);
            if let Some(name) = path.strip_prefix("blobs/sha256/") {
                assert_eq!(Digest::of(&member.contents).hex(), name);
            }
        }
        let index = |members: &[Member]| {
            let found = members.iter().find(|member| member.path == b"index.json");
            found.unwrap().contents.clone()
        };
        assert_ne!(index(&before), index(&archive.members));
    }

    #[test]
    fn every_kind_of_damage_leaves_other_bytes() {
        let archive = archives::golden().remove(1);
        let whole = archive.bytes();
        for damage in [broken_bytes, broken_documents, broken_entries] {
            let damaged = damage(&archive);
            assert!(damaged.len() > 50);
            let same = damaged.iter().filter(|(_, bytes)| *bytes == whole).count();
            assert!(same <= damaged.len() / 10, "{same} of {}", damaged.len());
        }
    }
}
