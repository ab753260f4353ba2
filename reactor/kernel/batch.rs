//! Batched submission: all iocbs of a turn in one `io_submit`, and partial acceptance by position.
//!
//! What this file promises: an iocb's address is unique from the flush to the event, since each
//! slot has one place in an array that never moves; and the memory that an iocb names belongs to
//! the table for as long.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;

use rustix::io::Errno;

use super::abi::{Cancel, Iocb};
use super::kioctx::Kioctx;
use crate::reactor::requests::Key;

/// The most iocbs of one `io_submit`, which is not to be preempted on its way through them.
const CHUNK: usize = 256;

/// What became of one iocb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The kernel has it: one event will come.
    Accepted,
    /// The kernel looked at it and will not have it: no event will come.
    Refused(Errno),
    /// `EAGAIN`: the kernel has no room, and did not look at it.
    NoRoom,
}

/// The iocbs of all slots, and those that the next `io_submit` takes.
#[derive(Debug)]
pub(crate) struct Batch {
    /// One place per slot. Invariant: as long as its capacity, so that it never moves.
    iocbs: Vec<UnsafeCell<Iocb>>,
    capacity: usize,
    /// The batch: keys and, at the same positions, pointers to their places.
    keys: Vec<Key>,
    pointers: Vec<*mut Iocb>,
}

impl Batch {
    /// Places for slots below `capacity`.
    pub(crate) fn new(capacity: usize) -> Self {
        // Reserved, not filled: places that are never used cost no memory.
        Self { iocbs: Vec::with_capacity(capacity), capacity, keys: Vec::new(), pointers: Vec::new() }
    }

    /// Adds a queued slot's iocb to the batch.
    pub(crate) fn push(&mut self, key: Key, iocb: Iocb) {
        let pointer = self.place(key);
        // SAFETY: the place belongs to this slot, which is queued: the kernel does not have it yet.
        unsafe { pointer.write(iocb) };
        self.keys.push(key);
        self.pointers.push(pointer);
    }

    /// Submits the batch and tells what became of each iocb, in order. Returns the number of calls
    /// made.
    pub(crate) fn submit(&mut self, kioctx: &Kioctx, mut tell: impl FnMut(Key, Outcome)) -> u64 {
        let mut calls = 0;
        let mut done = 0;
        while done < self.keys.len() {
            let end = self.keys.len().min(done + CHUNK);
            calls += 1;
            // SAFETY: the pointers lie in `iocbs`, which does not move; each place is its slot's
            // until the slot's event. Buffers and files are owned by the table until then (its
            // law), poll masks name no memory.
            let accepted = match unsafe { kioctx.submit(&self.pointers[done..end]) } {
                Ok(accepted) => accepted,
                Err(errno) => {
                    let no_room = errno == Errno::AGAIN;
                    let end = if no_room { self.keys.len() } else { done + 1 };
                    let outcome = if no_room { Outcome::NoRoom } else { Outcome::Refused(errno) };
                    self.keys[done..end].iter().for_each(|key| tell(*key, outcome));
                    done = end;
                    continue;
                }
            };
            self.keys[done..done + accepted].iter().for_each(|key| tell(*key, Outcome::Accepted));
            // Less than all: the next call begins with the iocb that stopped this one, and names
            // its errno.
            done += accepted;
        }
        self.keys.clear();
        self.pointers.clear();
        calls
    }

    /// Cancels the poll of an armed slot.
    pub(crate) fn cancel(&mut self, kioctx: &Kioctx, key: Key) -> Result<Cancel, Errno> {
        kioctx.cancel(self.place(key))
    }

    fn place(&mut self, key: Key) -> *mut Iocb {
        assert!(key.index() < self.capacity, "slots are numbered below the table's capacity");
        while self.iocbs.len() <= key.index() {
            self.iocbs.push(UnsafeCell::new(Iocb::vacant()));
        }
        self.iocbs[key.index()].get()
    }
}
