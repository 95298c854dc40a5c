//! The one machine: the image and the disks that it is given, what it does with them, and what it says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::machine::{Drive, Machine};
use crate::archive::{Image, layer, sha256};
use crate::disks::merged::flip;
use crate::env::TestEnv;

/// The types of disks, as options of `image disk`.
pub(super) const DISKS: [(&str, &str); 5] = [
    ("vmdk", "--type vmdk"),
    ("raw", "--type raw"),
    ("erofs", "--type erofs"),
    ("lz4", "--type erofs --compress lz4"),
    ("zstd", "--type erofs --compress zstd"),
];

/// What the machine does, as root in the files that it was given. `show` prints the digests of all files
/// below a directory, and `left` what is set up of devices after a while.
const SCRIPT: &str = r#"
say drives
mount_as "$(cat /proc/cmdline)" /mnt && show /mnt && umount /mnt

say boots
cat /proc/version

for disk in vmdk raw erofs lz4 zstd; do
    say $disk
    mount_as "$(cat /lines/$disk)" /mnt && show /mnt && umount /mnt
done

for disk in sound flipped; do
    say $disk
    dmsetup create --concise "$(cat /lines/$disk.dm)"
    mount_as "$(cat /lines/$disk)" /mnt && show /mnt && umount /mnt
    dmsetup remove root
done

say mount
msb image mount app:1 /mnt --verity --format json 2> /run/words || cat /run/words
say mounted
show /mnt
say devices
dmsetup table
say source
grep ' /mnt ' /proc/mounts
say used
msb rmi app:1

flip
say read-flipped
show /mnt
say umount
msb image umount /mnt
say left-of-umount
left

say other-hash
msb image mount app:1 /mnt --root-hash "$(cat /lines/root-hash)"
say left-of-other-hash
left
flip
say same-hash
msb image mount app:1 /mnt --root-hash "$(tr a-f A-F < /lines/root-hash)"
show /mnt
say left-of-plain-umount
umount /mnt
left

say failed
PATH=/fails:$PATH msb image mount --verity app:1 /mnt
say left-of-failed
left

say killed
PATH=/hangs:$PATH msb image mount --verity app:1 /mnt &
for wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do [ -e /run/hangs ] || sleep 1; done
kill -9 $!
wait $!
dmsetup ls
losetup -a
ls /run/msb
msb image mount --verity app:1 /mnt && show /mnt
msb image umount /mnt
say left-of-killed
left
say rmi
msb rmi app:1
"#;

/// The first program of the image, which runs after the script, in the image.
const INIT: &str = r#"#!/bin/sh
echo "== init"
echo "process $$ of $(readlink /proc/1/exe)"
echo "== init-digest"
sha256sum ./data
echo "== init-root"
grep ' / ' /proc/mounts
ls /etc
echo new > /etc/new && cat /etc/new
echo "== end"
poweroff -f
"#;

/// Programs that take the place of `dmsetup`, by the directory that each is in.
const FAKES: [(&str, &str); 2] = [
    (
        "fails",
        "case \"$*\" in *-data) ;; create*) echo no verity here >&2; exit 1;; esac",
    ),
    (
        "hangs",
        "case \"$*\" in *-data) ;; create*) touch /run/hangs; exec sleep 1000;; esac",
    ),
];

/// What the one machine has said, and what it was to say.
pub(super) struct Boot {
    /// By what was tried.
    said: BTreeMap<String, String>,
    /// The digests of all files of the image, as the machine prints them.
    pub(super) files: String,
    pub(super) root_hash: String,
}

impl Boot {
    pub(super) fn said(&self, what: &str) -> &str {
        let said = self.said.get(what);
        said.unwrap_or_else(|| panic!("the machine did not come to {what}: {:#?}", self.said))
    }

    #[track_caller]
    pub(super) fn assert_shows_all(&self, what: &str) {
        assert_eq!(self.said(what), self.files, "{what}");
    }

    /// Asserts that all files but one could be read, and that one could not.
    #[track_caller]
    pub(super) fn assert_shows_a_flipped_bit(&self, what: &str) {
        let said = self.said(what);
        for line in self.files.lines() {
            assert_eq!(said.contains(line), !line.ends_with("./data"), "{said}");
        }
        let failed = said
            .lines()
            .any(|line| line.contains("./data': Input/output error"));
        assert!(failed, "{said}");
    }
}

/// Returns what the machine has said, which boots for the first test that wants to know.
pub(super) fn booted() -> &'static Boot {
    pub(super) static BOOT: OnceLock<Boot> = OnceLock::new();
    BOOT.get_or_init(boot)
}

fn boot() -> Boot {
    let letters = |count: usize| -> String {
        let mut random = fastrand::Rng::with_seed(count as u64);
        std::iter::repeat_with(|| random.alphanumeric())
            .take(count)
            .collect()
    };
    let (data, big) = (letters(20_000), "compressible ".repeat(20_000));
    let layers = [
        "etc/\netc/old = 1\netc/kept = kept\nusr/\nusr/bin/\nusr/bin/tool = binary\nopt/\nopt/a = 1".to_owned(),
        format!("etc/.wh.old = \nopt/.wh..wh..opq = \nopt/b = 2\nbig = {big}"),
        format!("data = {data}"),
    ];
    let busybox = fs::read("/bin/busybox").unwrap();
    let mut layers: Vec<Vec<u8>> = layers.iter().map(|text| layer(text)).collect();
    layers.push(system(&busybox));
    let env = TestEnv::new();
    env.write("in.tar", &Image::of("app:1", layers).docker());
    env.msb("load -q -i in.tar").success();
    let files = [
        ("big", big.as_bytes()),
        ("bin/busybox", &busybox),
        ("data", data.as_bytes()),
        ("etc/kept", b"kept"),
        ("opt/b", b"2"),
        ("sbin/init", INIT.as_bytes()),
        ("usr/bin/tool", b"binary"),
    ];
    let files = files.map(|(path, contents)| {
        let digest = sha256(contents);
        format!("{}  ./{path}\n", digest.trim_start_matches("sha256:"))
    });

    let mut machine = Machine::new();
    let mut lines = BTreeMap::new();
    let mut reports = BTreeMap::new();
    for (name, options) in DISKS.into_iter().chain([
        ("sound", "--type raw --verity"),
        ("flipped", "--type raw --verity"),
    ]) {
        let line = format!("image disk app:1 -q {options} -o {name} --format json");
        reports.insert(name, env.json(&line));
    }
    let details = env.json("image inspect app:1 --format json");
    let runtime = &details["runtime"];
    for drive in runtime["drives"].as_array().unwrap() {
        let path = PathBuf::from(drive["path"].as_str().unwrap());
        assert_eq!(
            machine.add(Drive::raw(&path)),
            drive["device"].as_str().unwrap()
        );
    }
    // The middle of the file, in the disk and in its layer.
    let part = &data.as_bytes()[9000..9100];
    flip(&env.path("flipped"), position(&env.path("flipped"), part));
    let layer = PathBuf::from(details["layers"][2]["erofs_path"].as_str().unwrap());
    let flipped = position(&layer, part);
    for (name, report) in &reports {
        let drive = match *name {
            "vmdk" => Drive::vmdk(&env.path(name)),
            _ => Drive::raw(&env.path(name)),
        };
        let device = machine.add(drive);
        let line = report["kernel_command_line"].as_str().unwrap();
        if report["verity"].is_null() {
            assert_eq!(line, runtime["disk_kernel_command_line"].as_str().unwrap());
        }
        // It is for a machine whose first drive is the disk.
        let line = line.replace("/dev/vda", &device);
        match line
            .strip_prefix("dm-mod.create=\"")
            .and_then(|it| it.split_once("\" "))
        {
            Some((table, line)) => {
                lines.insert(format!("{name}.dm"), table.to_owned());
                lines.insert((*name).to_owned(), line.to_owned());
            }
            None => {
                lines.insert((*name).to_owned(), line);
            }
        }
    }
    let root_hash = reports["sound"]["verity"]["root_hash"].as_str().unwrap();
    lines.insert("root-hash".to_owned(), root_hash.to_owned());

    let layer = layer.strip_prefix(env.home()).unwrap();
    let flip = format!(
        "flip() {{ flip_bit {flipped} /home/{}; }}\n",
        layer.display()
    );
    machine.add_home(env.home());
    for (name, line) in lines {
        machine.add_file(&format!("lines/{name}"), &line);
    }
    for (directory, what) in FAKES {
        let text = format!("#!/bin/sh\n{what}\nexec /sbin/dmsetup \"$@\"\n");
        machine.add_program(&format!("{directory}/dmsetup"), &text);
    }
    let line = runtime["kernel_command_line"].as_str().unwrap();
    Boot {
        said: machine.run(line, &format!("{flip}{SCRIPT}")),
        files: files.concat(),
        root_hash: root_hash.to_owned(),
    }
}

/// Returns a layer with a first program, and the programs that it starts.
fn system(busybox: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let header = |kind, size: usize| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(size as u64);
        header
    };
    for (path, contents) in [("bin/busybox", busybox), ("sbin/init", INIT.as_bytes())] {
        let mut header = header(tar::EntryType::Regular, contents.len());
        builder.append_data(&mut header, path, contents).unwrap();
    }
    for name in [
        "sh",
        "readlink",
        "sha256sum",
        "grep",
        "ls",
        "cat",
        "poweroff",
    ] {
        let mut header = header(tar::EntryType::Symlink, 0);
        let path = format!("bin/{name}");
        builder.append_link(&mut header, path, "busybox").unwrap();
    }
    builder.into_inner().unwrap()
}

/// Returns where bytes are in a file.
fn position(path: &Path, part: &[u8]) -> u64 {
    let bytes = fs::read(path).unwrap();
    let at = bytes.windows(part.len()).position(|it| it == part);
    at.unwrap() as u64
}
