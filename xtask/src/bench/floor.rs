//! The floor: bytes are copied and hashed, one beside the other, and nothing else is done with them.
//!
//! The least that a tool can take which keeps an image and checks what it got. It hashes with the
//! library that msb hashes with.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::command::Result;
use crate::digest::sha256_of;

/// Bytes read at a time.
const BLOCK: usize = 512 << 10;
/// Blocks on their way to the thread that hashes.
const AHEAD: usize = 4;

/// Copies a file, or with `-` the standard input, to another file and prints its SHA-256.
pub(super) fn run_all(arguments: &[String]) -> Result<()> {
    let [from, to] = arguments else {
        return Err("bench floor takes FROM and TO".into());
    };
    let mut from: Box<dyn Read> = match from.as_str() {
        "-" => Box::new(io::stdin()),
        path => Box::new(File::open(path)?),
    };
    let mut to = File::create(to)?;
    let (sender, receiver) = sync_channel::<Vec<u8>>(AHEAD);
    let hashed = thread::spawn(move || {
        let mut blocks = Blocks {
            rest: receiver.into_iter(),
            block: Vec::new(),
            at: 0,
        };
        sha256_of(&mut blocks).map_err(|error| error.to_string())
    });
    loop {
        let mut block = Vec::with_capacity(BLOCK);
        if from.by_ref().take(BLOCK as u64).read_to_end(&mut block)? == 0 {
            break;
        }
        to.write_all(&block)?;
        sender.send(block).map_err(|_| "hashing has ended early")?;
    }
    drop(sender);
    println!("{}", hashed.join().map_err(|_| "hashing has failed")??);
    Ok(())
}

/// Reads blocks as they come.
struct Blocks<I> {
    rest: I,
    block: Vec<u8>,
    at: usize,
}

impl<I: Iterator<Item = Vec<u8>>> Read for Blocks<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            let Some(block) = self.rest.next() else {
                return Ok(0);
            };
            (self.block, self.at) = (block, 0);
        }
        let length = buffer.len().min(self.block.len() - self.at);
        buffer[..length].copy_from_slice(&self.block[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
