//! The end of a registration: armed polls are cancelled before the descriptor closes, so that the
//! peer sees the close at once.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Instant;

use rustix::io::Errno;

use super::super::{Close, Direction, Io, Reactor, coop};
use super::{
    ManualPoll, PATIENCE, alone, assert_sleeps, config, eventfd_pair, fire, in_each_mode, metrics, new_eventfd,
    next_byte, next_counter, read_byte, read_counter, register, set_nonblocking, turn_and_park, turn_until, wait_until,
    with_reactor,
};
use crate::reactor::kernel::fault::{self, Call};
use crate::reactor::tests::arm_counter;

/// Pairs whose first end sees that the second was closed.
fn pairs() -> Vec<(OwnedFd, OwnedFd)> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (unix, pipe) = (UnixStream::pair().unwrap(), io::pipe().unwrap());
    let pairs = vec![
        (tcp.into(), listener.accept().unwrap().0.into()),
        (unix.0.into(), unix.1.into()),
        (pipe.0.into(), pipe.1.into()),
    ];
    for (reader, writer) in &pairs {
        set_nonblocking(reader);
        set_nonblocking(writer);
    }
    pairs
}

/// Arms the registration in these directions, and submits the polls.
fn arm(reactor: &Reactor, io: &Io, directions: &[Direction]) {
    for direction in directions {
        io.clear_ready(*direction);
        drop(ManualPoll::new(io.ready(*direction)).poll(reactor));
    }
    reactor.turn();
}

#[test]
fn the_peer_of_a_dropped_registration_sees_the_end() {
    use Direction::{Read, Write};
    in_each_mode(1, |reactor| {
        for directions in [&[Read][..], &[Write], &[Read, Write], &[Write, Read], &[]] {
            for close in [Close::Soon, Close::BeforeReturn] {
                for (reader, writer) in pairs() {
                    let io = Io::new(reactor.home(), writer, close).unwrap();
                    arm(reactor, &io, directions);
                    drop(io);
                    let begin = Instant::now();
                    // A kernel thread may drop the last reference, some milliseconds later.
                    while read_byte(reader.as_fd()).is_err() {
                        assert!(begin.elapsed() < PATIENCE, "{directions:?} {close:?}: the peer sees no end");
                        reactor.turn();
                    }
                    assert_eq!(read_byte(reader.as_fd()).unwrap(), None);
                }
            }
        }
        let now = metrics(reactor);
        assert!(now.cancels > 0);
        // At most the reactor's own poll is armed, if it ever slept.
        assert!(now.slots_in_use <= 1, "{now:?}");
    });
}

#[test]
fn a_dropped_listener_frees_its_address() {
    in_each_mode(1, |reactor| {
        let mut address = "127.0.0.1:0".parse().unwrap();
        for _ in 0..20 {
            let listener = TcpListener::bind(address).unwrap();
            set_nonblocking(&listener);
            address = listener.local_addr().unwrap();
            let io = Io::new(reactor.home(), listener.into(), Close::BeforeReturn).unwrap();
            arm(reactor, &io, &[Direction::Read]);
            drop(io);
        }
    });
}

#[test]
fn what_must_be_free_at_once_waits_in_the_epoll_where_it_can() {
    in_each_mode(1, |reactor| {
        for denied in [false, true] {
            let trigger = new_eventfd();
            let io = Io::new(reactor.home(), trigger.try_clone().unwrap(), Close::BeforeReturn).unwrap();
            for _ in 0..3 {
                if denied {
                    fault::inject(Call::Watch, Errno::PERM, 1);
                }
                let waits = ManualPoll::pending(reactor, next_counter(&io));
                reactor.turn();
                let now = metrics(reactor);
                assert_eq!((now.overflow_fds, now.waits_backed_off), (u64::from(!denied), 0), "{now:?}");
                fire(&trigger);
                assert_eq!(waits.complete(reactor).unwrap(), 1);
            }
        }
    });
}

#[test]
fn a_descriptor_comes_back_with_nothing_armed_on_it() {
    in_each_mode(1, |reactor| {
        for armed in [true, false] {
            let (io, trigger) = eventfd_pair(reactor);
            if armed {
                arm(reactor, &io, &[Direction::Read]);
            }
            let fd = io.into_fd().unwrap();
            assert_eq!(metrics(reactor).slots_in_use, 0);
            // Firing it now wakes nobody, and the count stays.
            fire(&trigger);
            reactor.turn();
            assert_eq!(read_counter(fd.as_fd()).unwrap(), 1);
        }
        let (io, trigger) = eventfd_pair(reactor);
        let io = register(reactor, io.into_fd().unwrap());
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1, "it can be registered again");
    });
}

#[test]
fn a_close_outside_the_loop_is_complete_when_it_returns() {
    alone(|| {
        let reactor = Reactor::new(config(1)).unwrap();
        for in_loop in [true, false] {
            for (reader, writer) in pairs() {
                let io = register(&reactor, writer);
                let loop_runs = in_loop.then(|| reactor.enter_loop());
                arm(&reactor, &io, &Direction::BOTH);
                drop(loop_runs);
                drop(io);
                // The loop does not turn any more.
                assert_eq!(metrics(&reactor).slots_in_use, 0);
                wait_until("the end is seen", || read_byte(reader.as_fd()).is_ok_and(|read| read.is_none()));
            }
        }
    });
}

#[test]
fn the_end_of_the_reactor_leaves_nothing_in_flight() {
    alone(|| {
        for at in 0..4 {
            let (reactor, crowd) = (Reactor::new(config(1)).unwrap(), 20 * at);
            let pairs: Vec<_> = (0..crowd).map(|_| eventfd_pair(&reactor)).collect();
            pairs.iter().for_each(|(io, _)| super::arm_counter(io));
            if at % 2 == 0 {
                reactor.turn();
            }
            let counters = Arc::clone(reactor.counters());
            drop(reactor);
            let left = counters.snapshot();
            assert_eq!((left.slots_in_use, left.orphans, left.overflow_fds), (0, 0, 0));
        }
    });
}

#[test]
fn what_was_closed_in_the_loop_is_closed_when_it_ends() {
    alone(|| {
        let reactor = Reactor::new(config(1)).unwrap();
        for _ in 0..100 {
            let (io, _trigger) = eventfd_pair(&reactor);
            let loop_runs = reactor.enter_loop();
            arm(&reactor, &io, &Direction::BOTH);
            drop(io);
            drop(loop_runs);
            assert_eq!(metrics(&reactor).slots_in_use, 0);
        }
    });
}

#[test]
fn a_poll_that_was_not_submitted_yet_needs_no_cancel() {
    in_each_mode(1, |reactor| {
        let (io, _trigger) = eventfd_pair(reactor);
        arm_counter(&io);
        assert_eq!(metrics(reactor).cancels, 0);
        drop(io);
        reactor.turn();
        let now = metrics(reactor);
        assert_eq!((now.cancels, now.submitted_polls, now.slots_in_use), (0, 0, 0));
    });
}

#[test]
fn a_close_that_races_with_readiness_gives_every_slot_back() {
    with_reactor(config(1), |reactor| {
        for round in 0..500 {
            let (ios, triggers): (Vec<_>, Vec<_>) = (0..40).map(|_| eventfd_pair(reactor)).unzip();
            for io in &ios {
                arm_counter(io);
            }
            reactor.turn();
            let firing = if round % 10 == 0 {
                Some(thread::spawn(move || triggers.iter().for_each(fire)))
            } else {
                triggers.iter().step_by(round % 10).for_each(fire);
                None
            };
            drop(ios);
            turn_until(reactor, |now| now.slots_in_use == 0);
            firing.map(thread::JoinHandle::join).transpose().unwrap();
        }
        assert_sleeps(reactor);
    });
}

/// Ends registrations when it is woken, while the reactor is still busy waking others.
struct DropsOnWake(std::sync::Mutex<Vec<usize>>);

thread_local! {
    static VICTIMS: std::cell::RefCell<Vec<Option<Io>>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl Wake for DropsOnWake {
    fn wake(self: Arc<Self>) {
        for at in self.0.lock().unwrap().drain(..) {
            let victim = VICTIMS.with_borrow_mut(|victims| victims[at].take());
            drop(victim);
        }
    }
}

#[test]
fn registrations_that_end_while_others_are_woken_do_no_harm() {
    in_each_mode(1, |reactor| {
        let reactor: &Reactor = reactor;
        for _ in 0..20 {
            // All fire at once, and the first wakes end the rest.
            let (ios, triggers): (Vec<_>, Vec<_>) = (0..100).map(|_| eventfd_pair(reactor)).unzip();
            for (at, io) in ios.iter().enumerate() {
                let waker = Waker::from(Arc::new(DropsOnWake(vec![(at + 1) % 100, (at + 50) % 100, at].into())));
                let mut cx = Context::from_waker(&waker);
                coop::refill();
                assert!(io.poll_io(&mut cx, Direction::Read, read_counter).is_pending());
            }
            VICTIMS.set(ios.into_iter().map(Some).collect());
            reactor.turn();
            triggers.iter().for_each(fire);
            let begin = Instant::now();
            while VICTIMS.with_borrow(|victims| victims.iter().any(Option::is_some)) {
                assert!(begin.elapsed() < PATIENCE, "nobody woke it");
                turn_and_park(reactor);
            }
        }
        VICTIMS.take();
        // A crowd is closed in shares.
        (0..300).for_each(|_| reactor.turn());
        assert_sleeps(reactor);
    });
}

#[test]
fn bytes_that_came_before_the_close_are_there_for_the_next_owner() {
    in_each_mode(1, |reactor| {
        let (near, far) = UnixStream::pair().unwrap();
        set_nonblocking(&near);
        let mut io = register(reactor, near);
        for byte in 0..100 {
            let waits = ManualPoll::pending(reactor, next_byte(&io));
            reactor.turn();
            rustix::io::write(&far, &[byte]).unwrap();
            // The poll has fired or is about to, and nobody has read.
            drop(waits);
            let fd = io.into_fd().unwrap();
            assert_eq!(read_byte(fd.as_fd()).unwrap(), Some(byte));
            io = register(reactor, fd);
        }
    });
}
