//! Batched submission: all iocbs of a turn in one `io_submit`, and partial acceptance by position.
//!
//! What this file promises: an iocb's address is unique from the flush to the event, since each
//! slot has one place, which never moves; and the memory that an iocb names belongs to
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

/// Places that are allocated together.
const PLACES_PER_PART: usize = 256;

/// The iocbs of all slots, and those that the next `io_submit` takes.
#[derive(Debug)]
pub(crate) struct Batch {
    /// One place per slot, in parts that are allocated when one of their slots is first used, and
    /// that never move: the capacity may grow.
    parts: Vec<Box<[UnsafeCell<Iocb>; PLACES_PER_PART]>>,
    /// The batch: keys and, at the same positions, pointers to their places.
    keys: Vec<Key>,
    pointers: Vec<*mut Iocb>,
    /// Requests that the kernel refused, for the driver to take. No event will come.
    pub(crate) refused: Vec<(Key, Errno)>,
    /// Requests that it did not look at, since it has no room (`EAGAIN`).
    pub(crate) no_room: Vec<Key>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self { parts: Vec::new(), keys: Vec::new(), pointers: Vec::new(), refused: Vec::new(), no_room: Vec::new() }
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
            // SAFETY: the pointers lie in `parts`, which do not move; each place is its slot's
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
        let (part, place) = (key.index() / PLACES_PER_PART, key.index() % PLACES_PER_PART);
        while self.parts.len() <= part {
            self.parts.push(Box::new(std::array::from_fn(|_| UnsafeCell::new(Iocb::vacant()))));
        }
        self.parts[part][place].get()
    }
}
