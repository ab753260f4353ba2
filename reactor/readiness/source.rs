//! One registered descriptor.

use std::os::fd::RawFd;
use std::task::Waker;

use super::interest::Interest;
use super::ready::{Ready, speak_of_all};
use super::state::{Next, Readiness, Until, Wait};
use super::waiters::Waiter;
use crate::reactor::ids::{Direction, Key};

/// A descriptor that somebody else owns and closes, with the state of its directions.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) fd: RawFd,
    /// The nested epoll has an entry for it, whether or not that is armed.
    pub(crate) in_overflow: bool,
    /// It waits in the nested epoll if it can, as an armed poll would hold its file.
    avoids_polls: bool,
    /// From now on it waits for edges in the nested epoll, and no longer by polls.
    edge_triggered: bool,
    /// For these directions the nested epoll reports every edge.
    edges: Ready,
    /// What events have said, and no attempt has denied since.
    ready: Ready,
    /// The number of the latest event.
    tick: u16,
    both: [Readiness; Direction::BOTH.len()],
    /// Priority and error, from their first use on. Few descriptors have any.
    rare: Option<Box<[Readiness; 2]>>,
}

/// What a descriptor was ready for when somebody looked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadyEvent {
    pub(crate) ready: Ready,
    /// The source's latest event, if it could be asked.
    tick: Option<u16>,
}

impl ReadyEvent {
    /// The same look, of which this is what counts.
    pub(crate) fn with_ready(self, ready: Ready) -> Self {
        Self { ready, ..self }
    }

    /// The part of it that concerns those who wait for this.
    pub(crate) fn concerning(self, interest: Interest) -> Self {
        self.with_ready(self.ready.concerning(interest))
    }

    /// On another thread than the reactor's.
    pub(crate) fn elsewhere(ready: Ready) -> Self {
        Self { ready, tick: None }
    }
}

impl Source {
    pub(crate) fn new(fd: RawFd, avoids_polls: bool) -> Self {
        Self {
            fd,
            in_overflow: false,
            avoids_polls,
            edge_triggered: false,
            edges: Ready::EMPTY,
            ready: Ready::EMPTY,
            tick: 0,
            both: Default::default(),
            rare: None,
        }
    }

    pub(crate) fn direction(&mut self, direction: Direction) -> &mut Readiness {
        match direction {
            Direction::Read => &mut self.both[0],
            Direction::Write => &mut self.both[1],
            Direction::Priority => &mut self.rare.get_or_insert_default()[0],
            Direction::Error => &mut self.rare.get_or_insert_default()[1],
        }
    }

    /// The directions that have a state.
    pub(crate) fn directions(&mut self) -> impl Iterator<Item = (Direction, &mut Readiness)> {
        let rare = self.rare.iter_mut().flat_map(|rare| rare.iter_mut());
        Direction::ALL.into_iter().zip(self.both.iter_mut().chain(rare))
    }

    /// What events have said, and no attempt has denied since. Ends stay.
    #[cfg(test)]
    pub(crate) fn ready(&self) -> Ready {
        self.ready
    }

    /// What these directions are ready for, and which ends have come. Also whether there is an
    /// error, of which every event speaks.
    pub(crate) fn look(&mut self, interest: Interest) -> ReadyEvent {
        let mut ready = self.ready & (Ready::READ_CLOSED | Ready::WRITE_CLOSED | Ready::ERROR);
        for direction in interest.directions() {
            if self.direction(direction).is_ready(Until::Event) {
                ready |= Ready::own(direction);
            }
        }
        ReadyEvent { ready, tick: Some(self.tick) }
    }

    /// Whether every edge of these directions is watched for. Then what has not been announced is
    /// not ready.
    pub(crate) fn watches_edges_of(&mut self, interest: Interest) -> bool {
        interest.directions().all(|direction| self.direction(direction).current_wait() == Wait::Edge)
    }

    /// Nothing has been attempted, and these directions are probably ready.
    pub(crate) fn assume_ready(&mut self, interest: Interest) {
        interest.directions().for_each(|direction| self.direction(direction).assume_ready());
    }

    // ---- attempts ----

    /// An attempt met `EAGAIN`. True if that contradicts an event.
    pub(crate) fn would_block(&mut self, direction: Direction) -> bool {
        let is_false = self.is_false_room(direction);
        let contradicts = self.direction(direction).would_block(is_false);
        self.was_denied(direction);
        contradicts
    }

    /// An attempt on another thread met `EAGAIN`. True if that contradicts an event.
    pub(crate) fn would_block_elsewhere(&mut self, direction: Direction) -> bool {
        let contradicts = self.direction(direction).would_block_elsewhere();
        self.was_denied(direction);
        contradicts
    }

    /// [`would_block`](Self::would_block), then [`Readiness::wait`].
    pub(crate) fn block(
        &mut self,
        direction: Direction,
        waiter: &mut Waiter,
        waker: Waker,
    ) -> (bool, Next, Option<Waker>) {
        let is_false = self.is_false_room(direction);
        let (contradicts, next, replaced) = self.direction(direction).block(is_false, waiter, waker);
        self.was_denied(direction);
        (contradicts, next, replaced)
    }

    /// A transfer was shorter than it could have been: the next one would find nothing.
    pub(crate) fn clear(&mut self, direction: Direction) {
        self.direction(direction).clear();
        self.was_denied(direction);
    }

    /// An attempt for several directions met `EAGAIN`, or the user says that there is nothing left.
    /// Which direction blocks, and what an event meant by it, is then not known here. So none of
    /// them has contradicted the event, and from now on only edges tell: the level of one direction
    /// would end each wait for another one.
    pub(crate) fn deny(&mut self, event: ReadyEvent) {
        self.edge_triggered = true;
        // What has happened since the user looked, no edge will tell of again.
        if event.tick != Some(self.tick) {
            return;
        }
        for direction in Direction::ALL {
            let is_meant = event.ready.intersects(Ready::own(direction));
            // An end stays, also where only the user can tell that it is one.
            if is_meant && !event.ready.intersects(Ready::end(direction)) {
                self.direction(direction).deny();
                self.was_denied(direction);
            }
        }
    }

    /// `poll(2)` says that it is not ready. True if that contradicts an event. (An event that
    /// claims room is not contradicted by an attempt: it is the kernel that speaks both times.)
    pub(crate) fn found_nothing(&mut self, direction: Direction) -> bool {
        let contradicts = self.direction(direction).would_block(false);
        self.was_denied(direction);
        contradicts
    }

    /// Whether an event has claimed that there is room to write, and an attempt that meets `EAGAIN`
    /// shows that there is none. An error or a hang-up claims nothing of the kind: room that comes
    /// later is an event of its own.
    fn is_false_room(&self, direction: Direction) -> bool {
        direction == Direction::Write && self.ready.intersects(Ready::WRITABLE)
    }

    fn was_denied(&mut self, direction: Direction) {
        let readiness = self.direction(direction);
        let (is_blocked, is_contradictory) = (readiness.is_blocked(), readiness.is_contradictory());
        if is_blocked {
            self.ready -= Ready::own(direction);
        }
        self.edge_triggered |= is_contradictory;
    }

    // ---- events ----

    /// The poll of a direction has completed with these events. They are only a hint: the next
    /// attempt tells.
    pub(crate) fn wake_by_poll(&mut self, direction: Direction, events: i64, wakers: &mut Vec<Waker>) {
        let mut said = Ready::from_events(events);
        if direction != Direction::Priority {
            // The key by which a socket announces plain data has this bit too.
            said -= Ready::PRIORITY;
        }
        self.note(said);
        if !speak_of_all(events) {
            return self.direction(direction).signal(said.intersects(Ready::end(direction)), wakers);
        }
        for (direction, readiness) in self.directions() {
            readiness.signal(said.intersects(Ready::end(direction)), wakers);
        }
    }

    /// The nested epoll has reported these events. `inline`: as soon as it was told to watch.
    pub(crate) fn wake_by_overflow(&mut self, events: i64, inline: bool, wakers: &mut Vec<Waker>) {
        let mut said = Ready::from_events(events);
        if !speak_of_all(events) {
            let ignoring = self.directions().filter(|(_, readiness)| readiness.ignores_edges());
            ignoring.for_each(|(direction, _)| said -= Ready::own(direction));
        }
        self.note(said);
        for (direction, readiness) in self.directions() {
            let is_meant = events & i64::from(direction.poll_mask()) != 0 && !readiness.ignores_edges();
            if is_meant || ends_wait(events, said, direction) {
                if readiness.current_wait() == Wait::Overflow {
                    readiness.completed(inline);
                }
                readiness.signal(said.intersects(Ready::end(direction)), wakers);
            }
        }
    }

    fn note(&mut self, said: Ready) {
        self.tick = self.tick.wrapping_add(1);
        // Each event says whether there is an error now.
        self.ready = (self.ready - Ready::ERROR) | said;
    }

    /// A direction's back-off is over: hands over everybody who waits. Does nothing if it is not
    /// backing off.
    pub(crate) fn end_back_off(&mut self, direction: Direction, wakers: &mut Vec<Waker>) {
        let wait = if self.edges.intersects(Ready::own(direction)) { Wait::Edge } else { Wait::Idle };
        self.direction(direction).end_back_off(wait, wakers);
    }

    // ---- how it waits ----

    /// Whether it is to wait in the nested epoll where that is possible.
    pub(crate) fn avoids_polls(&self) -> bool {
        self.avoids_polls
    }

    /// Whether it waits for edges. Where not, each arming chooses again: a poll, or one event in
    /// the nested epoll.
    pub(crate) fn is_edge_triggered(&self) -> bool {
        self.edge_triggered
    }

    /// The kernel refuses its polls: from now on it waits for edges.
    pub(crate) fn refuses_polls(&mut self) {
        self.edge_triggered = true;
    }

    /// Whether the nested epoll reports edges of any direction.
    pub(crate) fn has_edges(&self) -> bool {
        !self.edges.is_empty()
    }

    /// What the nested epoll is to watch for, if this direction is watched too.
    pub(crate) fn events_with(&mut self, added: Direction) -> u32 {
        let edges = self.edges;
        let watched = self.directions().filter(|(direction, readiness)| {
            *direction == added
                || edges.intersects(Ready::own(*direction))
                || readiness.current_wait() == Wait::Overflow
        });
        watched.fold(0, |events, (direction, _)| events | u32::from(direction.poll_mask() as u16))
    }

    /// The nested epoll watches this direction now, too.
    pub(crate) fn watch(&mut self, added: Direction) {
        if !self.edge_triggered {
            return self.direction(added).set_wait(Wait::Overflow);
        }
        let mut edges = self.edges;
        for (direction, readiness) in self.directions() {
            // What was watched for one event is watched for every edge, from the same call on.
            if direction == added || readiness.current_wait() == Wait::Overflow {
                readiness.set_wait(Wait::Edge);
                edges |= Ready::own(direction);
            }
        }
        self.edges = edges;
    }

    /// Ends all waiting, and returns the slots of the polls.
    pub(crate) fn take_polls(&mut self) -> [Option<Key>; Direction::ALL.len()] {
        let mut polls = [None; Direction::ALL.len()];
        for (direction, readiness) in self.directions() {
            if let Wait::Poll(key) = readiness.current_wait() {
                polls[direction as usize] = Some(key);
            }
            readiness.set_wait(Wait::Idle);
        }
        polls
    }

    /// A direction that the nested epoll watches for one event, and has not seen it yet.
    pub(crate) fn overflowed(&mut self) -> Option<Direction> {
        self.directions()
            .find(|(_, readiness)| readiness.current_wait() == Wait::Overflow)
            .map(|(direction, _)| direction)
    }

    /// The nested epoll cannot say any more what has happened. Returns the directions that counted
    /// on it.
    pub(crate) fn lose_overflow(&mut self) -> Vec<Direction> {
        self.edges = Ready::EMPTY;
        let lost =
            self.directions().filter(|(_, readiness)| matches!(readiness.current_wait(), Wait::Overflow | Wait::Edge));
        lost.map(|(direction, _)| direction).collect()
    }
}

/// Whether these events, which speak of every direction, end the waits of this one. An epoll tells
/// the whole truth at the time, so who waits for an error is not to be told of a hang-up.
fn ends_wait(events: i64, said: Ready, direction: Direction) -> bool {
    let is_rare = !Direction::BOTH.contains(&direction);
    speak_of_all(events) && (!is_rare || said.intersects(Ready::own(direction) | Ready::end(direction)))
}
