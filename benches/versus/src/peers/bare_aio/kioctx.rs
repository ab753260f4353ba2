//! The kernel's AIO context: structs, five moves, no policy.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

const IOCB_CMD_PREAD: u16 = 0;
const IOCB_CMD_PWRITE: u16 = 1;
const IOCB_CMD_POLL: u16 = 5;
const RING_MAGIC: u32 = 0xa10a_10a1;
/// The most events of one sleep.
const BATCH: usize = 256;

/// `struct iocb` of linux/aio_abi.h, little endian.
#[repr(C)]
#[derive(Default)]
pub struct Iocb {
    data: u64,
    key: u32,
    rw_flags: i32,
    opcode: u16,
    reqprio: i16,
    fildes: u32,
    buf: u64,
    nbytes: u64,
    offset: i64,
    reserved2: u64,
    flags: u32,
    resfd: u32,
}

impl Iocb {
    pub fn poll_in(fd: RawFd, data: u64) -> Iocb {
        Iocb { data, opcode: IOCB_CMD_POLL, fildes: fd as u32, buf: libc::POLLIN as u64, ..Iocb::default() }
    }

    pub fn pread(fd: RawFd, into: &mut [u8], offset: u64, data: u64) -> Iocb {
        Iocb { opcode: IOCB_CMD_PREAD, ..Iocb::transfer(fd, into.as_mut_ptr() as u64, into.len(), offset, data) }
    }

    pub fn pwrite(fd: RawFd, from: &[u8], offset: u64, data: u64) -> Iocb {
        Iocb { opcode: IOCB_CMD_PWRITE, ..Iocb::transfer(fd, from.as_ptr() as u64, from.len(), offset, data) }
    }

    fn transfer(fd: RawFd, buf: u64, len: usize, offset: u64, data: u64) -> Iocb {
        Iocb { data, fildes: fd as u32, buf, nbytes: len as u64, offset: offset as i64, ..Iocb::default() }
    }
}

/// `struct io_event`: the iocb's data, and its result.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Event {
    pub data: u64,
    obj: u64,
    pub res: i64,
    res2: i64,
}

/// The head of the page that the kernel maps for a context; the events follow it.
#[repr(C)]
struct Ring {
    id: u32,
    nr: u32,
    head: AtomicU32,
    tail: AtomicU32,
    magic: u32,
    compat_features: u32,
    incompat_features: u32,
    header_length: u32,
}

pub struct Kioctx {
    ring: NonNull<Ring>,
    /// To be submitted in the next turn; see the promise of [`Kioctx::queue`].
    queued: Vec<*mut Iocb>,
}

impl Kioctx {
    /// A context for at least `requests` at a time.
    pub fn new(requests: u32) -> Result<Kioctx> {
        let mut id = ptr::null_mut::<Ring>();
        // SAFETY: `id` is a live, zeroed aio_context_t, which the kernel writes on success.
        let result = unsafe { libc::syscall(libc::SYS_io_setup, requests, &raw mut id) };
        check(result)
            .with_context(|| format!("io_setup({requests}): is fs.aio-max-nr less than fs.aio-nr + {requests}?"))?;
        let ring = NonNull::new(id).context("io_setup returned no context")?;
        // SAFETY: an aio_context_t is the address of a ring that stays mapped until io_destroy,
        // which is never called.
        let Ring { magic, incompat_features, header_length, .. } = unsafe { ring.as_ref() };
        ensure!(
            *magic == RING_MAGIC && *incompat_features == 0 && *header_length == 32,
            "this kernel does not let its AIO ring be read"
        );
        Ok(Kioctx { ring, queued: Vec::new() })
    }

    /// Lets the next turn submit `iocb`.
    ///
    /// # Safety
    ///
    /// `iocb` must stay where it is until that turn has returned. What it points to must stay until
    /// its event has been taken.
    pub unsafe fn queue(&mut self, iocb: *mut Iocb) {
        self.queued.push(iocb);
    }

    /// Submits what is queued, and puts the events that have come into `events`. Sleeps until there
    /// is one.
    pub fn turn(&mut self, events: &mut Vec<Event>) -> Result<()> {
        events.clear();
        self.submit()?;
        self.reap(events);
        if events.is_empty() {
            self.sleep(events)?;
        }
        Ok(())
    }

    fn submit(&mut self) -> Result<()> {
        let mut rest = self.queued.as_mut_slice();
        while !rest.is_empty() {
            // SAFETY: the pointers were promised to `queue` to be iocbs that are still there.
            let result = unsafe { libc::syscall(libc::SYS_io_submit, self.ring, rest.len(), rest.as_mut_ptr()) };
            // EAGAIN is an error too: there are always fewer requests than the context was made
            // for.
            let accepted = check(result).context("io_submit")?;
            rest = &mut rest[accepted..];
        }
        self.queued.clear();
        Ok(())
    }

    /// Takes all events of the ring, without a system call.
    fn reap(&mut self, events: &mut Vec<Event>) {
        // SAFETY: the ring stays mapped; what is not atomic in its header never changes.
        let ring = unsafe { self.ring.as_ref() };
        // SAFETY: the events begin right after the header, whose length `new` has checked.
        let first = unsafe { self.ring.add(1).cast::<Event>() };
        let mut head = ring.head.load(Ordering::Relaxed);
        // Acquire: the kernel writes an event before the tail that covers it.
        let tail = ring.tail.load(Ordering::Acquire);
        if head == tail {
            return;
        }
        while head != tail {
            // SAFETY: head is below nr, so this is an event of the ring. The tail says that it has
            // been written.
            events.push(unsafe { first.add(head as usize).read() });
            head += 1;
            if head == ring.nr {
                head = 0;
            }
        }
        // Release: the events have been copied before the kernel may write over them.
        ring.head.store(head, Ordering::Release);
    }

    fn sleep(&mut self, events: &mut Vec<Event>) -> Result<()> {
        events.reserve(BATCH);
        // io_getevents is io_pgetevents without the signal mask, which is not needed here.
        // SAFETY: there is room for BATCH events behind the pointer; no timeout.
        let result = unsafe {
            libc::syscall(
                libc::SYS_io_getevents,
                self.ring,
                1usize,
                BATCH,
                events.as_mut_ptr(),
                ptr::null::<libc::timespec>(),
            )
        };
        let taken = check(result).context("io_getevents")?;
        // SAFETY: the kernel has written that many events from the start of the vector, which was
        // empty.
        unsafe { events.set_len(taken) };
        Ok(())
    }
}

fn check(result: libc::c_long) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
