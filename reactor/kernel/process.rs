//! Which process is this? A number that costs one load, and that no forked child shares with its
//! parent.
//!
//! Not the process id: a child in a new PID namespace may have its parent's, and ids are used
//! again.
//!
//! What this file promises: the page is mapped for the life of the process and accessed atomically
//! only.
#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// The calling process's number. It is kept in a page that `fork` gives to the child as zeros,
/// so the child takes the next one.
pub(crate) fn number() -> u32 {
    static PAGE: OnceLock<Option<&'static AtomicU32>> = OnceLock::new();
    /// An ordinary static, which a child inherits: it counts on from where its ancestors were.
    static LATEST: AtomicU32 = AtomicU32::new(0);
    let Some(page) = PAGE.get_or_init(wiped_page) else {
        return rustix::process::getpid().as_raw_nonzero().get() as u32;
    };
    match page.load(Ordering::Relaxed) {
        0 => {
            let next = LATEST.fetch_add(1, Ordering::Relaxed) + 1;
            // Another thread may have been faster.
            page.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed).map_or_else(|first| first, |_| next)
        }
        number => number,
    }
}

/// A page that is zero in every new process, or `None` where the kernel has no such thing.
fn wiped_page() -> Option<&'static AtomicU32> {
    let len = rustix::param::page_size();
    let flags = MapFlags::PRIVATE;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory of
    // ours.
    let page = unsafe { mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags) };
    let page = page.ok()?;
    // SAFETY: the range is the mapping made above.
    unsafe { madvise(page, len, Advice::LinuxWipeOnFork) }.ok()?;
    // SAFETY: the page is mapped for reading and writing, is never unmapped, is aligned, begins as
    // zeros, and nothing but this reference reaches it.
    Some(unsafe { AtomicU32::from_ptr(page.cast()) })
}
