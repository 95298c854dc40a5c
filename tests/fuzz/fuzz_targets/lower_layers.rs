//! Two tars, one layer over the other. The upper one is a sound image that gives its tar back; it
//! is the one that it would be over any layers, unless something in it depends on them.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use msb_fuzz::{layer, mutate};
use msb_host::layer::LowerLayers;

fuzz_target!(|data: &[u8]| {
    let Some((cut, tars)) = data.split_first() else {
        return;
    };
    let cut = (usize::from(*cut) * 512).min(tars.len());
    let (below, above) = tars.split_at(cut);
    let mut lower = LowerLayers::default();
    for tar in [below, above] {
        let Ok(plain) = layer::converted(tar) else {
            return;
        };
        let Ok(over) = layer::converted_over(tar, &lower) else {
            // Only a hard link can lead to nothing, or to a directory.
            let links = msb_host::layer::Dependence::LINKS;
            assert!(plain.dependence.contains(links), "{plain:?}");
            return;
        };
        assert_eq!(plain.dependence, over.dependence);
        layer::check_image(&over);
        let (rebuilt, bytes) =
            layer::rebuilt(&over.erofs, &over.recipe).expect("what was converted can be rebuilt");
        assert_eq!(rebuilt.digest, over.diff_id);
        assert!(bytes.len() as u64 == over.tar_size);
        match over.chain {
            None => layer::check_same(&plain, &over),
            Some(_) => assert!(
                lower.change(over.dependence).expect("memory is readable"),
                "{over:?}"
            ),
        }
        lower.push(move || over.erofs.try_clone());
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    mutate::tar(data, size, max, seed, 1)
});
