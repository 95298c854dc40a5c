//! Layers that specifications allow and builders hardly write, compared with what umoci unpacks.

use std::path::Path;
use std::process::Command;

use super::compare::compare_with_umoci;
use super::oracle::Layout;
use crate::archive::{Image, architecture};
use crate::env::TestEnv;
use crate::tests;
use crate::tools::run;

const NAME: &str = "localhost/made:1";

tests! {
    markers_before_and_after_what_takes_the_place needs Root, Skopeo, Umoci;
    paths_that_go_through_links_of_their_layer needs Root, Skopeo, Umoci;
    layers_without_entries_for_their_directories needs Root, Skopeo, Umoci;
    a_root_directory_that_only_the_lowest_layer_describes needs Root, Skopeo, Umoci;
    an_upper_layer_that_hides_the_whole_root needs Root, Skopeo, Umoci;
    hard_links_to_files_of_lower_layers needs Root, Skopeo, Umoci;
    layers_that_gnu_tar_packs needs Root, Tar, Busybox, Skopeo, Umoci;
}

fn markers_before_and_after_what_takes_the_place() {
    compare_handmade(&[
        "etc/\netc/hosts = one\netc/motd = one\nvar/lib/\nvar/lib/old = 1\nvar/lib/sub/older = 1\n\
         opt/\nopt/a/\nopt/a/b/\nopt/a/b/c/d = deep\nsrv/\nsrv/x = x\nrun/\nrun/y = y\none = 1",
        "etc/\netc/.wh.hosts = \netc/hosts = two\netc/motd = two\netc/.wh.motd = \n\
         var/lib/\nvar/lib/new = 2\nvar/lib/.wh..wh..opq = \nvar/lib/newer = 2\n\
         opt/\nopt/a/\nopt/a/.wh.b = \nopt/a/b/\nopt/a/b/e = e\nopt/.wh.never = ",
        ".wh.srv = \nsrv/x = back\n.wh.one = \netc/\netc/.wh.hosts = \nrun/\nrun/.wh..wh..opq = \n\
         .wh..wh.aufs = \nopt/.wh..wh..opq = \nopt/.wh.a = \nopt/a/b/f = f",
    ]);
}

fn paths_that_go_through_links_of_their_layer() {
    compare_handmade(&[
        "usr/lib/\nlib -> usr/lib\nlib/x = x\nusr/lib/y = y\n./run/./z = dots\nabs -> /usr\nabs/lib/w = w",
        "one = 1\ntwo => one\nthree => ./two\nusr/\nusr/lib/\nl -> usr/lib\nusr/lib/x = again\nl/v = v\n\
         four => l/v\nsoft -> one\nfive => soft",
    ]);
}

fn layers_without_entries_for_their_directories() {
    compare_handmade(&[
        "etc/\netc/deep/\netc/deep/er/\netc/hosts = one\nvar/\nvar/x = x",
        "etc/deep/er/new = 1\nvar/.wh.x = ",
        "etc/new = 2\nvar/new/er = 3",
    ]);
}

fn a_root_directory_that_only_the_lowest_layer_describes() {
    compare_handmade(&["./\netc/\netc/hosts = one", "etc/\netc/motd = two"]);
}

fn an_upper_layer_that_hides_the_whole_root() {
    compare_handmade(&[
        "etc/\netc/hosts = one\nvar/\nvar/x = x",
        ".wh..wh..opq = \netc/\netc/motd = two\nnew = n",
    ]);
}

fn hard_links_to_files_of_lower_layers() {
    compare_handmade(&[
        "bin/\nbin/tool = t\nbin/same => bin/tool\nbin/soft -> tool",
        "bin/\nbin/other => bin/tool\nbin/soft2 => bin/soft",
        "bin/\nbin/.wh.tool = \nbin/third => bin/other",
    ]);
}

fn layers_that_gnu_tar_packs() {
    let scripts = [
        "mkdir -p dir/deep; chmod 1777 dir; echo a >a; echo b >dir/b; ln a dir/deep/a; ln -s a soft
         mkfifo p; mknod n c 1 3; mknod d b 4095 1048575; setfattr -n user.note -v lower a
         setfattr -n user.binary -v 0x0aff3d00 dir; setfattr -n trusted.secret -v x dir/b
         setcap cap_net_raw+ep dir/b; chown 70000:4000000000 dir/b; truncate -s 3M hole; echo end >>hole
         touch -d '1960-01-01 00:00:00.25Z' dir/b; touch -d @-0.75 dir/deep; touch -d @-5 n
         touch -h -d '2001-02-03 04:05:06.123456789Z' soft; touch -d @4294967296.000000001 hole
         touch -d '2024-02-29 12:34:56.999999999Z' a dir; touch -d @0.5 p; touch -d @1.5 .
         mkdir -p keep/dir; cd keep; for i in 1 2 3 4; do echo $i >$i; done; ln -s 1 soft; chown -h 7:70000 soft
         setfattr -n trusted.secret -v x 1; setfattr -n trusted.secret -v y dir; setfattr -n user.empty 1
         setcap cap_chown+ep 2; chown 4294967294:4000000000 3; setfattr -h -n trusted.link -v z soft
         truncate -s 2M sparse; printf middle | dd of=sparse bs=1 seek=1000000 conv=notrunc status=none
         truncate -s 3000000 sparse; touch -d '1960-01-01 00:00:00.25Z' 1; touch -d @-0.000000001 2
         touch -d @4294967296.000000001 3; touch -d @-100000000000.5 4; touch -h -d @-1.5 soft dir",
        "mkdir -p dir/new; echo c >dir/c; touch dir/.wh.b; ln dir/c dir/new/c; echo a >a
         setfattr -n user.note -v upper a; setfattr -n user.other -v dir dir
         truncate -s 5M hole; printf middle | dd of=hole bs=1 seek=1000000 conv=notrunc status=none
         touch -d '2025-01-01 00:00:00.1Z' dir/c hole; touch -d '1969-12-31 23:59:59.5Z' dir .",
        "mkdir -p dir/deep; touch dir/deep/.wh..wh..opq; echo z >dir/deep/z; mkdir a; echo in >a/in
         touch -d '2026-01-01 00:00:00.2Z' a/in dir/deep; touch -d '2026-01-01 00:00:00.3Z' a dir .",
    ];
    let env = TestEnv::new();
    let pack = |(number, script)| {
        let source = env.path(&format!("source{number}"));
        std::fs::create_dir(&source).unwrap();
        run(Command::new("sh")
            .args(["-euc", script])
            .current_dir(&source));
        let file = env.path("layer.tar");
        run(Command::new("tar")
            .args(["--create", "--format=posix", "--sparse", "--numeric-owner"])
            .args(["--xattrs", "--xattrs-include=*", "--sort=name", "--file"])
            .arg(&file)
            .arg("--directory")
            .args([&source, Path::new(".")]));
        std::fs::read(file).unwrap()
    };
    let layers = scripts.into_iter().enumerate().map(pack).collect();
    compare_image(&env, &Image::of(NAME, layers));
}

/// Compares an image of layers that no builder would write with what umoci unpacks.
fn compare_handmade(layers: &[&str]) {
    compare_image(&TestEnv::new(), &Image::new(NAME, layers));
}

fn compare_image(env: &TestEnv, image: &Image) {
    let archive = env.write("in.tar", &image.docker());
    env.msb("load -i in.tar").success();
    let layout = Layout::copy("docker-archive", &archive, architecture()).unwrap();
    compare_with_umoci(env, NAME, &layout, "handmade layers");
}
