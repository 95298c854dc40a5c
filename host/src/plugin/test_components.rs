//! Components that are written byte by byte, for tests.

/// Returns a section of a module or a component.
pub(super) fn section(id: u8, contents: &[u8]) -> Vec<u8> {
    [&[id], &length(contents.len())[..], contents].concat()
}

/// Returns a number in LEB128.
pub(super) fn length(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        bytes.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return bytes;
        }
    }
}

/// Returns a module of functions from a number to a number, all with this body.
pub(super) fn module(functions: usize, body: &[u8]) -> Vec<u8> {
    let body = [length(body.len()), body.to_vec()].concat();
    let count = length(functions);
    let sections = [
        section(1, &[1, 0x60, 1, 0x7f, 1, 0x7f]),
        section(3, &[count.clone(), vec![0; functions]].concat()),
        section(10, &[count, body.repeat(functions)].concat()),
    ];
    [&b"\0asm\x01\0\0\0"[..], &sections.concat()].concat()
}

/// Returns a component with these sections.
pub(super) fn component_of(sections: &[u8]) -> Vec<u8> {
    [&b"\0asm\x0d\0\x01\0"[..], sections].concat()
}

/// Returns a body of loops within one another, in each of which all of as many variables are changed:
/// what a compiler keeps of it grows with the square.
pub(super) fn loops(depth: usize) -> Vec<u8> {
    let mut body = [vec![1], length(depth), vec![0x7f]].concat();
    for number in 0..depth {
        body.extend([0x03, 0x40]);
        for step in 0..depth {
            // local.get, i32.const 1, i32.add, local.set
            let local = length(1 + (number + step) % depth);
            body.extend([&[0x20][..], &local, &[0x41, 1, 0x6a, 0x21], &local].concat());
        }
    }
    for _ in 0..depth {
        // local.get 0, br_if 0, end
        body.extend([0x20, 0, 0x0d, 0, 0x0b]);
    }
    body.extend([0x20, 0, 0x0b]);
    body
}
