//! Changes to bytes, as an input describes them: records of eight bytes.

/// Bytes of a record.
pub const RECORD: usize = 8;

/// Changes bytes: at a place of sixteen bits times a step, a number of one to eight bytes is set
/// to, or moved by, another number. Records that lead outside are skipped.
///
/// | bytes | what |
/// |---|---|
/// | 0 | low 3 bits: how many bytes the number has, less one; bit 3: moved, not set; bits 4 and 5: which region |
/// | 1 | not used |
/// | 2, 3 | place in the region |
/// | 4 to 7 | number, with its sign |
///
/// `regions` are the first bytes and the lengths of the parts that records count from.
pub fn apply(target: &mut [u8], records: &[u8], regions: &[(usize, usize)]) {
    let (records, _) = records.as_chunks::<RECORD>();
    for [how, _, low, high, number @ ..] in records {
        let Some((start, length)) = regions.get(usize::from(how >> 4 & 3) % regions.len().max(1))
        else {
            return;
        };
        let place = usize::from(u16::from_le_bytes([*low, *high])) % (*length).max(1);
        let width = usize::from(how & 7) + 1;
        let Some(bytes) = target.get_mut(start + place..start + place + width) else {
            continue;
        };
        let mut value = i64::from(i32::from_le_bytes(*number));
        if how & 8 != 0 {
            let mut before = [0; 8];
            before[..width].copy_from_slice(bytes);
            value = value.wrapping_add(i64::from_le_bytes(before));
        }
        bytes.copy_from_slice(&value.to_le_bytes()[..width]);
    }
}
