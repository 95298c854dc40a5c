//! Archives for tests, written as text: a line for each entry.
//!
//! ```text
//! file usr/a data=hello mode=600 uid=7 gid=8 mtime=5
//! dir usr
//! symlink bin -> usr/bin
//! link b -> usr/a
//! char dev/null 1:3
//! block dev/sda 8:0
//! fifo pipe
//! entry Z name data=text
//! ```
//!
//! More words of any entry: `fill=N` for that many bytes of data, `size=N` for another number in
//! the size field, `major=` and `minor=`, `magic=gnu`, `magic=v7` or `magic=star`, and
//! `pax.KEY=VALUE` for a record of an extended header in front of it. Lines of another kind:
//! `pax KEY=VALUE …` and `global KEY=VALUE …` for extended headers of their own, `longpath TEXT`
//! and `longlink TEXT` for GNU's, `text TEXT` and `zeros N` for bytes as they are. In all texts,
//! `\n`, `\s`, `\0` and `\xNN` stand for bytes that a word cannot have.

/// Returns the archive that a text describes, with two blocks of zeros at its end.
pub(crate) fn tar(text: &str) -> Vec<u8> {
    let mut archive = unended(text);
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// Returns the archive that a text describes, which simply stops.
pub(crate) fn unended(text: &str) -> Vec<u8> {
    let mut archive = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        add_line(&mut archive, line);
    }
    archive
}

/// Returns a record of an extended header.
pub(crate) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let digits = |length: usize| length.to_string().len();
    let mut length = rest + digits(rest);
    length = rest + digits(length);
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// One header and what follows it.
struct Member {
    flag: u8,
    path: Vec<u8>,
    link: Vec<u8>,
    data: Vec<u8>,
    size: Option<u64>,
    mode: u32,
    uid: u64,
    gid: u64,
    mtime: u64,
    device: Option<(u32, u32)>,
    magic: &'static str,
    records: Vec<u8>,
}

impl Member {
    fn new(flag: u8, path: &[u8]) -> Self {
        Self {
            flag,
            path: path.into(),
            link: Vec::new(),
            data: Vec::new(),
            size: None,
            mode: match flag {
                b'5' => 0o755,
                b'2' => 0o777,
                _ => 0o644,
            },
            uid: 0,
            gid: 0,
            mtime: 0,
            device: None,
            magic: "ustar",
            records: Vec::new(),
        }
    }

    fn word(&mut self, word: &str) {
        let (key, value) = word.split_once('=').unwrap_or_else(|| panic!("{word}"));
        match key {
            "data" => self.data = unescaped(value),
            "fill" => self.data = fill(value.parse().unwrap()),
            "size" => self.size = Some(value.parse().unwrap()),
            "mode" => self.mode = u32::from_str_radix(value, 8).unwrap(),
            "uid" => self.uid = value.parse().unwrap(),
            "gid" => self.gid = value.parse().unwrap(),
            "mtime" => self.mtime = value.parse().unwrap(),
            "major" => self.device.get_or_insert_default().0 = value.parse().unwrap(),
            "minor" => self.device.get_or_insert_default().1 = value.parse().unwrap(),
            "magic" => {
                let known = ["ustar", "gnu", "v7", "star"];
                self.magic = known.into_iter().find(|name| *name == value).unwrap();
            }
            _ => {
                let key = key.strip_prefix("pax.").unwrap_or_else(|| panic!("{word}"));
                self.records
                    .extend(record(&unescaped(key), &unescaped(value)));
            }
        }
    }

    fn write(mut self, archive: &mut Vec<u8>) {
        if self.path.len() > 100 {
            self.records.extend(record(b"path", &self.path));
            self.path.truncate(100);
        }
        if self.link.len() > 100 {
            self.records.extend(record(b"linkpath", &self.link));
            self.link.truncate(100);
        }
        if !self.records.is_empty() {
            let mut header = Self::new(b'x', b"PaxHeaders/x");
            header.data = std::mem::take(&mut self.records);
            header.write(archive);
        }
        archive.extend(self.header());
        archive.extend(&self.data);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }

    fn header(&self) -> [u8; 512] {
        let mut block = [0; 512];
        let mut put = |offset: usize, bytes: &[u8]| {
            block[offset..offset + bytes.len()].copy_from_slice(bytes);
        };
        let octal = |value: u64, width: usize| format!("{value:0width$o}").into_bytes();
        put(0, &self.path);
        put(100, &octal(self.mode.into(), 7));
        put(108, &number(self.uid));
        put(116, &number(self.gid));
        put(124, &octal(self.size.unwrap_or(self.data.len() as u64), 11));
        put(136, &octal(self.mtime, 11));
        put(148, b"        ");
        put(156, &[self.flag]);
        put(157, &self.link);
        match self.magic {
            "ustar" => put(257, b"ustar\x0000"),
            "gnu" => put(257, b"ustar  \0"),
            "star" => {
                put(257, b"ustar\x0000");
                put(508, b"tar\0");
            }
            _ => {}
        }
        if let Some((major, minor)) = self.device {
            put(329, &octal(major.into(), 7));
            put(337, &octal(minor.into(), 7));
        }
        sign(&mut block);
        block
    }
}

/// Sets the checksum of a header.
pub(crate) fn sign(block: &mut [u8]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block[..512].iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Returns bytes that look like nothing in particular and never twice the same.
pub(crate) fn fill(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn add_line(archive: &mut Vec<u8>, line: &str) {
    let mut words = line.split_whitespace();
    let kind = words.next().unwrap();
    let flag = match kind {
        "file" => b'0',
        "link" => b'1',
        "symlink" => b'2',
        "char" => b'3',
        "block" => b'4',
        "dir" => b'5',
        "fifo" => b'6',
        "entry" => words.next().unwrap().as_bytes()[0],
        "pax" | "global" => {
            let mut header = Member::new(kind.as_bytes()[0], b"PaxHeaders/x");
            header.flag = if kind == "pax" { b'x' } else { b'g' };
            for word in words {
                let (key, value) = word.split_once('=').unwrap();
                header
                    .data
                    .extend(record(&unescaped(key), &unescaped(value)));
            }
            return header.write(archive);
        }
        "longpath" | "longlink" => {
            let flag = if kind == "longpath" { b'L' } else { b'K' };
            let mut header = Member::new(flag, b"././@LongLink");
            header.magic = "gnu";
            header.data = unescaped(words.next().unwrap());
            return header.write(archive);
        }
        "text" => return archive.extend(unescaped(words.next().unwrap())),
        "zeros" => {
            let count: usize = words.next().unwrap().parse().unwrap();
            return archive.resize(archive.len() + count, 0);
        }
        _ => panic!("no such line: {line}"),
    };
    let mut member = Member::new(flag, &unescaped(words.next().unwrap()));
    if matches!(flag, b'1' | b'2') && line.contains(" -> ") {
        words.next().unwrap();
        member.link = unescaped(words.next().unwrap());
    }
    if let b'3' | b'4' = flag {
        let (major, minor) = words.next().unwrap().split_once(':').unwrap();
        member.device = Some((major.parse().unwrap(), minor.parse().unwrap()));
    }
    for word in words {
        member.word(word);
    }
    member.write(archive);
}

/// Returns a number of eight bytes: octal, or binary if it needs more.
fn number(value: u64) -> Vec<u8> {
    if value < 1 << 21 {
        return format!("{value:07o}").into_bytes();
    }
    let mut bytes = value.to_be_bytes();
    bytes[0] = 0x80;
    bytes.into()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next().unwrap() {
            b'n' => b'\n',
            b's' => b' ',
            b'0' => 0,
            b'x' => {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    bytes
}
