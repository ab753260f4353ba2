//! One native-AIO context: set up, submitted to, reaped, slept on, destroyed.
//!
//! What this file promises: a `Kioctx` is used only by the process that made it, never by a forked
//! child; its ring is not touched after `io_destroy`.
#![allow(unsafe_code)]

use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::time::Duration;

use rustix::io::Errno;

use super::abi::{self, ContextId, IoEvent, Iocb};
use super::process;
use super::ring::Ring;
use crate::reactor::error::explain;
use crate::reactor::wake::log;

/// Events taken by one system call. What is left waits in the ring for the next look.
const EVENTS_PER_CALL: usize = 256;

/// 0 would never sleep, whatever the timeout.
const MIN_EVENTS: usize = 1;

/// How long to wait where a signal does not surely end it.
const UNSAFE_WAIT: Duration = Duration::from_millis(10);

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
    /// The call that waits is refused here, and the other one is not: `io_getevents` without a
    /// signal mask, `io_pgetevents` with one.
    without_getevents: bool,
    without_pgetevents: bool,
}

impl Kioctx {
    /// Makes a context for `asked` requests.
    pub(crate) fn setup_exact(asked: u32) -> Result<Self, Errno> {
        Self::setup_part(asked, asked)
    }

    /// Holds the place of the context that a runtime starts without: it takes no requests, and has
    /// no events.
    pub(crate) fn none() -> Self {
        Self {
            // `io_setup` never gives this id.
            id: ContextId(0),
            ring: None,
            asked: 0,
            granted: 0,
            owner: process::number(),
            without_getevents: false,
            without_pgetevents: false,
        }
    }

    /// Whether there is a context at all.
    pub(crate) fn exists(&self) -> bool {
        self.granted > 0
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
        Ok(Self {
            id,
            ring,
            asked,
            granted,
            owner: process::number(),
            without_getevents: false,
            without_pgetevents: false,
        })
    }

    /// Whether less was granted than asked for.
    pub(crate) fn is_reduced(&self) -> bool {
        self.granted < self.asked
    }

    /// Requests that `io_setup` granted.
    pub(crate) fn granted(&self) -> u32 {
        self.granted
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

    /// Whether a forked child is kept from the ring, whose events it could take.
    pub(crate) fn hidden_from_children(&self) -> Result<(), Errno> {
        self.ring.as_ref().map_or(Ok(()), Ring::hidden_from_children)
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
    /// event. With `mask` it may return early, without an event.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        mask: Option<&libc::sigset_t>,
        events: &mut Vec<IoEvent>,
    ) -> Result<usize, Errno> {
        events.reserve(EVENTS_PER_CALL);
        let room = &mut events.spare_capacity_mut()[..EVENTS_PER_CALL];
        let taken = match mask {
            None => self.wait_unmasked(timeout, room),
            Some(mask) => self.wait_masked(timeout, mask, room),
        };
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

    /// By `io_getevents`, which every profile that allows native AIO allows; several deny
    /// `io_pgetevents`. It is the other way round only where an architecture has no `io_getevents`.
    fn wait_unmasked(&mut self, timeout: Option<Duration>, room: &mut [MaybeUninit<IoEvent>]) -> Result<usize, Errno> {
        if self.without_getevents {
            return abi::io_pgetevents(self.id, MIN_EVENTS, room, timeout, None);
        }
        match abi::io_getevents(self.id, MIN_EVENTS, room, timeout) {
            Ok(taken) => Ok(taken),
            Err(Errno::INTR) => Err(Errno::INTR),
            // A refusal may have any errno. A fault of our own has the same in the other call, too.
            Err(errno) => match abi::io_pgetevents(self.id, MIN_EVENTS, room, timeout, None) {
                Ok(taken) => {
                    self.without_getevents = true;
                    Ok(taken)
                }
                Err(Errno::INTR) => Err(Errno::INTR),
                Err(_) => Err(errno),
            },
        }
    }

    /// By `io_pgetevents`. Where that has come to be denied, the mask is installed around the wait.
    /// A signal that comes between the two does not end the wait, which is short for that reason.
    fn wait_masked(
        &mut self,
        timeout: Option<Duration>,
        mask: &libc::sigset_t,
        room: &mut [MaybeUninit<IoEvent>],
    ) -> Result<usize, Errno> {
        if !self.without_pgetevents {
            match abi::io_pgetevents(self.id, MIN_EVENTS, room, timeout, Some(mask)) {
                Err(errno) if errno != Errno::INTR => self.without_pgetevents = true,
                taken => return taken,
            }
        }
        let timeout = timeout.map_or(UNSAFE_WAIT, |timeout| timeout.min(UNSAFE_WAIT));
        abi::with_signal_mask(mask, || self.wait_unmasked(Some(timeout), room))
    }

    /// Whether signals can be let in while it waits, and at no other time. Looked up with all
    /// signals blocked, since only a real sleep may let signals in.
    pub(crate) fn probe_signal_mask(&mut self) -> Result<(), Errno> {
        let mut room = [MaybeUninit::uninit()];
        match abi::io_pgetevents(self.id, MIN_EVENTS, &mut room, Some(Duration::ZERO), Some(&abi::all_signals())) {
            Ok(0) | Err(Errno::INTR) => Ok(()),
            Ok(_) => unreachable!("a new context has no events"),
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
        if !self.is_ours() || !self.exists() {
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
            log("io_destroy failed; the context's quota is held until the process ends", Some(errno));
        }
    }
}

/// The host's quota of requests, `aio-max-nr`, or what is taken of it, `aio-nr`.
pub(crate) fn quota(name: &str) -> Option<u64> {
    std::fs::read_to_string(format!("/proc/sys/fs/{name}")).ok()?.trim().parse().ok()
}

/// What a failed `io_setup` means, with the knob to turn.
fn setup_error(nr: u32, errno: Errno) -> io::Error {
    let why = match errno {
        Errno::AGAIN => {
            let knob = |name| quota(name).map_or_else(|| "unknown".to_owned(), |value| value.to_string());
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
        Errno::INVAL | Errno::NOMEM | Errno::FAULT => "the kernel cannot make an AIO context".to_owned(),
        // A policy may answer with any errno.
        _ => {
            "a security policy denies it; allow io_setup, io_submit, io_cancel, io_destroy and io_getevents in the seccomp \
             profile (Docker's, containerd's and Podman's default profiles do), and io_pgetevents for \
             Builder::signal_mask"
                .to_owned()
        }
    };
    explain(errno, format!("io_setup({nr}): {why}"))
}
