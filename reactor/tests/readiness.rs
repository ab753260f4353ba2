//! One registration: try first, arm on `WouldBlock`, let the poll stand; who is woken, and what
//! for.
#![allow(unsafe_code)]

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rustix::io::Errno;

use super::super::ids::SourceId;
use super::super::readiness::{Until, Waiter};
use super::super::{Close, Direction, Io, Reactor};
use super::{
    Flag, ManualPoll, alone, assert_sleeps, block_on, config, eventfd_pair, fire, fresh_capacity, in_each_mode,
    metrics, new_eventfd, next_byte, next_counter, read_byte, read_counter, register, run, set_nonblocking,
    turn_and_park, until_woken, with_reactor,
};
use crate::reactor::kernel::fault::{self, Call};

fn stream_pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    set_nonblocking(&a);
    set_nonblocking(&b);
    (a, b)
}

fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(fd, bytes, rustix::net::SendFlags::NOSIGNAL)?)
}

/// Sends until the socket takes no more, and returns how much it took.
fn fill(socket: impl AsFd) -> usize {
    let mut sent = 0;
    loop {
        match send(socket.as_fd(), &[0; 4096]) {
            Ok(bytes) => sent += bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return sent,
            Err(error) => panic!("{error}"),
        }
    }
}

// ---- arming ----

#[test]
fn what_is_ready_is_had_without_a_poll() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        fire(&trigger);
        let Poll::Ready(counter) = ManualPoll::new(next_counter(&io)).poll(reactor) else { panic!("it was there") };
        assert_eq!(counter.unwrap(), 1);
        assert_eq!(metrics(reactor).slots_in_use, 0);
        reactor.turn();
        assert_eq!(metrics(reactor).submit_calls, 0);
    });
}

#[test]
fn what_is_not_ready_is_had_when_it_comes() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        for round in 1..100 {
            let waits = ManualPoll::pending(reactor, next_counter(&io));
            reactor.turn();
            assert_eq!(waits.wakes(), 0);
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
            let now = metrics(reactor);
            assert!(now.submitted_polls <= 2 * round + 1, "one poll for each wait, beside the reactor's own: {now:?}");
        }
    });
}

#[test]
fn a_poll_that_is_ready_when_it_is_armed_completes_inside_the_submission() {
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
fn the_poll_of_a_dropped_future_stands_for_the_next_one() {
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
fn a_dropped_future_is_woken_no_more() {
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
        let mut tries = 0;
        let read = io.io(Direction::Read, |fd| {
            tries += 1;
            read_counter(fd)
        });
        assert_eq!(block_on(reactor, read).unwrap(), 1, "a poll is checked when it is armed, so nothing is missed");
        assert_eq!(tries, 1);
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
        // And is, until a try has found nothing.
        block_on(reactor, io.ready(Direction::Read)).unwrap();
        assert_eq!(io.try_io(Direction::Read, read_counter).unwrap(), 1);
        assert!(io.try_io(Direction::Read, read_counter).is_err());
        assert!(ManualPoll::new(io.ready(Direction::Read)).poll(reactor).is_pending());
    });
}

#[test]
fn what_is_there_can_be_had_even_if_it_cannot_be_waited_for() {
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
        assert_eq!(greedy.wakes(), 1, "and goes on afterwards");
        assert!(greedy.poll(reactor).is_pending());
        drop(greedy);
        assert!((2..=1_000).contains(&reads), "{reads}");
    });
}

// ---- who is woken ----

#[test]
fn everyone_who_waits_for_a_direction_is_woken_and_the_loser_waits_again() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let mut both =
            [ManualPoll::pending(reactor, next_counter(&io)), ManualPoll::pending(reactor, next_counter(&io))];
        fire(&trigger);
        until_woken(reactor, &both[0].flag);
        assert_eq!(both[1].wakes(), 1);
        assert!(both[0].poll(reactor).is_ready());
        assert!(both[1].poll(reactor).is_pending(), "the other one has it");
        assert_sleeps(reactor);
        fire(&trigger);
        let [_, loser] = both;
        assert_eq!(loser.complete(reactor).unwrap(), 1);
    });
}

#[test]
fn of_two_registrations_of_one_file_the_loser_waits_again() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let other = register(reactor, trigger.try_clone().unwrap());
        for _ in 0..3 {
            let mut first = ManualPoll::pending(reactor, next_counter(&io));
            let second = ManualPoll::pending(reactor, next_counter(&other));
            fire(&trigger);
            until_woken(reactor, &first.flag);
            assert!(first.poll(reactor).is_ready());
            // Woken or not: its poll may have been too late to see the readiness that the first one
            // took.
            assert_sleeps(reactor);
            fire(&trigger);
            assert_eq!(second.complete(reactor).unwrap(), 1);
        }
    });
}

#[test]
fn two_readers_of_one_pipe_share_its_bytes() {
    in_each_mode(1, |reactor| {
        let (reader, writer) = io::pipe().unwrap();
        set_nonblocking(&reader);
        let readers = [register(reactor, reader.try_clone().unwrap()), register(reactor, reader)];
        let mut waits: Vec<_> = readers.iter().map(|io| ManualPoll::pending(reactor, next_byte(io))).collect();
        for byte in *b"pipe" {
            rustix::io::write(&writer, &[byte]).unwrap();
            let winner = loop {
                turn_and_park(reactor);
                // Both try at each wake; one finds the byte.
                let ready: Vec<_> = (0..2)
                    .filter_map(|at| match waits[at].poll(reactor) {
                        Poll::Ready(read) => Some((at, read.unwrap())),
                        Poll::Pending => None,
                    })
                    .collect();
                match ready[..] {
                    [] => {}
                    [(at, read)] => {
                        assert_eq!(read, Some(byte));
                        break at;
                    }
                    ref both => panic!("one byte for two: {both:?}"),
                }
            };
            waits[winner] = ManualPoll::pending(reactor, next_byte(&readers[winner]));
        }
        drop(writer);
        for wait in waits {
            assert_eq!(wait.complete(reactor).unwrap(), None, "the end of the file is for all");
        }
    });
}

#[test]
fn a_repeated_poll_replaces_the_waker_of_the_one_before() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let poll_as = |flag: &Arc<Flag>| {
            let waker = Waker::from(Arc::clone(flag));
            io.poll_io(&mut Context::from_waker(&waker), Direction::Read, read_counter)
        };
        let (first, second) = (Arc::<Flag>::default(), Arc::<Flag>::default());
        assert!(poll_as(&first).is_pending());
        assert!(poll_as(&second).is_pending());
        assert_eq!(Arc::strong_count(&first), 1);
        fire(&trigger);
        until_woken(reactor, &second);
        assert_eq!(first.wakes(), 0);
        assert!(poll_as(&second).is_ready());
    });
}

// ---- directions ----

#[test]
fn directions_are_waited_for_independently() {
    in_each_mode(1, |reactor| {
        let (near, far) = stream_pair();
        let io = register(reactor, near);
        let sent = fill(&io);
        let reads = ManualPoll::pending(reactor, next_byte(&io));
        let writes = ManualPoll::pending(reactor, io.io(Direction::Write, |fd| send(fd, b"w")));
        reactor.turn();

        send(far.as_fd(), b"r").unwrap();
        assert_eq!(reads.complete(reactor).unwrap(), Some(b'r'));
        assert_eq!(writes.wakes(), 0, "there is no room yet");

        let mut room = vec![0; sent];
        let mut received = 0;
        while received < sent {
            received += rustix::io::read(&far, &mut room).unwrap();
        }
        assert_eq!(writes.complete(reactor).unwrap(), 1);
        assert_eq!(read_byte(far.as_fd()).unwrap(), Some(b'w'));
    });
}

#[test]
fn a_hang_up_is_seen_in_both_directions() {
    in_each_mode(1, |reactor| {
        for _ in 0..50 {
            let (near, far) = stream_pair();
            let io = register(reactor, near);
            fill(&io);
            let reads = ManualPoll::pending(reactor, next_byte(&io));
            let writes = ManualPoll::pending(reactor, io.io(Direction::Write, |fd| send(fd, b"w")));
            reactor.turn();
            drop(far);
            // Unread bytes make it a reset.
            let end = reads.complete(reactor);
            assert!(matches!(&end, Ok(None)) || end.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset));
            assert_eq!(writes.complete(reactor).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn bytes_and_the_end_that_follows_at_once_are_both_seen() {
    in_each_mode(1, |reactor| {
        for _ in 0..50 {
            let (near, far) = stream_pair();
            let io = register(reactor, near);
            let reads = ManualPoll::pending(reactor, next_byte(&io));
            reactor.turn();
            send(far.as_fd(), b"x").unwrap();
            drop(far);
            assert_eq!(reads.complete(reactor).unwrap(), Some(b'x'));
            assert_eq!(block_on(reactor, next_byte(&io)).unwrap(), None);
        }
    });
}

// ---- what is always ready, and what cannot be waited for ----

#[test]
fn what_is_always_ready_is_never_waited_for_long() {
    in_each_mode(1, |reactor| {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"file").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let (file, null) = (register(reactor, file), register(reactor, std::fs::File::open("/dev/null").unwrap()));
        for (io, first) in [(&file, Some(b'f')), (&null, None)] {
            assert_eq!(block_on(reactor, next_byte(io)).unwrap(), first);
            // As after a short transfer, which is where a regular file would be armed.
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
        // A descriptor of this kind names a file and cannot be used for anything else: EBADF.
        let path = rustix::fs::open("/", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let io = register(reactor, path);
        for _ in 0..3 {
            let mut tries = 0;
            let never: io::Result<()> = block_on(
                reactor,
                io.io(Direction::Read, |_| {
                    tries += 1;
                    Err(io::ErrorKind::WouldBlock.into())
                }),
            );
            assert_eq!(never.unwrap_err().raw_os_error(), Some(libc::EBADF));
            assert!(tries <= 2, "{tries}");
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
        assert_eq!(waits.wakes(), 1, "told that it is over");
        let Poll::Ready(Err(error)) = waits.poll(&reactor) else { panic!("nobody waits for it any more") };
        assert!(error.to_string().contains("dropped"), "{error}");
        drop(waits);
        assert!(block_on_without(&reactor, idle.ready(Direction::Read)).is_err());
        // And there is nothing that could go wrong any more.
        drop(io);
        idle.into_fd();
        reactor.turn();
        drop(reactor.enter_loop());
        reactor.shutdown();
        assert!(Io::new(&reactor, new_eventfd(), Close::Soon).is_err());
    });
}

fn block_on_without<T>(reactor: &Reactor, future: impl Future<Output = T>) -> T {
    match ManualPoll::new(future).poll(reactor) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("would wait for a reactor that is gone"),
    }
}

// ---- descriptors whose number changes hands ----

/// Has the number name another file, as if it had been closed and given out again in between.
fn pass_number_on(number: RawFd, to: OwnedFd) {
    // SAFETY: dup3(2) works on numbers alone. The one that owned this number so far is about to be
    // told, or forgets it.
    assert_eq!(unsafe { libc::dup3(to.as_raw_fd(), number, libc::O_CLOEXEC) }, number);
}

/// A second owner for the same number. One of the two has to be forgotten.
fn own_again(number: RawFd) -> OwnedFd {
    // SAFETY: the number is open; that it is closed once is what each caller sees to.
    unsafe { OwnedFd::from_raw_fd(number) }
}

#[test]
fn the_event_of_a_closed_file_does_not_reach_the_next_owner_of_its_number() {
    in_each_mode(1, |reactor| {
        let (io, old_trigger) = eventfd_pair(reactor);
        let number = io.as_fd().as_raw_fd();
        let old_waits = ManualPoll::pending(reactor, next_counter(&io));
        reactor.turn();

        let new_trigger = new_eventfd();
        pass_number_on(number, new_trigger.try_clone().unwrap());
        let new_io = register(reactor, own_again(number));
        let new_waits = ManualPoll::pending(reactor, next_counter(&new_io));
        reactor.turn();

        fire(&old_trigger);
        until_woken(reactor, &old_waits.flag);
        assert_eq!(new_waits.wakes(), 0);
        assert_sleeps(reactor);
        fire(&new_trigger);
        assert_eq!(new_waits.complete(reactor).unwrap(), 1);

        drop(old_waits);
        let _owned_by_new_io = io.into_fd().into_raw_fd();
    });
}

/// The same with the old poll still in flight when its registration has ended, and all of its
/// places are taken again.
#[test]
fn a_poll_that_could_not_be_cancelled_ends_for_nobody() {
    alone(|| {
        run(config(fresh_capacity()), |reactor| {
            let (old, new) = (new_eventfd(), new_eventfd());
            let number = new_eventfd().into_raw_fd();
            pass_number_on(number, old.try_clone().unwrap());
            let owner = own_again(number);
            let old_id = reactor.with(|driver| driver.register(owner.as_fd())).unwrap();
            let (old_flag, new_flag) = (Arc::<Flag>::default(), Arc::<Flag>::default());
            assert!(wait_for(reactor, old_id, &old_flag).is_pending());
            reactor.turn();

            fault::inject(Call::Cancel, Errno::NOSYS, 1);
            drop(reactor.with(|driver| driver.deregister(old_id, None, Close::Soon)));
            pass_number_on(number, new.try_clone().unwrap());
            let new_id = reactor.with(|driver| driver.register(owner.as_fd())).unwrap();
            assert_eq!(new_id, old_id, "the registration has the old one's place");
            assert!(wait_for(reactor, new_id, &new_flag).is_pending());
            reactor.turn();
            assert_eq!(metrics(reactor).slots_in_use, 2, "but not its slot");

            fire(&old);
            assert_sleeps(reactor);
            assert_eq!((old_flag.wakes(), new_flag.wakes()), (0, 0));
            fire(&new);
            until_woken(reactor, &new_flag);
            drop(reactor.with(|driver| driver.deregister(new_id, None, Close::BeforeReturn)));
        });
    });
}

/// One wait for reading, past the hint that an attempt may succeed.
fn wait_for(reactor: &Rc<Reactor>, id: SourceId, flag: &Arc<Flag>) -> Poll<io::Result<()>> {
    let waker = Waker::from(Arc::clone(flag));
    let waited = reactor.with(|driver| {
        driver.readiness(id, Direction::Read).clear();
        driver.wait(id, Direction::Read, Until::Attempt, &mut Waiter::Task, waker)
    });
    waited.expect("the reactor is alive").0
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
