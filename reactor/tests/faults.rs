//! Calls that fail: at the start, where the error must tell what to do, and later, where nothing
//! may be lost and nothing may spin.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

use super::super::{Buf, Config, Direction, FileOperation, Reactor, Request};
use super::sleep::no_signals;
use super::{
    A_WHILE, ManualPoll, PATIENCE, alone, assert_sleeps, block_on, config, eventfd_pair, fire, fresh_capacity,
    in_each_mode, metrics, new_eventfd, next_byte, next_counter, register, run, set_nonblocking, turn_and_park,
    turn_until, wait_until,
};
use crate::reactor::kernel::fault::{self, Call};
use crate::reactor::kernel::kioctx::Kioctx;
use crate::reactor::kernel::probe::probe;

const FOR_EVER: usize = usize::MAX;

// ---- the start ----

fn setup_error(errno: Errno) -> io::Error {
    fault::inject(Call::Setup, errno, FOR_EVER);
    let error = Reactor::new(config(fresh_capacity())).expect_err("io_setup fails");
    assert!(fault::clear());
    error
}

fn errno_of(error: &io::Error) -> Option<i32> {
    let explained = error.get_ref().expect("an error with its circumstances");
    explained.source()?.downcast_ref::<io::Error>()?.raw_os_error()
}

#[test]
fn a_kernel_without_aio_is_named() {
    alone(|| {
        let error = setup_error(Errno::NOSYS);
        assert_eq!((error.kind(), errno_of(&error)), (ErrorKind::Unsupported, Some(libc::ENOSYS)));
        let text = error.to_string();
        assert!(text.starts_with("io_setup(") && text.contains("CONFIG_AIO"), "{text}");
    });
}

#[test]
fn a_policy_that_denies_aio_is_named() {
    alone(|| {
        for errno in [Errno::PERM, Errno::ACCESS] {
            let error = setup_error(errno);
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert_eq!(errno_of(&error), Some(errno.raw_os_error()));
            let text = error.to_string();
            assert!(text.contains("seccomp") && text.contains("io_pgetevents"), "{text}");
        }
    });
}

#[test]
fn a_quota_that_is_used_up_is_named_with_its_knob_and_its_value() {
    alone(|| {
        let error = setup_error(Errno::AGAIN);
        assert_eq!((error.kind(), errno_of(&error)), (ErrorKind::WouldBlock, Some(libc::EAGAIN)));
        let text = error.to_string();
        let limit = std::fs::read_to_string("/proc/sys/fs/aio-max-nr").unwrap();
        assert!(text.starts_with("io_setup(1): "), "halved down to 1, which is refused as well: {text}");
        assert!(text.contains(&format!("fs.aio-max-nr {},", limit.trim())), "{text}");
        assert!(text.contains("sysctl -w fs.aio-max-nr="), "{text}");
    });
}

#[test]
fn a_quota_that_is_nearly_used_up_halves_the_capacity() {
    alone(|| {
        let capacity = |failures| {
            fault::inject(Call::Setup, Errno::AGAIN, failures);
            Kioctx::setup(1024).unwrap().capacity()
        };
        let (whole, half, eighth, least) = (capacity(0), capacity(1), capacity(3), capacity(10));
        assert!(whole >= 1024 && half >= 512 && eighth >= 128 && least >= 1);
        assert!(whole > half && half > eighth && eighth > least, "{whole} {half} {eighth} {least}");
        fault::clear();
    });
    // And it works with what it gets. One that is larger than any context is halved likewise.
    for errno in [Errno::AGAIN, Errno::INVAL] {
        alone(|| {
            fault::inject(Call::Setup, errno, 6);
            run(config(fresh_capacity()), |reactor| assert_all_complete(reactor, || {}));
        });
    }
}

#[test]
fn a_signal_mask_that_cannot_be_had_is_an_error_at_the_start() {
    alone(|| {
        fault::inject(Call::Pgetevents, Errno::PERM, 1);
        let masked = Config { signal_mask: Some(no_signals()), ..config(fresh_capacity()) };
        let error = Reactor::new(masked).expect_err("io_getevents takes no mask");
        assert_eq!(errno_of(&error), Some(libc::EPERM));
        assert!(error.to_string().contains("io_pgetevents"), "{error}");
    });
}

#[test]
fn the_probe_names_the_call_that_fails() {
    alone(|| {
        let mut kioctx = Kioctx::setup(1).unwrap();
        for (faults, named) in [
            (&[(Call::Submit, Errno::INVAL)][..], "io_submit(IOCB_CMD_POLL)"),
            (&[(Call::Submit, Errno::PERM)], "io_submit(IOCB_CMD_POLL)"),
            (&[(Call::Cancel, Errno::NOSYS)], "io_cancel"),
            (&[(Call::Pgetevents, Errno::PERM), (Call::Getevents, Errno::PERM)], "io_getevents"),
        ] {
            for (call, errno) in faults {
                fault::inject(*call, *errno, 1);
            }
            let error = probe(&mut kioctx).unwrap_err();
            assert!(error.to_string().starts_with("cannot start the reactor: "), "{error}");
            assert!(error.to_string().contains(named), "{error}");
            assert_eq!(errno_of(&error), Some(faults[0].1.raw_os_error()));
            // What the failed probe has left in flight ends with its context.
            kioctx = Kioctx::setup(1).unwrap();
        }
        probe(&mut kioctx).unwrap();
    });
}

#[test]
fn the_probe_passes_under_a_storm_of_signals() {
    alone(|| {
        let mut kioctx = Kioctx::setup(1).unwrap();
        fault::inject(Call::Pgetevents, Errno::INTR, 1_000);
        probe(&mut kioctx).unwrap();
    });
}

// ---- io_submit ----

/// Waits and reads that are all to come true, and the triggers of the waits.
fn assert_all_complete(reactor: &Rc<Reactor>, while_they_wait: impl FnOnce()) {
    let file = Arc::new(File::from(memfd_create("", MemfdFlags::CLOEXEC).unwrap()));
    let (ios, triggers): (Vec<_>, Vec<_>) = (0..20).map(|_| eventfd_pair(reactor)).unzip();
    let waits: Vec<_> = ios.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
    let writes: Vec<_> = (0..20)
        .map(|at| FileOperation::new(reactor, Request::write(&file, Buf::from(vec![at; 8]), i64::from(at) * 8)))
        .map(|write| ManualPoll::pending(reactor, write))
        .collect();
    while_they_wait();
    triggers.iter().for_each(fire);
    for wait in waits {
        assert_eq!(wait.complete(reactor).unwrap(), 1);
    }
    for (at, write) in (0..).zip(writes) {
        let (written, buf) = write.complete(reactor);
        assert_eq!((written.unwrap(), &buf[..]), (8, &[at; 8][..]));
    }
}

#[test]
fn nothing_is_lost_when_the_kernel_has_no_room_for_a_while() {
    in_each_mode(1, |reactor| {
        for times in [1, 2, 3, 10] {
            assert_all_complete(reactor, || fault::inject(Call::Submit, Errno::AGAIN, times));
            assert_sleeps(reactor);
        }
    });
}

#[test]
fn the_loop_does_not_spin_while_the_kernel_has_no_room() {
    in_each_mode(1, |reactor| {
        assert_all_complete(reactor, || {
            fault::inject(Call::Submit, Errno::AGAIN, FOR_EVER);
            let (begin, before) = (Instant::now(), metrics(reactor));
            let mut sleeps = 0;
            while begin.elapsed() < Duration::from_millis(100) {
                reactor.turn();
                reactor.park(None);
                sleeps += 1;
            }
            let calls = metrics(reactor).submit_calls - before.submit_calls;
            // One in 10 ms, and what the first flush took to move the polls elsewhere.
            assert!((2..=20).contains(&calls), "{calls} calls of io_submit in 100 ms");
            assert!(sleeps <= 20, "{sleeps} sleeps in 100 ms");
            // Registrations come and go meanwhile.
            for _ in 0..10 {
                let io = register(reactor, new_eventfd());
                drop(ManualPoll::pending(reactor, next_counter(&io)));
            }
            assert!(fault::clear());
        });
    });
}

#[test]
fn a_wake_from_another_thread_arrives_while_the_kernel_has_no_room() {
    in_each_mode(1, |reactor| {
        fault::inject(Call::Submit, Errno::AGAIN, FOR_EVER);
        let unparker = Arc::clone(reactor.unparker());
        let waking = thread::spawn(move || {
            thread::sleep(A_WHILE);
            unparker.unpark();
        });
        let begin = Instant::now();
        while !reactor.unparker().take_notification() {
            assert!(begin.elapsed() < PATIENCE);
            reactor.park(None);
        }
        waking.join().unwrap();
        assert!(fault::clear());
    });
}

#[test]
fn a_poll_that_the_kernel_refuses_goes_to_the_nested_epoll() {
    in_each_mode(1, |reactor| {
        for times in [1, 5, 20] {
            // As many as are refused, of those that come first.
            let (ios, triggers): (Vec<_>, Vec<_>) = (0..20).map(|_| eventfd_pair(reactor)).unzip();
            let waits: Vec<_> = ios.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
            fault::inject(Call::Submit, Errno::INVAL, times);
            reactor.turn();
            assert_eq!(metrics(reactor).overflow_fds, times as u64);
            assert_sleeps(reactor);
            triggers.iter().for_each(fire);
            for wait in waits {
                assert_eq!(wait.complete(reactor).unwrap(), 1);
            }
            // Not remembered: the next try is by poll.
            let waits: Vec<_> = ios.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
            let polls = metrics(reactor).submitted_polls;
            reactor.turn();
            assert!(metrics(reactor).submitted_polls - polls >= 20);
            triggers.iter().for_each(fire);
            for wait in waits {
                assert_eq!(wait.complete(reactor).unwrap(), 1);
            }
        }
    });
}

#[test]
fn an_io_submit_that_is_denied_later_is_an_error_for_all_who_need_it() {
    in_each_mode(1, |reactor| {
        fault::inject(Call::Submit, Errno::PERM, FOR_EVER);
        let file = Arc::new(tempfile::tempfile().unwrap());
        let (io, trigger) = eventfd_pair(reactor);
        for _ in 0..3 {
            let denied = block_on(reactor, next_counter(&io)).unwrap_err();
            assert_eq!(denied.raw_os_error(), Some(libc::EPERM));
            let read = FileOperation::new(reactor, Request::read(&file, Buf::from(b"mine".to_vec()), 0));
            let (denied, buf) = block_on(reactor, read);
            assert_eq!(denied.unwrap_err().raw_os_error(), Some(libc::EPERM));
            assert_eq!(&buf[..], b"mine");
        }
        let begin = Instant::now();
        let before = metrics(reactor).submit_calls;
        while begin.elapsed() < Duration::from_millis(100) {
            turn_and_park(reactor);
        }
        let calls = metrics(reactor).submit_calls - before;
        assert!(calls <= 30, "{calls} calls of io_submit in 100 ms for the reactor's own poll");
        assert!(fault::clear());
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        fire(trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
    });
}

// ---- io_cancel ----

#[test]
fn a_socket_whose_poll_cannot_be_cancelled_is_shut_down() {
    in_each_mode(1, |reactor| {
        for directions in [&[Direction::Read][..], &Direction::BOTH] {
            let (near, far) = UnixStream::pair().unwrap();
            set_nonblocking(&near);
            set_nonblocking(&far);
            let io = register(reactor, near);
            while rustix::io::write(&io, &[0; 4096]).is_ok() {}
            for direction in directions {
                io.clear_ready(*direction);
                drop(ManualPoll::pending(reactor, io.ready(*direction)));
            }
            reactor.turn();
            fault::inject(Call::Cancel, Errno::NOSYS, directions.len());
            drop(io);
            wait_until("the peer sees the end", || {
                reactor.turn();
                rustix::io::read(&far, &mut [0; 1 << 16]) == Ok(0)
            });
        }
    });
}

#[test]
fn what_cannot_be_cancelled_or_shut_down_ends_with_the_reactor() {
    alone(|| {
        let reactor = Reactor::new(config(1)).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        set_nonblocking(&reader);
        set_nonblocking(&writer);
        let io = register(&reactor, reader);
        let loop_runs = reactor.enter_loop();
        drop(ManualPoll::pending(&reactor, next_byte(&io)));
        reactor.turn();
        fault::inject(Call::Cancel, Errno::NOSYS, FOR_EVER);
        drop(io);
        assert_eq!(metrics(&reactor).slots_in_use, 1, "its poll stands");
        rustix::io::write(&writer, b"x").expect("and keeps the file open");
        turn_until(&reactor, |now| now.slots_in_use == 0);
        wait_until("fired, it is over", || rustix::io::write(&writer, b"x") == Err(Errno::PIPE));

        let (io, trigger) = eventfd_pair(&reactor);
        drop(ManualPoll::pending(&reactor, next_counter(&io)));
        reactor.turn();
        drop((io, loop_runs));
        drop(reactor);
        assert!(fault::clear());
        // The context is destroyed with the poll in flight, by another thread.
        fire(trigger);
    });
}

// ---- io_getevents, io_pgetevents ----

#[test]
fn interrupted_waits_lose_nothing() {
    in_each_mode(1, |reactor| {
        assert_all_complete(reactor, || fault::inject(Call::Pgetevents, Errno::INTR, 30));
        // A close that waits for its event goes on waiting.
        let (io, _trigger) = eventfd_pair(reactor);
        drop(ManualPoll::pending(reactor, next_counter(&io)));
        reactor.turn();
        fault::inject(Call::Pgetevents, Errno::INTR, 30);
        io.into_fd();
        turn_until(reactor, |now| now.slots_in_use <= 2);
        fault::clear();
    });
}

#[test]
fn io_getevents_does_for_the_loop_what_io_pgetevents_may_not() {
    alone(|| {
        for errno in [Errno::PERM, Errno::NOSYS] {
            for force_syscalls in [false, true] {
                fault::inject(Call::Pgetevents, errno, 1);
                // Its own capacity: the context remembers, and is not to meet another test.
                run(Config { force_syscalls, ..config(fresh_capacity()) }, |reactor| {
                    assert_sleeps(reactor);
                    assert_all_complete(reactor, || {});
                });
            }
        }
    });
}

#[test]
fn the_loop_does_not_spin_when_no_wait_is_allowed() {
    alone(|| {
        run(config(fresh_capacity()), |reactor| {
            fault::inject(Call::Pgetevents, Errno::PERM, 1);
            fault::inject(Call::Getevents, Errno::PERM, FOR_EVER);
            let begin = Instant::now();
            let mut sleeps = 0;
            while begin.elapsed() < Duration::from_millis(100) {
                reactor.park(None);
                sleeps += 1;
            }
            assert!(sleeps <= 20, "{sleeps} sleeps in 100 ms");
            // The ring can be reaped all the same.
            let (io, trigger) = eventfd_pair(reactor);
            let waits = ManualPoll::pending(reactor, next_counter(&io));
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
            assert!(fault::clear());
        });
    });
}

// ---- the ring ----

#[test]
fn a_ring_that_is_not_known_is_left_alone() {
    alone(|| {
        fault::inject(Call::MapRing, Errno::NOSYS, 1);
        let capacity = fresh_capacity();
        run(config(capacity), |reactor| {
            assert_eq!(metrics(reactor).capacity, u64::from(capacity), "what was granted, and not what is seen");
            assert_all_complete(reactor, || {});
            let now = metrics(reactor);
            assert_eq!(now.events_from_ring, 0);
            assert!(now.events_from_syscall >= 40, "{now:?}");
        });
    });
}

#[test]
fn the_tightest_quota_and_an_unknown_ring_still_serve_polls_and_files() {
    alone(|| {
        fault::inject(Call::MapRing, Errno::NOSYS, 1);
        fault::inject(Call::Setup, Errno::AGAIN, 6);
        run(config(fresh_capacity()), |reactor| {
            assert!(metrics(reactor).capacity <= 16);
            let idle: Vec<_> = (0..50).map(|_| register(reactor, new_eventfd())).collect();
            for io in &idle {
                drop(ManualPoll::pending(reactor, next_counter(io)));
            }
            assert_all_complete(reactor, || {});
        });
    });
}

#[test]
fn forced_system_calls_take_every_event() {
    alone(|| {
        run(Config { force_syscalls: true, ..config(1) }, |reactor| {
            assert_all_complete(reactor, || {});
            let now = metrics(reactor);
            assert_eq!(now.events_from_ring, 0);
            assert!(now.events_from_syscall >= 40, "{now:?}");
        });
        run(config(1), |reactor| {
            assert_all_complete(reactor, || {});
            let now = metrics(reactor);
            assert!(now.events_from_ring >= 40, "{now:?}");
        });
    });
}

/// A future whose result is there at once needs no reactor at all.
#[test]
fn what_is_ready_needs_no_call_that_could_fail() {
    alone(|| {
        run(config(1), |reactor| {
            for call in [Call::Submit, Call::Cancel, Call::Pgetevents] {
                fault::inject(call, Errno::PERM, FOR_EVER);
            }
            let (io, trigger) = eventfd_pair(reactor);
            fire(trigger);
            let Poll::Ready(counter) = ManualPoll::new(next_counter(&io)).poll(reactor) else { panic!("it was there") };
            assert_eq!(counter.unwrap(), 1);
            drop(io);
            assert!(fault::clear());
        });
    });
}
