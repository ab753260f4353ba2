//! Lets the runtimes on io_uring own a [`Block`] while the kernel fills or sends it.
//!
//! All of them ask the same of a buffer: that its bytes stay where they are while the buffer itself
//! is moved. Those of a box do. All bytes of a block are always initialised.

#![allow(unsafe_code)]

use crate::blocks::Block;

// SAFETY: the pointer is that of the heap's memory, the same wherever the box is moved, and good
// for SIZE bytes.
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

// SAFETY: the pointer is that of the heap's memory, the same wherever the box is moved, and good
// for SIZE bytes.
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
