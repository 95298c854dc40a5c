//! What an image holds, as others see it: the overlay of msb's layers against what umoci unpacks
//! and against what the tool that built the image shows to its containers.

mod build;
pub(crate) mod compare;
pub(crate) mod found;
pub(crate) mod handmade;
mod oracle;
pub(crate) mod random;

use crate::archive::architecture;
use crate::env::TestEnv;
use crate::mount::assert_same;
use crate::tests;
use build::{Built, Recipe};
use compare::compare_with_umoci;
use oracle::{Layout, forget_times_before_1970, forget_undescribed};

tests! {
    what_upper_layers_delete needs Root, Docker, Buildah, Busybox, Skopeo, Umoci;
    what_upper_layers_rename needs Root, Docker, Buildah, Busybox, Skopeo, Umoci;
    what_upper_layers_replace_by_another_kind needs Root, Docker, Buildah, Busybox, Skopeo, Umoci;
    directories_that_upper_layers_make_anew needs Root, Docker, Buildah, Busybox, Skopeo, Umoci;
    hard_links_within_and_across_layers needs Root, Docker, Buildah, Busybox, Skopeo, Umoci;
    rights_owners_and_attributes needs Root, Docker, Buildah, Busybox, Skopeo, Umoci;
    links_pipes_and_devices needs Root, Docker, Buildah, Busybox, Skopeo, Umoci;
    odd_names needs Root, Docker, Buildah, Busybox, Skopeo, Umoci;
    times_and_holes needs Root, Docker, Buildah, Busybox, Skopeo, Umoci;
    layers_of_nothing_and_of_archives needs Root, Docker, Buildah, Busybox, Skopeo, Umoci;
}

fn what_upper_layers_delete() {
    compare("deleted", &[
        "mkdir -p /d/one /d/two/deep /d/three; cd /d
         for i in 1 2 3 4; do echo $i >one/$i; echo $i >two/deep/$i; done; echo x >top; ln -s top soft",
        "cd /d; rm one/1 top; rm -r two/deep/2 three",
        "cd /d; rm -r two soft; echo again >top",
        "cd /d; rm one/*; mkdir two three; echo new >two/new",
        "rm -r /d/two /tmp; rmdir /d/one",
        "rm -r /d",
        "mkdir -p /d/two; echo last >/d/two/deep",
    ]);
}

fn what_upper_layers_rename() {
    compare(
        "renamed",
        &[
            "mkdir -p /r/a/b/c; cd /r; echo 1 >a/1; echo 2 >a/b/2; echo 3 >a/b/c/3; ln -s a/1 soft",
            "cd /r; mv a z; mv z/1 one; mv soft softer",
            "cd /r; mv z/b b; mkdir z/b; echo other >z/b/2",
            "cd /r; mv b a; mv one z/b/2; mv a/c/3 3",
            "cd /r; mv z tmp; mv a z; mv tmp a",
        ],
    );
}

fn what_upper_layers_replace_by_another_kind() {
    compare("kinds", &[
        "mkdir -p /k/dir/in /k/dir2/in /k/dir3; cd /k; echo a >dir/in/a; echo b >dir2/in/b
         echo f >file; echo f >file2; ln -s dir soft; ln -s dir soft2; mkfifo pipe; mknod node c 1 3",
        "cd /k; rm -r dir dir2 file soft pipe; echo now >dir; ln -s file2 dir2; mkdir file soft
         echo in >file/in; echo in >soft/in; echo was >pipe",
        "cd /k; rm -r dir dir2 file file2 soft2 node dir3; mkdir -p dir/in node; echo c >dir/in/c
         mkdir dir2; ln -s dir file; mkfifo file2; mknod soft2 c 1 5; mknod dir3 b 7 0",
        "cd /k; rm -r file2 soft2 dir3; mkdir file2 dir3; echo x >file2/x; echo y >dir3/y; ln -s / soft2",
    ]);
}

fn directories_that_upper_layers_make_anew() {
    compare(
        "anew",
        &[
            "mkdir -p /o/a/deep /o/b /o/c/c/c; cd /o; echo 1 >a/1; echo 2 >a/deep/2; echo 3 >b/3; echo 4 >c/c/c/4",
            "cd /o; rm -rf a; mkdir a; echo new >a/new; rm -rf b; mkdir -m 700 b",
            "cd /o; rm -rf a; mkdir -p a/deep; echo 5 >a/deep/5; rm -rf c/c; mkdir -p c/c/d; chown 5:6 c/c",
            "cd /o; rm -rf c; mkdir -p c/c/c; echo 6 >c/c/c/6; echo more >b/more",
            "cd /o; rm a/deep/5; echo 7 >a/deep/7; rm -rf /tmp; mkdir -m 1777 /tmp; echo t >/tmp/t",
        ],
    );
}

fn hard_links_within_and_across_layers() {
    compare("links", &[
        "mkdir -p /h/sub; cd /h; echo one >a; ln a b; ln a sub/c; echo two >x; ln x y; ln -s a soft; ln soft soft2
         mkfifo p; ln p sub/p; mknod n c 1 3; ln n n2; echo alone >alone; echo z >z; ln z z2; ln z z3
         echo k >k1; ln k1 k2; ln k1 sub/k3; ln k1 k4; echo w >w1; ln w1 w2; echo v >v1",
        "cd /h; ln a d; ln x sub/x; ln alone later; rm k4; ln w2 w3; ln v1 v2; ln v1 v3",
        "cd /h; rm a; echo changed >y; chmod 600 z2",
        "cd /h; ln b a; ln sub/c e; rm x; mv later sub/later; echo >>z3",
        "cd /h; rm -r sub; mkdir sub; ln b sub/c; ln v2 v4; ln p sub/p",
    ]);
}

fn rights_owners_and_attributes() {
    // Docker keeps no user attributes in the layers that it builds, so there may be none to remove.
    compare("rights", &[
        "mkdir -p /m/dir; cd /m; for i in 1 2 3 4 5 6; do echo $i >$i; done
         setcap cap_net_raw,cap_net_admin+ep 1; setfattr -n user.note -v lower 2; setfattr -n user.d -v dir dir
         setfattr -n user.binary -v 0x000aff3d00 2; setfattr -n user.empty 2
         chown 70000:4000000 3; chown 4294967294:65536 dir; chown -h 8:9 /m/3; ln -s nowhere l; chown -h 100001:7 l
         chmod 4755 4; chmod 2711 5; chmod 1777 dir; chmod 0 6",
        "cd /m; setcap cap_chown=i 1; setfattr -n user.note -v upper 2; setfattr -x user.empty 2 || :; chown 0:0 3
         chmod 755 4; echo x >dir/x; cp 1 7; setcap cap_setuid+eip 7; setcap -n 70000 cap_chown+ep 6 || :",
        "cd /m; setcap -r 1; chmod 7777 dir; chown 12:13 dir; chmod 6755 5; setfattr -n user.more -v more dir
         setfattr -n user.long -v \"$(printf '%03000d' 7)\" 3",
        "cd /m; chmod 2750 .; chown 1:70001 .; setfattr -n user.top -v top .; chmod 711 /",
    ]);
}

fn links_pipes_and_devices() {
    compare("special", &[
        "mkdir -p /s/dir; cd /s; ln -s /nowhere/at/all dangling; ln -s /s/dir absolute; ln -s dir relative
         ln -s ../../../../.. up; ln -s self self; ln -s \"$(printf 'odd \\351\\n name')\" odd
         ln -s \"$(printf '%04000d' 1)\" long; mkfifo -m 640 pipe; mknod -m 620 null c 1 3
         mknod disk b 8 17; mknod -m 666 big c 511 70000; mknod large b 4095 1048575; mknod first b 0 0",
        "cd /s; rm pipe null; mkfifo pipe; mknod null c 1 5; chmod 600 disk; chown 4:5 big; ln -sfn /s/dangling absolute",
        "cd /s; echo through >relative/file; rm self dangling disk; ln -s dir/file dangling",
    ]);
}

fn odd_names() {
    compare("names", &[
        "mkdir /n; cd /n; touch \"$(printf 'new\\nline')\" \"$(printf 'caf\\351')\" -- -rf ' ' 'a b ' '*' '\\' '\\n' '\"' é
         touch \"$(printf '%0255d' 1)\" \"$(printf '%0255d' 2)\" ... .hidden 'back\\slash' \"$(printf '\\001\\177\\377')\"
         mkdir \"$(printf 'd\\377')\" \"$(printf 'd\\nd')\" -- -dir \"$(printf '%0251d' 3)\"; touch \"$(printf 'both\\n\\377')\"
         echo x >\"$(printf 'd\\377')/in\"; echo x >\"$(printf 'd\\nd')/in\"
         mkdir \"$(printf '%0255d' 4)\"; touch \"$(printf '%0255d' 4)/$(printf '%0255d' 5)\" UPPER upper
         ln \"$(printf 'caf\\351')\" \"$(printf 'th\\351')\"; ln -s \"$(printf 'caf\\351')\" soft",
        "cd /n; rm -- \"$(printf 'new\\nline')\" -rf '*' ...; echo y >\"$(printf 'caf\\351')\"; touch '.wh'
         rm -r \"$(printf 'd\\377')\"; mkdir \"$(printf 'd\\377')\"; echo z >\"$(printf 'd\\377')/new\"; rm \"$(printf 'd\\nd')/in\"",
        "cd /n; mv -- -dir \"$(printf 'dir\\377')\"; rm \"$(printf '\\001\\177\\377')\" upper; rmdir \"$(printf '%0251d' 3)\"",
    ]);
}

fn times_and_holes() {
    compare("times", &[
        "mkdir -p /t/dir /t/old; cd /t; echo a >a; echo b >b; echo c >c; echo d >d; ln -s a soft; mkfifo p
         truncate -s 5M hole; printf end >>hole; truncate -s 20M all; printf start >start; truncate -s 3000001 start
         touch -d '2024-02-29 12:34:56.123456789Z' a; touch -d '1960-01-01 00:00:00.25Z' b; touch -d @-1 c
         touch -d '2200-01-01 00:00:00.5Z' d; touch -h -d '2001-02-03 04:05:06.7Z' soft; touch -d @1.000000001 p
         touch -d '1999-12-31 23:59:59.999999999Z' dir; touch -d @0 old start",
        "cd /t; echo more >>a; touch -d '2024-02-29 12:34:56.5Z' a; printf middle | dd of=hole bs=1 seek=2000000 conv=notrunc
         touch -d '2010-10-10 10:10:10.1Z' hole dir",
        "cd /t; echo in >dir/in; truncate -s 10 start; touch -d '2011-11-11 11:11:11.111Z' dir; rmdir old",
    ]);
}

fn layers_of_nothing_and_of_archives() {
    let files = "mkdir -p made/dir made/other; cd made; echo copied >dir/file; touch -d '2003-03-03 03:03:03.3Z' dir/file
         ln -s file dir/soft; chmod 2750 dir; echo x >other/x; chmod 4711 other/x
         mkdir -p in/dir; echo added >in/dir/file; echo two >in/two; ln in/two in/three; setcap cap_chown+ep in/two
         chown 123456:654321 in/two; touch -d '2004-04-04 04:04:04.4Z' in/two in/dir
         tar --format=posix --xattrs --xattrs-include='*' -C in -cf ../added.tar .; rm -r in";
    compare_both(
        "copied",
        &Recipe {
            files,
            steps: &[
                "true",
                "LABEL of=nothing",
                "COPY made /c/",
                "ADD added.tar /c/",
                "true",
                "COPY made/dir /c/other",
                "rm -r /c/dir",
                "COPY made/dir/file /c/dir/",
                "ADD added.tar /",
                "WORKDIR /c/made/dir/below",
                "true",
            ],
        },
    );
}

/// Builds an image with both builders and compares each.
fn compare(name: &str, steps: &[&str]) {
    compare_both(name, &Recipe { files: "", steps });
}

fn compare_both(name: &str, recipe: &Recipe<'_>) {
    let name = format!("localhost/{name}:1");
    compare_built(&name, &recipe.with_docker(&name));
    compare_built(&name, &recipe.with_buildah(&name));
}

fn compare_built(name: &str, built: &Built) {
    let what = format!("{name} as {}", built.transport);
    let archive = built.archive();
    let layout = Layout::copy(built.transport, &archive, architecture()).unwrap();
    let env = TestEnv::new();
    env.msb(&format!("load -i {}", archive.display())).success();
    let mut ours = compare_with_umoci(&env, name, &layout, &format!("{what}, umoci"));
    let mut shown = built.shown.clone();
    forget_undescribed(&mut shown, &layout.described());
    for tree in [&mut ours, &mut shown] {
        forget_times_before_1970(tree);
    }
    assert_same(&ours, &shown, &format!("{what}, its builder"));
}
