//! Merged root filesystems, and disks of them.

use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::archive::{Image, layer};
use crate::env::TestEnv;
use crate::mount::{Mounted, assert_same, nodes};
use crate::tests;
use crate::tools::run;

tests! {
    a_merged_image_shows_what_an_overlay_shows needs Root;
    links_across_layers_are_as_an_overlay_has_them needs Root;
    one_disk_shows_what_an_overlay_shows needs Root;
    more_layers_than_the_first_block_has_room_for_are_merged needs Root;
    the_same_image_gives_the_same_bytes;
    qemu_reads_a_vmdk_as_the_raw_disk needs QemuImg;
    a_vmdk_copies_nothing_and_moves_with_its_store needs QemuImg;
    a_table_of_the_device_mapper_covers_all_files;
    veritysetup_accepts_a_disk_and_finds_a_flipped_bit needs Veritysetup;
    a_flipped_bit_under_dm_verity_is_an_io_error needs Root, Veritysetup;
    a_filesystem_without_attributes_says_what_it_leaves_out needs Root;
    an_image_is_merged_when_it_is_loaded_if_that_is_set;
    a_merged_image_goes_with_its_image;
    a_merged_image_that_is_not_right_is_found_and_made_again;
    a_disk_that_cannot_be_written_leaves_nothing;
    a_full_disk_leaves_no_half_of_a_disk needs Root;
    a_raw_disk_takes_no_room_where_files_can_share_blocks needs Root, Xfs;
}

/// Layers that hide, replace and add to each other.
const LAYERS: [&str; 4] = [
    "etc/\netc/old = 1\netc/kept = kept\nusr/\nusr/bin/tool = binary\nlink -> usr/bin/tool\nsame => etc/kept",
    "etc/.wh.old = \nusr/bin/other = x\nopt/\nopt/a = 1\nkind = file",
    "opt/.wh..wh..opq = \nopt/b = 2\nkind/in = directory\nempty = ",
    "etc/old = again\n.wh.link = ",
];

fn loaded(layers: &[&str]) -> TestEnv {
    let env = TestEnv::new();
    load(&env, layers);
    env
}

fn load(env: &TestEnv, layers: &[&str]) {
    let layers = layers.iter().map(|text| layer(text)).collect();
    let archive = env.write("app.tar", &Image::of("app:1", layers).docker());
    env.msb(&format!("load --quiet -i {}", archive.display()))
        .success();
}

fn disk(env: &TestEnv, options: &str) -> PathBuf {
    let name = options.replace(' ', "");
    env.msb(&format!("image disk app:1 --quiet {options} -o disk{name}"))
        .success();
    env.path(&format!("disk{name}"))
}

fn details(env: &TestEnv) -> Value {
    env.json("image inspect app:1 --format json")
}

fn overlay(env: &TestEnv) -> (Vec<Mounted>, Mounted) {
    let details = details(env);
    let layers = details["layers"].as_array().unwrap().iter();
    let layers: Vec<Mounted> = layers
        .map(|layer| Mounted::erofs(Path::new(layer["erofs_path"].as_str().unwrap())))
        .collect();
    let overlay = Mounted::overlay(&layers);
    (layers, overlay)
}

fn merged_files(env: &TestEnv) -> Vec<PathBuf> {
    let Ok(entries) = env.home().join("cache/fsmeta").read_dir() else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn flip(path: &Path, offset: u64) {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

fn a_merged_image_shows_what_an_overlay_shows() {
    let env = loaded(&LAYERS);
    assert_eq!(details(&env)["merged"], Value::Null);
    let (_layers, overlay) = overlay(&env);
    let merged = Mounted::merged(&env, "app:1");
    let shown = nodes(overlay.path());
    assert!(shown.contains_key(Path::new("opt/b")));
    assert_same(&nodes(merged.path()), &shown, "merged");
    let merged = &details(&env)["merged"];
    let options = merged["mount_options"].as_str().unwrap();
    assert_eq!(options.matches("device=").count(), LAYERS.len());
    assert!(options.starts_with("ro,device=/"), "{options}");
    let offsets = merged["devices"].as_array().unwrap().iter();
    let offsets: Vec<u64> = offsets
        .map(|device| device["disk_offset_bytes"].as_u64().unwrap())
        .collect();
    assert_eq!(offsets[0], merged["size_bytes"].as_u64().unwrap());
    let text = env.msb("image inspect app:1").success().stdout;
    assert!(text.contains("Merged root filesystem"), "{text}");
}

/// A link to a file below brings that file into its layer, and the other names below stay what they are:
/// Linux does the same when a program links in an overlay.
fn links_across_layers_are_as_an_overlay_has_them() {
    use std::os::unix::fs::MetadataExt as _;
    let env = loaded(&[
        "a = one\nb => a\nd = kept\ne => d\ng = old\nh => g",
        "z => a\ny => d\n.wh.e = \ng = new",
    ]);
    let (_layers, overlay) = overlay(&env);
    let merged = Mounted::merged(&env, "app:1");
    let shown = nodes(merged.path());
    assert_same(&shown, &nodes(overlay.path()), "merged");
    let link_to = |name: &str| shown[Path::new(name)].link_to.as_deref();
    assert_eq!(link_to("z"), Some(Path::new("a")));
    assert_eq!(link_to("y"), Some(Path::new("d")));
    assert_eq!(link_to("b"), None);
    // The number of links is that of the names that are there.
    for (name, links) in [("a", 2), ("b", 1), ("d", 2), ("g", 1), ("h", 1)] {
        let metadata = merged.path().join(name).metadata().unwrap();
        assert_eq!(metadata.nlink(), links, "{name}");
    }
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

fn more_layers_than_the_first_block_has_room_for_are_merged() {
    let texts: Vec<String> = (0..40)
        .map(|number| format!("f{number} = {number}"))
        .collect();
    let layers: Vec<&str> = texts.iter().map(String::as_str).collect();
    let env = loaded(&layers);
    let (_layers, overlay) = overlay(&env);
    let shown = nodes(overlay.path());
    assert_same(
        &nodes(Mounted::merged(&env, "app:1").path()),
        &shown,
        "merged",
    );
    let raw = Mounted::erofs_unchecked(&disk(&env, "--type raw"));
    assert_same(&nodes(raw.path()), &shown, "raw");
}

fn the_same_image_gives_the_same_bytes() {
    let (one, two) = (loaded(&LAYERS), loaded(&LAYERS));
    for options in [
        "--type raw --verity",
        "--type erofs",
        "--type erofs --without-xattrs",
    ] {
        let [one, two] = [&one, &two].map(|env| std::fs::read(disk(env, options)).unwrap());
        assert!(one == two, "{options}");
    }
    let [one, two] = [&one, &two].map(|env| std::fs::read(&merged_files(env)[0]).unwrap());
    assert!(one == two, "merged");
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

fn an_image_is_merged_when_it_is_loaded_if_that_is_set() {
    let env = TestEnv::new();
    load(&env, &LAYERS);
    assert!(merged_files(&env).is_empty());
    env.write_settings(r#"{"store": {"merge": true}}"#);
    load(&env, &LAYERS);
    assert_eq!(merged_files(&env).len(), 1);
    assert!(details(&env)["merged"].is_object());
    // An image that cannot be merged is loaded all the same.
    env.msb("rmi --quiet app:1").success();
    std::fs::remove_dir_all(env.home().join("cache/fsmeta")).unwrap();
    std::fs::write(env.home().join("cache/fsmeta"), "in the way").unwrap();
    let said = env.msb("load -i app.tar").success().stderr;
    assert!(said.contains("cache/fsmeta"), "{said}");
    assert_eq!(details(&env)["merged"], Value::Null);
}

fn a_merged_image_goes_with_its_image() {
    let env = loaded(&LAYERS);
    disk(&env, "--type vmdk");
    assert_eq!(merged_files(&env).len(), 1);
    env.msb("rmi --quiet app:1").success();
    assert!(merged_files(&env).is_empty());
    load(&env, &LAYERS);
    disk(&env, "--type vmdk");
    let pruned = env.json("image prune --yes --format json");
    assert_eq!(pruned["fsmeta_removed"], 1);
    assert!(merged_files(&env).is_empty());
    env.assert_nothing_in_flight();
}

fn a_merged_image_that_is_not_right_is_found_and_made_again() {
    let env = loaded(&LAYERS);
    disk(&env, "--type vmdk");
    let [path] = &merged_files(&env)[..] else {
        panic!("one merged image");
    };
    let right = std::fs::read(path).unwrap();
    env.msb("image verify --quiet").success();
    let size = right.len() as u64;
    for offset in [0, 1024, 1024 + 128, 4096, size / 2, size - 1] {
        flip(path, offset);
        let report = env.msb("image verify --format json");
        assert_ne!(report.code, Some(0), "byte {offset}");
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(report.stdout.contains(name), "{}", report.stdout);
        let _ = env.msb("image verify --repair --quiet");
        assert!(merged_files(&env).is_empty(), "byte {offset}");
        env.msb("image verify --quiet").success();
        disk(&env, "--type vmdk");
        assert!(std::fs::read(path).unwrap() == right, "byte {offset}");
    }
    // What another writer made, or is cut off, is not used.
    for bytes in [&b"not an image"[..], &right[..right.len() - 4096], b""] {
        std::fs::write(path, bytes).unwrap();
        assert_eq!(details(&env)["merged"], Value::Null);
        disk(&env, "--type vmdk");
        assert!(std::fs::read(path).unwrap() == right);
    }
    assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o7777, 0o644);
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
