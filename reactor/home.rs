//! Where a registration, an operation or a timer lives, and how to reach it from any thread.
//!
//! A reactor never leaves its thread, but what it waits for is in the hands of users: streams,
//! sleeps and file operations are `Send`, and may be used or dropped anywhere. So they hold no
//! reference to their reactor. They hold its number, a [`Home`], and look it up:
//!
//! - *On its own thread*, in a thread-local list. The reactor whose loop runs is the first in it,
//!   so the look-up is one comparison, without an atomic.
//! - *On another thread*, in a list of the process: a [`Command`] goes into the reactor's
//!   [`Mailbox`], and the loop is woken to carry it out.
//! - *Nowhere*: the reactor has gone. Numbers are not used again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::core::Core;
use super::driver::Driver;
use super::error::gone;
use super::ids::Home;
use super::kernel::process::PerProcess;
use super::mailbox::{Command, Mailbox};
use super::timers::TimerKey;

/// Reactors that have not been shut down, by their number.
type Reactors = Vec<(Home, Rc<Core>)>;

thread_local! {
    /// The reactors of this thread, the one whose loop runs in front. In `ManuallyDrop`, because a
    /// thread-local that needs a drop cannot be used while its thread ends, and a runtime that is
    /// kept in a thread-local is dropped just then. Nothing leaks: an empty list owns nothing.
    static HERE: ManuallyDrop<RefCell<Reactors>> = const { ManuallyDrop::new(RefCell::new(Vec::new())) };
}

/// The mailboxes of all reactors of the process. A forked child has none.
static EVERYWHERE: PerProcess<Mutex<BTreeMap<Home, Mailbox>>> = PerProcess::new(Mutex::default);

fn everywhere() -> MutexGuard<'static, BTreeMap<Home, Mailbox>> {
    EVERYWHERE.get().lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets a reactor be found.
pub(super) fn open(core: &Rc<Core>) {
    HERE.with(|here| here.borrow_mut().push((core.home(), Rc::clone(core))));
    everywhere().insert(core.home(), core.mailbox().clone());
}

/// Forgets a reactor, whose mailbox is closed.
pub(super) fn close(home: Home) {
    // Dropped with the borrow released.
    let _closed = HERE.with(|here| {
        let mut here = here.borrow_mut();
        let at = here.iter().position(|(other, _)| *other == home)?;
        let closed = here.remove(at);
        if here.is_empty() {
            *here = Vec::new();
        }
        Some(closed)
    });
    everywhere().remove(&home);
}

/// Puts a reactor in front of its thread's: its loop begins.
pub(super) fn move_to_front(home: Home) {
    HERE.with(|here| {
        let mut here = here.borrow_mut();
        if let Some(at) = here.iter().position(|(other, _)| *other == home) {
            here.swap(0, at);
        }
    });
}

impl Home {
    /// Calls `f` with the reactor, if this is its thread.
    pub(super) fn with<R>(self, f: impl FnOnce(&Core) -> R) -> Option<R> {
        // A clone, since `f` may run user code, which may make reactors and end them.
        let core = self.look(Rc::clone)?;
        Some(f(&core))
    }

    /// Calls `f` with the reactor's driver, if this is its thread and the reactor has not gone.
    pub(super) fn with_driver<R>(self, f: impl FnOnce(&mut Driver) -> R) -> Option<R> {
        // Where the driver has gone, what `f` has captured (a waker, say) is dropped at the end of
        // this function, with nothing borrowed.
        let mut f = Some(f);
        self.look(|core| core.with(|driver| f.take().map(|f| f(driver)))).flatten().flatten()
    }

    /// Calls `f` with the reactor, if this is its thread, while the list is borrowed: `f` runs no
    /// user code.
    fn look<R>(self, f: impl FnOnce(&Rc<Core>) -> R) -> Option<R> {
        HERE.with(|here| {
            let here = here.borrow();
            let (_, core) = here.iter().find(|(home, _)| *home == self)?;
            Some(f(core))
        })
    }

    /// Whether this is the reactor's thread.
    pub(crate) fn is_here(self) -> bool {
        self.look(|_| ()).is_some()
    }

    /// Whether another thread of this process has it.
    pub(super) fn is_somewhere_else(self) -> bool {
        !self.is_here() && everywhere().contains_key(&self)
    }

    /// Has the reactor's thread carry out a command. Gives it back if the reactor has gone.
    pub(super) fn send(self, command: Command) -> Result<(), Command> {
        let mailbox = everywhere().get(&self).cloned();
        match mailbox {
            Some(mailbox) => mailbox.send(command),
            None => Err(command),
        }
    }

    /// Takes a descriptor out of the reactor's nested epoll, from another thread.
    pub(super) fn take_out(self, fd: RawFd) {
        let mailbox = everywhere().get(&self).cloned();
        // Fails where the descriptor was closed already.
        let _ = mailbox.map(|mailbox| mailbox.epoll().take_out(fd));
    }

    /// Fails while another reactor's loop runs on this thread: to wait for ours would be in vain,
    /// as its turn may never come.
    pub(super) fn check_driven(self) -> io::Result<()> {
        let first = HERE.with(|here| here.borrow().first().map(|(home, _)| *home));
        let is_beside = first.is_some_and(|first| first != self && first.with(Core::is_in_loop) == Some(true));
        if is_beside { Err(self.wait_error()) } else { Ok(()) }
    }

    /// Removes a timer, if it has not fired.
    pub(crate) fn remove_timer(self, key: TimerKey) {
        if self.with(|core| core.timers().remove(key)).is_none() {
            let _gone = self.send(Command::EndTimer(key));
        }
    }

    /// Gives a timer a new deadline, and returns its new key if it has not fired. On another thread
    /// the timer is ended, and whoever waits is woken to set another one.
    pub(crate) fn reschedule_timer(self, key: TimerKey, deadline: Instant) -> Option<TimerKey> {
        let rescheduled = self.with(|core| core.timers().reschedule(key, deadline));
        rescheduled.unwrap_or_else(|| {
            let _gone = self.send(Command::EndTimer(key));
            None
        })
    }

    /// The error of waiting here for something that only another reactor's loop can bring about.
    pub(crate) fn wait_error(self) -> io::Error {
        if self.with_driver(|_| ()).is_none() && !self.is_somewhere_else() {
            return gone();
        }
        io::Error::other(format!(
            "this belongs to {self}, which is not the aio-runtime that this thread drives: await it in that runtime; a \
             socket can also be moved here by into_std and from_std, a pipe by into_nonblocking_fd and \
             from_owned_fd_unchecked, and a file operation can be started here again"
        ))
    }
}
