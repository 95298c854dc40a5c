//! Mutations of tar archives: bytes, fields or whole members are changed, then every header gets
//! the right checksum again, without which nothing behind it would be looked at.

const BLOCK: usize = 512;
/// Types of entries, with those that few writers know.
const FLAGS: &[u8] = b"00000123456755LKxgS7XVMDAZ\0";
/// Names that meet each other.
const NAMES: &[&[u8]] = &[
    b"a",
    b"a/b",
    b"a/b/c",
    b"d",
    b"d/e",
    b"./a",
    b"../a",
    b"/a",
    b"a/",
    b"a//b",
    b"a/../d",
    b".",
    b"",
    b"/",
    b".wh.a",
    b"a/.wh.b",
    b".wh..wh..opq",
    b"a/.wh..wh..opq",
    b".wh..wh.plnk",
    b".wh..wh.plnk/1",
    b".wh.",
    b"d/.wh.e",
    b"..",
    b"a/..",
    b"d/e/f/g",
    b"/d/e",
    b"l",
    b"l/x",
];

/// Changes the first `size` bytes of `data`, of which the first `prefix` are not part of the tar.
/// Returns how many there are now, at most `max`.
pub fn tar(data: &mut [u8], size: usize, max: usize, seed: u32, prefix: usize) -> usize {
    let mut random = Random(u64::from(seed) | 1 << 40);
    let max = max.min(data.len());
    let mut size = size.min(max);
    for _ in 0..=random.below(3) {
        size = if size < prefix + BLOCK || random.below(3) == 0 {
            libfuzzer_sys::fuzzer_mutate(data, size, max)
        } else {
            members(data, size, max, prefix, &mut random)
        };
    }
    // Some checksums stay wrong, so that this is tried, too.
    if size > prefix && random.below(50) != 0 {
        for start in headers(&data[prefix..size]) {
            sign(&mut data[prefix + start..prefix + start + BLOCK]);
        }
    }
    size
}

/// Changes a field of a header, or takes, doubles or moves members.
fn members(data: &mut [u8], size: usize, max: usize, prefix: usize, random: &mut Random) -> usize {
    let starts = headers(&data[prefix..size]);
    if starts.is_empty() {
        return libfuzzer_sys::fuzzer_mutate(data, size, max);
    }
    let pick = random.below(starts.len());
    let start = prefix + starts[pick];
    let end = starts.get(pick + 1).map_or(size, |next| prefix + next);
    let header = &mut data[start..start + BLOCK];
    match random.below(9) {
        0 => header[156] = *random.of(FLAGS),
        1 | 2 => text(header, 0, random.name()),
        3 => text(header, 157, random.name()),
        4 => number(header, random),
        5 => {
            let field = *random.of(&[257, 263, 345, 386, 476, 482, 483, 500, 508]);
            header[field] = random.byte();
        }
        6 => {
            data.copy_within(end..size, start);
            return size - (end - start);
        }
        7 if size + (end - start) <= max => {
            data.copy_within(start..size, end);
            return size + (end - start);
        }
        _ => {
            // The member changes places with the one behind it.
            let next = starts.get(pick + 2).map_or(size, |next| prefix + next);
            if end < next {
                data[start..next].rotate_left(end - start);
            }
        }
    }
    size
}

fn text(header: &mut [u8], place: usize, name: &[u8]) {
    header[place..place + 100].fill(0);
    header[place..place + name.len()].copy_from_slice(name);
}

/// Sets a number of a header: octal, binary, or text that is none.
fn number(header: &mut [u8], random: &mut Random) {
    let (place, width) = *random.of(&[
        (100, 8),
        (108, 8),
        (116, 8),
        (124, 12),
        (124, 12),
        (136, 12),
        (329, 8),
        (337, 8),
        (483, 12),
    ]);
    let field = &mut header[place..place + width];
    let value = *random.of(&[0, 1, 7, 511, 512, 513, 1024, 1 << 20, 1 << 21, 1 << 32]);
    match random.below(4) {
        0 | 1 => {
            let digits = format!("{value:0width$o}", width = width - 1);
            field.fill(0);
            field[..digits.len().min(width)]
                .copy_from_slice(&digits.as_bytes()[..digits.len().min(width)]);
        }
        2 => {
            field.fill(*random.of(&[0, 0xff]));
            field[0] |= 0x80;
            field[width - 8..].copy_from_slice(&u64::to_be_bytes(value)[..]);
            field[0] |= 0x80;
        }
        _ => field[random.below(width)] = random.byte(),
    }
}

/// Returns where the headers of a tar are, as far as sizes in them can be believed.
fn headers(archive: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut start = 0;
    while let Some(block) = archive.get(start..start + BLOCK) {
        if block.iter().any(|byte| *byte != 0) {
            starts.push(start);
            let has_data = matches!(
                block[156],
                b'0' | 0 | b'7' | b'L' | b'K' | b'x' | b'g' | b'S'
            );
            start += if has_data { size(block) } else { 0 };
        }
        start += BLOCK;
    }
    starts
}

/// Returns the length of a payload with its padding, 0 if the field is not a small octal number.
fn size(block: &[u8]) -> usize {
    let text = block[124..136].split(|byte| matches!(byte, 0 | b' '));
    text.into_iter()
        .find(|text| !text.is_empty())
        .and_then(|text| std::str::from_utf8(text).ok())
        .and_then(|text| usize::from_str_radix(text, 8).ok())
        .filter(|size| *size < 1 << 20)
        .map_or(0, |size| size.next_multiple_of(BLOCK))
}

fn sign(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next()).unwrap_or_default() % end.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn name(&mut self) -> &'static [u8] {
        NAMES[self.below(NAMES.len())]
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}
