//! The kernel's ABI of native AIO: the structures of `include/uapi/linux/aio_abi.h`, a constructor
//! for each command that we submit, and the system calls. No policy.
//!
//! What this file promises: the layouts are the kernel's; the two calls that can break memory,
//! [`io_submit`] (it gives the kernel memory to keep) and [`io_destroy`] (it unmaps the ring), are
//! `unsafe`.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::time::Duration;

use rustix::io::Errno;

#[cfg(test)]
use super::fault;
use crate::reactor::ids::Direction;

/// `aio_context_t`: the kernel's name of a context, which is also the address of its mapped ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContextId(pub(crate) libc::c_ulong);

/// One request. The layout is that of a little-endian machine, where `key` comes before
/// `rw_flags`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Iocb {
    /// Handed back in [`IoEvent::data`].
    data: u64,
    /// Written by `io_submit` and asked for by `io_cancel`: always `KIOCB_KEY`, which is 0.
    key: u32,
    rw_flags: i32,
    opcode: u16,
    reqprio: i16,
    fd: u32,
    /// The buffer's address, or the mask of a poll.
    buf: u64,
    nbytes: u64,
    offset: i64,
    reserved2: u64,
    flags: u32,
    resfd: u32,
}

const IOCB_CMD_PREAD: u16 = 0;
const IOCB_CMD_PWRITE: u16 = 1;
const IOCB_CMD_FSYNC: u16 = 2;
const IOCB_CMD_FDSYNC: u16 = 3;
const IOCB_CMD_POLL: u16 = 5;

impl Iocb {
    fn new(opcode: u16, fd: RawFd, data: u64) -> Self {
        Self {
            data,
            key: 0,
            rw_flags: 0,
            opcode,
            reqprio: 0,
            fd: fd as u32,
            buf: 0,
            nbytes: 0,
            offset: 0,
            reserved2: 0,
            flags: 0,
            resfd: 0,
        }
    }

    /// A placeholder that must not be submitted: what an unused place of an array holds.
    pub(crate) fn vacant() -> Self {
        Self::new(u16::MAX, -1, 0)
    }

    /// A one-shot poll for one direction. `POLLERR` and `POLLHUP` are always added by the kernel.
    pub(crate) fn poll(fd: RawFd, direction: Direction, data: u64) -> Self {
        let mut iocb = Self::new(IOCB_CMD_POLL, fd, data);
        iocb.buf = direction.poll_mask() as u16 as u64;
        iocb
    }

    /// A positional read into `len` bytes at `buf`.
    pub(crate) fn read(fd: RawFd, buf: *mut u8, len: usize, offset: i64, data: u64) -> Self {
        let mut iocb = Self::new(IOCB_CMD_PREAD, fd, data);
        iocb.buf = buf as u64;
        iocb.nbytes = len as u64;
        iocb.offset = offset;
        iocb
    }

    /// A positional write from `len` bytes at `buf`.
    pub(crate) fn write(fd: RawFd, buf: *const u8, len: usize, offset: i64, data: u64) -> Self {
        let mut iocb = Self::new(IOCB_CMD_PWRITE, fd, data);
        iocb.buf = buf as u64;
        iocb.nbytes = len as u64;
        iocb.offset = offset;
        iocb
    }

    /// `fsync`, or `fdatasync` where `data_only`.
    pub(crate) fn sync(fd: RawFd, data_only: bool, data: u64) -> Self {
        let opcode = if data_only { IOCB_CMD_FDSYNC } else { IOCB_CMD_FSYNC };
        Self::new(opcode, fd, data)
    }

    /// The same request with `RWF_NOWAIT`: fail with `EAGAIN` rather than block inside `io_submit`.
    pub(crate) fn nowait(mut self) -> Self {
        self.rw_flags |= libc::RWF_NOWAIT;
        self
    }
}

/// One completion.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct IoEvent {
    /// [`Iocb`]'s `data`.
    pub(crate) data: u64,
    /// The address of the iocb.
    _obj: u64,
    /// Bytes, a poll mask, or a negated errno.
    pub(crate) res: i64,
    _res2: i64,
}

/// The head of the mapped ring; the events follow at `header_length`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct RingHeader {
    pub(crate) id: u32,
    pub(crate) nr: u32,
    pub(crate) head: u32,
    pub(crate) tail: u32,
    pub(crate) magic: u32,
    pub(crate) compat_features: u32,
    pub(crate) incompat_features: u32,
    pub(crate) header_length: u32,
}

/// [`RingHeader`]'s `magic`.
pub(crate) const AIO_RING_MAGIC: u32 = 0xa10a_10a1;

/// The mask that blocks every signal.
pub(crate) fn all_signals() -> libc::sigset_t {
    let mut mask = MaybeUninit::uninit();
    // SAFETY: sigfillset(3) initialises the set that it is given, and cannot fail on a valid
    // pointer.
    unsafe {
        libc::sigfillset(mask.as_mut_ptr());
        mask.assume_init()
    }
}

/// Calls `f` with the thread's signal mask replaced by `mask`.
pub(crate) fn with_signal_mask<R>(mask: &libc::sigset_t, f: impl FnOnce() -> R) -> R {
    let mut before = MaybeUninit::uninit();
    // SAFETY: pthread_sigmask(3) reads one set and writes the other; it cannot fail with
    // SIG_SETMASK and valid pointers.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, before.as_mut_ptr()) };
    let result = f();
    // SAFETY: `before` was written above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    result
}

/// `struct __aio_sigset`. The kernel's own `sigset_t` has 8 bytes, libc's is longer and
/// begins with them.
#[repr(C)]
struct AioSigset {
    mask: *const libc::sigset_t,
    size: usize,
}

/// Missing in libc on some of the architectures: x86-64's own table, and the generic one of aarch64
/// and riscv64.
const SYS_IO_PGETEVENTS: libc::c_long = if cfg!(target_arch = "x86_64") { 333 } else { 292 };

const KERNEL_SIGSET_BYTES: usize = 8;

const _: () = assert!(size_of::<RingHeader>().is_multiple_of(align_of::<IoEvent>()));
const _: () = assert!(size_of::<Iocb>() == 64 && size_of::<IoEvent>() == 32 && size_of::<RingHeader>() == 32);

fn result(ret: libc::c_long) -> Result<usize, Errno> {
    if ret >= 0 {
        return Ok(ret as usize);
    }
    let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    Err(Errno::from_raw_os_error(errno))
}

/// Makes a context for `nr` requests.
pub(crate) fn io_setup(nr: u32) -> Result<ContextId, Errno> {
    #[cfg(test)]
    fault::check(fault::Call::Setup)?;
    let mut id: libc::c_ulong = 0;
    // SAFETY: io_setup(2) writes one aio_context_t, to `id`, which is 0 as it demands.
    result(unsafe { libc::syscall(libc::SYS_io_setup, nr, &raw mut id) })?;
    Ok(ContextId(id))
}

/// Cancels and awaits all requests of the context, and unmaps its ring. If it fails, it has done
/// nothing.
///
/// # Safety
///
/// Nobody reads the context's ring afterwards.
pub(crate) unsafe fn io_destroy(id: ContextId) -> Result<(), Errno> {
    #[cfg(test)]
    fault::check(fault::Call::Destroy)?;
    // SAFETY: io_destroy(2) takes no pointer; that its ring is unmapped is the caller's concern.
    result(unsafe { libc::syscall(libc::SYS_io_destroy, id.0) }).map(drop)
}

/// Submits in order, stops at the first refusal and returns how many were accepted. An errno is
/// returned only if the very first one is refused.
///
/// # Safety
///
/// Each pointer is valid for reads and writes during the call, in which the kernel copies the iocb,
/// and no other request has its address until its event (`io_cancel` takes it as a name). What the
/// iocb *names* (buffer, file descriptor) stays valid, unmoved and untouched by others until the
/// event, or until `io_destroy` has succeeded.
pub(crate) unsafe fn io_submit(id: ContextId, iocbs: &[*mut Iocb]) -> Result<usize, Errno> {
    #[cfg(test)]
    fault::check(fault::Call::Submit)?;
    // SAFETY: the array is valid for its length; the rest is the caller's promise.
    result(unsafe { libc::syscall(libc::SYS_io_submit, id.0, iocbs.len(), iocbs.as_ptr()) })
}

/// Cancels the poll whose iocb is at this address. True (`EINPROGRESS`): it was cancelled, and its
/// event comes through the ring. False (`EINVAL`): there is nothing to cancel, since the event is
/// in the ring already or on its way there.
pub(crate) fn io_cancel(id: ContextId, iocb: *mut Iocb) -> Result<bool, Errno> {
    #[cfg(test)]
    fault::check(fault::Call::Cancel)?;
    let mut never_written = MaybeUninit::<IoEvent>::uninit();
    // SAFETY: the kernel reads `aio_key` at `iocb` with a checked copy (EFAULT where nothing is
    // mapped) and takes the address as a name; `result` is a leftover of the ABI that it neither
    // reads nor writes.
    match result(unsafe { libc::syscall(libc::SYS_io_cancel, id.0, iocb, never_written.as_mut_ptr()) }) {
        Ok(_) | Err(Errno::INPROGRESS) => Ok(true),
        Err(Errno::INVAL) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Takes up to `events.len()` events, waiting for `min` of them no longer than `timeout`.
/// `None` is no limit.
pub(crate) fn io_getevents(
    id: ContextId,
    min: usize,
    events: &mut [MaybeUninit<IoEvent>],
    timeout: Option<Duration>,
) -> Result<usize, Errno> {
    #[cfg(test)]
    fault::check(fault::Call::Getevents)?;
    let timeout = timeout.map(timespec);
    // SAFETY: the kernel writes at most `events.len()` events to `events` and reads one timespec.
    result(unsafe {
        libc::syscall(
            libc::SYS_io_getevents,
            id.0,
            min,
            events.len(),
            events.as_mut_ptr(),
            timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
        )
    })
}

/// [`io_getevents`] with the thread's signal mask replaced by `mask`, atomically, while it waits.
pub(crate) fn io_pgetevents(
    id: ContextId,
    min: usize,
    events: &mut [MaybeUninit<IoEvent>],
    timeout: Option<Duration>,
    mask: Option<&libc::sigset_t>,
) -> Result<usize, Errno> {
    #[cfg(test)]
    fault::check(fault::Call::Pgetevents)?;
    let timeout = timeout.map(timespec);
    let sigset = mask.map(|mask| AioSigset { mask, size: KERNEL_SIGSET_BYTES });
    // SAFETY: as in `io_getevents`; `sigset`, where there is one, lives over the call, and so does
    // its mask.
    result(unsafe {
        libc::syscall(
            SYS_IO_PGETEVENTS,
            id.0,
            min,
            events.len(),
            events.as_mut_ptr(),
            timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
            sigset.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
        )
    })
}

/// A relative timeout. The kernel takes a negative one as "forever", so the seconds are clamped.
fn timespec(timeout: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    }
}
