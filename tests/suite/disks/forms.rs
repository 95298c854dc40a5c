//! `image disk`: the forms of a disk, and disks that cannot be written.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::merged::{LAYERS, details, disk, load, loaded, overlay};
use crate::archive::Image;
use crate::env::TestEnv;
use crate::mount::{Mounted, assert_same, nodes};
use crate::tests;
use crate::tools::run;

tests! {
    one_disk_shows_what_an_overlay_shows needs Root;
    qemu_reads_a_vmdk_as_the_raw_disk needs QemuImg;
    a_vmdk_copies_nothing_and_moves_with_its_store needs QemuImg;
    a_table_of_the_device_mapper_covers_all_files;
    a_filesystem_without_attributes_says_what_it_leaves_out needs Root;
    a_disk_that_cannot_be_written_leaves_nothing;
    a_full_disk_leaves_no_half_of_a_disk needs Root;
    a_raw_disk_takes_no_room_where_files_can_share_blocks needs Root, Xfs;
}

fn one_disk_shows_what_an_overlay_shows() {
    let env = loaded(&LAYERS);
    let (_layers, overlay) = overlay(&env);
    let shown = nodes(overlay.path());
    for options in [
        "--type raw",
        "--type erofs",
        "--type raw --verity",
        "--type erofs --verity",
    ] {
        let mounted = Mounted::erofs_unchecked(&disk(&env, options));
        assert_same(&nodes(mounted.path()), &shown, options);
    }
    run(Command::new("fsck.erofs")
        .arg("--extract")
        .arg(disk(&env, "--type erofs")));
}

fn qemu_reads_a_vmdk_as_the_raw_disk() {
    let env = loaded(&LAYERS);
    let (vmdk, raw) = (disk(&env, "--type vmdk"), disk(&env, "--type raw"));
    let info = run(Command::new("qemu-img")
        .args(["info", "--output=json"])
        .arg(&vmdk));
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["virtual-size"], std::fs::metadata(&raw).unwrap().len());
    let converted = env.path("converted");
    run(Command::new("qemu-img")
        .args(["convert", "-f", "vmdk", "-O", "raw"])
        .args([&vmdk, &converted]));
    assert!(std::fs::read(&converted).unwrap() == std::fs::read(&raw).unwrap());
    run(Command::new("qemu-img")
        .args(["compare", "-f", "vmdk", "-F", "raw"])
        .args([&vmdk, &raw]));
}

fn a_vmdk_copies_nothing_and_moves_with_its_store() {
    let env = loaded(&LAYERS);
    std::fs::create_dir(env.path("disks")).unwrap();
    env.msb("image disk app:1 --quiet -o disks/app.vmdk")
        .success();
    let vmdk = env.path("disks/app.vmdk");
    let text = std::fs::read_to_string(&vmdk).unwrap();
    assert!(text.len() < 4096, "{text}");
    assert!(text.contains("createType=\"twoGbMaxExtentFlat\""), "{text}");
    let extents: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("RW "))
        .collect();
    assert_eq!(extents.len(), 1 + LAYERS.len());
    for extent in extents {
        let name = extent.split('"').nth(1).unwrap();
        assert!(name.starts_with("../"), "{extent}");
        assert!(env.path("disks").join(name).is_file(), "{extent}");
    }
}

fn a_table_of_the_device_mapper_covers_all_files() {
    let env = loaded(&LAYERS);
    let printed = env
        .msb("image disk app:1 --quiet --type dm")
        .success()
        .stdout;
    let mut end = 0;
    for line in printed.lines() {
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        let [start, sectors, "linear", path, "0"] = words[..] else {
            panic!("{line}");
        };
        assert_eq!(start.parse::<u64>().unwrap(), end);
        let sectors: u64 = sectors.parse().unwrap();
        assert_eq!(sectors * 512, std::fs::metadata(path).unwrap().len());
        end += sectors;
    }
    let merged = &details(&env)["merged"];
    assert_eq!(end * 512, merged["disk_size_bytes"].as_u64().unwrap());
    let file = disk(&env, "--type dm");
    assert_eq!(std::fs::read_to_string(file).unwrap(), printed);
}

fn a_filesystem_without_attributes_says_what_it_leaves_out() {
    let env = TestEnv::new();
    let mut builder = tar::Builder::new(Vec::new());
    for (path, attribute) in [("a", "user.note"), ("b", "user.note"), ("c", "user.other")] {
        let record = format!("SCHILY.xattr.{attribute}");
        builder
            .append_pax_extensions([(record.as_str(), &b"value"[..])])
            .unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(1);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, &b"x"[..]).unwrap();
    }
    let image = Image::of("app:1", vec![builder.into_inner().unwrap()]);
    env.write("app.tar", &image.docker());
    env.msb("load --quiet -i app.tar").success();
    let line = "image disk app:1 --type erofs --without-xattrs -o rootfs";
    let said = env.msb(line).success().stderr;
    assert!(said.contains("left out `user.note` of 2 files"), "{said}");
    assert!(said.contains("left out `user.other` of 1 file"), "{said}");
    run(Command::new("fsck.erofs")
        .arg("--extract")
        .arg(env.path("rootfs")));
    let mounted = Mounted::erofs(&env.path("rootfs"));
    let nodes = nodes(mounted.path());
    assert_eq!(nodes.len(), 4);
    assert!(nodes.values().all(|node| node.xattrs.is_empty()));
    // Its superblock asks for no feature.
    let bytes = std::fs::read(env.path("rootfs")).unwrap();
    assert_eq!(bytes[1024 + 80..1024 + 84], [0; 4]);
    for (options, words) in [
        ("--type raw --without-xattrs", "--type erofs"),
        ("--type vmdk --verity", "--type raw"),
    ] {
        env.msb(&format!("image disk app:1 {options} -o refused"))
            .failure(&[words]);
        assert!(!env.path("refused").exists());
    }
}

fn a_disk_that_cannot_be_written_leaves_nothing() {
    let env = loaded(&LAYERS);
    std::fs::create_dir(env.path("folder")).unwrap();
    for (line, words) in [
        ("image disk app:1 -o folder", "folder"),
        ("image disk app:1 -o missing/disk", "mkdir -p"),
        ("image disk other:1 -o disk", "other:1"),
        ("image disk app:1 --type raw -o /dev/null", "/dev/null"),
        (
            "image disk app:1 --type erofs --verity -o /dev/stdout",
            "/dev/stdout",
        ),
    ] {
        env.msb(line).failure(&[words]);
    }
    assert!(!env.path("disk").exists());
    let details = details(&env);
    let layer = details["layers"][1]["erofs_path"].as_str().unwrap();
    std::fs::remove_file(layer).unwrap();
    for kind in ["vmdk", "raw", "erofs", "dm"] {
        let line = format!("image disk app:1 --type {kind} -o disk");
        env.msb(&line)
            .failure(&["is missing or damaged", "load it again"]);
        assert!(!env.path("disk").exists(), "{kind}");
    }
    // A disk that is there stays as it is.
    std::fs::write(env.path("disk"), "before").unwrap();
    env.msb("image disk app:1 --type raw -o disk").failure(&[]);
    assert_eq!(std::fs::read_to_string(env.path("disk")).unwrap(), "before");
    load(&env, &LAYERS);
    disk(&env, "--type raw");
}

fn a_full_disk_leaves_no_half_of_a_disk() {
    let large = format!("large = {}", "x".repeat(600 << 10));
    let env = loaded(&[&large, "small = 1"]);
    let small = Mounted::tmpfs(256 << 10);
    for kind in ["raw", "erofs", "raw --verity", "erofs --verity"] {
        let output = small.path().join("disk");
        let line = format!("image disk app:1 --type {kind} -o {}", output.display());
        env.msb(&line).failure(&["No space left", "--output"]);
        let left: Vec<_> = small.path().read_dir().unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn a_raw_disk_takes_no_room_where_files_can_share_blocks() {
    const LARGE: u64 = 16 << 20;
    let mut random = fastrand::Rng::with_seed(1);
    let text: String = std::iter::repeat_with(|| random.alphanumeric())
        .take(usize::try_from(LARGE).unwrap())
        .collect();
    let layers = [format!("large = {text}"), "small = 1".to_owned()];
    let layers = layers.each_ref().map(String::as_str);
    let used = |place: &Path| {
        rustix::fs::sync();
        let all = rustix::fs::statvfs(place).unwrap();
        (all.f_blocks - all.f_bfree) * all.f_frsize
    };
    let mut disks = Vec::new();
    for (place, copies) in [
        (Mounted::xfs(), false),
        (Mounted::ext4(96 << 20, 1000), true),
    ] {
        let env = TestEnv::new().with_home(&place.path().join("home"));
        load(&env, &layers);
        disk(&env, "--type vmdk");
        let at = place.path().display();
        let before = used(place.path());
        for line in [
            format!("image disk app:1 -q --type raw -o {at}/disk"),
            format!("image disk app:1 -q --type raw --verity -o {at}/proven"),
            // Layers with a hash tree of their own are copies, too.
            format!("store serve containerd -q --dm-verity {at}/layers"),
        ] {
            env.msb(&line).success();
        }
        let room = used(place.path()) - before;
        assert_eq!(room > LARGE, copies, "{room} bytes");
        disks.push(std::fs::read(place.path().join("disk")).unwrap());
    }
    assert!(disks[0] == disks[1]);
}
