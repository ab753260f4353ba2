//! Lets the runtimes on io_uring own a [`Block`] while the kernel fills or sends it.
//!
//! All of them ask the same of a buffer: its bytes must stay where they are while the buffer itself
//! moves. A box's bytes do. All bytes of a block are always initialised.

#![allow(unsafe_code)]

use crate::blocks::Block;

// SAFETY: the pointer is to the heap: it stays the same wherever the box moves, and is valid for
// SIZE bytes.
unsafe impl<const SIZE: usize> monoio::buf::IoBuf for Box<Block<SIZE>> {
    fn read_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        SIZE
    }
}

// SAFETY: as above, and the box owns what it points to.
unsafe impl<const SIZE: usize> monoio::buf::IoBufMut for Box<Block<SIZE>> {
    fn write_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    fn bytes_total(&mut self) -> usize {
        SIZE
    }

    unsafe fn set_init(&mut self, _: usize) {}
}

// SAFETY: the pointer is to the heap: it stays the same wherever the box moves, and is valid for
// SIZE bytes.
unsafe impl<const SIZE: usize> tokio_uring::buf::IoBuf for Box<Block<SIZE>> {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        SIZE
    }

    fn bytes_total(&self) -> usize {
        SIZE
    }
}

// SAFETY: as above, and the box owns what it points to.
unsafe impl<const SIZE: usize> tokio_uring::buf::IoBufMut for Box<Block<SIZE>> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    unsafe fn set_init(&mut self, _: usize) {}
}
