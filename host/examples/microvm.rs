//! What virtual machines need to start from an image: the options of Firecracker, Cloud Hypervisor and
//! QEMU, and the calls of libkrun.
//!
//! `microvm REF`

#![allow(clippy::print_stdout, reason = "that is its output")]

use std::env;

use msb_host::Msb;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let reference = env::args().nth(1).ok_or("usage: microvm REF")?;
    let msb = Msb::open()?;
    // One small file over the layers, made unless it is there.
    msb.merge(&reference).run()?;
    let details = msb.inspect(&reference).run()?;
    let runtime = details.runtime.ok_or("a layer is missing")?;
    let line = runtime
        .kernel_command_line
        .ok_or("too many layers for drives: use `msb image disk`")?;
    println!("# kernel command line\nconsole=ttyS0 {line} init=/bin/sh");
    println!("# Firecracker, PUT /drives/…");
    for (number, drive) in runtime.drives.iter().enumerate() {
        let path = drive.path.display();

        println!(
            "{{\"drive_id\": \"d{number}\", \"path_on_host\": \"{path}\", \"is_root_device\": false, \
             \"is_read_only\": true}}"
        );
    }
    println!("# Cloud Hypervisor");
    for drive in &runtime.drives {
        println!("--disk path={},readonly=on", drive.path.display());
    }
    println!("# QEMU");
    for drive in &runtime.drives {
        println!(
            "-drive file={},format=raw,if=virtio,readonly=on",
            drive.path.display()
        );
    }
    println!("# libkrun");
    for (number, drive) in runtime.drives.iter().enumerate() {
        let path = drive.path.display();
        println!("krun_add_disk(context, \"d{number}\", \"{path}\", true)");
    }
    println!(
        "# this machine\nmount -t erofs -o {} {}",
        runtime.mount_options,
        runtime.drives[0].path.display()
    );
    Ok(())
}
