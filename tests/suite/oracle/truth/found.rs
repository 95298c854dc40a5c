//! Images that others made, compared with what umoci unpacks.
//!
//! `MSB_TRUTH_IMAGE` names archives to compare besides, separated by colons.

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
    let compared: usize = files.iter().map(|file| compare_found(file).len()).sum();
    assert!(compared >= 15, "{compared} images compared");
    let named = std::env::var_os("MSB_TRUTH_IMAGE").unwrap_or_default();
    for archive in std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()) {
        let inodes = compare_found(&archive);
        assert_eq!(inodes.len(), 1, "{}", archive.display());
        eprintln!(
            "{}: {} names are the same everywhere",
            archive.display(),
            inodes[0]
        );
    }
}

/// Compares each image of an archive that msb loads with what umoci unpacks; says how many names each has.
fn compare_found(archive: &Path) -> Vec<usize> {
    let path = archive.display();
    let env = TestEnv::new();
    let Some(platform) = ["amd64", "arm64"].into_iter().find(|platform| {
        let load = format!("load --platform linux/{platform} -i {path}");
        env.msb(&load).code == Some(0)
    }) else {
        return Vec::new();
    };
    let images = env.json("images --format json");
    let digests = images.as_array().unwrap().iter().map(|row| &row["digest"]);
    let digests: BTreeSet<&str> = digests.map(|digest| digest.as_str().unwrap()).collect();
    let compare = |digest: &&str| {
        let original = ["docker-archive", "oci-archive"]
            .iter()
            .find_map(|transport| Layout::copy(transport, archive, platform));
        // skopeo does not read each form that engines have, nor archives of several images.
        let layout = original.unwrap_or_else(|| {
            env.msb(&format!("save --format docker -o saved.tar {digest}"))
                .success();
            Layout::copy("docker-archive", &env.path("saved.tar"), platform).unwrap()
        });
        compare_with_umoci(&env, digest, &layout, &format!("{path}, {digest}")).len()
    };
    digests.iter().map(compare).collect()
}
