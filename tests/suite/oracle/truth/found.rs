//! Images that others made, compared with what umoci unpacks.
//!
//! `MSB_TRUTH_IMAGE` names an archive to compare beside them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::compare::compare_with_umoci;
use super::oracle::Layout;
use crate::env::TestEnv;
use crate::tests;
use crate::tools::fixtures;

tests! {
    images_that_others_made needs Root, Fixtures, Skopeo, Umoci;
}

fn images_that_others_made() {
    let folder = fixtures().unwrap().join("images");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let compared: usize = files.iter().map(|file| compare_found(file)).sum();
    assert!(compared >= 15, "{compared} images compared");
    if let Some(image) = std::env::var_os("MSB_TRUTH_IMAGE") {
        assert_eq!(compare_found(Path::new(&image)), 1, "MSB_TRUTH_IMAGE");
    }
}

/// Compares each image of an archive that msb loads with what umoci unpacks; says how many.
fn compare_found(archive: &Path) -> usize {
    let path = archive.display();
    let env = TestEnv::new();
    let Some(platform) = ["amd64", "arm64"].into_iter().find(|platform| {
        let load = format!("load --platform linux/{platform} -i {path}");
        env.msb(&load).code == Some(0)
    }) else {
        return 0;
    };
    let images = env.json("images --format json");
    let digests = images.as_array().unwrap().iter().map(|row| &row["digest"]);
    let digests: BTreeSet<&str> = digests.map(|digest| digest.as_str().unwrap()).collect();
    for digest in &digests {
        let original = ["docker-archive", "oci-archive"]
            .iter()
            .find_map(|transport| Layout::copy(transport, archive, platform));
        // skopeo does not read each form that engines have, nor archives of several images.
        let layout = original.unwrap_or_else(|| {
            env.msb(&format!("save --format docker -o saved.tar {digest}"))
                .success();
            Layout::copy("docker-archive", &env.path("saved.tar"), platform).unwrap()
        });
        compare_with_umoci(&env, digest, &layout, &format!("{path}, {digest}"));
    }
    digests.len()
}
