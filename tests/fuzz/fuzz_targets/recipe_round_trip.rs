//! What is accepted as a layer, compressed or not, comes back byte for byte; and a damaged recipe
//! or image gives an error or other bytes, but no panic and no end of output.
#![no_main]

use std::io::Read as _;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use msb_fuzz::seeds::{ROUND_TRIP_PREFIX, gzip};
use msb_fuzz::{edits, layer, mutate};
use msb_host::digest::Digest;

fuzz_target!(|data: &[u8]| {
    let Some((prefix, tar)) = data.split_at_checked(ROUND_TRIP_PREFIX) else {
        return;
    };
    let (how, records) = (prefix[0], &prefix[1..]);
    let packed = match how & 3 {
        0 => None,
        1 => Some(gzip(tar).expect("memory is writable")),
        2 => Some(zstd::encode_all(tar, 1).expect("memory is writable")),
        _ => {
            // Two members or frames, one behind the other.
            let (first, second) = tar.split_at(tar.len() / 2);
            let halves = [first, second].map(|half| match how & 4 {
                0 => gzip(half).expect("memory is writable"),
                _ => zstd::encode_all(half, 1).expect("memory is writable"),
            });
            Some(halves.concat())
        }
    };
    let Ok(converted) = layer::converted(packed.as_deref().unwrap_or(tar)) else {
        return;
    };
    let (rebuilt, bytes) = layer::rebuilt(&converted.erofs, &converted.recipe)
        .expect("what was converted can be rebuilt");
    // A tar that begins like something compressed was decompressed.
    if packed.is_some() || converted.compression == msb_host::blob::Compression::None {
        assert!(bytes == tar, "the rebuilt tar is another");
    }
    assert_eq!(rebuilt.digest, converted.diff_id);
    assert_eq!(rebuilt.digest, Digest::of(&bytes));
    assert_eq!(rebuilt.bytes, converted.tar_size);

    let mut recipe = Vec::new();
    zstd::Decoder::new(layer::bytes_of(&converted.recipe).as_slice())
        .and_then(|mut decoder| decoder.read_to_end(&mut recipe))
        .expect("a recipe is compressed");
    let whole = [(0, recipe.len()), (17, 64), (recipe.len() - 26, 26)];
    edits::apply(&mut recipe, records, &whole);
    let recipe = zstd::encode_all(recipe.as_slice(), 1).expect("memory is writable");
    if let Ok((rebuilt, bytes)) = layer::rebuilt(&converted.erofs, &layer::memory_file_of(&recipe))
    {
        assert_eq!(rebuilt.digest, Digest::of(&bytes));
    }
    let mut recipe = layer::bytes_of(&converted.recipe);
    let whole = [(0, recipe.len())];
    edits::apply(&mut recipe, records, &whole);
    let _ = layer::rebuilt(&converted.erofs, &layer::memory_file_of(&recipe));
    let short = converted.erofs_size / 4096 / 2 * 4096;
    converted.erofs.set_len(short).expect("memory is writable");
    let _ = layer::rebuilt(&converted.erofs, &converted.recipe);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    mutate::tar(data, size, max, seed, ROUND_TRIP_PREFIX)
});
