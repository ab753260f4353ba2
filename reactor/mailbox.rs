//! What other threads ask of a reactor.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::driver::{Close, WaitElsewhere};
use super::ids::{Direction, OperationId, SourceId};
use super::kernel::overflow::Epoll;
use super::readiness::Waiter;
use super::timers::TimerKey;
use super::unpark::Unparker;

/// Something that only the reactor's thread can do.
///
/// Whoever sends a command about a registration has it in hand, and the registration ends later
/// than that. The reactor carries out what is in its mailbox before it ends a registration, so no
/// command is late.
#[derive(Debug)]
pub(super) enum Command {
    /// Wake a waiter when a direction is ready.
    Wait(WaitElsewhere),
    /// The future that waited has been dropped, on another thread than the one on which it waited.
    Forget { source: SourceId, direction: Direction, waiter: Waiter },
    /// The future that waited on another thread has been dropped. Its waker is its name.
    ForgetElsewhere { source: SourceId, direction: Direction, waker: Waker },
    /// The registration has ended: close its descriptor.
    Deregister { source: SourceId, fd: OwnedFd, close: Close },
    /// The registration has ended, and the descriptor was taken out of the nested epoll.
    Release(SourceId),
    /// The future of the file operation has been dropped.
    Abandon(OperationId),
    /// The sleep has been dropped, or has another deadline: end its timer, and wake whoever waits
    /// to look again.
    EndTimer(TimerKey),
}

/// A queue of commands, from any thread to the reactor's. A clone is the same queue.
#[derive(Clone)]
pub(super) struct Mailbox(Arc<Queue>);

struct Queue {
    /// `None` once the reactor has gone.
    commands: Mutex<Option<Vec<Command>>>,
    /// Whether there are any, so that a look costs one load.
    has_mail: AtomicBool,
    unparker: Arc<Unparker>,
    epoll: Epoll,
}

impl Mailbox {
    pub(super) fn new(unparker: &Arc<Unparker>, epoll: &Epoll) -> Self {
        Self(Arc::new(Queue {
            commands: Mutex::new(Some(Vec::new())),
            has_mail: AtomicBool::new(false),
            unparker: Arc::clone(unparker),
            epoll: epoll.clone(),
        }))
    }

    /// The reactor's nested epoll.
    pub(super) fn epoll(&self) -> &Epoll {
        &self.0.epoll
    }

    /// Hands a command over and wakes the loop. Gives it back if the reactor has gone.
    pub(super) fn send(&self, command: Command) -> Result<(), Command> {
        match &mut *self.commands() {
            Some(commands) => commands.push(command),
            None => return Err(command),
        }
        // Release: whoever sees the flag finds the command.
        self.0.has_mail.store(true, Ordering::Release);
        self.0.unparker.unpark();
        Ok(())
    }

    /// Whether something has been sent. Most looks find nothing, and a load is all they cost.
    #[inline]
    pub(super) fn has_mail(&self) -> bool {
        self.0.has_mail.load(Ordering::Acquire)
    }

    /// Takes what has been sent, oldest first.
    pub(super) fn take(&self) -> Vec<Command> {
        self.0.has_mail.store(false, Ordering::Relaxed);
        self.commands().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes what is there, and nothing more from now on.
    pub(super) fn close(&self) -> Vec<Command> {
        self.commands().take().unwrap_or_default()
    }

    fn commands(&self) -> MutexGuard<'_, Option<Vec<Command>>> {
        self.0.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("has_mail", &self.has_mail()).finish_non_exhaustive()
    }
}
