//! Memory that was given back while the kernel may still have used it.

use std::cell::RefCell;
use std::collections::VecDeque;

use aio_runtime::fs::Buf;

use crate::files::BLOCK;

const POISON: u8 = 0xa5;

/// How many are watched at a time.
const MOST: usize = 64;

/// Buffers that are taken just after an operation was dropped, so from memory that it would have
/// freed if it did not wait for the kernel. They are filled, and then nothing may change them.
#[derive(Default)]
pub(crate) struct Poisoned(RefCell<VecDeque<Buf>>);

impl Poisoned {
    /// Takes a buffer as large as the one that was dropped.
    pub(crate) fn take(&self, len: usize) {
        let mut buf = Buf::aligned(len, BLOCK);
        buf.fill(POISON);
        let mut bufs = self.0.borrow_mut();
        bufs.push_back(buf);
        if bufs.len() > MOST {
            assert_unchanged(&bufs.pop_front().unwrap());
        }
    }

    /// Takes as many as are watched: everything that was in flight has just been dropped.
    pub(crate) fn take_all(&self) {
        for number in 0..MOST {
            self.take(BLOCK << (number % 3));
        }
    }

    /// Checks those that are still watched.
    pub(crate) fn assert_all_unchanged(&self) {
        self.0.borrow().iter().for_each(assert_unchanged);
    }
}

fn assert_unchanged(buf: &Buf) {
    if let Some(at) = buf.iter().position(|byte| *byte != POISON) {
        panic!("the kernel has written to memory that was given back: byte {at} of {} is {:#x}", buf.len(), buf[at]);
    }
}
