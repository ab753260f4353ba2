//! Hostile wakers: their wake and their drop run user code, which must never find the reactor
//! borrowed. Nor may a waker that panics take the others down.
#![allow(unsafe_code)] // A waker with a clone of its own.

use std::cell::Cell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

use super::super::{Buf, Config, Direction, FileOperation, Home, Io, Reactor, Request, Round, coop, home};
use super::listener::{Listener, listen};
use super::{
    ManualPoll, alone, assert_at_rest, config, eventfd_pair, fire, in_each_mode, metrics, new_eventfd, next_counter,
    read_counter, register, turn_and_park,
};
use crate::reactor::kernel::fault::{self, Call};

thread_local! {
    /// The reactor that the wakers of this thread meddle with.
    static REACTOR: Cell<Option<Home>> = const { Cell::new(None) };
    static WAKES: Cell<usize> = const { Cell::new(0) };
    static DROPS: Cell<usize> = const { Cell::new(0) };
}

/// Uses the reactor in every way, whenever it gets the chance.
struct Meddler;

impl Meddler {
    fn waker() -> Waker {
        Waker::from(Arc::new(Self))
    }

    fn meddle() {
        let Some(reactor) = REACTOR.get() else { return };
        // Panics if the thread's list of reactors is borrowed.
        home::move_to_front(reactor);
        // Both fail once the reactor is gone, which is fine.
        reactor.with(|core| {
            core.with(|driver| driver.turn(Round::IsOver));
            core.wake();
        });
        if let Ok(io) = Io::new(reactor, new_eventfd(), super::Close::Soon) {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = io.poll_io(&mut cx, Direction::Read, read_counter);
        }
    }
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        WAKES.set(WAKES.get() + 1);
        Self::meddle();
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        DROPS.set(DROPS.get() + 1);
        Self::meddle();
    }
}

/// Runs a test whose wakers meddle with its reactor.
fn with_meddlers(test: impl Fn(&Reactor)) {
    in_each_mode(1, |reactor| {
        REACTOR.set(Some(reactor.home()));
        test(reactor);
        REACTOR.take();
    });
}

/// Polls with a waker that only the reactor holds afterwards.
#[track_caller]
fn poll_pending<T>(_reactor: &Reactor, future: &mut (impl Future<Output = T> + Unpin)) {
    coop::refill();
    let waker = Meddler::waker();
    let polled = pin!(future).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
}

/// How many meddlers this drops, and how many it wakes.
fn count(f: impl FnOnce()) -> (usize, usize) {
    DROPS.set(0);
    WAKES.set(0);
    f();
    (DROPS.get(), WAKES.get())
}

fn read_of_a_file(reactor: &Reactor) -> FileOperation {
    let file = Arc::new(memfd_create("", MemfdFlags::CLOEXEC).unwrap().into());
    FileOperation::new(reactor.home(), Request::read(&file, Buf::zeroed(8), 0))
}

#[test]
fn the_waker_of_a_dropped_or_repeated_wait_is_dropped_outside_the_borrow() {
    with_meddlers(|reactor| {
        let (io, _trigger) = eventfd_pair(reactor);
        let mut waits = Box::pin(next_counter(&io));
        poll_pending(reactor, &mut waits);
        assert_eq!(count(|| poll_pending(reactor, &mut waits)), (1, 0), "replaced");
        assert_eq!(count(|| drop(waits)), (1, 0), "withdrawn");

        let mut wait_by_poll = poll_fn(|cx| io.poll_io(cx, Direction::Read, read_counter));
        poll_pending(reactor, &mut wait_by_poll);
        assert_eq!(count(|| poll_pending(reactor, &mut wait_by_poll)), (1, 0), "replaced");
        assert_eq!(count(|| drop(io)), (1, 0), "dropped with the registration");
    });
}

#[test]
fn a_waker_is_woken_outside_the_borrow() {
    with_meddlers(|reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let mut waits = Box::pin(next_counter(&io));
        poll_pending(reactor, &mut waits);
        reactor.turn();
        let woken = count(|| {
            fire(&trigger);
            for _ in 0..3 {
                turn_and_park(reactor);
            }
        });
        assert_eq!(woken, (1, 1));
    });
}

#[test]
fn the_waker_of_a_file_operation_is_dropped_and_woken_outside_the_borrow() {
    with_meddlers(|reactor| {
        let mut queued = read_of_a_file(reactor);
        poll_pending(reactor, &mut queued);
        assert_eq!(count(|| drop(queued)), (1, 0), "withdrawn before it was submitted");

        // The drop of the first one submits the read, which completes at once and wakes the second.
        let mut repeated = read_of_a_file(reactor);
        poll_pending(reactor, &mut repeated);
        assert_eq!(count(|| poll_pending(reactor, &mut repeated)), (2, 1));

        let mut crowd: Vec<_> = (0..200).map(|_| read_of_a_file(reactor)).collect();
        crowd.iter_mut().for_each(|read| poll_pending(reactor, read));
        let (dropped, _) = count(|| drop(crowd));
        assert_eq!(dropped, 200, "most of them were in the backlog");
    });
}

#[test]
fn the_waker_of_an_orphan_is_dropped_outside_the_borrow() {
    alone(|| {
        let reactor = Reactor::new(Config { force_syscalls: true, ..config(1) }).unwrap();
        REACTOR.set(Some(reactor.home()));
        let mut read = read_of_a_file(&reactor);
        poll_pending(&reactor, &mut read);
        // It is submitted, and its event has not been seen yet.
        fault::inject(Call::Getevents, Errno::INTR, 2);
        reactor.turn();
        assert_eq!(count(|| drop(read)), (1, 0));
        assert_at_rest(&reactor);
        REACTOR.take();
    });
}

#[test]
fn the_waker_of_a_wait_that_fails_is_woken_outside_the_borrow() {
    with_meddlers(|reactor| {
        let path = rustix::fs::open("/", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let io = register(reactor, path);
        io.clear_ready(Direction::Read);
        let mut waits = Box::pin(io.ready(Direction::Read));
        poll_pending(reactor, &mut waits);
        assert_eq!(count(|| reactor.turn()), (1, 1));
    });
}

#[test]
fn all_wakers_are_woken_outside_the_borrow_when_the_reactor_ends() {
    alone(|| {
        for config in [config(1), Config { force_syscalls: true, ..config(1) }] {
            let reactor = Reactor::new(config).unwrap();
            REACTOR.set(Some(reactor.home()));
            let ios: Vec<_> = (0..100).map(|_| eventfd_pair(&reactor).0).collect();
            let mut waits: Vec<_> = ios.iter().map(|io| Box::pin(next_counter(io))).collect();
            waits.iter_mut().for_each(|wait| poll_pending(&reactor, wait));
            reactor.turn();
            let mut reads: Vec<_> = (0..100).map(|_| read_of_a_file(&reactor)).collect();
            reads.iter_mut().for_each(|read| poll_pending(&reactor, read));

            assert_eq!(count(|| reactor.shutdown()), (200, 200), "file operations too: their results will not come");
            let mut cx = Context::from_waker(Waker::noop());
            coop::refill();
            assert!(waits.iter_mut().all(|wait| matches!(wait.as_mut().poll(&mut cx), Poll::Ready(Err(_)))));
            coop::refill();
            assert!(reads.iter_mut().all(|read| matches!(pin!(read).poll(&mut cx), Poll::Ready((Err(_), _)))));
            drop((waits, reads));
            REACTOR.take();
        }
    });
}

/// Panics when it is woken, and again when the payload of that panic is dropped.
struct Bomb;

struct Fragment;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        std::panic::panic_any(Fragment);
    }
}

impl Drop for Fragment {
    fn drop(&mut self) {
        panic!("in the drop of a panic's payload");
    }
}

#[test]
fn a_waker_that_panics_keeps_nobody_else_from_being_woken() {
    in_each_mode(1, |reactor| {
        let (ios, triggers): (Vec<_>, Vec<_>) = (0..100).map(|_| eventfd_pair(reactor)).unzip();
        let bomb = Waker::from(Arc::new(Bomb));
        for io in &ios {
            coop::refill();
            assert!(io.poll_io(&mut Context::from_waker(&bomb), Direction::Read, read_counter).is_pending());
        }
        let mut reads: Vec<_> = (0..5).map(|_| read_of_a_file(reactor)).collect();
        for read in &mut reads {
            assert!(pin!(read).poll(&mut Context::from_waker(&bomb)).is_pending());
        }
        let waits: Vec<_> = ios.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
        triggers.iter().for_each(fire);
        let in_loop = catch_unwind(AssertUnwindSafe(|| {
            for wait in waits {
                assert_eq!(wait.complete(reactor).unwrap(), 1);
            }
        }));
        assert!(in_loop.is_ok(), "the loop goes on");
        drop(reads);
        assert_eq!(metrics(reactor).orphans, 0);
    });
}

/// A log that meddles too.
struct MeddlingLog;

impl Listener for MeddlingLog {
    fn wants(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn event(&self, _: &tracing::Event<'_>) {
        WAKES.set(WAKES.get() + 1);
        Meddler::meddle();
    }
}

#[test]
fn what_goes_wrong_is_logged_outside_the_borrow() {
    with_meddlers(|reactor| {
        listen(MeddlingLog, || {
            let (io, trigger) = eventfd_pair(reactor);
            poll_pending(reactor, &mut Box::pin(next_counter(&io)));
            reactor.turn();
            fault::inject(Call::Cancel, Errno::NOSYS, 1);
            let (_, logged) = count(|| {
                drop(io);
                reactor.turn();
            });
            assert_eq!(logged, 1);
            fire(&trigger);
        });
    });
}

#[test]
fn what_a_call_in_vain_has_captured_is_dropped_with_nothing_borrowed() {
    struct UsesTheList(Home);

    impl Drop for UsesTheList {
        fn drop(&mut self) {
            home::move_to_front(self.0);
        }
    }

    alone(|| {
        let reactor = Reactor::new(config(1)).unwrap();
        let home = reactor.home();
        drop(reactor.core.take_driver());
        for _ in 0..2 {
            let captured = UsesTheList(home);
            assert!(home.with_driver(move |_| drop(captured)).is_none());
            // And where it is not even in the list.
            reactor.shutdown();
        }
    });
}

/// A waker whose clone meddles, and is a waker that does nothing.
fn meddles_when_cloned() -> Waker {
    fn clone(_: *const ()) -> RawWaker {
        Meddler::meddle();
        let noop = Waker::noop();
        RawWaker::new(noop.data(), noop.vtable())
    }
    const VTABLE: RawWakerVTable = RawWakerVTable::new(clone, |_| {}, |_| {}, |_| {});
    // SAFETY: no function of the table uses the pointer, all may be called from any thread, and the
    // clone's table is that of the standard library's noop waker, with its own pointer.
    unsafe { Waker::new(ptr::null(), &VTABLE) }
}

#[test]
fn a_clone_that_completes_the_very_operation_it_is_made_for() {
    alone(|| {
        let reactor = Reactor::new(Config { force_syscalls: true, ..config(1) }).unwrap();
        let mut read = read_of_a_file(&reactor);
        poll_pending(&reactor, &mut read);
        // It is submitted, and its event has not been seen yet.
        fault::inject(Call::Getevents, Errno::INTR, 1);
        reactor.turn();
        REACTOR.set(Some(reactor.home()));
        let waker = meddles_when_cloned();
        coop::refill();
        let Poll::Ready((result, _)) = pin!(&mut read).poll(&mut Context::from_waker(&waker)) else {
            panic!("the clone has turned the reactor, which has the result");
        };
        assert_eq!(result.unwrap(), 0);
        REACTOR.take();
    });
}

#[test]
fn a_clone_that_makes_the_very_descriptor_ready_it_is_made_for() {
    alone(|| {
        let reactor = Reactor::new(config(1)).unwrap();
        let (io, trigger) = eventfd_pair(&reactor);
        let mut waits = Box::pin(next_counter(&io));
        poll_pending(&reactor, &mut waits);
        reactor.turn();
        fire(&trigger);
        REACTOR.set(Some(reactor.home()));
        let waker = meddles_when_cloned();
        coop::refill();
        assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
        REACTOR.take();
    });
}
