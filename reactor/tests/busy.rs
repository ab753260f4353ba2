//! Descriptors whose polls complete inline: the poll is skipped, and the operation is retried on
//! the next turn.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::task::Poll;

use super::super::{Direction, Io, Reactor};
use super::{ManualPoll, assert_sleeps, eventfd_pair, fire, in_each_mode, metrics, next_counter, read_counter};

/// An eventfd whose latest polls completed inline, so that the next one will be skipped.
fn busy_pair(reactor: &Reactor) -> (Io, OwnedFd) {
    let (io, trigger) = eventfd_pair(reactor);
    for _ in 0..2 {
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
    }
    assert_eq!(metrics(reactor).polls_skipped, 0, "twice is needed to tell a habit from chance");
    io.clear_ready(Direction::Read);
    (io, trigger)
}

/// A future that waits for its retry, after a poll was skipped.
fn skipped<'a>(reactor: &Reactor, io: &'a Io) -> ManualPoll<'a, io::Result<u64>> {
    let before = metrics(reactor);
    let waits = ManualPoll::pending(reactor, next_counter(io));
    let now = metrics(reactor);
    assert_eq!((now.polls_skipped, now.slots_in_use), (before.polls_skipped + 1, before.slots_in_use));
    waits
}

#[test]
fn a_poll_that_would_complete_inline_is_skipped() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = busy_pair(reactor);
        let before = metrics(reactor);
        for _ in 0..10 {
            let mut waits = skipped(reactor, &io);
            fire(&trigger);
            assert_eq!(waits.wakes(), 0, "not before the next turn");
            reactor.turn();
            assert_eq!(waits.wakes(), 1);
            assert!(matches!(waits.poll(reactor), Poll::Ready(Ok(1))));
        }
        let now = metrics(reactor);
        assert_eq!(now.submitted_polls, before.submitted_polls);
        assert_eq!(now.polls_skipped, before.polls_skipped + 10);
    });
}

#[test]
fn a_retry_that_finds_nothing_is_followed_by_a_poll() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = busy_pair(reactor);
        let mut waits = skipped(reactor, &io);
        reactor.turn();
        assert_eq!(waits.wakes(), 1);
        assert!(waits.poll(reactor).is_pending());
        assert_sleeps(reactor);
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
        // The descriptor has to earn the next skip again.
        assert_eq!(metrics(reactor).polls_skipped, 1);
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
        assert_eq!(metrics(reactor).polls_skipped, 1);
    });
}

#[test]
fn the_loop_does_not_sleep_while_a_retry_is_due() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = busy_pair(reactor);
        let waits = skipped(reactor, &io);
        fire(&trigger);
        // Without a timeout: a sleep here would last forever.
        reactor.park(None);
        assert_eq!(waits.wakes(), 1);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
    });
}

#[test]
fn a_waiter_that_needs_an_event_is_not_woken_to_retry() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = busy_pair(reactor);
        // Alone, ...
        let mut alone = ManualPoll::pending(reactor, io.ready(Direction::Read));
        assert_eq!(metrics(reactor).polls_skipped, 0);
        // ... and beside a waiter that would retry.
        let mut retries = ManualPoll::pending(reactor, next_counter(&io));
        reactor.turn();
        assert!(alone.poll(reactor).is_pending());
        assert!(retries.poll(reactor).is_pending());
        fire(&trigger);
        alone.complete(reactor).unwrap();
        assert_eq!(retries.complete(reactor).unwrap(), 1);
    });
}

#[test]
fn a_waiter_that_needs_an_event_gets_a_poll_where_one_was_skipped() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = busy_pair(reactor);
        let mut retries = skipped(reactor, &io);
        let mut needs_event = ManualPoll::pending(reactor, io.ready(Direction::Read));
        reactor.turn();
        assert!(needs_event.poll(reactor).is_pending(), "nothing has happened");
        assert!(retries.poll(reactor).is_pending());
        assert_sleeps(reactor);
        fire(&trigger);
        needs_event.complete(reactor).unwrap();
        assert_eq!(retries.complete(reactor).unwrap(), 1);
    });
}

#[test]
fn an_attempt_that_took_everything_is_not_an_event() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        fire(&trigger);
        // The first attempt of all, and it succeeds: that says nothing about the next one.
        assert!(matches!(ManualPoll::new(next_counter(&io)).poll(reactor), Poll::Ready(Ok(1))));
        let needs_event = ManualPoll::pending(reactor, io.ready(Direction::Read));
        assert_sleeps(reactor);
        fire(&trigger);
        needs_event.complete(reactor).unwrap();
    });
}

#[test]
fn attempts_by_hand_count_too() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = busy_pair(reactor);
        // As a caller drains a socket by `try_read` before it waits by `poll_read`.
        let mut waits = ManualPoll::new(poll_fn(|cx| match io.try_io(Direction::Read, read_counter) {
            Ok(counter) => Poll::Ready(Ok::<_, io::Error>(counter)),
            Err(_) => io.poll_io(cx, Direction::Read, read_counter),
        }));
        assert!(waits.poll(reactor).is_pending());
        let mut seen = 0;
        for _ in 0..100 {
            reactor.turn();
            if waits.wakes() > seen {
                seen = waits.wakes();
                assert!(waits.poll(reactor).is_pending());
            }
        }
        assert!(seen <= 1, "one attempt finds that it is idle; {seen} did not");
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
    });
}

#[test]
fn a_retry_ends_with_its_registration() {
    in_each_mode(1, |reactor| {
        let (io, _trigger) = busy_pair(reactor);
        drop(skipped(reactor, &io));
        drop(io);
        // Takes the place of the one before.
        let (io, trigger) = eventfd_pair(reactor);
        let mut waits = ManualPoll::pending(reactor, next_counter(&io));
        reactor.turn();
        assert_eq!(waits.wakes(), 0, "the retry was for another registration");
        assert!(waits.poll(reactor).is_pending());
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
    });
}

#[test]
fn a_dropped_future_leaves_the_retry_to_the_next_one() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = busy_pair(reactor);
        drop(skipped(reactor, &io));
        fire(&trigger);
        reactor.turn();
        assert!(matches!(ManualPoll::new(next_counter(&io)).poll(reactor), Poll::Ready(Ok(1))));
    });
}
