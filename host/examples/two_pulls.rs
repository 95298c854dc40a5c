//! Pulls two images at once, gives one of them up, loads an archive, and lists what is there.
//!
//! `two_pulls WANTED UNWANTED image.tar`

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "that is its output"
)]

use std::future::IntoFuture as _;
use std::time::Duration;

use msb_host::{Input, Msb};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [wanted, unwanted, archive] = arguments.as_slice() else {
        return Err("usage: two_pulls WANTED UNWANTED ARCHIVE".into());
    };
    let msb = Msb::open()?;
    let wanted = tokio::spawn(msb.pull(wanted).into_future());
    let unwanted = tokio::spawn(msb.pull(unwanted).into_future());
    tokio::time::sleep(Duration::from_millis(500)).await;
    unwanted.abort();
    assert!(unwanted.await.is_err_and(|error| error.is_cancelled()));
    println!("pulled {}", wanted.await??.reference);
    for image in msb.load(Input::Path(archive.into())).await?.images {
        println!("loaded {}", image.config_digest);
    }
    for image in msb.images().await?.images {
        println!("listed {}", image.digest);
    }
    Ok(())
}
