//! The archive that is being written.

use crate::bindings::msb::plugin::{log, sink, sink_merged};
use crate::{Error, Level};

/// An archive in the making. See `wit/sink.wit`.
pub trait Output {
    /// Adds a directory.
    fn put_directory(&mut self, path: &str) -> Result<(), Error>;

    /// Adds a file of at most 16 MiB.
    fn put_file(&mut self, path: &str, contents: &[u8]) -> Result<(), Error>;

    /// Adds a symbolic link.
    fn put_symlink(&mut self, path: &str, target: &str) -> Result<(), Error>;

    /// Adds a file that holds the layer of this number as an uncompressed tar.
    fn put_layer(&mut self, path: &str, layer: u32) -> Result<(), Error>;

    /// Says something to the user: above all, what the format cannot hold.
    fn log(&mut self, level: Level, message: &str);
}

/// An archive that can hold the filesystem of an image. See `wit/sink-merged.wit`. A component that uses
/// it imports that.
pub trait FilesystemOutput {
    /// Adds everything that the layers of these numbers show together, the bottom one first, below
    /// `prefix`.
    fn put_merged(&mut self, prefix: &str, layers: &[u32]) -> Result<(), Error>;
}

/// The archive that the host writes.
#[derive(Debug)]
pub struct Sink;

impl FilesystemOutput for Sink {
    fn put_merged(&mut self, prefix: &str, layers: &[u32]) -> Result<(), Error> {
        sink_merged::put_merged(prefix, layers)
    }
}

impl Output for Sink {
    fn put_directory(&mut self, path: &str) -> Result<(), Error> {
        sink::put_directory(path)
    }

    fn put_file(&mut self, path: &str, contents: &[u8]) -> Result<(), Error> {
        sink::put_file(path, contents)
    }

    fn put_symlink(&mut self, path: &str, target: &str) -> Result<(), Error> {
        sink::put_symlink(path, target)
    }

    fn put_layer(&mut self, path: &str, layer: u32) -> Result<(), Error> {
        sink::put_layer(path, layer)
    }

    fn log(&mut self, level: Level, message: &str) {
        log::emit(level, message);
    }
}
