//! UDP sockets: datagrams, and who shares a socket. Errors that come back and options have files of
//! their own.

mod common;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use aio_runtime::net::UdpSocket;
use aio_runtime::time::{sleep, timeout};
use aio_runtime::{Handle, Metrics, spawn};
use common::datagrams::{assert_each_gets_one, connected, deserted, received, socket};
use common::{ANY_PORT, poll_once, rest, run, soon, turn};
use futures::future::join_all;

fn metrics() -> Metrics {
    Handle::current().metrics()
}

/// How often the current runtime has had to wait for anything.
fn waits() -> u64 {
    let metrics = metrics();
    metrics.submitted_polls + metrics.waits_in_epoll
}

#[test]
fn echo() {
    run(async {
        let (server, address) = socket().await;
        let echoing = spawn(async move {
            let mut buf = [0; 128];
            loop {
                let (len, peer) = server.recv_from(&mut buf).await.unwrap();
                assert_eq!(server.send_to(&buf[..len], peer).await.unwrap(), len);
            }
        });
        let clients = (0..4).map(|client| async move {
            let (socket, _) = socket().await;
            for round in 0..20 {
                let sent = [client, round];
                assert_eq!(socket.send_to(&sent, address).await.unwrap(), 2);
                let mut buf = [0; 128];
                let (len, peer) = soon("an echo", socket.recv_from(&mut buf)).await.unwrap();
                assert_eq!((&buf[..len], peer), (&sent[..], address));
            }
        });
        join_all(clients).await;
        echoing.abort();
        assert!(echoing.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_std_program_at_the_other_end() {
    run(async {
        let (socket, address) = socket().await;
        let client = std::thread::spawn(move || {
            let socket = StdSocket::bind(ANY_PORT).unwrap();
            socket.connect(address).unwrap();
            socket.send(b"question").unwrap();
            let mut answer = [0; 16];
            let len = socket.recv(&mut answer).unwrap();
            answer[..len].to_vec()
        });
        let mut buf = [0; 16];
        let (len, peer) = soon("the question", socket.recv_from(&mut buf)).await.unwrap();
        assert_eq!(&buf[..len], b"question");
        socket.connect(peer).await.unwrap();
        socket.send(b"answer").await.unwrap();
        assert_eq!(client.join().unwrap(), b"answer");
    });
}

#[test]
fn a_connected_socket_receives_from_its_peer_only() {
    run(async {
        let ((near, near_address), (far, far_address), (other, _)) = (socket().await, socket().await, socket().await);
        assert_eq!(near.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        let error = near.send(b"to nobody").await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EDESTADDRREQ));

        near.connect(far_address).await.unwrap();
        assert_eq!(near.peer_addr().unwrap(), far_address);
        other.send_to(b"from another", near_address).await.unwrap();
        far.send_to(b"from the peer", near_address).await.unwrap();
        assert_eq!(received(&near).await, b"from the peer");
        assert_eq!(near.try_recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);

        near.connect(other.local_addr().unwrap()).await.unwrap();
        assert_eq!(near.send(b"to another").await.unwrap(), 10);
        assert_eq!(received(&other).await, b"to another");
        let error = near.connect("no address").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn without_waiting() {
    run(async {
        let ((near, near_address), (far, far_address)) = (socket().await, socket().await);
        let mut buf = [0; 16];
        for error in [
            near.try_recv(&mut buf).unwrap_err(),
            near.try_recv_from(&mut buf).unwrap_err(),
            near.try_peek(&mut buf).unwrap_err(),
            near.try_peek_from(&mut buf).unwrap_err(),
            near.try_peek_sender().unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        soon("room", far.writable()).await.unwrap();
        assert_eq!(far.try_send_to(b"one", near_address).unwrap(), 3);
        soon("a datagram", near.readable()).await.unwrap();
        assert_eq!(near.try_peek(&mut buf).unwrap(), 3);
        assert_eq!(near.try_peek_from(&mut buf).unwrap(), (3, far_address));
        assert_eq!(near.try_peek_sender().unwrap(), far_address);
        assert_eq!(near.try_recv_from(&mut buf).unwrap(), (3, far_address));
        assert_eq!(&buf[..3], b"one");

        far.connect(near_address).await.unwrap();
        assert_eq!(far.try_send(b"three").unwrap(), 5);
        soon("a datagram", near.readable()).await.unwrap();
        assert_eq!(near.try_recv(&mut buf).unwrap(), 5);
        assert_eq!(&buf[..5], b"three");
        assert_eq!(near.try_recv(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn by_hand_written_futures() {
    run(async {
        let (near, far) = connected().await;
        let (near_address, far_address) = (near.local_addr().unwrap(), far.local_addr().unwrap());
        let near = Rc::new(near);
        let receiving = spawn({
            let near = near.clone();
            async move {
                let sender = poll_fn(|cx| near.poll_peek_sender(cx)).await.unwrap();
                (sender, received(&near).await, received(&near).await)
            }
        });
        turn().await;
        assert_eq!(poll_fn(|cx| far.poll_send(cx, b"one")).await.unwrap(), 3);
        turn().await;
        assert_eq!(poll_fn(|cx| far.poll_send_to(cx, b"three", near_address)).await.unwrap(), 5);
        assert_eq!(soon("both", receiving).await.unwrap(), (far_address, b"one".to_vec(), b"three".to_vec()));
    });
}

#[test]
fn a_cancelled_receive_loses_nothing() {
    run(async {
        let (near, far) = connected().await;
        for round in 0..20 {
            assert!(!poll_once(pin!(near.recv(&mut [0]))));
            turn().await;
            far.send(&[round]).await.unwrap();
            assert_eq!(received(&near).await, [round]);
        }
        // Dropped at any moment, also when the datagram is there and its event on the way.
        let sending = spawn(async move {
            for round in 0..100 {
                sleep(Duration::from_micros(300)).await;
                far.send(&[round]).await.unwrap();
            }
        });
        let receiving = async {
            let mut all = Vec::new();
            while all.len() < 100 {
                let mut buf = [0];
                if timeout(Duration::from_micros(100), near.recv(&mut buf)).await.is_ok() {
                    all.push(buf[0]);
                }
            }
            all
        };
        let all = soon("all of them", receiving).await;
        sending.await.unwrap();
        assert_eq!(all, Vec::from_iter(0..100));
    });
}

#[test]
fn a_peek_leaves_the_datagram() {
    run(async {
        let (near, far) = connected().await;
        let far_address = far.local_addr().unwrap();
        let peeking = async {
            let mut buf = [0; 16];
            assert_eq!(near.peek_sender().await.unwrap(), far_address);
            assert_eq!(near.peek(&mut buf).await.unwrap(), 5);
            assert_eq!(near.peek_from(&mut buf).await.unwrap(), (5, far_address));
            assert_eq!(near.peek(&mut buf[..2]).await.unwrap(), 2);
            assert_eq!(&buf[..5], b"there");
        };
        let mut peeking = pin!(peeking);
        assert!(!poll_once(peeking.as_mut()));
        turn().await;
        far.send(b"there").await.unwrap();
        soon("a peek", peeking).await;
        assert_eq!(received(&near).await, b"there");
        assert_eq!(near.try_peek(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_datagram_that_is_longer_than_the_buffer_is_cut() {
    run(async {
        let (near, far) = connected().await;
        far.send(b"cut here").await.unwrap();
        far.send(b"next").await.unwrap();
        let mut buf = [0; 3];
        assert_eq!(near.recv(&mut buf).await.unwrap(), 3);
        assert_eq!(&buf, b"cut");
        assert_eq!(received(&near).await, b"next");
    });
}

#[test]
fn a_datagram_that_is_too_long_is_refused() {
    run(async {
        let (near, far) = connected().await;
        let long = vec![0; 65508];
        assert_eq!(near.send(&long).await.unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
        let to = far.local_addr().unwrap();
        assert_eq!(near.send_to(&long, to).await.unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
        assert_eq!(near.send(&long[1..]).await.unwrap(), 65507);
        let mut buf = vec![1; 65536];
        assert_eq!(soon("the longest", far.recv(&mut buf)).await.unwrap(), 65507);
        assert_eq!(buf[..65507], long[1..]);
    });
}

#[test]
fn a_short_datagram_says_nothing_about_the_next() {
    run(async {
        let (near, far) = connected().await;
        near.send(b"").await.unwrap();
        assert_eq!(received(&far).await, b"");
        turn().await;
        for len in 0..10 {
            far.send(&[7; 10][..len]).await.unwrap();
        }
        let before = waits();
        for len in 0..10 {
            // An empty one is not the end.
            assert_eq!(received(&near).await, [7; 10][..len]);
        }
        assert_eq!(waits(), before, "it has waited for what was there");
    });
}

#[test]
fn tasks_that_share_a_socket_are_all_served() {
    run(async {
        const TASKS: u8 = 8;
        let (near, far) = connected().await;
        let (near, far) = (Rc::new(near), Arc::new(far));
        for round in 0..20 {
            let receivers: Vec<_> = (0..TASKS)
                .map(|_| {
                    let near = near.clone();
                    spawn(async move {
                        let mut buf = [0; 2];
                        assert_eq!(near.recv(&mut buf).await.unwrap(), 2);
                        buf
                    })
                })
                .collect();
            turn().await;
            let senders: Vec<_> = (0..TASKS)
                .map(|sender| {
                    let far = far.clone();
                    spawn(async move {
                        // Some at once, and some one after the other.
                        if round % 2 == 0 {
                            sleep(Duration::from_micros(100 * u64::from(sender))).await;
                        }
                        far.send(&[round, sender]).await.unwrap()
                    })
                })
                .collect();
            assert_each_gets_one(round, receivers, senders).await;
        }
    });
}

#[test]
fn one_task_sends_while_another_receives() {
    run(async {
        let (near, far) = connected().await;
        let near = Rc::new(near);
        let receiving = spawn({
            let near = near.clone();
            async move {
                for round in 0..100 {
                    assert_eq!(received(&near).await, [round]);
                }
            }
        });
        let echoing = spawn(async move {
            for _ in 0..100 {
                far.send(&received(&far).await).await.unwrap();
            }
        });
        for round in 0..100 {
            near.send(&[round]).await.unwrap();
            turn().await;
        }
        soon("all echoes", receiving).await.unwrap();
        echoing.await.unwrap();
    });
}

#[test]
fn drop_frees_the_port() {
    run(async {
        let address = deserted();
        for _ in 0..100 {
            let socket = UdpSocket::bind(address).await.unwrap();
            assert!(!poll_once(pin!(socket.recv(&mut [0]))));
            turn().await;
            let error = UdpSocket::bind(address).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
            drop(socket);
            drop(StdSocket::bind(address).expect("the port is taken"));
        }
    });
}

#[test]
fn into_std_leaves_nothing_armed() {
    run(async {
        let (near, far) = connected().await;
        let address = near.local_addr().unwrap();
        assert!(!poll_once(pin!(near.recv(&mut [0]))));
        turn().await;
        let fd = near.as_raw_fd();
        let std = near.into_std().unwrap();
        assert_eq!(std.as_raw_fd(), fd);
        assert_eq!(metrics().overflow_fds, 0);
        rest().await;
        assert_eq!(std.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        far.send(b"x").await.unwrap();
        std.set_nonblocking(false).unwrap();
        assert_eq!(std.recv(&mut [0]).unwrap(), 1);
        drop(std);
        drop(StdSocket::bind(address).expect("the port is taken"));
    });
}

#[test]
fn from_std() {
    run(async {
        let (far, far_address) = socket().await;
        for convert in [UdpSocket::from_std, UdpSocket::try_from] {
            let std = StdSocket::bind(ANY_PORT).unwrap();
            let (fd, address) = (std.as_raw_fd(), std.local_addr().unwrap());
            let near = convert(std).unwrap();
            assert_eq!((near.as_raw_fd(), near.as_fd().as_raw_fd()), (fd, fd));
            // It was in blocking mode.
            assert!(!poll_once(pin!(near.recv(&mut [0]))));
            far.send_to(b"x", address).await.unwrap();
            assert_eq!(received(&near).await, b"x");
            assert_eq!(format!("{near:?}"), format!("UdpSocket {{ fd: {fd}, local: {address} }}"));
            near.connect(far_address).await.unwrap();
            let shown = format!("UdpSocket {{ fd: {fd}, local: {address}, peer: {far_address} }}");
            assert_eq!(format!("{near:?}"), shown);
        }
    });
}

#[test]
fn addresses_to_send_to() {
    run(async {
        let ((near, near_address), (far, far_address)) = (socket().await, socket().await);
        near.send_to(b"1", far_address.to_string()).await.unwrap();
        // The first of several.
        near.send_to(b"2", &[far_address, near_address][..]).await.unwrap();
        near.send_to(b"3", ("127.0.0.1", far_address.port())).await.unwrap();
        for number in [b"1", b"2", b"3"] {
            assert_eq!(received(&far).await, number);
        }
        let none: &[SocketAddr] = &[];
        let error = near.send_to(b"x", none).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "no addresses to send data to");
        let error = near.send_to(b"x", "no address").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = UdpSocket::bind("192.0.2.1:0").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        let error = UdpSocket::bind(none).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}
