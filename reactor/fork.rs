//! A process id that costs one load and is right after `fork`.
//!
//! What this file promises: the page is mapped for the life of the process and accessed atomically only.
#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// The calling process. The kernel's answer is kept in a page that `fork` gives to the child as zeros.
pub(super) fn pid() -> u32 {
    static PAGE: OnceLock<Option<&'static AtomicU32>> = OnceLock::new();
    let ask_kernel = || rustix::process::getpid().as_raw_nonzero().get() as u32;
    let Some(page) = PAGE.get_or_init(wiped_page) else {
        return ask_kernel();
    };
    match page.load(Ordering::Relaxed) {
        0 => {
            let pid = ask_kernel();
            page.store(pid, Ordering::Relaxed);
            pid
        }
        pid => pid,
    }
}

/// A page that is zero in every new process, or `None` where the kernel has no such thing.
fn wiped_page() -> Option<&'static AtomicU32> {
    let len = rustix::param::page_size();
    let flags = MapFlags::PRIVATE;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory of ours.
    let page = unsafe { mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags) };
    let page = page.ok()?;
    // SAFETY: the range is the mapping made above.
    unsafe { madvise(page, len, Advice::LinuxWipeOnFork) }.ok()?;
    // SAFETY: the page is mapped for reading and writing, is never unmapped, is aligned, begins as zeros, and
    // nothing but this reference reaches it.
    Some(unsafe { AtomicU32::from_ptr(page.cast()) })
}
