//! The tar recipe and what is rebuilt from it.

use std::io::Write as _;

use super::*;
use crate::tar::fixture::sign;

fn assert_round_trip(archive: &[u8]) {
    convert_tar(archive).unwrap();
}

/// Rebuilds from other bytes of a recipe or an image.
fn rebuild_from(erofs: &[u8], recipe: &[u8]) -> Result<Vec<u8>, LayerError> {
    let file = |bytes: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    };
    let mut archive = Vec::new();
    rebuild(
        &file(erofs),
        &file(recipe),
        Algorithm::Sha256,
        &mut archive,
        &Cancel::default(),
    )?;
    Ok(archive)
}

/// Compresses the records of a recipe.
fn recipe_of(records: &[u8]) -> Vec<u8> {
    let records = [super::super::recipe::MAGIC, records].concat();
    zstd::encode_all(&*records, 3).unwrap()
}

fn record(kind: u8, numbers: &[u64]) -> Vec<u8> {
    let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
    std::iter::once(kind).chain(numbers).collect()
}

#[test]
fn odd_bytes_of_an_archive_come_back() {
    let mut odd = tar("file a data=hello\nfile b data=x\nzeros 0");
    // Padding that is not zeros, a header with bytes behind its fields, no owner names.
    odd[512 + 5..1024].copy_from_slice(&fill(507));
    odd[500..512].copy_from_slice(b"hidden bytes");
    sign(&mut odd[..512]);
    assert_round_trip(&odd);
    for rest in [tar("file c data=second"), fill(5000), vec![0; 20_000]] {
        assert_round_trip(&[&*odd, &rest].concat());
    }
}

#[test]
fn archives_that_end_early_come_back() {
    let archive = unended("file a data=hello");
    for length in [517, 600, 1024] {
        assert_round_trip(&archive[..length]);
    }
    assert_round_trip(&unended("file a\nzeros 1"));
    assert_round_trip(&unended("file a\nzeros 512"));
    assert_round_trip(&unended("file a\nzeros 700"));
}

#[test]
fn bodies_that_no_file_has_come_back() {
    assert_round_trip(&tar(
        "file .wh.a fill=1500000\ndir d fill=3000\nlink l -> a fill=700\nfile a data=x\n\
         entry Z z fill=100\nfile .wh..wh.aufs data=y\nglobal comment=words\nlongpath long\nfile s",
    ));
}

#[test]
fn files_of_every_size_around_a_block_come_back() {
    let sizes = [0, 1, 511, 512, 513, 4095, 4096, 4097, 524_288, 1_048_577];
    let lines: Vec<String> = sizes.map(|size| format!("file f{size} fill={size}")).into();
    let layer = convert_tar(&tar(&lines.join("\n"))).unwrap();
    for size in sizes.into_iter().filter(|size| *size > 100) {
        let line = format!("file f{size} = {}", shown(&fill(size)));
        assert!(layer.list().contains(&line), "{line}");
    }
}

#[test]
fn a_recipe_is_small() {
    let lines: Vec<String> = (0..2000)
        .map(|number| {
            format!("file usr/share/doc/package/file-{number} data={number} mtime={number}")
        })
        .collect();
    let layer = convert_tar(&tar(&lines.join("\n"))).unwrap();
    assert!(
        layer.converted.recipe_size < 2000 * 40,
        "{}",
        layer.converted.recipe_size
    );
}

#[test]
fn a_changed_image_shows_in_the_digest() {
    let layer = convert_tar(&tar("file a data=hello")).unwrap();
    let mut image = bytes_of(&layer.converted.erofs);
    let place = image
        .windows(5)
        .position(|bytes| bytes == b"hello")
        .unwrap();
    image[place] ^= 1;
    let archive = rebuild_from(&image, &bytes_of(&layer.converted.recipe)).unwrap();
    assert_ne!(Digest::of(&archive), layer.converted.diff_id);
}

#[test]
fn damaged_recipes_are_refused() {
    let layer = convert_tar(&tar("file a data=hello\nfile b fill=9000\nfile a")).unwrap();
    let image = bytes_of(&layer.converted.erofs);
    let recipe = bytes_of(&layer.converted.recipe);
    for length in 0..recipe.len() {
        let error = rebuild_from(&image, &recipe[..length]).unwrap_err();
        assert!(
            matches!(error, LayerError::DamagedRecipe(_)),
            "{length}: {error}"
        );
    }
    for place in 0..recipe.len() {
        let mut damaged = recipe.clone();
        damaged[place] ^= 1 << (place % 8);
        // A bit of the frame's header may mean nothing, but then nothing changes either.
        if let Ok(archive) = rebuild_from(&image, &damaged) {
            assert_eq!(Digest::of(&archive), layer.converted.diff_id, "{place}");
        }
    }
    let behind = [&recipe[..], &recipe].concat();
    assert!(rebuild_from(&image, &behind).is_err());
    let error = rebuild_from(&image[..5000], &recipe).unwrap_err();
    assert!(
        error.to_string().contains("past the end of the image"),
        "{error}"
    );
}

#[test]
fn recipes_that_lie_are_refused() {
    let image = vec![7; 10_000];
    let end = |size| record(2, &[size]);
    let data = |offset, length| record(1, &[offset, length]);
    let literal = |length: u32, bytes: &[u8]| [&[0][..], &length.to_le_bytes(), bytes].concat();
    let ok = [literal(2, b"ab"), data(100, 3), end(5)].concat();
    assert_eq!(
        rebuild_from(&image, &recipe_of(&ok)).unwrap(),
        b"ab\x07\x07\x07"
    );
    for (records, message) in [
        (end(1), "its length is another"),
        ([data(9_990, 20), end(20)].concat(), "past the end"),
        ([data(u64::MAX, u64::MAX), end(0)].concat(), "past the end"),
        ([data(u64::MAX - 5, 3), end(0)].concat(), "past the end"),
        (literal(u32::MAX, b"x"), "a literal is too long"),
        (literal(5, b"x"), "it ends too early"),
        (data(0, 5), "it ends too early"),
        (record(3, &[]), "unknown kind"),
        ([end(0), end(0)].concat(), "after its end"),
        (vec![], "it ends too early"),
    ] {
        let error = rebuild_from(&image, &recipe_of(&records)).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
    let error = rebuild_from(
        &image,
        &zstd::encode_all(&b"another kind of file"[..], 3).unwrap(),
    );
    assert!(error.unwrap_err().to_string().contains("does not begin"));
}

#[test]
fn an_output_that_fails_is_not_a_damaged_store() {
    struct Full;

    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let layer = convert_tar(&tar("file a data=hello")).unwrap();
    let Converted { erofs, recipe, .. } = &layer.converted;
    let error = rebuild(
        erofs,
        recipe,
        Algorithm::Sha256,
        &mut Full,
        &Cancel::default(),
    )
    .unwrap_err();
    assert!(error.is_output(), "{error}");
    let cancel = Cancel::default();
    cancel.cancel();
    let error = rebuild(erofs, recipe, Algorithm::Sha256, &mut Vec::new(), &cancel).unwrap_err();
    assert!(matches!(error, LayerError::Cancelled(_)));
}
