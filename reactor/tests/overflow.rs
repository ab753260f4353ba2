//! The nested epoll: for polls that find no slot, and for files that the kernel polls only while
//! they are ready.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::io::Errno;

use super::super::{Direction, Io, Reactor};
use super::{
    ManualPoll, assert_sleeps, block_on, config, eventfd_pair, fire, in_each_mode, metrics, new_eventfd, next_byte,
    next_counter, read_byte, register, set_nonblocking, turn_and_park, turn_until, until_woken, wait_until,
    with_reactor,
};
use crate::reactor::kernel::fault::{self, Call};

/// Registrations that wait for nothing, as many as there are slots for polls.
struct Crowd {
    idle: Vec<Io>,
}

impl Crowd {
    fn new(reactor: &Rc<Reactor>) -> Self {
        let mut crowd = Self { idle: Vec::new() };
        crowd.fill_up(reactor);
        crowd
    }

    /// Arms polls until one more would find no slot.
    fn fill_up(&mut self, reactor: &Rc<Reactor>) {
        let members = metrics(reactor).overflow_fds;
        loop {
            let io = register(reactor, new_eventfd());
            drop(ManualPoll::pending(reactor, next_counter(&io)));
            if metrics(reactor).overflow_fds > members {
                return;
            }
            self.idle.push(io);
        }
    }

    /// Gives up one slot.
    fn make_room(&mut self, reactor: &Reactor) {
        let taken = metrics(reactor).slots_in_use;
        self.idle.pop();
        turn_until(reactor, |now| now.slots_in_use < taken);
    }
}

/// A counter of which each read takes one.
fn new_semaphore() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE).unwrap()
}

// ---- no slot ----

#[test]
fn five_hundred_waits_on_the_smallest_ring_all_end() {
    const COUNT: usize = 500;
    in_each_mode(1, |reactor| {
        let (ios, triggers): (Vec<_>, Vec<_>) = (0..COUNT).map(|_| eventfd_pair(reactor)).unzip();
        for round in 0..2 {
            let waits: Vec<_> = ios.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
            assert_sleeps(reactor);
            let now = metrics(reactor);
            assert!(now.slots_in_use < now.capacity && now.capacity < 200, "{now:?}");
            assert!(now.overflow_fds as usize >= COUNT - 200, "{now:?}");
            // In an order in which neighbours are far apart.
            let order = (0..COUNT).map(|at| (at * 7 + round) % COUNT);
            for (fired, at) in order.enumerate() {
                fire(&triggers[at]);
                if fired.is_multiple_of(50) {
                    turn_and_park(reactor);
                }
            }
            for wait in waits {
                assert_eq!(wait.complete(reactor).unwrap(), 1);
            }
        }
        assert_sleeps(reactor);
    });
}

#[test]
fn a_wait_moves_between_epoll_and_poll_and_misses_nothing() {
    in_each_mode(1, |reactor| {
        let semaphore = new_semaphore();
        let mut crowd = Crowd::new(reactor);
        let moves = register(reactor, semaphore.try_clone().unwrap());
        for ready in [true, false] {
            for round in 0..30 {
                let polls = metrics(reactor).submitted_polls;
                if ready {
                    // Ready all the time: each read leaves one behind, and yet each waits first.
                    fire(&semaphore);
                    moves.clear_ready(Direction::Read);
                }
                let mut wait = ManualPoll::pending(reactor, next_counter(&moves));
                reactor.turn();
                if !ready {
                    // A poll may have been spared, since all were ready so far.
                    assert!(wait.poll(reactor).is_pending());
                    reactor.turn();
                    fire(&semaphore);
                }
                assert_eq!(wait.complete(reactor).unwrap(), 1);
                if round % 2 == 0 {
                    crowd.make_room(reactor);
                    assert!(metrics(reactor).submitted_polls > polls, "the epoll's own poll at least");
                } else {
                    crowd.fill_up(reactor);
                }
            }
        }
        assert_sleeps(reactor);
        drop(crowd);
    });
}

#[test]
fn both_directions_of_one_member_are_waited_for() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        let (near, mut far) = UnixStream::pair().unwrap();
        set_nonblocking(&near);
        let io = register(reactor, near);
        while rustix::io::write(&io, &[0; 4096]).is_ok() {}
        let mut writes = ManualPoll::pending(reactor, io.io(Direction::Write, |fd| Ok(rustix::io::write(fd, b"w")?)));
        for _ in 0..3 {
            let reads = ManualPoll::pending(reactor, next_byte(&io));
            far.write_all(b"r").unwrap();
            assert_eq!(reads.complete(reactor).unwrap(), Some(b'r'));
            assert_eq!(writes.wakes(), 0, "one shot for either direction, and this one was not it");
        }
        // The other one still stands.
        set_nonblocking(&far);
        while rustix::io::read(&far, &mut [0; 4096]).is_ok() {}
        until_woken(reactor, &writes.flag);
        assert!(writes.poll(reactor).is_ready());
    });
}

#[test]
fn a_hang_up_of_a_member_is_seen_in_both_directions() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        let (near, far) = UnixStream::pair().unwrap();
        set_nonblocking(&near);
        let io = register(reactor, near);
        while rustix::io::write(&io, &[0; 4096]).is_ok() {}
        Direction::BOTH.into_iter().for_each(|direction| io.clear_ready(direction));
        let reads = ManualPoll::pending(reactor, io.ready(Direction::Read));
        let writes = ManualPoll::pending(reactor, io.ready(Direction::Write));
        drop(far);
        reads.complete(reactor).unwrap();
        writes.complete(reactor).unwrap();
    });
}

#[test]
fn a_regular_file_that_finds_no_slot_is_ready() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        let file = register(reactor, tempfile::tempfile().unwrap());
        for direction in Direction::BOTH {
            file.clear_ready(direction);
            // The epoll refuses it; AIO would say so too.
            block_on(reactor, file.ready(direction)).unwrap();
        }
        assert_eq!(block_on(reactor, next_byte(&file)).unwrap(), None);
        assert_sleeps(reactor);
    });
}

// ---- duplicates ----

#[test]
fn a_member_leaves_the_set_when_it_is_dropped_though_a_duplicate_stays_open() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        for _ in 0..10 {
            let (io, duplicate) = eventfd_pair(reactor);
            drop(ManualPoll::pending(reactor, next_counter(&io)));
            turn_and_park(reactor);
            drop(io);
            assert_eq!(metrics(reactor).overflow_fds, 0);
            // Most likely in the place of the one that is gone.
            let (next, trigger) = eventfd_pair(reactor);
            let waits = ManualPoll::pending(reactor, next_counter(&next));
            fire(&duplicate);
            turn_and_park(reactor);
            assert_eq!(waits.wakes(), 0, "not by the duplicate of another");
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
        }
        assert_sleeps(reactor);
    });
}

#[test]
fn a_member_that_was_closed_behind_the_reactors_back_does_no_harm() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        // Keeps the epoll's own poll armed.
        let (other, trigger) = eventfd_pair(reactor);
        for place_is_taken in [false, true] {
            let waits = ManualPoll::pending(reactor, next_counter(&other));
            let (io, duplicate) = eventfd_pair(reactor);
            drop(ManualPoll::pending(reactor, next_counter(&io)));
            // The entry of a closed number cannot be taken out, and lives as long as the duplicate.
            // SAFETY: close(2) is given a number of ours. Only the registration uses it afterwards,
            // which is the test.
            assert_eq!(unsafe { libc::close(io.as_fd().as_raw_fd()) }, 0);
            let _closed_already = io.into_fd().into_raw_fd();
            let _next = place_is_taken.then(|| register(reactor, new_eventfd()));
            fire(&duplicate);
            assert_sleeps(reactor);
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
        }
    });
}

// ---- two wait queues ----

/// Both ends of a terminal that changes no byte.
fn open_terminal() -> (OwnedFd, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    let mut settings = MaybeUninit::<libc::termios>::uninit();
    // SAFETY: openpty(3) writes two descriptors, which are new and nobody's, and is asked for
    // nothing else; tcgetattr(3) fills in the settings that the next two calls change and read.
    unsafe {
        let (name, termios, window) = (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        assert_eq!(libc::openpty(&raw mut master, &raw mut slave, name, termios, window), 0);
        assert_eq!(libc::tcgetattr(slave, settings.as_mut_ptr()), 0);
        libc::cfmakeraw(settings.as_mut_ptr());
        assert_eq!(libc::tcsetattr(slave, libc::TCSANOW, settings.as_ptr()), 0);
        (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    }
}

#[test]
fn a_terminal_is_waited_for_while_it_is_idle_and_while_it_is_ready() {
    in_each_mode(1, |reactor| {
        let (master, slave) = open_terminal();
        set_nonblocking(&master);
        set_nonblocking(&slave);
        let (master, slave) = (register(reactor, master), register(reactor, slave));
        for (from, to) in [(&master, &slave), (&slave, &master), (&master, &slave)] {
            for byte in *b"ty" {
                // Idle: the kernel refuses the poll.
                let waits = ManualPoll::pending(reactor, next_byte(to));
                assert_sleeps(reactor);
                assert_ne!(metrics(reactor).overflow_fds, 0);
                rustix::io::write(from, &[byte]).unwrap();
                assert_eq!(waits.complete(reactor).unwrap(), Some(byte));
                // Ready: it would take the poll.
                rustix::io::write(from, &[byte]).unwrap();
                to.clear_ready(Direction::Read);
                assert_eq!(block_on(reactor, next_byte(to)).unwrap(), Some(byte));
            }
            from.clear_ready(Direction::Write);
            block_on(reactor, from.ready(Direction::Write)).unwrap();
        }
        assert_sleeps(reactor);
    });
}

#[test]
fn the_end_of_a_terminal_is_seen() {
    in_each_mode(1, |reactor| {
        let (master, slave) = open_terminal();
        set_nonblocking(&master);
        let master = register(reactor, master);
        let waits = ManualPoll::pending(reactor, next_byte(&master));
        turn_and_park(reactor);
        drop(slave);
        assert_eq!(waits.complete(reactor).unwrap_err().raw_os_error(), Some(libc::EIO));
    });
}

#[test]
fn a_fifo_that_is_open_both_ways_is_waited_for() {
    in_each_mode(1, |reactor| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let open = || -> io::Result<File> {
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path)
        };
        let (fifo, other) = (register(reactor, open().unwrap()), open().unwrap());
        for byte in *b"fifo" {
            let waits = ManualPoll::pending(reactor, next_byte(&fifo));
            assert_sleeps(reactor);
            assert_eq!(metrics(reactor).overflow_fds, 1);
            rustix::io::write(&other, &[byte]).unwrap();
            assert_eq!(waits.complete(reactor).unwrap(), Some(byte));
        }
        // Full, and read by the other.
        let mut sent = 0;
        while let Ok(bytes) = rustix::io::write(&fifo, &[b'w'; 4096]) {
            sent += bytes;
        }
        let waits = ManualPoll::pending(reactor, fifo.io(Direction::Write, |fd| Ok(rustix::io::write(fd, b"w")?)));
        assert_sleeps(reactor);
        assert_eq!(waits.wakes(), 0);
        let mut room = vec![0; sent];
        assert_eq!(rustix::io::read(&other, &mut room), Ok(sent));
        assert_eq!(waits.complete(reactor).unwrap(), 1);
        assert_eq!(read_byte(other.as_fd()).unwrap(), Some(b'w'));
    });
}

#[test]
fn many_members_that_are_ready_at_once_are_all_woken() {
    with_reactor(config(1), |reactor| {
        let _crowd = Crowd::new(reactor);
        // More than the reactor takes from the epoll at a time.
        let (ios, triggers): (Vec<_>, Vec<_>) = (0..300).map(|_| eventfd_pair(reactor)).unzip();
        let waits: Vec<_> = ios.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
        turn_and_park(reactor);
        triggers.iter().for_each(fire);
        until_woken(reactor, &waits[0].flag);
        assert!(waits.iter().all(|wait| wait.wakes() == 1));
        for wait in waits {
            assert_eq!(wait.complete(reactor).unwrap(), 1);
        }
    });
}

// ---- idle polls make room ----

/// Waits and is fired, again and again, until its waits find a slot, which idle polls have to give
/// up.
fn come_and_go_until_there_is_room(reactor: &Rc<Reactor>, io: &Io, trigger: impl AsFd) {
    let capacity = metrics(reactor).capacity;
    // By then all of the crowd are idle, and at every wait a few of them are looked at.
    for _ in 0..20 * capacity {
        let waits = ManualPoll::pending(reactor, next_counter(io));
        reactor.turn();
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
        if metrics(reactor).polls_demoted > 0 {
            return;
        }
    }
    panic!("no idle poll was evicted in {} waits: {:?}", 20 * capacity, metrics(reactor));
}

#[test]
fn an_idle_poll_gives_its_slot_to_one_that_comes_and_goes() {
    in_each_mode(1, |reactor| {
        let mut crowd = Crowd::new(reactor);
        let (busy, trigger) = eventfd_pair(reactor);
        come_and_go_until_there_is_room(reactor, &busy, &trigger);
        turn_until(reactor, |now| now.overflow_fds == 2);
        assert_eq!((metrics(reactor).polls_demoted, metrics(reactor).cancels), (1, 1));
        for _ in 0..50 {
            let waits = ManualPoll::pending(reactor, next_counter(&busy));
            reactor.turn();
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
        }
        let now = metrics(reactor);
        assert!(now.polls_demoted <= 2, "one for the epoll's own poll, one for the one that is busy: {now:?}");

        // Who was evicted is woken by the epoll, and nobody by the eviction.
        let waits: Vec<_> = crowd.idle.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
        assert_sleeps(reactor);
        assert!(waits.iter().all(|wait| wait.wakes() == 0));
        crowd.idle.iter().for_each(fire);
        for wait in waits {
            assert_eq!(wait.complete(reactor).unwrap(), 1);
        }
        crowd.idle.clear();
    });
}

#[test]
fn what_comes_while_a_poll_is_evicted_is_not_missed() {
    in_each_mode(1, |reactor| {
        let crowd = Crowd::new(reactor);
        let waits: Vec<_> = crowd.idle.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
        let (busy, trigger) = eventfd_pair(reactor);
        come_and_go_until_there_is_room(reactor, &busy, &trigger);
        // One of them is: its cancel's event has not been taken yet, or just now.
        crowd.idle.iter().for_each(fire);
        for wait in waits {
            assert_eq!(wait.complete(reactor).unwrap(), 1);
        }
    });
}

/// Sockets whose polls have all slots, and their other ends.
fn crowd_of_sockets(reactor: &Rc<Reactor>) -> (Vec<Io>, Vec<UnixStream>) {
    let mut idle = Vec::new();
    while metrics(reactor).overflow_fds == 0 {
        let (near, far) = UnixStream::pair().unwrap();
        set_nonblocking(&near);
        set_nonblocking(&far);
        let near = register(reactor, near);
        drop(ManualPoll::pending(reactor, next_byte(&near)));
        idle.push((near, far));
    }
    idle.into_iter().unzip()
}

fn assert_closed(far: &[UnixStream]) {
    for far in far {
        wait_until("the other end sees the close", || matches!(rustix::io::read(far, &mut [0; 1]), Ok(0)));
    }
}

#[test]
fn a_descriptor_that_closes_while_its_poll_is_evicted_is_let_go_at_once() {
    with_reactor(config(1), |reactor| {
        let (near, far) = crowd_of_sockets(reactor);
        let (busy, trigger) = eventfd_pair(reactor);
        loop {
            let waits = ManualPoll::pending(reactor, next_counter(&busy));
            if metrics(reactor).polls_demoted > 0 {
                break;
            }
            reactor.turn();
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
        }
        // The event of the cancel has not been looked for.
        drop(near);
        assert_closed(&far);
    });
}

#[test]
fn a_poll_that_cannot_be_evicted_stays_as_it_was() {
    with_reactor(config(1), |reactor| {
        let (near, far) = crowd_of_sockets(reactor);
        let (busy, trigger) = eventfd_pair(reactor);
        fault::inject(Call::Cancel, Errno::PERM, 1);
        come_and_go_until_there_is_room(reactor, &busy, &trigger);
        assert_eq!((metrics(reactor).polls_demoted, metrics(reactor).cancels), (1, 2), "the second try succeeds");
        drop(near);
        assert_closed(&far);
    });
}

#[test]
fn an_evicted_poll_for_which_the_epoll_has_no_room_gets_a_slot_again() {
    with_reactor(config(1), |reactor| {
        let crowd = Crowd::new(reactor);
        let waits: Vec<_> = crowd.idle.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
        let (busy, trigger) = eventfd_pair(reactor);
        loop {
            let comes = ManualPoll::pending(reactor, next_counter(&busy));
            if metrics(reactor).polls_demoted > 0 {
                break;
            }
            reactor.turn();
            fire(&trigger);
            assert_eq!(comes.complete(reactor).unwrap(), 1);
        }
        fault::inject(Call::Watch, Errno::NOSPC, 1);
        assert_sleeps(reactor);
        assert!(waits.iter().all(|wait| wait.wakes() == 0), "nobody is told of it");
        crowd.idle.iter().for_each(fire);
        for wait in waits {
            assert_eq!(wait.complete(reactor).unwrap(), 1);
        }
    });
}

#[test]
fn a_member_that_is_ready_whenever_it_is_watched_is_watched_no_more() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        let (io, trigger) = eventfd_pair(reactor);
        for _ in 0..10 {
            let waits = ManualPoll::pending(reactor, next_counter(&io));
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
        }
        assert_eq!(metrics(reactor).polls_skipped, 8, "twice is needed to tell a habit from chance");
    });
}
