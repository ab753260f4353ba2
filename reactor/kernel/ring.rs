//! The mapped ring of a context, reaped without a system call.
//!
//! The kernel writes an event, then `tail`; we read `tail`, copy the events out, then write `head`.
//! It trusts none of these fields, but counts: a request's place is free again once its event has
//! left the ring.
//!
//! What this file promises: the ring is read only between `head` and `tail`, by one owner, and only
//! while the context lives (the promise of [`Ring::map`]'s caller).
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;
use rustix::mm::{Advice, madvise};

use super::abi::{AIO_RING_MAGIC, ContextId, IoEvent, RingHeader};

/// The consumer's end of one context's ring.
#[derive(Debug)]
pub(crate) struct Ring {
    header: NonNull<RingHeader>,
    events: NonNull<IoEvent>,
    /// Events that the ring can hold, plus one. Not a power of two: wrap by comparison.
    nr: u32,
    hidden: Result<(), Errno>,
}

// SAFETY: the mapping belongs to the address space, not to a thread, and `Ring` is its only
// consumer.
unsafe impl Send for Ring {}

impl Ring {
    /// The ring of a context, or `None` where the kernel's layout is not the one that we know
    /// (gVisor maps a page of zeros): events then come by `io_getevents` alone.
    ///
    /// # Safety
    ///
    /// `id` names a live context of this process that has no other `Ring`, and outlives the one
    /// returned.
    pub(crate) unsafe fn map(id: ContextId) -> Option<Self> {
        #[cfg(test)]
        super::fault::check(super::fault::Call::MapRing).ok()?;
        let header = NonNull::new(id.0 as *mut RingHeader)?;
        // SAFETY: a live context's id is the address of its ring, of which at least one page is
        // mapped. Only `head` and `tail` change later, and these fields are not they.
        let (magic, incompat, header_length, nr) = unsafe {
            let at = header.as_ptr();
            ((*at).magic, (*at).incompat_features, (*at).header_length, (*at).nr)
        };
        let header_length = header_length as usize;
        if magic != AIO_RING_MAGIC || incompat != 0 || header_length != size_of::<RingHeader>() || nr < 2 {
            return None;
        }
        // SAFETY: the kernel put the events there, within the mapping; that is page-aligned, and
        // the header's length is a multiple of an event's alignment.
        let events = unsafe { header.byte_add(header_length) }.cast::<IoEvent>();
        Some(Self { header, events, nr, hidden: hide_from_children(header, nr) })
    }

    /// Whether a forked child is kept from the ring, whose events it could take.
    pub(crate) fn hidden_from_children(&self) -> Result<(), Errno> {
        self.hidden
    }

    /// The most events that can be unread at a time, which bounds the requests in flight.
    pub(crate) fn room(&self) -> usize {
        self.nr as usize - 1
    }

    fn head(&self) -> &AtomicU32 {
        // SAFETY: `map` promised a live ring; `head` is an aligned u32 that is only accessed
        // atomically.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.header.as_ptr()).head) }
    }

    fn tail(&self) -> &AtomicU32 {
        // SAFETY: as for `head`.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.header.as_ptr()).tail) }
    }

    /// Whether nothing is there to be reaped. A hint: the kernel may be writing at this moment.
    pub(crate) fn is_empty(&self) -> bool {
        self.head().load(Ordering::Relaxed) == self.tail().load(Ordering::Relaxed)
    }

    /// Moves all events that are there into `events`, oldest first, and returns their number.
    pub(crate) fn reap(&mut self, events: &mut Vec<IoEvent>) -> usize {
        // Ours alone to move, except inside io_getevents, which we do not call at the same time.
        let head = self.head().load(Ordering::Relaxed);
        // Acquire: the events before `tail` were written before it.
        let tail = self.tail().load(Ordering::Acquire);
        if head == tail {
            return 0;
        }
        let (first, second) = if head < tail { (head..tail, 0..0) } else { (head..self.nr, 0..tail) };
        let before = events.len();
        for run in [first, second] {
            // SAFETY: `run` lies within the ring's `nr` events, all of which the kernel has
            // published up to `tail` and does not write again before `head` has passed them.
            let run = unsafe {
                let start = self.events.add(run.start as usize).as_ptr();
                std::slice::from_raw_parts(start, (run.end.saturating_sub(run.start)) as usize)
            };
            events.extend_from_slice(run);
        }
        // Release: our copies are made before the kernel may write over the originals.
        self.head().store(tail, Ordering::Release);
        events.len() - before
    }
}

/// Up to Linux 7.0 a forked child inherits the ring, and could take its parent's events.
fn hide_from_children(header: NonNull<RingHeader>, nr: u32) -> Result<(), Errno> {
    #[cfg(test)]
    super::fault::check(super::fault::Call::HideRing)?;
    let bytes = size_of::<RingHeader>() + nr as usize * size_of::<IoEvent>();
    let address = header.as_ptr().cast::<c_void>();
    // SAFETY: the range is the context's own mapping, whose start is page-aligned and whose end
    // the kernel rounds up; MADV_DONTFORK changes nothing in this process.
    unsafe { madvise(address, bytes, Advice::LinuxDontFork) }
}
