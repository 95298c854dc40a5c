//! A virtual machine that boots with what msb gives it: its drives and their command line, disks of every
//! type, and msb itself, which mounts an image through dm-verity there.
//!
//! One machine does all of that, since booting takes the longest. QEMU emulates it, so that it boots on
//! any machine; its kernel is the one of `cargo xtask kernel`.

mod boot;
mod machine;

use serde_json::Value;

use self::boot::{DISKS, booted};
use crate::tests;

tests! {
    a_machine_boots_from_the_drives_of_an_image needs Root, Busybox, VirtualMachine;
    a_machine_runs_the_programs_of_an_image needs Root, Busybox, VirtualMachine;
    a_machine_mounts_disks_of_every_type needs Root, Busybox, VirtualMachine;
    a_flipped_bit_of_a_disk_is_an_io_error_in_a_machine needs Root, Busybox, VirtualMachine;
    an_image_is_mounted_through_dm_verity needs Root, Busybox, VirtualMachine;
    a_flipped_bit_under_a_mount_through_dm_verity_is_an_io_error needs Root, Busybox, VirtualMachine;
    a_mount_through_dm_verity_goes_with_all_its_devices needs Root, Busybox, VirtualMachine;
    a_mount_through_dm_verity_that_fails_or_is_killed_leaves_nothing needs Root, Busybox, VirtualMachine;
    an_image_with_another_root_hash_is_not_mounted needs Root, Busybox, VirtualMachine;
}

fn a_machine_boots_from_the_drives_of_an_image() {
    let boot = booted();
    assert!(boot.said("boots").starts_with("Linux version "));
    boot.assert_shows_all("drives");
}

fn a_machine_runs_the_programs_of_an_image() {
    let boot = booted();
    assert_eq!(boot.said("init"), "process 1 of /bin/busybox\n");
    let digest = boot.said("init-digest");
    assert!(
        boot.files.contains(digest) && digest.ends_with("  ./data\n"),
        "{digest}"
    );
    let root = boot.said("init-root");
    assert!(root.starts_with("overlay / overlay rw"), "{root}");
    // What a layer has removed is not there, and what is written is.
    assert!(root.ends_with("\nkept\nnew\n"), "{root}");
}

fn a_machine_mounts_disks_of_every_type() {
    for (name, _) in DISKS {
        booted().assert_shows_all(name);
    }
}

fn a_flipped_bit_of_a_disk_is_an_io_error_in_a_machine() {
    booted().assert_shows_all("sound");
    booted().assert_shows_a_flipped_bit("flipped");
}

fn an_image_is_mounted_through_dm_verity() {
    let boot = booted();
    let mounted: Value = serde_json::from_str(boot.said("mount")).unwrap();
    assert_eq!(mounted["merged"], true);
    // The same as that of a raw disk.
    assert_eq!(mounted["verity"]["root_hash"], boot.root_hash);
    boot.assert_shows_all("mounted");
    let devices = boot.said("devices");
    assert!(
        devices.contains(" verity 1 ") && devices.contains(&boot.root_hash),
        "{devices}"
    );
    let source = boot.said("source");
    assert!(source.starts_with("/dev/dm-"), "{source}");
    assert!(source.contains("ro,nosuid,nodev"), "{source}");
    assert!(boot.said("used").contains("in use by sandbox mount:/mnt"));
}

fn a_flipped_bit_under_a_mount_through_dm_verity_is_an_io_error() {
    booted().assert_shows_a_flipped_bit("read-flipped");
}

fn a_mount_through_dm_verity_goes_with_all_its_devices() {
    let boot = booted();
    assert!(boot.said("umount").contains("Unmounted"));
    assert_eq!(boot.said("left-of-umount"), "");
    // Whatever unmounts it.
    assert_eq!(boot.said("left-of-plain-umount"), "");
}

fn a_mount_through_dm_verity_that_fails_or_is_killed_leaves_nothing() {
    let boot = booted();
    for words in [
        "could not set up a device for `msb-",
        "no verity here",
        "hint: the kernel must have loop devices and dm-verity (`modprobe dm-verity`)",
    ] {
        assert!(
            boot.said("failed").contains(words),
            "{}",
            boot.said("failed")
        );
    }
    assert_eq!(boot.said("left-of-failed"), "");
    let killed = boot.said("killed");
    // There was something left, and the next mount has taken it away.
    assert!(killed.contains("-data\t"), "{killed}");
    assert!(killed.contains("/dev/loop"), "{killed}");
    assert!(killed.contains(&boot.files), "{killed}");
    assert_eq!(boot.said("left-of-killed"), "");
    assert!(boot.said("rmi").contains("Removed"), "{}", boot.said("rmi"));
}

fn an_image_with_another_root_hash_is_not_mounted() {
    let boot = booted();
    let said = boot.said("other-hash");
    assert!(said.contains("the root hash of sha256:"), "{said}");
    assert!(
        said.contains(&format!(", not {}", boot.root_hash)),
        "{said}"
    );
    assert!(
        said.contains("hint: the store has another image than the one with that root hash"),
        "{said}"
    );
    assert_eq!(boot.said("left-of-other-hash"), "");
    let said = boot.said("same-hash");
    assert!(
        said.contains(&format!("root hash: {}", boot.root_hash)),
        "{said}"
    );
    assert!(said.contains(&boot.files), "{said}");
}
