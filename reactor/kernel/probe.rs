//! Does native AIO work here? Tried once per process, so that the error comes at start-up, with its
//! reason.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::abi::Iocb;
use super::kioctx::Kioctx;
use crate::reactor::error::explain;
use crate::reactor::ids::Direction;

/// What fails here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unusable {
    pub(crate) what: &'static str,
    /// `None` if every call succeeds, and yet it does not work.
    pub(crate) errno: Option<Errno>,
}

impl Unusable {
    /// Whether it says nothing about native AIO: the probe had no descriptor to poll.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self.errno, Some(Errno::MFILE | Errno::NFILE))
    }
}

impl From<Unusable> for io::Error {
    fn from(Unusable { what, errno }: Unusable) -> Self {
        let text = format!("cannot start the reactor: {what}");
        match errno {
            Some(errno) => explain(errno, text),
            None => Self::other(text),
        }
    }
}

/// Tries each step that the reactor lives on, since each sandbox or old kernel fails at a
/// different one: gVisor refuses to poll, seccomp filters deny single calls, Linux before 4.19 has
/// no `IOCB_CMD_POLL`. If it fails, a poll may be in flight.
pub(crate) fn probe(kioctx: &mut Kioctx) -> Result<(), Unusable> {
    const PROBE: u64 = u64::MAX;
    let refused = |what| move |errno| Unusable { what, errno: Some(errno) };
    let fd = eventfd(0, EventfdFlags::CLOEXEC).map_err(refused("eventfd2 failed"))?;
    let mut iocb = Iocb::poll(fd.as_raw_fd(), Direction::Read, PROBE);
    let iocb = &raw mut iocb;
    // SAFETY: the iocb is valid during the call, names no memory, and no other one has its
    // address until the event or the end of the context, which its owner ends where this fails.
    unsafe { kioctx.submit(&[iocb]) }.map_err(refused(
        "io_submit(IOCB_CMD_POLL) is refused; it needs Linux 4.19 or newer, and a sandbox that passes it (gVisor and \
         WSL1 do not)",
    ))?;
    kioctx.cancel(iocb).map_err(refused("io_cancel is refused by this kernel or by a seccomp filter"))?;
    let mut events = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(5);
    // A signal ends a wait early.
    while events.is_empty() && Instant::now() < deadline {
        let left = deadline.saturating_duration_since(Instant::now());
        kioctx
            .wait(Some(left), None, &mut events)
            .map_err(refused("io_getevents is refused by this kernel or by a seccomp filter"))?;
    }
    match events.as_slice() {
        [event] if event.data == PROBE => Ok(()),
        _ => {
            Err(Unusable { what: "a cancelled poll gave no event within 5 s; native AIO is broken here", errno: None })
        }
    }
}
