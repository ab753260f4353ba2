//! Which process is this? A number that costs two loads, and that no forked child shares with its
//! parent; and state that belongs to one process.
//!
//! Not the process id: a child in a new PID namespace may have its parent's, and ids are used
//! again.
//!
//! Nothing here takes a lock. A `fork` copies every lock as it is at that moment, and one that
//! another thread holds then stays held in the child forever.
//!
//! What this file promises: the page is mapped for the life of the process and accessed atomically
//! only; what a [`PerProcess`] points to is never freed and never changed.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// The calling process's number. It is kept in a page that `fork` gives to the child as zeros,
/// so the child takes the next one.
#[inline]
pub(crate) fn number() -> u32 {
    let page = PAGE.load(Ordering::Acquire);
    // SAFETY: null, or as `PAGE` says: mapped and aligned for good, and only accessed atomically.
    match unsafe { page.as_ref() }.map(|page| page.load(Ordering::Relaxed)) {
        Some(number) if number != 0 => number,
        _ => first_number(),
    }
}

/// The number at the first call in this process; where there is no such page, at every call.
#[cold]
fn first_number() -> u32 {
    /// An ordinary static, which a child inherits: it counts on from where its ancestors were.
    static LATEST: AtomicU32 = AtomicU32::new(0);
    let page = page();
    if ptr::eq(page, &NO_PAGE) {
        return rustix::process::getpid().as_raw_nonzero().get() as u32;
    }
    let next = LATEST.fetch_add(1, Ordering::Relaxed) + 1;
    // Another thread may have been faster.
    page.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed).map_or_else(|first| first, |_| next)
}

/// Stands for the page where the kernel wipes none.
static NO_PAGE: AtomicU32 = AtomicU32::new(0);

/// The page that is zero in every new process, or [`NO_PAGE`]; null before the first call. What it
/// points to is aligned, stays mapped for good, and is only accessed atomically.
static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

/// The page, which is mapped at the first call.
fn page() -> &'static AtomicU32 {
    let known = PAGE.load(Ordering::Acquire);
    let page = if known.is_null() {
        let ours = wiped_page().unwrap_or_else(|| (&raw const NO_PAGE).cast_mut());
        match PAGE.compare_exchange(ptr::null_mut(), ours, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => ours,
            Err(first) => {
                unmap(ours);
                first
            }
        }
    } else {
        known
    };
    // SAFETY: as `PAGE` says: it is `NO_PAGE`, or a page that was mapped for reading and writing
    // and is not unmapped, since only one that never was in `PAGE` is.
    unsafe { &*page }
}

/// A page that is zero in every new process, or `None` where the kernel has no such thing.
fn wiped_page() -> Option<*mut AtomicU32> {
    let len = rustix::param::page_size();
    let flags = MapFlags::PRIVATE;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory of
    // ours.
    let page = unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags) }.ok()?;
    // SAFETY: the range is the mapping made above.
    if unsafe { madvise(page, len, Advice::LinuxWipeOnFork) }.is_err() {
        unmap(page.cast());
        return None;
    }
    Some(page.cast())
}

/// Gives back a page that nobody else has heard of.
fn unmap(page: *mut AtomicU32) {
    if ptr::eq(page, &NO_PAGE) {
        return;
    }
    // SAFETY: a whole mapping of `wiped_page`, which only the caller knows.
    let _ = unsafe { munmap(page.cast::<c_void>(), rustix::param::page_size()) };
}

/// Process-wide state, for a static: each process makes its own at its first use.
///
/// A forked child starts from scratch without touching its parent's, whose locks may be held by
/// threads that the child does not have. The parent's copy stays where it is, unused: what it
/// holds (locked or not, half-changed or not) must not be dropped.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    current: AtomicPtr<Owned<T>>,
    make: fn() -> T,
}

#[derive(Debug)]
struct Owned<T> {
    /// The process that the value belongs to.
    process: u32,
    value: T,
}

impl<T: Send + Sync> PerProcess<T> {
    /// `make` may run more than once where threads race; all but one of its results are dropped.
    pub(crate) const fn new(make: fn() -> T) -> Self {
        Self { current: AtomicPtr::new(ptr::null_mut()), make }
    }

    /// The calling process's value.
    pub(crate) fn get(&'static self) -> &'static T {
        let process = number();
        let mut current = self.current.load(Ordering::Acquire);
        let mut ours: Option<Box<Owned<T>>> = None;
        loop {
            // SAFETY: null or what was leaked below: aligned, initialised before it was published
            // (Release, Acquire), never freed, never borrowed mutably.
            if let Some(owned) = unsafe { current.as_ref() }
                && owned.process == process
            {
                return &owned.value;
            }
            let made = ours.take().unwrap_or_else(|| Box::new(Owned { process, value: (self.make)() }));
            let made = Box::into_raw(made);
            match self.current.compare_exchange(current, made, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => current = made,
                Err(first) => {
                    // SAFETY: from `into_raw` above, and published to nobody.
                    ours = Some(unsafe { Box::from_raw(made) });
                    current = first;
                }
            }
        }
    }
}
