//! Sparse files in their four forms.

use super::*;

/// Returns the size, the regions and the data of every entry.
fn maps(bytes: &[u8]) -> Result<Vec<String>, TarError> {
    read_with(bytes, |entry, payload| {
        let path = entry.path.escape_ascii();
        let data = payload.escape_ascii();
        let Some(map) = &entry.sparse else {
            return format!("{path} {data}");
        };
        let regions: Vec<String> = map
            .regions
            .iter()
            .map(|region| format!("{}+{}", region.offset, region.length))
            .collect();
        format!("{path} {} [{}] {data}", map.length, regions.join(" "))
    })
}

#[track_caller]
fn assert_maps(bytes: &[u8], expected: &[&str]) {
    assert_eq!(maps(bytes).unwrap(), expected);
}

/// Returns an old GNU archive of one file, with these regions and bytes of data.
fn old_gnu(regions: &[(u64, u64)], length: u64, data: &str) -> Vec<u8> {
    let pair = |(offset, length): &(u64, u64)| format!("{offset:011o}\0{length:011o}\0");
    let mut archive = unended(&format!("entry S a magic=gnu data={data}\nfile b"));
    let (here, behind) = regions.split_at(regions.len().min(4));
    for (place, region) in here.iter().enumerate() {
        archive[386 + 24 * place..][..24].copy_from_slice(pair(region).as_bytes());
    }
    archive[482] = u8::from(!behind.is_empty());
    archive[483..495].copy_from_slice(format!("{length:011o}\0").as_bytes());
    crate::tar::fixture::sign(&mut archive[..512]);
    let mut at = 512;
    let blocks: Vec<_> = behind.chunks(21).collect();
    for (number, regions) in blocks.iter().enumerate() {
        let mut block = [0; 512];
        for (place, region) in regions.iter().enumerate() {
            block[24 * place..][..24].copy_from_slice(pair(region).as_bytes());
        }
        block[504] = u8::from(number + 1 < blocks.len());
        archive.splice(at..at, block);
        at += 512;
    }
    archive
}

#[test]
fn an_old_gnu_map_is_in_the_header() {
    let archive = old_gnu(&[(0, 2), (100, 3), (200, 0)], 200, "abcde");
    assert_maps(&archive, &["a 200 [0+2 100+3 200+0] abcde", "b "]);
}

#[test]
fn a_long_old_gnu_map_goes_on_behind_the_header() {
    let regions: Vec<(u64, u64)> = (0..60).map(|place| (place * 10, 1)).collect();
    let archive = old_gnu(&regions, 600, &"x".repeat(60));
    let lines = maps(&archive).unwrap();
    assert!(lines[0].starts_with("a 600 [0+1 10+1 20+1"), "{}", lines[0]);
    assert!(lines[0].ends_with(&format!("590+1] {}", "x".repeat(60))));
    assert_eq!(lines[1], "b ");
}

#[test]
fn maps_of_the_first_two_pax_forms_are_in_the_records() {
    let archive = tar(
        "file a data=abcde pax.GNU.sparse.size=200 pax.GNU.sparse.numblocks=2 \
           pax.GNU.sparse.offset=0 pax.GNU.sparse.numbytes=2 \
           pax.GNU.sparse.offset=100 pax.GNU.sparse.numbytes=3\n\
         file x data=abcde pax.GNU.sparse.size=200 pax.GNU.sparse.name=b \
           pax.GNU.sparse.map=0,2,100,3\n\
         file c pax.GNU.sparse.size=200 pax.GNU.sparse.numblocks=0",
    );
    assert_maps(
        &archive,
        &[
            "a 200 [0+2 100+3] abcde",
            "b 200 [0+2 100+3] abcde",
            "c 200 [] ",
        ],
    );
}

#[test]
fn the_map_of_the_third_pax_form_is_in_the_data() {
    let map = |text: &str, data: &str| {
        let zeros = "\\0".repeat(512 - text.replace("\\n", "n").len());
        tar(&format!(
            "file x/a.0 data={text}{zeros}{data} pax.GNU.sparse.major=1 pax.GNU.sparse.minor=0 \
             pax.GNU.sparse.name=x/a pax.GNU.sparse.realsize=200\nfile b"
        ))
    };
    let archive = map("2\\n0\\n2\\n100\\n3\\n", "abcde");
    assert_maps(&archive, &["x/a 200 [0+2 100+3] abcde", "b "]);
    assert_maps(&map("0\\n", ""), &["x/a 200 [] ", "b "]);
    for text in ["2\\n0\\n2\\n100\\n", "\\n", "x\\n", "99999999\\n", "-1\\n"] {
        let error = maps(&map(text, "abcde")).unwrap_err().to_string();
        assert!(error.contains("GNU.sparse"), "{error}");
    }
}

#[test]
fn regions_that_do_not_fit_the_file_are_refused() {
    for (regions, length, reason) in [
        (&[(0, 5), (3, 0)][..], 200, "overlap"),
        (&[(100, 3), (0, 2)], 200, "not in order"),
        (&[(198, 5)], 200, "too far"),
        (&[(0, 4)], 200, "too few bytes"),
        (&[(0, 6)], 200, "too many bytes"),
        (&[(0o77_777_777_777, 5)], 200, "far away"),
    ] {
        let error = maps(&old_gnu(regions, length, "abcde")).unwrap_err();
        assert!(
            error.to_string().contains("do not fit"),
            "{reason}: {error}"
        );
    }
}

#[test]
fn a_map_without_the_size_of_the_file_is_refused() {
    assert_refused(
        &tar("file a data=x pax.GNU.sparse.map=0,1"),
        "how large the file is",
    );
}

#[test]
fn maps_that_are_no_numbers_are_refused() {
    for map in ["0", "0,1,2", "a,1", "0,,1", "-1,1"] {
        let archive = tar(&format!(
            "file a data=x pax.GNU.sparse.size=9 pax.GNU.sparse.map={map}"
        ));
        assert_refused(&archive, "GNU.sparse");
    }
    assert_refused(
        &tar("file a data=x pax.GNU.sparse.size=9 pax.GNU.sparse.numbytes=1"),
        "alternate",
    );
}
