//! A reactor's parts that only its own thread may touch, behind one borrow.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use super::driver::{Aftermath, Close, Driver, Late};
use super::ids::{Home, SourceId};
use super::mailbox::{Command, Mailbox};
use super::timers::Timers;
use super::wake::{contain, drop_all, log, wake_all};

/// The driver, the timers, and what other threads ask of them.
///
/// All methods take `&self` and borrow the driver for a moment. Law: no user code runs under the
/// borrow; wakers are cloned, woken and dropped outside of it, and so is what is logged.
#[derive(Debug)]
pub(super) struct Core {
    home: Home,
    /// `None` after [`shutdown`](Self::shutdown): what is registered then gets an error.
    driver: RefCell<Option<Driver>>,
    timers: Timers,
    /// Whether the thread is in the loop, which will finish pending closes soon.
    in_loop: Cell<bool>,
    mailbox: Mailbox,
    /// What has been taken from the mailbox, and is yet to be carried out.
    commands: RefCell<VecDeque<Command>>,
}

impl Core {
    pub(super) fn new(driver: Driver, mailbox: Mailbox) -> Self {
        Self {
            home: Home::new(),
            driver: RefCell::new(Some(driver)),
            timers: Timers::new(),
            in_loop: Cell::new(false),
            mailbox,
            commands: RefCell::default(),
        }
    }

    pub(super) fn home(&self) -> Home {
        self.home
    }

    pub(super) fn timers(&self) -> &Timers {
        &self.timers
    }

    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    pub(super) fn is_in_loop(&self) -> bool {
        self.in_loop.get()
    }

    pub(super) fn set_in_loop(&self, in_loop: bool) {
        self.in_loop.set(in_loop);
    }

    /// Whether the calling process made this reactor; a forked child did not.
    pub(super) fn is_ours(&self) -> bool {
        self.driver.borrow().as_ref().is_none_or(|driver| driver.kioctx.is_ours())
    }

    /// The door to the driver: closed after `shutdown`, and for a forked child, which must not
    /// touch its parent's context, ring and epoll. (So a read of a stream that a child inherits
    /// fails at once, and does not first take what may be its parent's. `try_read` and its like are
    /// plain system calls there, as they are when the runtime has gone.)
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Driver) -> R) -> Option<R> {
        let mut driver = self.driver.borrow_mut();
        // Not `Option::map`: what `f` has captured must not be dropped under the borrow, called or
        // not.
        let driver = driver.as_mut().filter(|driver| driver.kioctx.is_ours())?;
        Some(f(driver))
    }

    /// Wakes the wakers that the driver has found, drops what it has released and logs what it has
    /// met, with the borrow released.
    pub(super) fn wake(&self) {
        if let Some(mut aftermath) = self.with(Driver::take_aftermath).flatten() {
            see_to(&mut aftermath);
            self.with(|driver| driver.give_back(aftermath));
        }
    }

    /// Ends a registration, and closes its descriptor if that is given.
    pub(super) fn deregister(&self, id: SourceId, fd: Option<OwnedFd>, close: Close) {
        // So that none of them comes too late: see `Command`.
        self.carry_out_commands();
        self.end_registration(id, fd, close);
    }

    fn end_registration(&self, id: SourceId, fd: Option<OwnedFd>, close: Close) {
        // Outside the loop nobody would see what is left to be closed.
        let close = if self.is_in_loop() { close } else { Close::BeforeReturn };
        let owned = fd.map(Late::from);
        // The source holds wakers, whose drop is user code; a close may block. Both outlive the
        // borrow.
        let _ended = self.with(|driver| driver.deregister(id, owned, close));
    }

    /// Does what other threads have asked for.
    pub(super) fn carry_out_commands(&self) {
        if self.mailbox.has_mail() && self.is_ours() {
            self.commands.borrow_mut().extend(self.mailbox.take());
        }
        // One by one: a command may run user code, and what that ends has its own commands carried
        // out first, by a call of this function inside this one.
        while let Some(command) = self.next_command() {
            contain("a panic while a command of another thread was carried out", || self.carry_out(command));
        }
    }

    fn next_command(&self) -> Option<Command> {
        self.commands.borrow_mut().pop_front()
    }

    /// What comes back is dropped outside the borrow.
    fn carry_out(&self, command: Command) {
        match command {
            Command::Wait(wait) => {
                let mut wait = Some(wait);
                let _replaced = self.with(|driver| wait.take().and_then(|wait| driver.wait_elsewhere(wait)));
                // The reactor has gone in the meantime: the waiter finds that out.
                wake_all(wait.map(|wait| wait.waker));
            }
            Command::Forget { source, direction, waiter } => {
                let _withdrawn = self.with(|driver| driver.forget(source, direction, &waiter));
            }
            Command::ForgetElsewhere { source, direction, waker } => {
                let _withdrawn = self.with(|driver| driver.forget_elsewhere(source, direction, &waker));
            }
            Command::Deregister { source, fd, close } => self.end_registration(source, Some(fd), close),
            Command::Release(source) => {
                self.with(|driver| driver.was_taken_out(source));
                self.end_registration(source, None, Close::BeforeReturn);
            }
            Command::Abandon(id) => {
                let _withdrawn = self.with(|driver| driver.requests.abandon(id));
            }
            Command::EndTimer(key) => wake_all(self.timers.remove(key)),
        }
    }

    /// The driver, as when it is dropped by a panic.
    #[cfg(test)]
    pub(super) fn take_driver(&self) -> Option<Driver> {
        self.driver.take()
    }

    /// Ends the driver, unless that was done before.
    pub(super) fn shutdown(&self) {
        self.carry_out_commands();
        let Some(driver) = self.driver.borrow_mut().take() else { return };
        // In a forked child it is only dropped: all that it could end is the parent's.
        if !driver.kioctx.is_ours() {
            return;
        }
        // From now on other threads are told. What is taken here is dropped last.
        let late_commands = self.mailbox.close();
        see_to(&mut driver.shutdown());
        wake_all(late_commands.into_iter().filter_map(|command| match command {
            Command::Wait(wait) => Some(wait.waker),
            _ => None,
        }));
    }
}

/// Wakes, drops and logs, with nothing borrowed.
fn see_to(aftermath: &mut Aftermath) {
    wake_all(aftermath.wakers.drain(..));
    drop_all(aftermath.late.drain(..));
    for (what, errno) in aftermath.incidents.drain(..) {
        log(what, errno);
    }
}
