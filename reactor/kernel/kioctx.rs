//! One native-AIO context: set up, submitted to, reaped, slept on, destroyed.
//!
//! What this file promises: a `Kioctx` is used only by the process that made it, never by a forked
//! child; its ring is not touched after `io_destroy`.
#![allow(unsafe_code)]

use std::io;
use std::mem::ManuallyDrop;
use std::time::Duration;

use rustix::io::Errno;

use super::abi::{self, ContextId, IoEvent, Iocb};
use super::process;
use super::ring::Ring;
use crate::reactor::error::explain;

/// Events taken by one system call. What is left waits in the ring for the next look.
const EVENTS_PER_CALL: usize = 256;

/// A native-AIO context with its mapped ring.
#[derive(Debug)]
pub(crate) struct Kioctx {
    id: ContextId,
    ring: Option<Ring>,
    /// Requests asked for, before any halving.
    asked: u32,
    /// Requests that `io_setup` granted.
    granted: u32,
    /// The process that the context belongs to.
    owner: u32,
    /// `io_pgetevents` was denied once: sleep in `io_getevents`.
    without_pgetevents: bool,
}

impl Kioctx {
    /// Makes a context for `asked` requests.
    pub(crate) fn setup_exact(asked: u32) -> Result<Self, Errno> {
        Self::setup_part(asked, asked)
    }

    /// Makes a context for `asked` requests, or for as many as the host still grants:
    /// `fs.aio-max-nr` bounds the sum over all processes and containers, so the number is halved
    /// down to 1 before giving up. Even 1 comes with a page of ring, 120 slots and more.
    pub(crate) fn setup(asked: u32) -> io::Result<Self> {
        let mut part = asked;
        loop {
            match Self::setup_part(asked, part) {
                // EINVAL: more than any context can have.
                Err(Errno::AGAIN | Errno::INVAL) if part > 1 => part /= 2,
                result => return result.map_err(|errno| setup_error(part, errno)),
            }
        }
    }

    fn setup_part(asked: u32, granted: u32) -> Result<Self, Errno> {
        let id = abi::io_setup(granted)?;
        // SAFETY: the context is new, so nobody has its ring yet, and `Kioctx` destroys it after
        // the `Ring`'s last use.
        let ring = unsafe { Ring::map(id) };
        Ok(Self { id, ring, asked, granted, owner: process::number(), without_pgetevents: false })
    }

    /// Whether less was granted than asked for.
    pub(crate) fn is_reduced(&self) -> bool {
        self.granted < self.asked
    }

    /// Requests that `setup` was asked for.
    pub(crate) fn asked(&self) -> u32 {
        self.asked
    }

    /// How many requests can certainly be in flight. The kernel grants what was asked for; if the
    /// ring can be seen, half of it is available however requests are spread over CPUs
    /// (`put_reqs_available` may strand the rest).
    pub(crate) fn capacity(&self) -> usize {
        let seen = self.ring.as_ref().map_or(0, |ring| ring.room() / 2);
        (self.granted as usize).max(seen)
    }

    /// Whether the calling process made this context. After a fork the child must leave it alone:
    /// it has neither the ring (`MADV_DONTFORK`) nor the right to its events.
    pub(crate) fn is_ours(&self) -> bool {
        self.owner == process::number()
    }

    /// Whether events can be reaped without a system call.
    pub(crate) fn has_ring(&self) -> bool {
        self.ring.is_some()
    }

    /// Submits in order and returns how many were accepted; see [`abi::io_submit`].
    ///
    /// # Safety
    ///
    /// As for [`abi::io_submit`].
    pub(crate) unsafe fn submit(&self, iocbs: &[*mut Iocb]) -> Result<usize, Errno> {
        // SAFETY: the caller's promise.
        unsafe { abi::io_submit(self.id, iocbs) }
    }

    /// Cancels the poll of the iocb at this address; its event comes through the ring in any case.
    /// False if it had completed already.
    pub(crate) fn cancel(&self, iocb: *mut Iocb) -> Result<bool, Errno> {
        abi::io_cancel(self.id, iocb)
    }

    /// Whether the ring holds events; false where it cannot be seen.
    pub(crate) fn has_events(&self) -> bool {
        self.ring.as_ref().is_some_and(|ring| !ring.is_empty())
    }

    /// Takes what the ring holds, without a system call.
    pub(crate) fn reap(&mut self, events: &mut Vec<IoEvent>) -> usize {
        self.ring.as_mut().map_or(0, |ring| ring.reap(events))
    }

    /// Waits until there is an event, for at most `timeout` (`None`: forever), and takes what is
    /// there. A zero timeout takes without waiting. A signal that was handled counts as no
    /// event.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        mask: Option<&libc::sigset_t>,
        events: &mut Vec<IoEvent>,
    ) -> Result<usize, Errno> {
        // min 0 would never sleep, whatever the timeout.
        const MIN: usize = 1;
        events.reserve(EVENTS_PER_CALL);
        let room = &mut events.spare_capacity_mut()[..EVENTS_PER_CALL];
        let mut taken = if self.without_pgetevents && mask.is_none() {
            abi::io_getevents(self.id, MIN, room, timeout)
        } else {
            abi::io_pgetevents(self.id, MIN, room, timeout, mask)
        };
        if let (Err(Errno::NOSYS | Errno::PERM), None, false) = (taken, mask, self.without_pgetevents) {
            self.without_pgetevents = true;
            taken = abi::io_getevents(self.id, MIN, room, timeout);
        }
        match taken {
            Ok(taken) => {
                // SAFETY: the kernel wrote `taken` events behind the first `len`, within the
                // reserved room.
                unsafe { events.set_len(events.len() + taken) };
                Ok(taken)
            }
            Err(Errno::INTR) => Ok(0),
            Err(errno) => Err(errno),
        }
    }

    /// Ends all that is in flight, and waits for it. Costs tens of milliseconds even when that is
    /// nothing: see [`super::context_pool`] for who calls it, and where.
    ///
    /// # Errors
    ///
    /// The context lives on until the process ends, and so do its requests: what they may touch
    /// must never be freed.
    pub(crate) fn destroy(self) -> Result<(), Errno> {
        ManuallyDrop::new(self).end()
    }

    fn end(&mut self) -> Result<(), Errno> {
        if !self.is_ours() {
            return Ok(());
        }
        // SAFETY: the ring is not touched any more: `self` is the last to know of it, and both
        // callers are done with it.
        unsafe { abi::io_destroy(self.id) }
    }
}

impl Drop for Kioctx {
    /// For a context whose requests can touch no memory of ours. Whoever owns such memory calls
    /// [`destroy`](Self::destroy), and looks at the result.
    fn drop(&mut self) {
        if let Err(errno) = self.end() {
            tracing::error!(%errno, "io_destroy failed; the context's quota is held until the process ends");
        }
    }
}

/// What a failed `io_setup` means, with the knob to turn.
fn setup_error(nr: u32, errno: Errno) -> io::Error {
    let why = match errno {
        Errno::AGAIN => {
            let knob = |name: &str| {
                std::fs::read_to_string(format!("/proc/sys/fs/{name}"))
                    .map_or_else(|_| "unknown".to_owned(), |value| value.trim().to_owned())
            };
            format!(
                "the host's quota of AIO requests is used up: fs.aio-nr is {} of fs.aio-max-nr {}, \
                 summed over all processes and containers; raise it on the host with \
                 `sysctl -w fs.aio-max-nr=1048576`, or end what holds it",
                knob("aio-nr"),
                knob("aio-max-nr"),
            )
        }
        Errno::NOSYS => {
            "this kernel has no native AIO (CONFIG_AIO is off, or it is a sandbox such as WSL1 or rr)".to_owned()
        }
        Errno::PERM | Errno::ACCESS => {
            "a security policy denies it; allow io_setup, io_submit, io_cancel, io_destroy and io_getevents in the seccomp \
             profile (Docker's, containerd's and Podman's default profiles do), and io_pgetevents for \
             Builder::signal_mask"
                .to_owned()
        }
        _ => "the kernel refuses to make an AIO context".to_owned(),
    };
    explain(errno, format!("io_setup({nr}): {why}"))
}
