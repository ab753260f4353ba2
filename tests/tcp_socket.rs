//! `TcpSocket`: options, and sockets that are bound before they connect or share a port.

mod common;

use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::pin::pin;
use std::time::Duration;

use aio_runtime::net::{TcpListener, TcpSocket, TcpStream};
use aio_runtime::time::{sleep, timeout};
use common::{ANY_PORT, Deserted, poll_once, rest, run, soon, wait_until};
use futures::future::{join, select};
use rustix::net::{AddressFamily, SocketType};

/// Any free port of this host.
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A socket for IPv6, unless the host has none.
fn new_v6() -> Option<TcpSocket> {
    match TcpSocket::new_v6() {
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => None,
        socket => Some(socket.unwrap()),
    }
}

fn bound(addr: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(addr).unwrap();
    socket
}

/// A socket that std has made, and that blocks.
fn new_blocking() -> TcpSocket {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    TcpSocket::from_std_stream(socket.into())
}

/// A listener whose queue is full, and the connections that fill it.
async fn full_listener(backlog: u32) -> (TcpListener, Vec<TcpStream>) {
    let listener = bound(LOCAL).listen(backlog).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    for _ in 0..=backlog {
        queued.push(soon("a connect", TcpStream::connect(address)).await.unwrap());
    }
    // A client is connected a moment before its connection is in the queue.
    wait_until("the queue is full", || queue_length(address) == queued.len());
    (listener, queued)
}

/// How many connections wait to be accepted, as `/proc/net/tcp` has it.
fn queue_length(listener: SocketAddr) -> usize {
    const LISTEN: &str = "0A";
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let address = format!("0100007F:{:04X}", listener.port());
    for line in sockets.lines() {
        let fields: Vec<_> = line.split_whitespace().collect();
        if fields[1] == address && fields[3] == LISTEN {
            let (_, queued) = fields[4].split_once(':').unwrap();
            return usize::from_str_radix(queued, 16).unwrap();
        }
    }
    panic!("nobody listens at {listener}:\n{sockets}");
}

/// Closes a descriptor that the caller owns.
#[allow(unsafe_code)]
fn close(fd: RawFd) {
    // SAFETY: it is open, and the caller's.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

#[track_caller]
fn assert_errno<T>(result: io::Result<T>, errno: i32) {
    let error = result.map(drop).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(errno), "{error}");
}

#[track_caller]
fn assert_error<T>(result: io::Result<T>, kind: ErrorKind) {
    let error = result.map(drop).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
}

#[test]
fn options_are_read_as_they_were_set() {
    run(async {
        for socket in [Some(TcpSocket::new_v4().unwrap()), new_v6()].into_iter().flatten() {
            for on in [true, false, true] {
                socket.set_keepalive(on).unwrap();
                socket.set_reuseaddr(!on).unwrap();
                socket.set_reuseport(on).unwrap();
                socket.set_nodelay(!on).unwrap();
                assert_eq!((socket.keepalive().unwrap(), socket.reuseaddr().unwrap()), (on, !on));
                assert_eq!((socket.reuseport().unwrap(), socket.nodelay().unwrap()), (on, !on));
            }
            assert!(socket.take_error().unwrap().is_none());
        }
    });
}

#[test]
fn buffers_are_twice_as_large_as_asked_for() {
    run(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(8192).unwrap();
        socket.set_recv_buffer_size(16384).unwrap();
        assert_eq!((socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap()), (16384, 32768));
        // The kernel lowers what is too much.
        socket.set_send_buffer_size(u32::MAX).unwrap();
        socket.set_recv_buffer_size(u32::MAX).unwrap();
        assert!(socket.send_buffer_size().unwrap() > 16384 && socket.recv_buffer_size().unwrap() > 32768);
    });
}

#[test]
#[expect(deprecated, reason = "set_linger is to work nevertheless")]
fn linger() {
    run(async {
        let socket = TcpSocket::new_v4().unwrap();
        assert_eq!(socket.linger().unwrap(), None);
        socket.set_zero_linger().unwrap();
        assert_eq!(socket.linger().unwrap(), Some(Duration::ZERO));
        // Rounded down, it would reset the connection.
        socket.set_linger(Some(Duration::from_millis(1))).unwrap();
        assert_eq!(socket.linger().unwrap(), Some(Duration::from_secs(1)));
        socket.set_linger(None).unwrap();
        assert_eq!(socket.linger().unwrap(), None);
        assert_errno(socket.set_linger(Some(Duration::MAX)), libc::EINVAL);
    });
}

#[test]
#[expect(deprecated, reason = "the former names are to work too")]
fn type_of_service_and_traffic_class() {
    run(async {
        let v4 = TcpSocket::new_v4().unwrap();
        v4.set_tos_v4(0x60).unwrap();
        assert_eq!(v4.tos_v4().unwrap(), 0x60);
        // The bits of ECN stay as they are.
        v4.set_tos(0xff).unwrap();
        assert_eq!(v4.tos().unwrap(), 0xfc);
        assert_errno(v4.set_tos_v4(0x100), libc::EINVAL);
        assert_errno(v4.tclass_v6(), libc::EOPNOTSUPP);
        assert_errno(v4.set_tclass_v6(0x60), libc::ENOPROTOOPT);
        if let Some(v6) = new_v6() {
            v6.set_tclass_v6(0x60).unwrap();
            assert_eq!(v6.tclass_v6().unwrap(), 0x60);
            assert_errno(v6.set_tclass_v6(0x100), libc::EINVAL);
            assert_errno(v6.set_tclass_v6(u32::MAX), libc::EINVAL);
        }
    });
}

#[test]
fn a_device() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        assert_eq!(socket.device().unwrap(), None);
        assert_errno(socket.bind_device(Some(b"no-such-device")), libc::ENODEV);
        assert_eq!(socket.device().unwrap(), None);
        socket.bind_device(Some(b"lo")).unwrap();
        assert_eq!(socket.device().unwrap().unwrap(), b"lo");
        let connecting = socket.connect(listener.local_addr().unwrap());
        soon("a connect", connecting).await.unwrap();

        let socket = TcpSocket::new_v4().unwrap();
        socket.bind_device(Some(b"lo")).unwrap();
        match socket.bind_device(None) {
            // Binding to a device needs no privilege; leaving it does.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {}
            left => {
                left.unwrap();
                assert_eq!(socket.device().unwrap(), None);
            }
        }
    });
}

#[test]
fn the_peer_sees_the_address_that_was_bound() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let socket = bound((Ipv4Addr::new(127, 0, 0, 2), 0).into());
        let source = socket.local_addr().unwrap();
        assert_ne!(source.port(), 0);
        let connecting = socket.connect(listener.local_addr().unwrap());
        let (client, accepted) = soon("a connection", join(connecting, listener.accept())).await;
        assert_eq!(client.unwrap().local_addr().unwrap(), source);
        assert_eq!(accepted.unwrap().1, source);
    });
}

#[test]
fn ipv6() {
    run(async {
        let Some(socket) = new_v6() else { return };
        match socket.bind((Ipv6Addr::LOCALHOST, 0).into()) {
            // A host may know IPv6 and have no address.
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => return,
            result => result.unwrap(),
        }
        let listener = socket.listen(1).unwrap();
        let connecting = new_v6().unwrap().connect(listener.local_addr().unwrap());
        let (client, accepted) = soon("a connection", join(connecting, listener.accept())).await;
        assert_eq!(client.unwrap().local_addr().unwrap(), accepted.unwrap().1);
    });
}

#[test]
fn an_address_of_the_other_family() {
    run(async {
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 80));
        assert_errno(TcpSocket::new_v4().unwrap().bind(v6), libc::EAFNOSUPPORT);
        assert_errno(TcpSocket::new_v4().unwrap().connect(v6).await, libc::EAFNOSUPPORT);
        if let Some(socket) = new_v6() {
            assert_errno(socket.bind(LOCAL), libc::EAFNOSUPPORT);
            assert_errno(socket.connect(LOCAL).await, libc::EAFNOSUPPORT);
        }
        // What else is invalid stays so.
        assert_errno(bound(LOCAL).bind(LOCAL), libc::EINVAL);
    });
}

#[test]
fn two_listeners_share_a_port() {
    run(async {
        let first = TcpSocket::new_v4().unwrap();
        first.set_reuseport(true).unwrap();
        first.bind(LOCAL).unwrap();
        let address = first.local_addr().unwrap();
        let second = TcpSocket::new_v4().unwrap();
        second.set_reuseport(true).unwrap();
        second.bind(address).unwrap();
        let [first, second] = [first, second].map(|socket| socket.listen(64).unwrap());
        assert_eq!(second.local_addr().unwrap(), address);
        for _ in 0..32 {
            let accepted = async {
                let (by_first, by_second) = (Box::pin(first.accept()), Box::pin(second.accept()));
                select(by_first, by_second).await.factor_first().0
            };
            let (client, accepted) = soon("a connection", join(TcpStream::connect(address), accepted)).await;
            assert_eq!(client.unwrap().local_addr().unwrap(), accepted.unwrap().1);
        }
        // One that does not share it is refused.
        assert_error(TcpSocket::new_v4().unwrap().bind(address), ErrorKind::AddrInUse);
        // The other one is not affected if one ends.
        drop(first);
        let (client, accepted) = soon("a connection", join(TcpStream::connect(address), second.accept())).await;
        assert_eq!(client.unwrap().local_addr().unwrap(), accepted.unwrap().1);
    });
}

#[test]
fn an_address_in_use() {
    run(async {
        let first = bound(LOCAL);
        let address = first.local_addr().unwrap();
        assert_error(TcpSocket::new_v4().unwrap().bind(address), ErrorKind::AddrInUse);
        drop(first);

        // With SO_REUSEADDR both may be bound, but one may listen.
        let [first, second, late] = std::array::from_fn(|_| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket
        });
        first.bind(address).unwrap();
        second.bind(address).unwrap();
        let _listener = first.listen(1).unwrap();
        assert_error(second.listen(1), ErrorKind::AddrInUse);
        assert_error(late.bind(address), ErrorKind::AddrInUse);
    });
}

#[test]
fn a_refused_connect() {
    run(async {
        let deserted = Deserted::new();
        let connecting = TcpSocket::new_v4().unwrap().connect(deserted.address());
        assert_error(soon("the refusal", connecting).await, ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_connect_that_is_dropped_closes_the_socket() {
    run(async {
        let (full, _queued) = full_listener(0).await;
        let socket = bound(LOCAL);
        let source = socket.local_addr().unwrap();
        let mut connecting = Box::pin(socket.connect(full.local_addr().unwrap()));
        assert!(timeout(Duration::from_millis(1), &mut connecting).await.is_err());
        assert_error(TcpSocket::new_v4().unwrap().bind(source), ErrorKind::AddrInUse);
        drop(connecting);
        // A cancelled poll lets go of the socket a moment after its event.
        let is_closed = async {
            while TcpSocket::new_v4().unwrap().bind(source).is_err() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        soon("the close", is_closed).await;
    });
}

#[test]
fn the_backlog_is_the_length_of_the_queue() {
    run(async {
        let (listener, queued) = full_listener(2).await;
        let mut one_more = Box::pin(TcpStream::connect(listener.local_addr().unwrap()));
        assert!(timeout(Duration::from_millis(50), &mut one_more).await.is_err());
        for client in &queued {
            let (_, peer) = soon("an accept", listener.accept()).await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
        // As many as the system allows.
        bound(LOCAL).listen(u32::MAX).unwrap();
    });
}

#[test]
fn without_lingering_a_close_is_a_reset() {
    run(async {
        let listener = std::net::TcpListener::bind(ANY_PORT).unwrap();
        let address = listener.local_addr().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_zero_linger().unwrap();
        let set_before = soon("a connect", socket.connect(address)).await.unwrap();
        let set_later = soon("a connect", TcpStream::connect(address)).await.unwrap();
        set_later.set_zero_linger().unwrap();
        for stream in [set_before, set_later] {
            let (mut peer, _) = listener.accept().unwrap();
            peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            assert_eq!(stream.linger().unwrap(), Some(Duration::ZERO));
            drop(stream);
            rest().await;
            assert_error(peer.read(&mut [0]), ErrorKind::ConnectionReset);
        }
    });
}

#[test]
fn connections_inherit_the_options_of_their_listener() {
    run(async {
        let socket = bound(LOCAL);
        socket.set_nodelay(true).unwrap();
        socket.set_keepalive(true).unwrap();
        let listener = socket.listen(1).unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = soon("a connection", join(connecting, listener.accept())).await;
        let (accepted, _) = accepted.unwrap();
        assert!(accepted.nodelay().unwrap() && !client.unwrap().nodelay().unwrap());
        let accepted = TcpSocket::from_std_stream(accepted.into_std().unwrap());
        assert!(accepted.keepalive().unwrap());
    });
}

#[test]
fn sockets_that_block_are_made_not_to() {
    run(async {
        let socket = new_blocking();
        socket.bind(LOCAL).unwrap();
        let listener = socket.listen(0).unwrap();
        assert!(!poll_once(pin!(listener.accept())));

        let (full, _queued) = full_listener(0).await;
        assert!(!poll_once(pin!(new_blocking().connect(full.local_addr().unwrap()))));
    });
}

#[test]
fn descriptors_are_those_of_the_socket() {
    run(async {
        let socket = bound(LOCAL);
        let (fd, local) = (socket.as_raw_fd(), socket.local_addr().unwrap());
        assert_eq!(socket.as_fd().as_raw_fd(), fd);
        assert_eq!(format!("{socket:?}"), format!("TcpSocket {{ fd: {fd}, local: {local} }}"));
        let socket = OwnedFd::from(socket);
        assert_eq!(socket.as_raw_fd(), fd);
        let socket = TcpSocket::from_std_stream(socket.into());
        assert_eq!(socket.local_addr().unwrap(), local);
        assert_eq!(socket.into_raw_fd(), fd);
        close(fd);
    });
}
