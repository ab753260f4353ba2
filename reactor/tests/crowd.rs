//! Idle registrations that take all the slots, so that the next one finds none.

use super::super::{Io, Reactor};
use super::{metrics, new_eventfd, register, turn_until};
use crate::reactor::tests::arm_counter;

/// Idle registrations, as many as there are slots for polls.
pub(super) struct Crowd {
    pub(super) idle: Vec<Io>,
}

impl Crowd {
    pub(super) fn new(reactor: &Reactor) -> Self {
        let mut crowd = Self { idle: Vec::new() };
        crowd.fill_up(reactor);
        crowd
    }

    /// Arms polls until one more would find no slot.
    pub(super) fn fill_up(&mut self, reactor: &Reactor) {
        let members = metrics(reactor).overflow_fds;
        loop {
            let io = register(reactor, new_eventfd());
            arm_counter(&io);
            if metrics(reactor).overflow_fds > members {
                return;
            }
            self.idle.push(io);
        }
    }

    /// Frees one slot.
    pub(super) fn make_room(&mut self, reactor: &Reactor) {
        let taken = metrics(reactor).slots_in_use;
        self.idle.pop();
        turn_until(reactor, |now| now.slots_in_use < taken);
    }
}
