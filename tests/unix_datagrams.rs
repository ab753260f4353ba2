//! Unix datagram sockets: names, and queues that are full.

mod common;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aio_runtime::net::UnixDatagram;
use aio_runtime::time::timeout;
use aio_runtime::{Handle, spawn};
use common::datagrams::assert_each_gets_one;
use common::{poll_once, processor_time, rest, run, soon, turn};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

/// An abstract name that no other test has.
fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("\0aio-runtime datagrams {} {}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A socket, and its name.
fn socket() -> (UnixDatagram, String) {
    let name = name();
    (UnixDatagram::bind(&name).unwrap(), name)
}

async fn received(socket: &UnixDatagram) -> Vec<u8> {
    let mut buf = [0; 128];
    let len = soon("a datagram", socket.recv(&mut buf)).await.unwrap();
    buf[..len].to_vec()
}

/// Receives what is there. Returns how many it was.
fn drain(socket: &UnixDatagram) -> usize {
    std::iter::from_fn(|| socket.try_recv(&mut [0; 16]).ok()).count()
}

/// Fills a receiver's queue with the datagrams of others, so that a sender's own buffer has room.
fn fill(name: &str) {
    let address = net::SocketAddr::from_abstract_name(&name[1..]).unwrap();
    loop {
        let other = net::UnixDatagram::unbound().unwrap();
        other.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while other.send_to_addr(b"other", &address).is_ok() {
            sent += 1;
        }
        if sent == 0 {
            return;
        }
    }
}

/// Runs something that has to wait, for a while, and expects that the loop sleeps.
async fn assert_waits(waiting: impl Future) {
    const WHILE: Duration = Duration::from_millis(200);
    let (before, busy_before) = (Handle::current().metrics().turns, processor_time());
    assert!(timeout(WHILE, waiting).await.is_err(), "it did not have to wait");
    let (turns, busy) = (Handle::current().metrics().turns - before, processor_time() - busy_before);
    // Three turns show that events are of no use here; then come pauses of 1, 2, 4, ... 50 ms.
    assert!(turns < 30, "{turns} turns in {WHILE:?}: {:#?}", Handle::current().metrics());
    assert!(busy < WHILE / 5, "{busy:?} of {WHILE:?} on the processor");
}

#[test]
fn a_pair() {
    run(async {
        let (left, right) = UnixDatagram::pair().unwrap();
        let answering = spawn(async move {
            for _ in 0..20 {
                let question = received(&right).await;
                right.send(&question).await.unwrap();
            }
        });
        for round in 0..20 {
            assert_eq!(left.send(&[round; 3]).await.unwrap(), 3);
            assert_eq!(received(&left).await, [round; 3]);
        }
        answering.await.unwrap();
        // The other end has gone.
        assert_eq!(left.send(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn paths() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let (server_path, client_path) = (dir.path().join("server"), dir.path().join("client"));
        let server = UnixDatagram::bind(&server_path).unwrap();
        let client = UnixDatagram::bind(&client_path).unwrap();
        assert_eq!(client.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        client.connect(&server_path).unwrap();
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(server_path.as_path()));
        assert_eq!(client.local_addr().unwrap().as_pathname(), Some(client_path.as_path()));
        client.send(b"question").await.unwrap();
        let mut buf = [0; 16];
        let (len, sender) = soon("the question", server.recv_from(&mut buf)).await.unwrap();
        assert_eq!((&buf[..len], sender.as_pathname()), (&b"question"[..], Some(client_path.as_path())));
        server.send_to(b"answer", sender.as_pathname().unwrap()).await.unwrap();
        assert_eq!(received(&client).await, b"answer");

        let error = UnixDatagram::bind(&server_path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(server);
        assert_eq!(client.send(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let error = client.send_to(b"x", dir.path().join("nothing")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        for wrong in ["a\0b".to_owned(), "x".repeat(108)] {
            assert_eq!(UnixDatagram::bind(&wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(client.connect(&wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(client.send_to(b"x", &wrong).await.unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(client.try_send_to(b"x", &wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn senders_without_a_name() {
    run(async {
        let (server, name) = socket();
        let client = UnixDatagram::unbound().unwrap();
        client.send_to(b"x", &name).await.unwrap();
        let mut buf = [0; 16];
        let (len, sender) = soon("a datagram", server.recv_from(&mut buf)).await.unwrap();
        assert_eq!(len, 1);
        assert!(sender.is_unnamed() && client.local_addr().unwrap().is_unnamed());
    });
}

#[test]
fn a_sender_whose_path_fills_its_field() {
    run(async {
        // 108 bytes and no zero byte: std makes no such address, other programs do.
        let dir = tempfile::tempdir().unwrap();
        let start = format!("{}/", dir.path().display());
        let path = format!("{start}{}", "s".repeat(108 - start.len()));
        let sender = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap();
        rustix::net::bind(&sender, &SocketAddrUnix::new(path.as_str()).unwrap()).unwrap();
        let (server, name) = socket();
        let sender = UnixDatagram::from_std(sender.into()).unwrap();
        assert_eq!(sender.local_addr().unwrap().as_pathname().unwrap().to_str(), Some(path.as_str()));
        sender.send_to(b"whole", &name).await.unwrap();
        let mut buf = [0; 16];
        let (len, sender) = soon("a datagram", server.recv_from(&mut buf)).await.unwrap();
        assert_eq!(&buf[..len], b"whole");
        assert!(sender.is_unnamed(), "{sender:?}");
    });
}

#[test]
fn without_waiting_and_by_hand() {
    run(async {
        let ((near, near_name), (far, far_name)) = (socket(), socket());
        let mut buf = [0; 16];
        assert_eq!(near.try_recv_from(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        far.try_send_to(b"one", &near_name).unwrap();
        soon("a datagram", near.readable()).await.unwrap();
        assert_eq!(near.try_peek(&mut buf).unwrap(), 3);
        let (len, sender) = near.try_recv_from(&mut buf).unwrap();
        assert_eq!((len, sender.as_abstract_name()), (3, Some(&far_name.as_bytes()[1..])));

        far.connect(&near_name).unwrap();
        assert_eq!(far.try_send(b"three").unwrap(), 5);
        assert_eq!(near.try_recv(&mut buf).unwrap(), 5);
        assert_eq!(poll_fn(|cx| far.poll_send(cx, b"two")).await.unwrap(), 3);
        assert_eq!(near.recv(&mut buf).await.unwrap(), 3);
        assert_eq!(poll_fn(|cx| far.poll_send_to(cx, b"four", &near_name)).await.unwrap(), 4);
        let (len, _) = near.recv_from(&mut buf).await.unwrap();
        assert_eq!(&buf[..len], b"four");
    });
}

#[test]
fn a_full_peer_is_waited_for_by_its_event() {
    run(async {
        let (server, name) = socket();
        let client = UnixDatagram::unbound().unwrap();
        client.connect(&name).unwrap();
        for _ in 0..3 {
            fill(&name);
            assert_eq!(client.try_send(b"x").unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_waits(client.send(b"x")).await;
            let mut sending = pin!(client.send(b"mine"));
            assert!(!poll_once(sending.as_mut()));
            turn().await;
            assert!(drain(&server) > 0);
            soon("room", sending).await.unwrap();
            assert_eq!(received(&server).await, b"mine");
        }
        assert_eq!(Handle::current().metrics().waits_backed_off, 0, "the kernel says when there is room");
    });
}

#[test]
fn a_full_receiver_is_waited_for_without_a_spin() {
    run(async {
        let ((server, name), (other, other_name)) = (socket(), socket());
        let client = UnixDatagram::unbound().unwrap();
        for round in 0..3 {
            fill(&name);
            // What the other one has room for is no reason to believe that this one has.
            client.send_to(&[round], &other_name).await.unwrap();
            assert_waits(client.send_to(b"x", &name)).await;
            client.send_to(&[round], &other_name).await.unwrap();
            let mut sending = pin!(client.send_to(b"mine", &name));
            assert!(!poll_once(sending.as_mut()));
            turn().await;
            assert!(drain(&server) > 0);
            soon("room", sending).await.unwrap();
            assert_eq!(received(&server).await, b"mine");
        }
        assert_eq!(drain(&other), 6);
    });
}

#[test]
fn tasks_that_share_a_socket_are_all_served() {
    run(async {
        const TASKS: u8 = 8;
        let (server, name) = socket();
        let client = UnixDatagram::unbound().unwrap();
        client.connect(&name).unwrap();
        let (server, client) = (Rc::new(server), Rc::new(client));
        for round in 0..10 {
            fill(&name);
            // All senders wait for room, then all receivers for datagrams.
            let senders: Vec<_> = (0..TASKS)
                .map(|sender| {
                    let client = client.clone();
                    spawn(async move { client.send(&[round, sender]).await.unwrap() })
                })
                .collect();
            turn().await;
            assert!(senders.iter().all(|sender| !sender.is_finished()), "there was room");
            assert!(drain(&server) > 0);
            let receivers: Vec<_> = (0..TASKS)
                .map(|_| {
                    let server = server.clone();
                    spawn(async move {
                        let mut buf = [0; 2];
                        assert_eq!(server.recv(&mut buf).await.unwrap(), 2);
                        buf
                    })
                })
                .collect();
            assert_each_gets_one(round, receivers, senders).await;
        }
    });
}

#[test]
fn a_cancelled_receive_loses_nothing() {
    run(async {
        let (near, far) = UnixDatagram::pair().unwrap();
        for round in 0..20 {
            assert!(!poll_once(pin!(near.recv(&mut [0]))));
            turn().await;
            far.send(&[round]).await.unwrap();
            assert_eq!(received(&near).await, [round]);
        }
    });
}

#[test]
fn shutdown_ends_a_direction() {
    run(async {
        let (near, far) = UnixDatagram::pair().unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        assert_eq!(near.send(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        far.send(b"x").await.unwrap();
        assert_eq!(received(&near).await, b"x");
        far.shutdown(Shutdown::Both).unwrap();
        // The kernel has no end of datagrams: poll(2) says that there is something, recv(2) that
        // there is not.
        assert_waits(far.recv(&mut [0])).await;
        assert_eq!(near.take_error().unwrap().map(|error| error.kind()), None);
    });
}

#[test]
fn drop_frees_an_abstract_name() {
    run(async {
        let name = name();
        let address = net::SocketAddr::from_abstract_name(&name[1..]).unwrap();
        for _ in 0..50 {
            let socket = UnixDatagram::bind(&name).unwrap();
            assert!(!poll_once(pin!(socket.recv(&mut [0]))));
            turn().await;
            assert_eq!(UnixDatagram::bind(&name).unwrap_err().kind(), ErrorKind::AddrInUse);
            drop(socket);
            drop(net::UnixDatagram::bind_addr(&address).expect("the name is taken"));
        }
    });
}

#[test]
fn from_std_and_back() {
    run(async {
        let (near, far) = net::UnixDatagram::pair().unwrap();
        let fd = near.as_raw_fd();
        let near = UnixDatagram::from_std(near).unwrap();
        assert_eq!(near.as_raw_fd(), fd);
        assert_eq!(format!("{near:?}"), format!("UnixDatagram {{ fd: {fd}, local: (unnamed), peer: (unnamed) }}"));
        // It was in blocking mode.
        assert!(!poll_once(pin!(near.recv(&mut [0]))));
        turn().await;
        far.send(b"x").unwrap();
        assert_eq!(received(&near).await, b"x");

        let near = near.into_std().unwrap();
        assert_eq!((near.as_raw_fd(), Handle::current().metrics().overflow_fds), (fd, 0));
        rest().await;
        assert_eq!(near.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let near = UnixDatagram::try_from(near).unwrap();
        near.send(b"y").await.unwrap();
        assert_eq!(far.recv(&mut [0]).unwrap(), 1);
    });
}
