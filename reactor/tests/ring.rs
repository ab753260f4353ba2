//! The context and its ring, without a reactor: the wrap point, a full ring, batches with bad
//! requests, cancels that race with readiness.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

use super::sleep::no_signals;
use super::{PATIENCE, alone, fire, new_eventfd, read_counter};
use crate::reactor::ids::{Direction, Key};
use crate::reactor::kernel::abi::{IoEvent, Iocb};
use crate::reactor::kernel::batch::Batch;
use crate::reactor::kernel::fault::{self, Call};
use crate::reactor::kernel::kioctx::Kioctx;

/// What became of one iocb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Accepted,
    Refused(Errno),
    NoRoom,
}

/// A context, and the batch that holds its iocbs.
struct Kernel {
    kioctx: Kioctx,
    batch: Batch,
    events: Vec<IoEvent>,
}

impl Kernel {
    /// The smallest context. Its ring may be made to look unknown.
    fn new(ring_is_known: bool) -> Self {
        if !ring_is_known {
            fault::inject(Call::MapRing, Errno::NOSYS, 1);
        }
        let kioctx = Kioctx::setup(1).unwrap();
        assert_eq!(kioctx.has_ring(), ring_is_known);
        Self { kioctx, batch: Batch::new(), events: Vec::new() }
    }

    fn push(&mut self, at: u32, iocb: impl FnOnce(u64) -> Iocb) {
        let key = Key::from_data(at.into());
        self.batch.push(key, iocb(key.to_data()));
    }

    fn push_poll(&mut self, at: u32, fd: RawFd) {
        self.push(at, |data| Iocb::poll(fd, Direction::Read, data));
    }

    /// What became of each, by its position in the batch.
    fn submit(&mut self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        self.batch.submit(&self.kioctx, |key| outcomes.push((key.index(), Outcome::Accepted)));
        outcomes.extend(self.batch.refused.drain(..).map(|(key, errno)| (key.index(), Outcome::Refused(errno))));
        outcomes.extend(self.batch.no_room.drain(..).map(|key| (key.index(), Outcome::NoRoom)));
        outcomes.sort_by_key(|(at, _)| *at);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// Waits for `count` events and returns their `aio_data`, in order.
    fn take(&mut self, count: usize) -> Vec<(u64, i64)> {
        let begin = Instant::now();
        while self.events.len() < count {
            assert!(begin.elapsed() < PATIENCE, "{} of {count} events", self.events.len());
            if self.kioctx.reap(&mut self.events) == 0 {
                self.kioctx.wait(Some(Duration::from_millis(100)), None, &mut self.events).unwrap();
            }
        }
        assert_eq!(self.events.len(), count, "one event per request");
        self.events.drain(..).map(|event| (event.data, event.res)).collect()
    }

    fn assert_empty(&mut self) {
        assert!(!self.kioctx.has_events());
        assert_eq!(self.kioctx.reap(&mut self.events), 0);
        assert_eq!(self.kioctx.wait(Some(Duration::ZERO), None, &mut self.events), Ok(0));
    }
}

fn ready_eventfd() -> OwnedFd {
    let fd = new_eventfd();
    fire(&fd);
    fd
}

#[test]
fn events_cross_the_wrap_point_in_order_thousands_of_times() {
    alone(|| {
        let mut kernel = Kernel::new(true);
        let ready = ready_eventfd();
        // Sizes that have no divisor in common with each other, or with most rings, so that the
        // wrap falls on each place of a batch.
        let sizes = [1, 7, 64, 2, 31, 3, 53];
        let (mut sent, mut received) = (0_u32, 0_u32);
        while sent < 400_000 {
            let size = sizes[sent as usize % sizes.len()];
            for at in 0..size {
                let number = u64::from(sent + at);
                kernel.push(at, |_| Iocb::poll(ready.as_raw_fd(), Direction::Read, number));
            }
            assert!(kernel.submit().iter().all(|outcome| *outcome == Outcome::Accepted));
            sent += size;
            // Both ways of taking events move the same head.
            let taken = if sent.is_multiple_of(5) {
                kernel.kioctx.wait(Some(Duration::ZERO), None, &mut kernel.events).unwrap()
            } else {
                kernel.kioctx.reap(&mut kernel.events)
            };
            assert_eq!(taken, size as usize);
            for event in kernel.events.drain(..) {
                assert_eq!((event.data, event.res), (received.into(), libc::POLLIN.into()));
                received += 1;
            }
        }
        kernel.assert_empty();
    });
}

#[test]
fn a_full_ring_takes_nothing_until_it_is_reaped() {
    alone(|| {
        for ring_is_known in [true, false] {
            let mut kernel = Kernel::new(ring_is_known);
            let ready = ready_eventfd();
            for _ in 0..50 {
                let mut accepted = 0;
                loop {
                    kernel.push_poll(accepted, ready.as_raw_fd());
                    match kernel.submit()[..] {
                        [Outcome::Accepted] => accepted += 1,
                        [Outcome::NoRoom] => break,
                        ref other => panic!("{other:?}"),
                    }
                }
                // How much more than the promise depends on the CPUs that this thread was on.
                assert!(accepted as usize >= kernel.kioctx.capacity(), "{accepted}");
                let events = kernel.take(accepted as usize);
                assert!(events.iter().map(|(data, _)| *data).eq(0..u64::from(accepted)));
            }
            kernel.assert_empty();
        }
    });
}

#[test]
fn iocbs_that_find_the_ring_full_are_reported() {
    alone(|| {
        let mut kernel = Kernel::new(true);
        let ready = ready_eventfd();
        for at in 0..700 {
            kernel.push_poll(at, ready.as_raw_fd());
        }
        let outcomes = kernel.submit();
        assert_eq!(outcomes.len(), 700);
        let accepted = outcomes.iter().take_while(|outcome| **outcome == Outcome::Accepted).count();
        assert!(accepted >= kernel.kioctx.capacity());
        assert!(outcomes[accepted..].iter().all(|outcome| *outcome == Outcome::NoRoom));
        kernel.take(accepted);
    });
}

#[test]
fn a_bad_iocb_is_refused_alone_wherever_it_is_in_the_batch() {
    const BATCH: u32 = 64;
    alone(|| {
        let mut kernel = Kernel::new(true);
        let ready = ready_eventfd();
        let memfd = memfd_create("without NOWAIT", MemfdFlags::CLOEXEC).unwrap();
        let mut byte = 0_u8;
        for bad in 0..BATCH {
            for errno in [Errno::BADF, Errno::INVAL, Errno::OPNOTSUPP] {
                for at in 0..BATCH {
                    let (ready, memfd) = (ready.as_raw_fd(), memfd.as_raw_fd());
                    kernel.push(at, |data| match errno {
                        _ if at != bad => Iocb::poll(ready, Direction::Read, data),
                        Errno::BADF => Iocb::poll(-1, Direction::Read, data),
                        // An eventfd cannot be synced.
                        Errno::INVAL => Iocb::sync(ready, false, data),
                        _ => Iocb::read(memfd, &raw mut byte, 1, 0, data).nowait(),
                    });
                }
                for (at, outcome) in (0..).zip(kernel.submit()) {
                    let expected = if at == bad { Outcome::Refused(errno) } else { Outcome::Accepted };
                    assert_eq!(outcome, expected, "iocb {at} of a batch whose number {bad} is bad: {errno}");
                }
                let events = kernel.take(BATCH as usize - 1);
                let others = (0..BATCH).filter(|at| *at != bad);
                assert!(events.iter().map(|(data, _)| *data).eq(others.map(u64::from)));
            }
        }
        kernel.assert_empty();
    });
}

/// Many polls at a time, cancelled by this thread while another makes them ready, in opposite order
/// or the same.
#[test]
fn a_cancel_that_races_with_readiness_leaves_one_event() {
    const BATCH: u32 = 60;
    const ROUNDS: usize = 400;
    alone(|| {
        let mut kernel = Kernel::new(true);
        let eventfds: Vec<OwnedFd> = (0..BATCH).map(|_| new_eventfd()).collect();
        // How many rounds this thread has begun, and the other has ended.
        let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let begin = Instant::now();
        let await_round = |counter: &AtomicUsize, round| {
            while counter.load(Ordering::Acquire) < round {
                assert!(begin.elapsed() < PATIENCE, "the other thread is gone");
                thread::yield_now();
            }
        };
        let mut cancelled = 0;
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    await_round(&begun, round);
                    eventfds.iter().for_each(fire);
                    ended.store(round, Ordering::Release);
                }
            });
            for round in 1..=ROUNDS {
                for (at, fd) in (0..).zip(&eventfds) {
                    kernel.push_poll(at, fd.as_raw_fd());
                }
                kernel.submit();
                begun.store(round, Ordering::Release);
                let order: Vec<u32> = if round % 2 == 0 { (0..BATCH).collect() } else { (0..BATCH).rev().collect() };
                for at in order {
                    let key = Key::from_data(at.into());
                    let found = kernel.kioctx.cancel(kernel.batch.place(key)).unwrap();
                    cancelled += u32::from(found);
                }
                let mut events = kernel.take(BATCH as usize);
                events.sort_unstable();
                assert!(events.iter().map(|(data, _)| *data).eq(0..BATCH.into()), "one event for each poll");
                await_round(&ended, round);
                for fd in &eventfds {
                    assert_eq!(read_counter(fd.as_fd()).unwrap(), 1, "a cancel takes nothing from the file");
                }
            }
        });
        kernel.assert_empty();
        assert!(cancelled > 0, "some cancels were in time");
    });
}

#[test]
fn a_wait_that_a_signal_ends_has_taken_nothing() {
    alone(|| {
        let mut kernel = Kernel::new(true);
        let ready = ready_eventfd();
        kernel.push_poll(0, ready.as_raw_fd());
        kernel.submit();
        fault::inject(Call::Getevents, Errno::INTR, 3);
        for _ in 0..3 {
            assert_eq!(kernel.kioctx.wait(None, None, &mut kernel.events), Ok(0));
        }
        assert_eq!(kernel.take(1), [(0, libc::POLLIN.into())]);
    });
}

/// Every errno with which a call was seen to be refused, and one that nobody has thought of.
const REFUSALS: [Errno; 6] = [Errno::PERM, Errno::ACCESS, Errno::NOSYS, Errno::OPNOTSUPP, Errno::INVAL, Errno::XDEV];

#[test]
fn io_pgetevents_is_not_called_without_a_signal_mask() {
    alone(|| {
        let mut kernel = Kernel::new(false);
        let ready = ready_eventfd();
        fault::inject(Call::Pgetevents, Errno::PERM, 1);
        for _ in 0..3 {
            kernel.push_poll(0, ready.as_raw_fd());
            kernel.submit();
            assert_eq!(kernel.take(1), [(0, libc::POLLIN.into())]);
        }
        kernel.assert_empty();
        assert!(fault::clear(), "it was not called");
    });
}

#[test]
fn io_pgetevents_steps_in_where_io_getevents_is_refused() {
    alone(|| {
        for errno in REFUSALS {
            let mut kernel = Kernel::new(false);
            let ready = ready_eventfd();
            // One refusal is enough: it is not called again.
            fault::inject(Call::Getevents, errno, 1);
            for _ in 0..3 {
                kernel.push_poll(0, ready.as_raw_fd());
                kernel.submit();
                assert_eq!(kernel.take(1), [(0, libc::POLLIN.into())]);
            }
            fault::inject(Call::Getevents, errno, 1);
            kernel.assert_empty();
            assert!(fault::clear(), "io_getevents is not called any more");
            // Where both are refused, the first tells why.
            let mut kernel = Kernel::new(false);
            fault::inject(Call::Getevents, errno, 1);
            fault::inject(Call::Pgetevents, Errno::PERM, 1);
            let waited = kernel.kioctx.wait(Some(Duration::ZERO), None, &mut kernel.events);
            assert_eq!(waited, Err(errno));
        }
    });
}

#[test]
fn a_wait_with_a_signal_mask_is_short_where_it_cannot_be_atomic() {
    alone(|| {
        for errno in REFUSALS {
            let mut kernel = Kernel::new(true);
            let mask = no_signals();
            fault::inject(Call::Pgetevents, errno, 1);
            // A signal between the change of the mask and the wait would not end it.
            let begin = Instant::now();
            assert_eq!(kernel.kioctx.wait(None, Some(&mask), &mut kernel.events), Ok(0));
            assert!(begin.elapsed() < PATIENCE / 2);
            let ready = ready_eventfd();
            kernel.push_poll(0, ready.as_raw_fd());
            kernel.submit();
            assert_eq!(kernel.kioctx.wait(None, Some(&mask), &mut kernel.events), Ok(1));
        }
    });
}
