//! A descriptor that takes steps, and the stories of its directions beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use rustix::io::Errno;

use super::steps::{Arming, Said, Step};
use super::story::{Fact, Needs, Outlook, Story};
use crate::reactor::ids::{Direction, Key};
use crate::reactor::readiness::{Next, Ready, Source, Until, Wait, Waiter};
use crate::reactor::tests::Flag;

/// Waiter 0 is the task of the `poll_*` functions, then come futures. The last two are on another
/// thread: a task, and any number of futures.
pub(super) const WAITERS: usize = 5;
const TASK_ELSEWHERE: usize = WAITERS - 2;
const FUTURES_ELSEWHERE: usize = WAITERS - 1;

fn is_of_all(events: i64) -> bool {
    events == 0 || events & i64::from(libc::POLLERR | libc::POLLHUP) != 0
}

fn is_elsewhere(waiter: usize) -> bool {
    waiter >= TASK_ELSEWHERE
}

/// A direction's story, how it waits, and the wakers that are stored, by waiter.
#[derive(Debug, Default)]
struct Side {
    story: Story,
    armed: Wait,
    watched: bool,
    stored: BTreeMap<(usize, usize), Arc<Flag>>,
    /// The futures that were woken, and have neither waited nor been told since.
    woken: BTreeSet<usize>,
}

pub(super) struct Walk {
    source: Source,
    waiters: [Vec<Waiter>; 2],
    sides: [Side; 2],
    /// It should wait for edges.
    edges: bool,
    ended: Ready,
    flags: Vec<Arc<Flag>>,
    keys: u32,
}

impl Walk {
    pub(super) fn new() -> Self {
        let waiters = || {
            let futures = (1..TASK_ELSEWHERE).map(|_| Waiter::Future(None));
            let elsewhere = [Waiter::TaskElsewhere, Waiter::FutureElsewhere];
            std::iter::once(Waiter::Task).chain(futures).chain(elsewhere).collect()
        };
        Self {
            source: Source::new(-1, false),
            waiters: [waiters(), waiters()],
            sides: Default::default(),
            edges: false,
            ended: Ready::EMPTY,
            flags: Vec::new(),
            keys: 0,
        }
    }

    pub(super) fn step(&mut self, direction: Direction, step: Step) {
        let at = direction as usize;
        match step {
            Step::Ask(until) => {
                let expected = self.expect_ready(at, until);
                assert_eq!(self.source.direction(direction).is_ready(until), expected, "{:?}", self.sides[at]);
            }
            Step::Moved => {
                self.source.direction(direction).moved();
                self.sides[at].story.push(Fact::Moved);
            }
            Step::Eagain => {
                let expected = self.expect_eagain(at, false);
                assert_eq!(self.source.would_block(direction), expected, "{:?}", self.sides[at]);
            }
            Step::EagainElsewhere => self.blocks_elsewhere(direction),
            Step::Short => {
                self.source.clear(direction);
                let is_old = self.sides[at].story.outlook() == Outlook::Signalled;
                self.sides[at].story.push(if is_old { Fact::OldShort } else { Fact::Short });
            }
            Step::Block(waiter, arming) if is_elsewhere(waiter) => {
                self.blocks_elsewhere(direction);
                self.wait(direction, waiter, Until::Attempt, arming, true);
            }
            Step::Block(waiter, arming) => {
                let expected = self.expect_eagain(at, false);
                let flag = self.new_flag();
                let waker = Waker::from(flag.clone());
                let (contradicts, next, returned) = self.source.block(direction, &mut self.waiters[at][waiter], waker);
                assert_eq!(contradicts, expected, "{:?}", self.sides[at]);
                self.waited(direction, waiter, (Until::Attempt, false), arming, next, (&flag, returned));
            }
            Step::Wait(waiter, until, arming) => self.wait(direction, waiter, until, arming, false),
            Step::Forget(waiter) => self.forget(direction, waiter),
            Step::Event { inline, said } => self.event(direction, inline, said),
            Step::NextTurn => {
                let mut woken = Vec::new();
                self.source.direction(direction).retry(&mut woken);
                if self.sides[at].armed == Wait::Retry {
                    self.sides[at].armed = Wait::Idle;
                    self.sides[at].story.push(Fact::Retried);
                    self.expect_woken(at, &mut woken);
                }
                assert!(woken.is_empty());
            }
            Step::Later => {
                let mut woken = Vec::new();
                self.source.end_back_off(direction, &mut woken);
                if self.sides[at].armed == Wait::BackOff {
                    self.sides[at].armed = if self.sides[at].watched { Wait::Edge } else { Wait::Idle };
                    self.sides[at].story.push(Fact::Signalled { own: false, end: false });
                    self.expect_woken(at, &mut woken);
                }
                assert!(woken.is_empty());
            }
            Step::Refused => {
                if matches!(self.sides[at].armed, Wait::Poll(_) | Wait::Overflow) {
                    self.fail(direction);
                }
            }
            Step::RefusesPolls => {
                if let Wait::Poll(_) = self.sides[at].armed {
                    self.source.refuses_polls();
                    self.edges = true;
                    self.watch(direction);
                }
            }
            Step::LosesOverflow => self.lose_overflow(),
            Step::Interrupted => self.interrupted(direction),
        }
        self.check();
    }

    fn wait(&mut self, direction: Direction, waiter: usize, until: Until, arming: Arming, is_late: bool) {
        let flag = self.new_flag();
        let waker = Waker::from(flag.clone());
        let waiter_of_source = &mut self.waiters[direction as usize][waiter];
        let (next, returned) = self.source.direction(direction).wait(until, waiter_of_source, waker, is_late);
        self.waited(direction, waiter, (until, is_late), arming, next, (&flag, returned));
    }

    fn blocks_elsewhere(&mut self, direction: Direction) {
        let expected = self.expect_eagain(direction as usize, true);
        assert_eq!(self.source.would_block_elsewhere(direction), expected, "{:?}", self.sides[direction as usize]);
    }

    fn check(&mut self) {
        assert_eq!(self.source.is_edge_triggered(), self.edges);
        for direction in Direction::BOTH {
            let side = &self.sides[direction as usize];
            assert_eq!(self.source.direction(direction).current_wait(), side.armed, "{side:?}");
            assert!(side.stored.is_empty() || side.armed != Wait::Idle, "somebody waits for nothing: {side:?}");
            let has_place = |waiter: &Waiter| matches!(waiter, Waiter::Future(Some(_)));
            let has_waiters = !side.stored.is_empty() || self.waiters[direction as usize].iter().any(has_place);
            assert_eq!(self.source.direction(direction).has_waiters(), has_waiters, "{side:?}");
            let left = self.source.direction(direction).left_poll().map(Wait::Poll);
            let is_left = matches!(side.armed, Wait::Poll(_)) && !has_waiters;
            assert_eq!(left, is_left.then_some(side.armed), "{side:?}");
            let own = self.source.ready().intersects(Ready::own(direction));
            assert_eq!(own, side.story.has_own_bit(), "{side:?}");
        }
        let ready = self.source.ready();
        assert_eq!(ready | self.ended, ready, "an end stays");
    }

    /// An event of what is armed, or an edge, which may come at any time.
    fn event(&mut self, direction: Direction, inline: bool, said: Said) {
        let events = said.events(direction);
        let mut woken = Vec::new();
        match self.sides[direction as usize].armed {
            Wait::Poll(_) => {
                self.source.direction(direction).completed(inline);
                self.source.wake_by_poll(direction, events, &mut woken);
                self.completed(direction, inline);
            }
            Wait::Overflow => {
                self.source.wake_by_overflow(events, inline, &mut woken);
                for direction in Direction::BOTH {
                    if self.concerns(events, direction) && self.sides[direction as usize].armed == Wait::Overflow {
                        self.completed(direction, inline);
                    }
                }
            }
            _ if self.sides[direction as usize].watched => self.source.wake_by_overflow(events, inline, &mut woken),
            _ => return,
        }
        self.ended |= match said {
            Said::End if direction == Direction::Read => Ready::READ_CLOSED,
            Said::End => Ready::WRITE_CLOSED,
            _ => Ready::EMPTY,
        };
        for concerned in Direction::BOTH {
            let at = concerned as usize;
            let ignores = self.sides[at].armed == Wait::BackOff && self.sides[at].story.edges_lie();
            if ignores && !is_of_all(events) {
                continue;
            }
            if concerned == direction || self.concerns(events, concerned) {
                // A hang-up ends both, an end only the one that it is of.
                let end = said == Said::End && (concerned == direction || direction == Direction::Write);
                let own = concerned == direction && matches!(said, Said::Ready | Said::End);
                self.sides[at].story.push(Fact::Signalled { own, end });
                self.expect_woken(at, &mut woken);
            }
        }
        assert!(woken.is_empty());
    }

    /// The poll was cancelled, and its event says nothing. Whoever waits gets another one.
    fn interrupted(&mut self, direction: Direction) {
        if let Wait::Poll(_) = self.sides[direction as usize].armed {
            self.source.direction(direction).completed(false);
            self.completed(direction, false);
            if self.source.direction(direction).has_waiters() {
                self.poll(direction);
            }
        }
    }

    fn concerns(&self, events: i64, direction: Direction) -> bool {
        is_of_all(events) || events & i64::from(direction.poll_mask()) != 0
    }

    fn completed(&mut self, direction: Direction, inline: bool) {
        let side = &mut self.sides[direction as usize];
        side.armed = Wait::Idle;
        side.story.push(Fact::Completed { inline });
    }

    /// What a wait must lead to, and what the driver makes of it.
    fn waited(
        &mut self,
        direction: Direction,
        waiter: usize,
        (until, is_late): (Until, bool),
        arming: Arming,
        next: Next,
        (flag, returned): (&Arc<Flag>, Option<Waker>),
    ) {
        let at = direction as usize;
        let is_told = |side: &mut Side| until == Until::Event && side.woken.remove(&waiter);
        let refused = if self.expect_ready(at, until) || is_told(&mut self.sides[at]) {
            Some(Next::Ready)
        } else if self.sides[at].story.owes_error(waiter) {
            self.sides[at].story.push(Fact::Told(waiter));
            Some(Next::Failed(Errno::NOSPC))
        } else {
            None
        };
        if let Some(expected) = refused {
            assert_eq!(next, expected, "{:?}", self.sides[at]);
            assert!(is_waker_of(returned.as_ref(), Some(flag)), "a waker that is not needed comes back");
            return;
        }
        let place = (waiter, if waiter == FUTURES_ELSEWHERE { self.flags.len() } else { 0 });
        let replaced = self.sides[at].stored.insert(place, Arc::clone(flag));
        self.sides[at].woken.remove(&waiter);
        assert!(is_waker_of(returned.as_ref(), replaced.as_ref()), "the waker that it replaced comes back");
        let side = &mut self.sides[at];
        match (side.story.next(side.armed, until, is_late), arming) {
            (Needs::Nothing, _) => assert_eq!(next, Next::Wait, "{side:?}"),
            (Needs::Retry, _) => {
                assert_eq!(next, Next::Retry, "{side:?}");
                side.armed = Wait::Retry;
            }
            (Needs::BackOff, _) => {
                assert_eq!(next, Next::BackOff, "{side:?}");
                self.back_off(direction);
            }
            (Needs::Arming, arming) => {
                assert_eq!(next, Next::Arm, "{side:?}");
                match arming {
                    Arming::Impossible => self.fail(direction),
                    Arming::NeitherTells => self.back_off(direction),
                    Arming::Poll if !self.edges => self.poll(direction),
                    Arming::Poll | Arming::Overflow => self.watch(direction),
                }
            }
        }
    }

    fn poll(&mut self, direction: Direction) {
        self.keys += 1;
        let wait = Wait::Poll(Key { index: self.keys, generation: self.keys });
        self.source.direction(direction).set_wait(wait);
        self.sides[direction as usize].armed = wait;
    }

    fn watch(&mut self, direction: Direction) {
        self.source.watch(direction);
        for (at, side) in self.sides.iter_mut().enumerate() {
            if !self.edges && at == direction as usize {
                side.armed = Wait::Overflow;
            } else if self.edges && (at == direction as usize || side.armed == Wait::Overflow) {
                (side.armed, side.watched) = (Wait::Edge, true);
            }
        }
    }

    fn back_off(&mut self, direction: Direction) {
        let side = &mut self.sides[direction as usize];
        let length = self.source.direction(direction).back_off();
        assert_eq!(length, Duration::from_millis(side.story.back_off()), "{side:?}");
        side.armed = Wait::BackOff;
        side.story.push(Fact::BackedOff);
    }

    fn lose_overflow(&mut self) {
        let lost = self.source.lose_overflow();
        for direction in Direction::BOTH {
            let side = &mut self.sides[direction as usize];
            side.watched = false;
            assert_eq!(lost.contains(&direction), matches!(side.armed, Wait::Overflow | Wait::Edge));
        }
        for direction in lost {
            self.back_off(direction);
        }
    }

    fn fail(&mut self, direction: Direction) {
        let mut woken = Vec::new();
        let backs_off = self.source.direction(direction).fail(Errno::NOSPC, &mut woken);
        let at = direction as usize;
        let side = &mut self.sides[at];
        side.armed = Wait::Idle;
        let elsewhere = side.stored.split_off(&(TASK_ELSEWHERE, 0));
        side.story.push(Fact::Failed { waiting: side.stored.keys().map(|(waiter, _)| *waiter).collect() });
        let woken_before = self.sides[at].woken.clone();
        self.expect_woken(at, &mut woken);
        // They are told of the failure instead.
        self.sides[at].woken = woken_before;
        assert!(woken.is_empty());
        assert_eq!(backs_off, !elsewhere.is_empty());
        self.sides[at].stored = elsewhere;
        if backs_off {
            self.back_off(direction);
        }
    }

    /// A future gives up its place; its next wait takes a new one.
    fn forget(&mut self, direction: Direction, waiter: usize) {
        let at = direction as usize;
        if waiter == FUTURES_ELSEWHERE {
            let stored = self.sides[at].stored.range(&(waiter, 0)..).next();
            let Some((place, flag)) = stored.map(|(place, flag)| (*place, Arc::clone(flag))) else { return };
            self.sides[at].stored.remove(&place);
            let withdrawn = self.source.direction(direction).forget_elsewhere(&Waker::from(Arc::clone(&flag)));
            assert!(is_waker_of(withdrawn.as_ref(), Some(&flag)));
            return;
        }
        let withdrawn = self.source.direction(direction).forget(&self.waiters[at][waiter]);
        if !matches!(self.waiters[at][waiter], Waiter::Future(_)) {
            assert!(withdrawn.is_none(), "it stays until the next call, or event");
            return;
        }
        let expected = self.sides[at].stored.remove(&(waiter, 0));
        assert!(is_waker_of(withdrawn.as_ref(), expected.as_ref()));
        self.waiters[at][waiter] = Waiter::Future(None);
        self.sides[at].woken.remove(&waiter);
        self.sides[at].story.push(Fact::Forgotten(waiter));
    }

    /// Everybody who waits is woken, once: takes their wakers out of `woken`.
    fn expect_woken(&mut self, at: usize, woken: &mut Vec<Waker>) {
        for ((waiter, _), flag) in std::mem::take(&mut self.sides[at].stored) {
            if (1..TASK_ELSEWHERE).contains(&waiter) {
                self.sides[at].woken.insert(waiter);
            }
            let expected = Waker::from(flag);
            let found = woken.iter().position(|waker| waker.will_wake(&expected));
            woken.swap_remove(found.expect("everybody who waits is woken"));
        }
    }

    /// Whether an attempt is worthwhile; the story says that it was made.
    fn expect_ready(&mut self, at: usize, until: Until) -> bool {
        let story = &mut self.sides[at].story;
        let (ready, fact) = match (story.outlook(), until) {
            (Outlook::Blocked, _) | (Outlook::Unknown | Outlook::Assumed, Until::Event) => (false, None),
            (Outlook::Signalled, Until::Event) => (true, Some(Fact::Looked)),
            (_, Until::Event) => (true, None),
            (_, Until::Attempt) => (true, Some(Fact::Attempted)),
        };
        fact.into_iter().for_each(|fact| story.push(fact));
        ready
    }

    /// An attempt met `EAGAIN`. Whether that contradicts an event; the story tells it.
    fn expect_eagain(&mut self, at: usize, elsewhere: bool) -> bool {
        let side = &mut self.sides[at];
        let (outlook, is_edge) = (side.story.outlook(), side.armed == Wait::Edge);
        let story = &mut side.story;
        let signalled = matches!(outlook, Outlook::Signalled | Outlook::Seen | Outlook::Tried);
        let contradicts = match outlook {
            Outlook::Ready => !elsewhere && story.is_at_end_now(),
            Outlook::Signalled => elsewhere && story.inline_streak() > 0,
            _ => signalled && (!elsewhere || story.inline_streak() > 0),
        };
        let is_old = outlook == Outlook::Signalled && (!elsewhere || is_edge);
        let is_write = at == Direction::Write as usize;
        let edge_lies = !elsewhere && contradicts && is_write && is_edge && story.has_own_bit();
        let guessed = !elsewhere && matches!(outlook, Outlook::Unknown | Outlook::Assumed);
        if !is_old {
            let forgets_end = elsewhere && !is_edge;
            story.push(Fact::Eagain { contradicts, guessed, edge_lies, blocks: elsewhere, forgets_end });
        } else {
            story.push(Fact::OldEagain { contradicts });
        }
        self.edges |= story.is_contradictory();
        contradicts
    }

    fn new_flag(&mut self) -> Arc<Flag> {
        let flag = Arc::<Flag>::default();
        self.flags.push(Arc::clone(&flag));
        flag
    }

    pub(super) fn finish(self) {
        drop((self.source, self.sides));
        assert!(self.flags.iter().all(|flag| Arc::strong_count(flag) == 1), "no waker is kept");
    }
}

fn is_waker_of(waker: Option<&Waker>, flag: Option<&Arc<Flag>>) -> bool {
    match (waker, flag) {
        (None, None) => true,
        (Some(waker), Some(flag)) => waker.will_wake(&Waker::from(Arc::clone(flag))),
        _ => false,
    }
}
