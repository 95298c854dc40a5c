//! What of a layer depends on the layers below.

bitflags::bitflags! {
    /// What of a layer depends on the layers below. It is a property of the tar alone; with none
    /// of it, the image of the layer is the same over any others.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Dependence: u8 {
        /// No entry is for the root directory, so it is as it is below.
        const ROOT = 1;
        /// The same of other directories.
        const DIRECTORIES = 1 << 1;
        /// It has hard links to files that it does not have itself, or only later.
        const LINKS = 1 << 2;
        /// It hides something, which means nothing in the bottom layer.
        const MARKERS = 1 << 3;
        /// It hides everything. Overlayfs has no mark for that, so each name is hidden on its own.
        const ROOT_OPAQUE = 1 << 4;
    }
}
