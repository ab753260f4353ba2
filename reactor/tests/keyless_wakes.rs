//! Wakes without a key: the kernel has a worker look at the file again, which may find it drained
//! by someone else, and must then go on waiting. Kernels before 5.16 could lose the next wake
//! there. `splice` into a pipe is such a wake.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

use super::super::Reactor;
use super::{ManualPoll, in_each_mode, next_byte, register, turn_and_park};

const ROUNDS: usize = 2_000;

fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap()
}

/// Moves bytes from a pipe of its own into another: the other's reader is woken without a key.
struct Splicer {
    from: OwnedFd,
    feed: OwnedFd,
    into: OwnedFd,
}

impl Splicer {
    fn new(into: OwnedFd) -> Self {
        let (from, feed) = pipe();
        Self { from, feed, into }
    }

    fn splice_one(&self) {
        assert_eq!(rustix::io::write(&self.feed, b"x"), Ok(1));
        while splice(&self.from, None, &self.into, None, 1, SpliceFlags::NONBLOCK) == Err(Errno::AGAIN) {
            // The pipe is full: the reader is behind.
            let mut fds = [PollFd::new(&self.into, PollFlags::OUT)];
            poll(&mut fds, Some(&Timespec { tv_sec: 1, tv_nsec: 0 })).unwrap();
        }
    }
}

fn read_one(reactor: &Reactor, io: &super::Io) {
    assert_eq!(ManualPoll::new(next_byte(io)).complete(reactor).unwrap(), Some(b'x'));
}

#[test]
fn each_splice_wakes_the_reader_that_waits_for_it() {
    in_each_mode(1, |reactor| {
        let (near, far) = pipe();
        let (io, splicer) = (register(reactor, near), Splicer::new(far));
        for _ in 0..ROUNDS / 4 {
            let reads = ManualPoll::pending(reactor, next_byte(&io));
            reactor.turn();
            splicer.splice_one();
            assert_eq!(reads.complete(reactor).unwrap(), Some(b'x'));
        }
    });
}

#[test]
fn a_reader_that_races_with_splices_gets_every_byte() {
    in_each_mode(1, |reactor| {
        let (near, far) = pipe();
        let io = register(reactor, near);
        let writer = thread::spawn(move || {
            let splicer = Splicer::new(far);
            (0..ROUNDS).for_each(|_| splicer.splice_one());
        });
        (0..ROUNDS).for_each(|_| read_one(reactor, &io));
        assert_eq!(ManualPoll::new(next_byte(&io)).complete(reactor).unwrap(), None, "the end");
        writer.join().unwrap();
    });
}

/// Another reader takes most bytes, between the wake and the worker's look: whatever it leaves must
/// still wake us.
#[test]
fn a_wake_whose_byte_was_stolen_does_not_swallow_the_next_one() {
    in_each_mode(1, |reactor| {
        let (near, far) = pipe();
        let thief_end = near.try_clone().unwrap();
        let io = register(reactor, near);
        let (stolen, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let thief = thread::spawn({
            let (stolen, over) = (Arc::clone(&stolen), Arc::clone(&over));
            move || {
                while !over.load(Ordering::Acquire) {
                    if rustix::io::read(&thief_end, &mut [0; 1]) == Ok(1) {
                        stolen.fetch_add(1, Ordering::AcqRel);
                    } else {
                        thread::yield_now();
                    }
                }
            }
        });
        let splicer = Splicer::new(far);
        let mut read = 0;
        let mut waits = ManualPoll::new(next_byte(&io));
        for round in 1..=ROUNDS / 4 {
            assert!(waits.poll(reactor).is_pending(), "all bytes so far were taken");
            reactor.turn();
            splicer.splice_one();
            // It is ours or the thief's.
            loop {
                if waits.wakes() > 0
                    && let std::task::Poll::Ready(byte) = waits.poll(reactor)
                {
                    assert_eq!(byte.unwrap(), Some(b'x'));
                    read += 1;
                    waits = ManualPoll::new(next_byte(&io));
                }
                if read + stolen.load(Ordering::Acquire) == round {
                    break;
                }
                turn_and_park(reactor);
            }
        }
        over.store(true, Ordering::Release);
        thief.join().unwrap();
        // Nobody steals the last one.
        if waits.poll(reactor).is_pending() {
            splicer.splice_one();
        }
        assert_eq!(waits.complete(reactor).unwrap(), Some(b'x'));
    });
}
