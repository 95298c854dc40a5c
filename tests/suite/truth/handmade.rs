//! Layers that specifications allow and builders hardly write, compared with what umoci unpacks.

use super::compare::compare_with_umoci;
use super::oracle::Layout;
use crate::archive::{Image, architecture};
use crate::env::TestEnv;
use crate::tests;

tests! {
    markers_before_and_after_what_takes_the_place needs Root, Skopeo, Umoci;
    paths_that_go_through_links_of_their_layer needs Root, Skopeo, Umoci;
    layers_without_entries_for_their_directories needs Root, Skopeo, Umoci;
    a_root_directory_that_only_the_lowest_layer_describes needs Root, Skopeo, Umoci;
    an_upper_layer_that_hides_the_whole_root needs Root, Skopeo, Umoci;
    hard_links_to_files_of_lower_layers needs Root, Skopeo, Umoci;
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

/// Compares an image of layers that no builder would write with what umoci unpacks.
fn compare_handmade(layers: &[&str]) {
    let env = TestEnv::new();
    let archive = env.write("in.tar", &Image::new("localhost/made:1", layers).docker());
    env.msb("load -i in.tar").success();
    let layout = Layout::copy("docker-archive", &archive, architecture()).unwrap();
    compare_with_umoci(&env, "localhost/made:1", &layout, "handmade layers");
}
