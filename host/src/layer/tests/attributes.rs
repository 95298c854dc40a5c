//! Modes, owners, times, devices and extended attributes.

use super::*;

#[test]
fn case_59_special_permissions_are_kept() {
    assert_layer(
        "file a mode=4755\nfile b mode=2711\ndir c mode=1777\nfile d mode=7000",
        &[
            "file a mode=4755",
            "file b mode=2711",
            "dir c mode=1777",
            "file d mode=7000",
        ],
    );
}

#[test]
fn case_60_owners_have_32_bits() {
    assert_layer(
        "file a uid=2097152 gid=4294967294\nfile b pax.uid=4294967294",
        &["file a 2097152:4294967294", "file b 4294967294:0"],
    );
    assert_refused("file a pax.uid=4294967295", "`uid`");
}

#[test]
fn case_61_times_have_nanoseconds_and_may_lie_before_the_epoch() {
    assert_layer(
        "file a pax.mtime=1700000000.123456789\nfile b pax.mtime=-5.5\nfile c pax.mtime=8589934592\n\
         symlink d -> x pax.mtime=0.000000001\ndir e pax.mtime=123.5",
        &[
            "file a mtime=1700000000+123456789ns",
            "file b mtime=-6+500000000ns",
            "file c mtime=8589934592",
            "symlink d -> x mtime=0+1ns",
            "dir e mtime=123+500000000ns",
        ],
    );
}

#[test]
fn case_56_devices_keep_their_numbers_and_pipes_have_none() {
    assert_layer(
        "char dev/a 4095:1048575\nblock dev/b 8:1\nfifo dev/p",
        &[
            "dir dev",
            "char dev/a 4095:1048575",
            "block dev/b 8:1",
            "fifo dev/p",
        ],
    );
    for device in ["4096:0", "0:1048576"] {
        assert_refused(
            &format!("char a {device}"),
            "entry `a`: its device number is too large",
        );
    }
}

#[test]
fn case_57_a_device_that_looks_like_a_whiteout_is_kept_and_mentioned() {
    let layer = convert_tar(&tar("char a 0:0\nblock b 0:0")).unwrap();
    assert_eq!(layer.list(), ["char a 0:0", "block b 0:0"]);
    assert_eq!(layer.converted.notices.len(), 1);
    assert!(layer.converted.notices[0].starts_with("`a`: "));
}

#[test]
fn case_66_extended_attributes_are_kept_byte_for_byte() {
    assert_layer(
        "file ping pax.SCHILY.xattr.security.capability=\\x01\\0\\0\\x02\\0\\x20\\0\\0\\n=\n\
         dir d pax.SCHILY.xattr.user.empty= pax.LIBARCHIVE.xattr.user.b=QUI=\n\
         symlink s -> x pax.SCHILY.xattr.trusted.t=1\n\
         fifo p pax.SCHILY.xattr.system.posix_acl_access=\\x02\\0\\0\\0",
        &[
            "dir d user.b=AB user.empty=",
            "fifo p system.posix_acl_access=\\x02\\x00\\x00\\x00",
            "file ping security.capability=\\x01\\x00\\x00\\x02\\x00 \\x00\\x00\\n=",
            "symlink s -> x trusted.t=1",
        ],
    );
}

#[test]
fn case_68_an_archive_does_not_speak_to_overlayfs() {
    assert_layer(
        "dir d pax.SCHILY.xattr.trusted.overlay.opaque=y pax.SCHILY.xattr.user.overlay.x=1",
        &["dir d trusted.overlay.overlay.opaque=y user.overlay.overlay.x=1"],
    );
}

#[test]
fn case_67_attributes_without_a_place_are_mentioned_and_those_of_a_host_are_not() {
    let layer = convert_tar(&tar(
        "file a pax.SCHILY.xattr.com.apple.quarantine=1 pax.SCHILY.xattr.user.kept=1\n\
         file b pax.SCHILY.xattr.com.apple.quarantine=2\n\
         file c pax.SCHILY.xattr.security.selinux=label",
    ))
    .unwrap();
    assert_eq!(layer.list(), ["file a user.kept=1", "file b", "file c"]);
    assert_eq!(layer.converted.notices.len(), 1);
    let notice = &layer.converted.notices[0];
    assert!(
        notice.starts_with("`a` and 1 more: ") && notice.contains("`com.apple.quarantine`"),
        "{notice}"
    );
}

#[test]
fn case_69_attributes_have_65535_bytes_at_most() {
    let largest = "v".repeat(65_535);
    let layer = convert_tar(&tar(&format!(
        "file a pax.SCHILY.xattr.user.large={largest}"
    )));
    assert!(layer.unwrap().list()[0].ends_with(&largest));
    assert_refused(
        &format!("file a pax.SCHILY.xattr.user.large={largest}v"),
        "65535",
    );
}

#[test]
fn entries_of_unknown_type_are_left_out_and_mentioned() {
    let layer = convert_tar(&tar("entry Z a fill=600\nfile b\nentry V label")).unwrap();
    assert_eq!(layer.list(), ["file b"]);
    assert_eq!(layer.converted.notices.len(), 2);
    assert!(layer.converted.notices[1].contains("type `Z`"));
}

#[test]
fn case_70_attributes_of_anything_are_sorted_and_the_last_of_a_name_counts() {
    assert_layer(
        "symlink s -> x pax.SCHILY.xattr.trusted.b=2 pax.SCHILY.xattr.trusted.a=1\n\
         block b 8:1 pax.SCHILY.xattr.user.a=old pax.SCHILY.xattr.security.x=3 pax.SCHILY.xattr.user.a=new",
        &[
            "block b 8:1 security.x=3 user.a=new",
            "symlink s -> x trusted.a=1 trusted.b=2",
        ],
    );
}
