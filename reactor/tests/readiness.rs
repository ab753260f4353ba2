//! One registration: try, then wait. A poll is armed on `WouldBlock`, and stays armed.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use rustix::io::Errno;

use super::super::{Close, Direction, Io, Reactor};
use super::{
    ManualPoll, alone, assert_sleeps, block_on, config, eventfd_pair, fire, in_each_mode, metrics, new_eventfd,
    next_byte, next_counter, read_counter, register, set_nonblocking, with_reactor,
};
use crate::reactor::kernel::fault::{self, Call};

// ---- arming ----

#[test]
fn an_attempt_that_succeeds_needs_no_poll() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        fire(&trigger);
        let Poll::Ready(counter) = ManualPoll::new(next_counter(&io)).poll(reactor) else { panic!("it was ready") };
        assert_eq!(counter.unwrap(), 1);
        assert_eq!(metrics(reactor).slots_in_use, 0);
        reactor.turn();
        assert_eq!(metrics(reactor).submit_calls, 0);
    });
}

#[test]
fn each_wait_takes_one_poll_and_ends_with_its_event() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        for round in 1..100 {
            let waits = ManualPoll::pending(reactor, next_counter(&io));
            reactor.turn();
            assert_eq!(waits.wakes(), 0);
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
            let now = metrics(reactor);
            assert!(now.submitted_polls <= 2 * round + 1, "one poll per wait, beside the reactor's own: {now:?}");
        }
    });
}

#[test]
fn a_poll_that_is_ready_when_it_is_submitted_completes_inline() {
    with_reactor(config(1), |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let mut waits = ManualPoll::pending(reactor, next_counter(&io));
        fire(&trigger);
        reactor.turn();
        assert_eq!(waits.wakes(), 1);
        assert!(waits.poll(reactor).is_ready());
        let now = metrics(reactor);
        assert_eq!((now.polls_completed_inline, now.getevents_calls), (1, 0));
    });
}

#[test]
fn the_poll_of_a_dropped_future_stays_armed_for_the_next_one() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        for _ in 0..10 {
            let dropped = ManualPoll::pending(reactor, next_counter(&io));
            reactor.turn();
            drop(dropped);
        }
        assert_eq!((metrics(reactor).submitted_polls, metrics(reactor).cancels), (1, 0));
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
    });
}

#[test]
fn a_dropped_future_is_not_woken() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let dropped = ManualPoll::pending(reactor, next_counter(&io));
        let flag = Arc::clone(&dropped.flag);
        let other = ManualPoll::pending(reactor, next_counter(&io));
        drop(dropped);
        assert_eq!(Arc::strong_count(&flag), 1, "its waker is withdrawn");
        fire(&trigger);
        assert_eq!(other.complete(reactor).unwrap(), 1);
        assert_eq!(flag.wakes(), 0);
    });
}

#[test]
fn a_short_transfer_makes_the_next_one_wait_first() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        fire(&trigger);
        io.clear_ready(Direction::Read);
        let mut attempts = 0;
        let read = io.io(Direction::Read, |fd| {
            attempts += 1;
            read_counter(fd)
        });
        assert_eq!(block_on(reactor, read).unwrap(), 1, "arming a poll checks for readiness, so nothing is missed");
        assert_eq!(attempts, 1);
    });
}

#[test]
fn readiness_is_not_claimed_before_an_event_has_said_so() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let waits = ManualPoll::pending(reactor, io.ready(Direction::Read));
        assert_sleeps(reactor);
        assert_eq!(waits.wakes(), 0);
        fire(&trigger);
        waits.complete(reactor).unwrap();
        // From now on it is, until an attempt finds nothing.
        block_on(reactor, io.ready(Direction::Read)).unwrap();
        assert_eq!(io.try_io(Direction::Read, read_counter).unwrap(), 1);
        assert!(io.try_io(Direction::Read, read_counter).is_err());
        assert!(ManualPoll::new(io.ready(Direction::Read)).poll(reactor).is_pending());
    });
}

#[test]
fn data_that_has_arrived_is_read_even_if_its_poll_was_refused() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        fire(&trigger);
        fault::inject(Call::Submit, Errno::PERM, 1);
        reactor.turn();
        assert_eq!(waits.complete(reactor).unwrap(), 1);
    });
}

#[test]
fn a_task_that_is_always_ready_must_let_others_run() {
    with_reactor(config(1), |reactor| {
        let null = register(reactor, std::fs::File::open("/dev/null").unwrap());
        let mut reads = 0;
        let mut greedy = ManualPoll::new(async {
            loop {
                next_byte(&null).await.unwrap();
                reads += 1;
            }
        });
        let never: Poll<()> = greedy.poll(reactor);
        assert!(never.is_pending());
        assert_eq!(greedy.wakes(), 1, "it is to go on afterwards");
        assert!(greedy.poll(reactor).is_pending());
        drop(greedy);
        assert!((2..=1_000).contains(&reads), "{reads}");
    });
}

// ---- what is always ready, and what cannot be waited for ----

#[test]
fn regular_files_and_dev_null_are_always_ready() {
    in_each_mode(1, |reactor| {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"file").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let (file, null) = (register(reactor, file), register(reactor, std::fs::File::open("/dev/null").unwrap()));
        for (io, first) in [(&file, Some(b'f')), (&null, None)] {
            assert_eq!(block_on(reactor, next_byte(io)).unwrap(), first);
            // As a short transfer does, after which even a regular file is armed.
            io.clear_ready(Direction::Read);
            block_on(reactor, io.ready(Direction::Read)).unwrap();
            io.clear_ready(Direction::Write);
            block_on(reactor, io.ready(Direction::Write)).unwrap();
        }
        assert_eq!(block_on(reactor, next_byte(&file)).unwrap(), Some(b'i'));
        assert_sleeps(reactor);
    });
}

#[test]
fn a_descriptor_that_cannot_be_polled_is_an_error_for_the_waiter() {
    in_each_mode(1, |reactor| {
        // Such a descriptor names a file and can be used for nothing else: EBADF.
        let path = rustix::fs::open("/", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let io = register(reactor, path);
        for _ in 0..3 {
            let mut attempts = 0;
            let never: io::Result<()> = block_on(
                reactor,
                io.io(Direction::Read, |_| {
                    attempts += 1;
                    Err(io::ErrorKind::WouldBlock.into())
                }),
            );
            assert_eq!(never.unwrap_err().raw_os_error(), Some(libc::EBADF));
            assert!(attempts <= 2, "{attempts}");
        }
        assert_sleeps(reactor);
    });
}

#[test]
fn a_registration_outlives_its_reactor_with_an_error() {
    alone(|| {
        let reactor = Reactor::new(config(1)).unwrap();
        let (io, _trigger) = eventfd_pair(&reactor);
        let mut waits = ManualPoll::pending(&reactor, next_counter(&io));
        let idle = register(&reactor, new_eventfd());
        reactor.turn();
        reactor.shutdown();
        assert_eq!(waits.wakes(), 1, "it is woken for the error");
        let Poll::Ready(Err(error)) = waits.poll(&reactor) else { panic!("it must fail, the reactor is gone") };
        assert!(error.to_string().contains("dropped"), "{error}");
        drop(waits);
        assert!(block_on_without(&reactor, idle.ready(Direction::Read)).is_err());
        // Nothing else can go wrong any more.
        drop(io);
        drop(idle.into_fd().unwrap());
        reactor.turn();
        drop(reactor.enter_loop());
        reactor.shutdown();
        assert!(Io::new(reactor.home(), new_eventfd(), Close::Soon).is_err());
    });
}

fn block_on_without<T>(reactor: &Reactor, future: impl Future<Output = T>) -> T {
    match ManualPoll::new(future).poll(reactor) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("would wait for a reactor that is gone"),
    }
}

// ---- as a whole ----

#[test]
fn a_ring_of_sources_passes_a_token_round_and_round() {
    in_each_mode(1, |reactor| {
        let pipes: Vec<(Io, Io)> = (0..20)
            .map(|_| {
                let (reader, writer) = io::pipe().unwrap();
                set_nonblocking(&reader);
                set_nonblocking(&writer);
                (register(reactor, reader), register(reactor, writer))
            })
            .collect();
        let mut stations: Vec<_> = (0..pipes.len())
            .map(|at| {
                let (reader, writer) = (&pipes[at].0, &pipes[(at + 1) % pipes.len()].1);
                Box::pin(async move {
                    for _ in 0..50 {
                        let token = next_byte(reader).await.unwrap().unwrap();
                        writer.io(Direction::Write, |fd| Ok(rustix::io::write(fd, &[token])?)).await.unwrap();
                    }
                })
            })
            .collect();
        rustix::io::write(&pipes[0].1, b"t").unwrap();
        let all = poll_fn(|cx| {
            stations.retain_mut(|station| pin!(station).poll(cx).is_pending());
            if stations.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        });
        block_on(reactor, all);
        assert_eq!(block_on(reactor, next_byte(&pipes[0].0)).unwrap(), Some(b't'));
    });
}
