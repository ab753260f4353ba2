//! An edge comes once. Whatever it comes before, after or between, it is not lost.
#![allow(unsafe_code)]

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};

use super::super::crowd::Crowd;
use super::*;
use crate::reactor::ids::Direction;
use crate::reactor::tests::sockets::{empty, fill, send, stream_and_peer};
use crate::reactor::tests::{
    A_WHILE, PATIENCE, assert_sleeps, block_on, eventfd_pair, in_each_mode, read_byte, read_counter, until_woken,
};

#[test]
fn a_wait_for_edges_makes_no_call() {
    in_each_mode(1, |reactor| {
        let (io, mut far) = socket_by_edges(reactor);
        let before = metrics(reactor);
        for byte in 0..100 {
            let waits = ManualPoll::pending(reactor, next_byte(&io));
            far.write_all(&[byte]).unwrap();
            assert_eq!(waits.complete(reactor).unwrap(), Some(byte));
        }
        let now = metrics(reactor);
        assert!(now.submitted_polls <= before.submitted_polls + 102, "only the epoll's own: {now:?}");
        assert_eq!((now.contradictions, now.waits_backed_off), (0, 0));
        assert_sleeps(reactor);
    });
}

#[test]
fn an_edge_that_comes_while_nobody_waits_is_remembered() {
    in_each_mode(1, |reactor| {
        let (io, mut far) = socket_by_edges(reactor);
        far.write_all(b"ab").unwrap();
        assert_sleeps(reactor);
        block_on(reactor, io.ready(Direction::Read)).unwrap();
        for byte in *b"ab" {
            assert!(matches!(ManualPoll::new(next_byte(&io)).poll(reactor), Poll::Ready(Ok(Some(b))) if b == byte));
        }
        let waits = ManualPoll::pending(reactor, next_byte(&io));
        assert_sleeps(reactor);
        far.write_all(b"c").unwrap();
        assert_eq!(waits.complete(reactor).unwrap(), Some(b'c'));
    });
}

/// A waker whose clones bring an edge: bytes for the very direction that is about to wait.
struct Meddler<'a> {
    reactor: &'a Reactor,
    far: &'a UnixStream,
}

impl Meddler<'_> {
    fn waker(&self) -> Waker {
        static VTABLE: RawWakerVTable = RawWakerVTable::new(
            |meddler| {
                // SAFETY: the data of the only waker with this vtable, which the meddler outlives:
                // see below.
                let Meddler { reactor, far } = unsafe { &*meddler.cast::<Meddler<'_>>() };
                let mut far = *far;
                far.write_all(b"e").unwrap();
                reactor.turn();
                turn_and_park(reactor);
                RawWaker::new(std::ptr::null(), &QUIET)
            },
            |_| {},
            |_| {},
            |_| {},
        );
        static QUIET: RawWakerVTable =
            RawWakerVTable::new(|_| RawWaker::new(std::ptr::null(), &QUIET), |_| {}, |_| {}, |_| {});
        // SAFETY: the functions of both vtables do what they should with a waker that owns nothing.
        // A clone does not keep the pointer, and the waker itself is dropped before the meddler.
        unsafe { Waker::from_raw(RawWaker::new(std::ptr::from_ref(self).cast(), &VTABLE)) }
    }
}

#[test]
fn an_edge_between_an_attempt_and_its_wait_is_not_lost() {
    in_each_mode(1, |reactor| {
        let (io, far) = socket_by_edges(reactor);
        let meddler = Meddler { reactor, far: &far };
        let waker = meddler.waker();
        // The attempt finds nothing; the clone that is to be stored brings a byte and its event.
        let polled = io.poll_io(&mut Context::from_waker(&waker), Direction::Read, read_byte);
        assert!(matches!(polled, Poll::Ready(Ok(Some(b'e')))), "{polled:?}");
    });
}

#[test]
fn an_edge_between_an_attempt_by_hand_and_its_report_is_not_lost() {
    in_each_mode(1, |reactor| {
        let (io, mut far) = socket_by_edges(reactor);
        let result = io.try_io(Direction::Read, |fd| {
            let result = read_byte(fd);
            far.write_all(b"e").unwrap();
            for _ in 0..3 {
                turn_and_park(reactor);
            }
            result
        });
        assert!(result.is_err());
        block_on(reactor, io.ready(Direction::Read)).unwrap();
        assert_eq!(block_on(reactor, next_byte(&io)).unwrap(), Some(b'e'));
    });
}

#[test]
fn a_short_transfer_does_not_hide_what_came_after_its_edge() {
    in_each_mode(1, |reactor| {
        let (io, mut far) = socket_by_edges(reactor);
        for round in 0..50 {
            let waits = ManualPoll::pending(reactor, next_byte(&io));
            far.write_all(&[round]).unwrap();
            assert_eq!(waits.complete(reactor).unwrap(), Some(round));
            // As after a read into a larger buffer; a byte has come in the meantime, and its edge
            // was reported or not.
            far.write_all(b"n").unwrap();
            if round % 2 == 0 {
                turn_and_park(reactor);
            }
            io.clear_ready(Direction::Read);
            assert_eq!(block_on(reactor, next_byte(&io)).unwrap(), Some(b'n'));
            io.clear_ready(Direction::Read);
        }
        assert_sleeps(reactor);
    });
}

#[test]
fn a_short_transfer_does_not_hide_an_end_that_was_signalled_with_it() {
    in_each_mode(1, |reactor| {
        for hangs_up in [false, true] {
            let (io, mut far) = socket_by_edges(reactor);
            let waits = ManualPoll::pending(reactor, next_byte(&io));
            far.write_all(b"x").unwrap();
            if hangs_up {
                drop(far);
            } else {
                far.shutdown(Shutdown::Write).unwrap();
            }
            // One event for both.
            assert_eq!(waits.complete(reactor).unwrap(), Some(b'x'));
            io.clear_ready(Direction::Read);
            for _ in 0..2 {
                assert_eq!(block_on(reactor, next_byte(&io)).unwrap(), None);
                io.clear_ready(Direction::Read);
                block_on(reactor, io.ready(Direction::Read)).unwrap();
            }
            assert_eq!(metrics(reactor).contradictions, 0);
        }
    });
}

#[test]
fn an_end_that_attempts_deny_is_not_attempted_forever() {
    in_each_mode(1, |reactor| {
        let (io, far) = socket_by_edges(reactor);
        let mut attempts = 0;
        let mut waits = ManualPoll::new(io.io(Direction::Read, |_| {
            attempts += 1;
            Err::<(), _>(io::ErrorKind::WouldBlock.into())
        }));
        assert!(waits.poll(reactor).is_pending());
        far.shutdown(Shutdown::Write).unwrap();
        until_woken(reactor, &waits.flag);
        assert!(waits.poll(reactor).is_pending());
        assert_sleeps(reactor);
        drop(waits);
        assert!((2..10).contains(&attempts), "{attempts}");
        assert!(metrics(reactor).contradictions >= 3);
    });
}

#[test]
fn both_directions_wait_for_edges_and_each_gets_its_own() {
    in_each_mode(1, |reactor| {
        let (io, mut far) = socket_by_edges(reactor);
        fill(&io);
        let mut writes = ManualPoll::pending(reactor, io.io(Direction::Write, |fd| send(fd, b"w")));
        for _ in 0..3 {
            let reads = ManualPoll::pending(reactor, next_byte(&io));
            far.write_all(b"r").unwrap();
            assert_eq!(reads.complete(reactor).unwrap(), Some(b'r'));
            assert_eq!(writes.wakes(), 0, "the event was for the other direction");
        }
        empty(&far);
        until_woken(reactor, &writes.flag);
        assert!(writes.poll(reactor).is_ready());
        assert_eq!(metrics(reactor).overflow_fds, 1);
    });
}

#[test]
fn everyone_who_waits_for_an_edge_is_woken_and_the_loser_waits_again() {
    in_each_mode(1, |reactor| {
        let (io, mut far) = socket_by_edges(reactor);
        for _ in 0..10 {
            let mut both = [ManualPoll::pending(reactor, next_byte(&io)), ManualPoll::pending(reactor, next_byte(&io))];
            far.write_all(b"1").unwrap();
            until_woken(reactor, &both[0].flag);
            assert!(both[0].poll(reactor).is_ready());
            assert!(both[1].poll(reactor).is_pending(), "the other one has it");
            assert_sleeps(reactor);
            far.write_all(b"2").unwrap();
            let [_, loser] = both;
            assert_eq!(loser.complete(reactor).unwrap(), Some(b'2'));
        }
        assert_eq!(metrics(reactor).contradictions, 0, "somebody has found something each time");
    });
}

/// There is no slot, so a waiter waits for one event in the nested epoll; and then for edges, since
/// the other direction is contradictory.
#[test]
fn a_watch_for_one_event_becomes_one_for_edges() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        let (io, far) = stream_and_peer(reactor);
        fill(&io);
        let writes = ManualPoll::pending(reactor, io.io(Direction::Write, |fd| send(fd, b"w")));
        // There is always something, and it is never taken.
        send(far.as_fd(), b"never read").unwrap();
        let mut reads = ManualPoll::new(io.io(Direction::Read, |_| Err::<(), _>(io::ErrorKind::WouldBlock.into())));
        until_edge_triggered(reactor, &mut reads);
        assert!(turns_in(reactor, 5 * A_WHILE) < 20);
        empty(&far);
        assert_eq!(writes.complete(reactor).unwrap(), 1);
    });
}

/// A waiter on another thread learns late of an edge: its `EAGAIN` may be older.
#[test]
fn a_waiter_on_another_thread_misses_no_edge() {
    in_each_mode(1, |reactor| {
        let (io, mut far) = socket_by_edges(reactor);
        let begin = Instant::now();
        std::thread::scope(|scope| {
            let reads = scope.spawn(|| {
                let parker = Arc::new(Parker(std::thread::current()));
                let waker = Waker::from(parker);
                (0..200)
                    .map(|_| {
                        loop {
                            // The other thread may have failed.
                            assert!(begin.elapsed() < 2 * PATIENCE, "no byte comes any more");
                            match io.poll_io(&mut Context::from_waker(&waker), Direction::Read, read_byte) {
                                Poll::Ready(read) => break read.unwrap().unwrap(),
                                Poll::Pending => std::thread::park_timeout(2 * PATIENCE),
                            }
                        }
                    })
                    .collect::<Vec<_>>()
            });
            for byte in 0..200_u8 {
                far.write_all(&[byte]).unwrap();
                turn_and_park(reactor);
            }
            while !reads.is_finished() {
                assert!(begin.elapsed() < PATIENCE, "an edge was missed");
                turn_and_park(reactor);
            }
            assert_eq!(reads.join().unwrap(), (0..200).collect::<Vec<u8>>());
        });
    });
}

struct Parker(std::thread::Thread);

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn a_descriptor_that_others_empty_now_and_then_is_waited_for_by_polls() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        for _ in 0..10 {
            // Twice somebody else is faster, ...
            for _ in 0..2 {
                let mut waits = ManualPoll::pending(reactor, next_counter(&io));
                reactor.turn();
                fire(&trigger);
                until_woken(reactor, &waits.flag);
                read_counter(trigger.as_fd()).unwrap();
                assert!(waits.poll(reactor).is_pending());
            }
            // ... and then it has its turn.
            let waits = ManualPoll::pending(reactor, next_counter(&io));
            reactor.turn();
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
        }
        let now = metrics(reactor);
        assert_eq!((now.contradictions, now.fds_edge_triggered), (20, 0), "{now:?}");
    });
}
