//! Batched submission: all iocbs of a turn in one `io_submit`, and partial acceptance by position.
//!
//! What this file promises: an iocb's address is unique from the flush to the event, since each
//! slot has one place in an array that never moves; and the memory that an iocb names belongs to
//! the requests for as long.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;

use rustix::io::Errno;

use super::abi::Iocb;
use super::kioctx::Kioctx;
use crate::reactor::ids::Key;

/// The most iocbs of one `io_submit`. A longer batch would keep the thread in the kernel for too
/// long: nothing is reaped meanwhile.
const CHUNK: usize = 256;

/// The iocbs of all slots, and those that the next `io_submit` takes.
#[derive(Debug)]
pub(crate) struct Batch {
    /// One place per slot. Invariant: as long as its capacity, so that it never moves.
    iocbs: Vec<UnsafeCell<Iocb>>,
    capacity: usize,
    /// The batch: keys and, at the same positions, pointers to their places.
    keys: Vec<Key>,
    pointers: Vec<*mut Iocb>,
    /// Requests that the kernel refused, for the driver to take. No event will come.
    pub(crate) refused: Vec<(Key, Errno)>,
    /// Requests that it did not look at, since it has no room (`EAGAIN`).
    pub(crate) no_room: Vec<Key>,
}

impl Batch {
    /// Places for slots below `capacity`.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            // Reserved, not filled: places that are never used cost no memory.
            iocbs: Vec::with_capacity(capacity),
            capacity,
            keys: Vec::new(),
            pointers: Vec::new(),
            refused: Vec::new(),
            no_room: Vec::new(),
        }
    }

    /// Adds a queued slot's iocb to the batch.
    pub(crate) fn push(&mut self, key: Key, iocb: Iocb) {
        let place = self.place(key);
        // SAFETY: the place belongs to this slot, which is queued: the kernel does not have it yet.
        unsafe { place.write(iocb) };
        self.keys.push(key);
        self.pointers.push(place);
    }

    /// Submits the batch, tells which iocbs were accepted, and returns the number of calls made.
    /// The others are in [`refused`](Self::refused) and [`no_room`](Self::no_room).
    pub(crate) fn submit(&mut self, kioctx: &Kioctx, mut accepted: impl FnMut(Key)) -> u64 {
        let mut calls = 0;
        let mut done = 0;
        while done < self.keys.len() {
            let end = self.keys.len().min(done + CHUNK);
            calls += 1;
            // SAFETY: the pointers lie in `iocbs`, which does not move; each place is its slot's
            // until the slot's event. `driver/submit.rs` makes iocbs of requests alone: their
            // buffers and files are owned by the requests until the event (their law), and poll
            // masks name no memory.
            match unsafe { kioctx.submit(&self.pointers[done..end]) } {
                Ok(taken) => {
                    self.keys[done..done + taken].iter().for_each(|key| accepted(*key));
                    // Less than all: the next call begins with the iocb that stopped this one, and
                    // names its errno.
                    done += taken;
                }
                Err(Errno::AGAIN) => {
                    self.no_room.extend_from_slice(&self.keys[done..]);
                    break;
                }
                Err(errno) => {
                    self.refused.push((self.keys[done], errno));
                    done += 1;
                }
            }
        }
        self.keys.clear();
        self.pointers.clear();
        calls
    }

    /// Where a slot's iocb is: the name by which the kernel cancels it.
    pub(crate) fn place(&mut self, key: Key) -> *mut Iocb {
        assert!(key.index() < self.capacity, "slots are numbered below the capacity");
        while self.iocbs.len() <= key.index() {
            self.iocbs.push(UnsafeCell::new(Iocb::vacant()));
        }
        self.iocbs[key.index()].get()
    }
}
