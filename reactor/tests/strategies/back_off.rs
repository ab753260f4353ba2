//! Where neither a poll nor the nested epoll can tell, a timer does: without a spin, and without a
//! long delay.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, recv, sendto,
    socket_with,
};

use super::super::crowd::Crowd;
use super::*;
use crate::reactor::ids::Direction;
use crate::reactor::tests::{assert_sleeps, block_on, eventfd_pair, in_each_mode};

const WHILE: Duration = Duration::from_millis(300);

fn never_ready(io: &Io, attempts: &std::cell::Cell<u32>) -> impl Future<Output = io::Result<()>> {
    io.io(Direction::Read, |_| {
        attempts.set(attempts.get() + 1);
        Err(io::ErrorKind::WouldBlock.into())
    })
}

/// Polls a future for a while, whenever it is woken, and counts how often.
fn wakes_in(reactor: &Reactor, waits: &mut ManualPoll<'_, io::Result<()>>, length: Duration) -> usize {
    let begin = Instant::now();
    let mut seen = waits.wakes();
    let before = seen;
    while begin.elapsed() < length {
        turn_and_park(reactor);
        if waits.wakes() != seen {
            seen = waits.wakes();
            assert!(waits.poll(reactor).is_pending());
        }
    }
    seen - before
}

#[test]
fn what_the_epoll_refuses_is_retried_at_growing_intervals() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        let file = register(reactor, tempfile::tempfile().unwrap());
        let attempts = std::cell::Cell::new(0);
        let mut waits = ManualPoll::new(never_ready(&file, &attempts));
        assert!(waits.poll(reactor).is_pending(), "it does not loop inside one poll");
        assert_eq!(attempts.get(), 1);
        let begin = Instant::now();
        let wakes = wakes_in(reactor, &mut waits, WHILE);
        let elapsed = begin.elapsed();
        // 1, 2, 4, 8, 16, 32, 50, 50, ...
        let most = 6 + elapsed.as_millis() as usize / 50;
        assert!((4..=most).contains(&wakes), "{wakes} in {elapsed:?}");
        let now = metrics(reactor);
        assert!(now.contradictions >= 3 && now.waits_backed_off >= 4, "{now:?}");
        drop(waits);
        // From its first success on it begins at 1 ms again.
        assert!(block_on(reactor, next_byte(&file)).is_ok());
        assert!(block_on(reactor, next_byte(&file)).is_ok());
        assert_sleeps_after_back_off(reactor);
    });
}

/// The last timer may still be due.
fn assert_sleeps_after_back_off(reactor: &Reactor) {
    turns_in(reactor, Duration::from_millis(60));
    assert_sleeps(reactor);
}

#[test]
fn a_file_whose_polls_are_always_ready_is_not_attempted_in_every_turn() {
    in_each_mode(1, |reactor| {
        let file = register(reactor, tempfile::tempfile().unwrap());
        let attempts = std::cell::Cell::new(0);
        let mut waits = ManualPoll::new(never_ready(&file, &attempts));
        let _ = waits.poll(reactor);
        wakes_in(reactor, &mut waits, WHILE);
        assert!((4..40).contains(&attempts.get()), "{attempts:?} attempts in {WHILE:?}");
    });
}

#[test]
fn where_epoll_ctl_is_denied_a_wait_without_a_slot_ends_anyway() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        fault::inject(Call::Watch, Errno::PERM, FOREVER);
        let (io, trigger) = eventfd_pair(reactor);
        for _ in 0..5 {
            let waits = ManualPoll::pending(reactor, next_counter(&io));
            let begin = Instant::now();
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
            assert!(begin.elapsed() < PATIENCE / 10);
        }
        io.clear_ready(Direction::Read);
        let mut waits = ManualPoll::pending(reactor, io.ready(Direction::Read));
        // Nobody can tell, so it is told to try.
        let begin = Instant::now();
        while waits.poll(reactor).is_pending() {
            assert!(begin.elapsed() < PATIENCE);
            turn_and_park(reactor);
        }
        drop(waits);
        assert!(fault::clear());
    });
}

#[test]
fn where_epoll_wait_is_denied_what_waits_in_the_epoll_is_retried_by_a_timer() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        let (ios, triggers): (Vec<_>, Vec<_>) = (0..5).map(|_| eventfd_pair(reactor)).unzip();
        let by_edges = socket_by_edges_in(reactor);
        let reads = ManualPoll::pending(reactor, next_byte(&by_edges.0));
        for _ in 0..3 {
            let waits: Vec<_> = ios.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
            turn_and_park(reactor);
            if metrics(reactor).waits_backed_off == 0 {
                fault::inject(Call::Drain, Errno::PERM, 1);
            }
            triggers.iter().for_each(fire);
            for wait in waits {
                assert_eq!(wait.complete(reactor).unwrap(), 1);
            }
        }
        rustix::io::write(&by_edges.1, b"e").unwrap();
        assert_eq!(reads.complete(reactor).unwrap(), Some(b'e'));
        assert!(turns_in(reactor, WHILE) < 60);
    });
}

/// Although there is no slot.
fn socket_by_edges_in(reactor: &Reactor) -> (Io, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    set_nonblocking(&near);
    let io = register(reactor, near);
    rustix::io::write(&far, b"!").unwrap();
    let mut never = ManualPoll::new(io.io(Direction::Read, |_| Err::<(), _>(io::ErrorKind::WouldBlock.into())));
    until_edge_triggered(reactor, &mut never);
    drop(never);
    assert_eq!(block_on(reactor, next_byte(&io)).unwrap(), Some(b'!'));
    (io, far)
}

fn unix_socket(kind: SocketType) -> OwnedFd {
    socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None).unwrap()
}

fn unix_address(name: &str) -> SocketAddrUnix {
    let name = format!("aio-runtime-{name}-{}-{:?}", std::process::id(), Instant::now());
    SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap()
}

/// The kernel says that there is room, since it looks at a connected peer only; and no edge comes.
#[test]
fn a_datagram_for_a_full_peer_is_sent_when_there_is_room() {
    in_each_mode(1, |reactor| {
        let (peer, address) = (unix_socket(SocketType::DGRAM), unix_address("full"));
        bind(&peer, &address).unwrap();
        let sender = register(reactor, unix_socket(SocketType::DGRAM));
        let send = |fd: BorrowedFd<'_>| Ok(sendto(fd, b"datagram", SendFlags::NOSIGNAL, &address)?);
        let mut sent = 0;
        while send(sender.as_fd()).is_ok() {
            sent += 1;
        }
        let mut waits = ManualPoll::pending(reactor, sender.io(Direction::Write, send));
        assert!(!waits_for(reactor, &mut waits, WHILE), "it is full");
        let now = metrics(reactor);
        assert!(now.contradictions >= 3 && now.waits_backed_off >= 3, "{now:?}");
        for _ in 0..sent {
            recv(&peer, &mut [0; 16][..], RecvFlags::DONTWAIT).unwrap();
        }
        assert!(waits_for(reactor, &mut waits, PATIENCE));
    });
}

/// A queue that is full is `EAGAIN`, and no event comes when it is not full any more.
#[test]
fn a_connect_to_a_full_listener_succeeds_when_there_is_room() {
    in_each_mode(1, |reactor| {
        let (listener, address) = (unix_socket(SocketType::STREAM), unix_address("backlog"));
        bind(&listener, &address).unwrap();
        listen(&listener, 0).unwrap();
        let _waiting = unix_socket(SocketType::STREAM);
        connect(&_waiting, &address).unwrap();
        let socket = register(reactor, unix_socket(SocketType::STREAM));
        let mut waits =
            ManualPoll::pending(reactor, socket.io(Direction::Write, |fd| Ok(connect(fd, &address).map(|()| 0)?)));
        assert!(!waits_for(reactor, &mut waits, WHILE), "it is full");
        rustix::net::accept(&listener).unwrap();
        assert!(waits_for(reactor, &mut waits, PATIENCE));
        drop(waits);
        // It is an ordinary connection now.
        let peer = rustix::net::accept(&listener).unwrap();
        for byte in *b"ordinary" {
            let waits = ManualPoll::pending(reactor, next_byte(&socket));
            rustix::io::write(&peer, &[byte]).unwrap();
            assert_eq!(waits.complete(reactor).unwrap(), Some(byte));
        }
    });
}

/// Whether the future ends within `limit`, without many turns.
fn waits_for(reactor: &Reactor, waits: &mut ManualPoll<'_, io::Result<usize>>, limit: Duration) -> bool {
    let (begin, before) = (Instant::now(), metrics(reactor).turns);
    let mut seen = waits.wakes();
    let ended = loop {
        if waits.wakes() != seen {
            seen = waits.wakes();
            if waits.poll(reactor).is_ready() {
                break true;
            }
        }
        if begin.elapsed() > limit {
            break false;
        }
        turn_and_park(reactor);
    };
    let (turns, elapsed) = (metrics(reactor).turns - before, begin.elapsed());
    assert!(u128::from(turns) < 40 + elapsed.as_millis() / 5, "{turns} turns in {elapsed:?}");
    ended
}
