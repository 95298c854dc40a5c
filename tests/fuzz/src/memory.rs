//! An allocator that ends the program when asked for more at once than any input of a few KiB can
//! be worth: a number in the input was believed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write as _;

/// Bytes of one allocation.
const MOST: usize = 64 << 20;

#[global_allocator]
static ALLOCATOR: Capped = Capped;

struct Capped;

fn check(size: usize) {
    if size > MOST {
        // No formatting: it might allocate.
        let _ = std::io::stderr().write_all(b"an allocation of more than 64 MiB\n");
        std::process::abort();
    }
}

// SAFETY: all calls go to the system's allocator as they are.
#[allow(unsafe_code, reason = "allocators are unsafe by their contract")]
unsafe impl GlobalAlloc for Capped {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check(size);
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}
