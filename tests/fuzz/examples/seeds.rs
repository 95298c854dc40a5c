//! Writes what fuzzing starts from into the folder that is the only argument. The small archives
//! of `$MSB_FIXTURES/tars` are taken along.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).expect("a folder to write to");
    let others = std::env::var_os("MSB_FIXTURES")
        .map(|fixtures| PathBuf::from(fixtures).join("tars"))
        .filter(|tars| tars.is_dir());
    msb_fuzz::seeds::write_all(&PathBuf::from(folder), others.as_deref())
}
