//! Walks over all moves of one direction's readiness. A model beside it remembers everything that
//! has happened, and works out each answer from the whole story.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rustix::io::Errno;

use super::Flag;
use crate::reactor::ids::Key;
use crate::reactor::readiness::{Next, Readiness, Until, Wait, Waiter};

/// Waiter 0 is the task of the `poll_*` functions, the others are futures.
const WAITERS: usize = 3;

/// Polls that have to complete inline, in a row, before the next one is skipped.
const ENOUGH: usize = 2;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Is an attempt worthwhile?
    Ask(Until),
    /// An attempt met `EAGAIN`, and no wait follows (`try_io`).
    Eagain,
    /// A transfer was short.
    Short,
    /// `EAGAIN`, and the waiter waits.
    Block(usize, Arming),
    /// A wait without an attempt.
    Wait(usize, Until, Arming),
    /// The waiter's future is dropped.
    Forget(usize),
    /// The event of what is armed.
    Event { inline: bool },
    /// The event of the other direction, which is news for this one too: the peer hung up.
    HangUp,
    /// The turn in which skipped polls are retried.
    NextTurn,
    /// What was armed turns out to be impossible.
    Refused,
}

/// What the driver does when it is told to arm.
#[derive(Clone, Copy, Debug)]
enum Arming {
    Poll,
    Overflow,
    Impossible,
}

/// One thing that has happened. Questions and waits that change nothing are not in the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    /// An attempt was let through, though no event had come.
    Attempted,
    Eagain,
    Short,
    /// An event came, or a failure.
    Woken,
    Retried,
    Completed {
        inline: bool,
    },
    Failed,
    FailureTold,
}

/// A direction, and its story.
struct Walk {
    readiness: Readiness,
    waiters: Vec<Waiter>,
    story: Vec<Fact>,
    armed: Wait,
    /// The wakers that are stored, by waiter.
    stored: BTreeMap<usize, Arc<Flag>>,
    flags: Vec<Arc<Flag>>,
    keys: u32,
}

impl Walk {
    fn new() -> Self {
        let waiters = (0..WAITERS).map(|at| if at == 0 { Waiter::Task } else { Waiter::Future(None) });
        Self {
            readiness: Readiness::default(),
            waiters: waiters.collect(),
            story: Vec::new(),
            armed: Wait::Idle,
            stored: BTreeMap::new(),
            flags: Vec::new(),
            keys: 0,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Ask(until) => {
                let expected = self.expect_ready(until);
                assert_eq!(self.readiness.is_ready(until), expected, "{:?}", self.story);
            }
            Step::Eagain => {
                self.readiness.would_block();
                self.story.push(Fact::Eagain);
            }
            Step::Short => {
                self.readiness.clear();
                self.story.push(Fact::Short);
            }
            Step::Block(waiter, arming) => {
                self.story.push(Fact::Eagain);
                let waker = self.new_waker();
                let (next, returned) = self.readiness.block(&mut self.waiters[waiter], Waker::from(waker.clone()));
                self.waited(waiter, Until::Attempt, arming, next, &waker, returned);
            }
            Step::Wait(waiter, until, arming) => {
                let waker = self.new_waker();
                let (next, returned) =
                    self.readiness.wait(until, &mut self.waiters[waiter], Waker::from(waker.clone()));
                self.waited(waiter, until, arming, next, &waker, returned);
            }
            Step::Forget(waiter) => self.forget(waiter),
            Step::Event { inline } => {
                if matches!(self.armed, Wait::Poll(_) | Wait::Overflow) {
                    self.readiness.completed(inline);
                    self.armed = Wait::Idle;
                    self.story.push(Fact::Completed { inline });
                    self.wake(Fact::Woken);
                }
            }
            Step::HangUp => self.wake(Fact::Woken),
            Step::NextTurn => {
                let mut woken = Vec::new();
                self.readiness.retry(&mut woken);
                if self.armed == Wait::Retry {
                    self.armed = Wait::Idle;
                    self.story.push(Fact::Retried);
                    self.expect_woken(&woken);
                }
                assert!(woken.len() <= WAITERS && (self.stored.is_empty() || woken.is_empty()));
            }
            Step::Refused => {
                if matches!(self.armed, Wait::Poll(_) | Wait::Overflow) {
                    self.fail();
                }
            }
        }
        assert_eq!(self.readiness.current_wait(), self.armed);
        assert!(self.stored.is_empty() || self.armed != Wait::Idle, "somebody waits for nothing: {:?}", self.story);
    }

    /// What a wait must lead to, and what the driver makes of it.
    fn waited(
        &mut self,
        waiter: usize,
        until: Until,
        arming: Arming,
        next: Next,
        waker: &Arc<Flag>,
        returned: Option<Waker>,
    ) {
        let refused = if self.expect_ready(until) {
            Some(Next::Ready)
        } else if self.has_untold_failure() {
            self.story.push(Fact::FailureTold);
            Some(Next::Failed(Errno::NOSPC))
        } else {
            None
        };
        if let Some(expected) = refused {
            assert_eq!(next, expected, "{:?}", self.story);
            assert!(is_waker_of(returned.as_ref(), Some(waker)), "a waker that is not needed comes back");
            return;
        }
        let replaced = self.stored.insert(waiter, Arc::clone(waker));
        assert!(is_waker_of(returned.as_ref(), replaced.as_ref()), "the waker that it replaced comes back");
        let expected = match (self.armed, until) {
            (Wait::Idle, Until::Attempt) if self.inline_streak() >= ENOUGH => Next::Retry,
            (Wait::Idle, _) | (Wait::Retry, Until::Event) => Next::Arm,
            _ => Next::Wait,
        };
        assert_eq!(next, expected, "{:?}", self.story);
        match (next, arming) {
            (Next::Retry, _) => self.armed = Wait::Retry,
            (Next::Arm, Arming::Impossible) => self.fail(),
            (Next::Arm, Arming::Overflow) => self.arm(Wait::Overflow),
            (Next::Arm, Arming::Poll) => {
                self.keys += 1;
                self.arm(Wait::Poll(Key { index: self.keys, generation: self.keys }));
            }
            _ => {}
        }
    }

    fn arm(&mut self, wait: Wait) {
        self.readiness.set_wait(wait);
        self.armed = wait;
    }

    fn fail(&mut self) {
        let mut woken = Vec::new();
        self.readiness.fail(Errno::NOSPC, &mut woken);
        self.armed = Wait::Idle;
        self.story.push(Fact::Failed);
        self.story.push(Fact::Woken);
        self.expect_woken(&woken);
    }

    fn wake(&mut self, fact: Fact) {
        let mut woken = Vec::new();
        self.readiness.wake_into(&mut woken);
        self.story.push(fact);
        self.expect_woken(&woken);
    }

    /// A future gives up its place; its next wait takes a new one.
    fn forget(&mut self, waiter: usize) {
        let withdrawn = self.readiness.forget(&self.waiters[waiter]);
        if waiter == 0 {
            assert!(withdrawn.is_none(), "a task's waker stays until the next call");
            return;
        }
        let expected = self.stored.remove(&waiter);
        assert!(is_waker_of(withdrawn.as_ref(), expected.as_ref()));
        self.waiters[waiter] = Waiter::Future(None);
    }

    fn expect_woken(&mut self, woken: &[Waker]) {
        let stored = std::mem::take(&mut self.stored);
        assert_eq!(woken.len(), stored.len(), "everybody is woken, once");
        for flag in stored.into_values() {
            let expected = Waker::from(flag);
            assert!(woken.iter().any(|waker| waker.will_wake(&expected)));
        }
    }

    fn new_waker(&mut self) -> Arc<Flag> {
        let flag = Arc::<Flag>::default();
        self.flags.push(Arc::clone(&flag));
        flag
    }

    // ---- what follows from the story ----

    /// Whether an attempt is worthwhile; if so, and on a guess, the story says that it was made.
    fn expect_ready(&mut self, until: Until) -> bool {
        let guesses = self.guesses_since_the_latest_news(self.story.len());
        let ready = match guesses {
            None => false,
            Some(Guesses::Certain) => true,
            Some(Guesses::Made(_)) if until == Until::Attempt => true,
            // The second one would not have been asked for if the first had met EAGAIN.
            Some(Guesses::Made(guesses)) => guesses >= 2,
        };
        if ready && until == Until::Attempt {
            self.story.push(Fact::Attempted);
        }
        ready
    }

    /// What the first `until` facts say about the next attempt. `None`: it would find nothing.
    fn guesses_since_the_latest_news(&self, until: usize) -> Option<Guesses> {
        let mut guesses = 0;
        for fact in self.story[..until].iter().rev() {
            match fact {
                Fact::Woken => return Some(Guesses::Certain),
                Fact::Eagain | Fact::Short => return None,
                Fact::Retried => break,
                Fact::Attempted => guesses += 1,
                Fact::Completed { .. } | Fact::Failed | Fact::FailureTold => {}
            }
        }
        Some(Guesses::Made(guesses))
    }

    /// Polls that completed inline, one after the other, up to now. One that did not ends the row,
    /// and so does an `EAGAIN` that no event had come before.
    fn inline_streak(&self) -> usize {
        let mut streak = 0;
        for (at, fact) in self.story.iter().enumerate().rev() {
            match fact {
                Fact::Completed { inline: true } => streak += 1,
                Fact::Completed { inline: false } => break,
                Fact::Eagain if matches!(self.guesses_since_the_latest_news(at), Some(Guesses::Made(0 | 1))) => break,
                _ => {}
            }
        }
        streak
    }

    fn has_untold_failure(&self) -> bool {
        let news = self.story.iter().rev().find(|fact| matches!(fact, Fact::Failed | Fact::FailureTold));
        news == Some(&Fact::Failed)
    }

    fn finish(self) {
        drop((self.readiness, self.stored));
        assert!(self.flags.iter().all(|flag| Arc::strong_count(flag) == 1), "no waker is kept");
    }
}

enum Guesses {
    /// An event has come, and nothing contradicts it yet.
    Certain,
    /// No event has come, and this many attempts were let through on a guess.
    Made(usize),
}

fn is_waker_of(waker: Option<&Waker>, flag: Option<&Arc<Flag>>) -> bool {
    match (waker, flag) {
        (None, None) => true,
        (Some(waker), Some(flag)) => waker.will_wake(&Waker::from(Arc::clone(flag))),
        _ => false,
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let until = || prop_oneof![Just(Until::Attempt), Just(Until::Event)];
    let arming = || prop_oneof![4 => Just(Arming::Poll), 2 => Just(Arming::Overflow), 1 => Just(Arming::Impossible)];
    prop_oneof![
        3 => until().prop_map(Step::Ask),
        1 => Just(Step::Eagain),
        1 => Just(Step::Short),
        5 => (0..WAITERS, arming()).prop_map(|(waiter, arming)| Step::Block(waiter, arming)),
        3 => (0..WAITERS, until(), arming()).prop_map(|(waiter, until, arming)| Step::Wait(waiter, until, arming)),
        2 => (0..WAITERS).prop_map(Step::Forget),
        6 => any::<bool>().prop_map(|inline| Step::Event { inline }),
        3 => Just(Step::Event { inline: true }),
        1 => Just(Step::HangUp),
        2 => Just(Step::NextTurn),
        1 => Just(Step::Refused),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_walks_agree_with_the_story(steps in proptest::collection::vec(any_step(), 0..100)) {
        let mut walk = Walk::new();
        for step in steps {
            walk.step(step);
        }
        walk.finish();
    }
}

/// One of each kind where the choice makes a difference.
const ALPHABET: [Step; 14] = [
    Step::Ask(Until::Attempt),
    Step::Ask(Until::Event),
    Step::Short,
    Step::Block(0, Arming::Poll),
    Step::Block(1, Arming::Overflow),
    Step::Block(1, Arming::Impossible),
    Step::Wait(1, Until::Attempt, Arming::Poll),
    Step::Wait(2, Until::Event, Arming::Poll),
    Step::Forget(1),
    Step::Event { inline: true },
    Step::Event { inline: false },
    Step::HangUp,
    Step::NextTurn,
    Step::Refused,
];

/// Takes every path of at most `depth` steps that begins with `path`.
fn enumerate(path: &mut Vec<Step>, depth: usize) {
    let mut walk = Walk::new();
    path.iter().for_each(|step| walk.step(*step));
    walk.finish();
    if depth > 0 {
        for step in ALPHABET {
            path.push(step);
            enumerate(path, depth - 1);
            path.pop();
        }
    }
}

#[test]
fn all_short_walks_agree_with_the_story() {
    enumerate(&mut Vec::new(), 4);
}

#[test]
fn all_short_walks_after_inline_completions_agree_with_the_story() {
    let busy = [Step::Block(0, Arming::Poll), Step::Event { inline: true }];
    enumerate(&mut [busy, busy].concat(), 3);
}
