//! `image disk --verity`: a disk with a hash tree, and a bit of it that flips.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::merged::{LAYERS, flip, loaded};
use crate::tests;
use crate::tools::run;

tests! {
    veritysetup_accepts_a_disk_and_finds_a_flipped_bit needs Veritysetup;
    a_flipped_bit_under_dm_verity_is_an_io_error needs Root, Veritysetup;
}

fn veritysetup_accepts_a_disk_and_finds_a_flipped_bit() {
    let env = loaded(&LAYERS);
    for kind in ["raw", "erofs"] {
        let line = format!("image disk app:1 -q --type {kind} --verity --format json -o {kind}");
        let report = env.json(&line);
        let verity = &report["verity"];
        let offset = verity["hash_offset"].as_u64().unwrap();
        let path = env.path(kind);
        let check = || {
            Command::new("veritysetup")
                .args(["verify", &format!("--hash-offset={offset}")])
                .args([&path, &path])
                .arg(verity["root_hash"].as_str().unwrap())
                .output()
                .unwrap()
        };
        assert!(check().status.success(), "{:?}", check());
        assert_eq!(
            report["size_bytes"],
            std::fs::metadata(&path).unwrap().len()
        );
        let line = report["kernel_command_line"].as_str().unwrap();
        assert!(
            line.contains(verity["root_hash"].as_str().unwrap()),
            "{line}"
        );
        for place in [1024, offset / 2, offset + 4096 + 5] {
            flip(&path, place);
            assert!(!check().status.success(), "{kind} {place}");
            flip(&path, place);
        }
        assert!(check().status.success());
    }
    let printed = env
        .msb("image disk app:1 --type raw --verity -o again")
        .success();
    assert!(
        printed.stdout.contains("root hash:   "),
        "{}",
        printed.stdout
    );
    assert!(
        printed.stdout.contains("hash offset: "),
        "{}",
        printed.stdout
    );
}

/// Opens a device over a disk that proves its blocks. `None` where the kernel has no device mapper.
fn open_verity(disk: &Path, report: &Value, name: &str) -> Option<bool> {
    let has_mapper = Command::new("dmsetup")
        .arg("targets")
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("verity"));
    if !has_mapper {
        return None;
    }
    let verity = &report["verity"];
    let output = Command::new("veritysetup")
        .arg("open")
        .arg(format!("--hash-offset={}", verity["hash_offset"]))
        .arg(disk)
        .arg(name)
        .arg(disk)
        .arg(verity["root_hash"].as_str().unwrap())
        .output()
        .unwrap();
    Some(output.status.success())
}

fn a_flipped_bit_under_dm_verity_is_an_io_error() {
    let env = loaded(&LAYERS);
    for options in ["", " --compress lz4"] {
        let line = "image disk app:1 -q --type erofs --verity --format json -o disk";
        let report = env.json(&format!("{line}{options}"));
        let path = env.path("disk");
        let name = format!("msb-test-{}", std::process::id());
        // The data of the first file starts at the first block after the superblock.
        flip(&path, 4096);
        match open_verity(&path, &report, &name) {
            None => {
                eprintln!(
                    "SKIPPED, NOT TESTED: this kernel has no dm-verity, so veritysetup checks the disk"
                );
                let verity = &report["verity"];
                let mut check = Command::new("veritysetup");
                check
                    .arg("verify")
                    .arg(format!("--hash-offset={}", verity["hash_offset"]))
                    .args([&path, &path])
                    .arg(verity["root_hash"].as_str().unwrap());
                assert!(!check.output().unwrap().status.success());
                flip(&path, 4096);
                run(&mut check);
            }
            Some(opened) => {
                assert!(opened);
                let device = PathBuf::from(format!("/dev/mapper/{name}"));
                let directory = tempfile::tempdir().unwrap();
                run(Command::new("mount")
                    .args(["-t", "erofs", "-o", "ro"])
                    .args([&device, directory.path()]));
                let mut errors = Vec::new();
                for entry in walkdir::WalkDir::new(directory.path()) {
                    let entry = entry.unwrap();
                    if entry.file_type().is_file() {
                        errors.extend(std::fs::read(entry.path()).err());
                    }
                }
                run(Command::new("umount").arg(directory.path()));
                run(Command::new("veritysetup").args(["close", &name]));
                assert_eq!(errors.len(), 1, "{errors:?}");
                assert_eq!(errors[0].raw_os_error(), Some(5));
            }
        }
    }
}
