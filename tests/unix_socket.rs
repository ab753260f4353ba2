//! `UnixSocket`: sockets that get their name or their options before they become something else.

mod common;

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::UnixSocket;
use aio_runtime::time::timeout;
use common::{Clean, panic_of, poll_once, rest, run, soon};
use rustix::fs::OFlags;
use rustix::io::{Errno, FdFlags};
use rustix::net::{AddressFamily, SocketType, sockopt};

/// An abstract name that no other test has.
fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("\0aio-runtime sockets {} {}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn bound_stream() -> (UnixSocket, String) {
    let (socket, name) = (UnixSocket::new_stream().unwrap(), name());
    socket.bind(&name).unwrap();
    (socket, name)
}

#[test]
fn both_ends_of_a_connection_have_names() {
    run(async {
        let (server, server_name) = bound_stream();
        let listener = server.listen(16).unwrap();
        let (client, client_name) = bound_stream();
        let mut stream = soon("a connection", client.connect(&server_name)).await.unwrap();
        let (mut accepted, peer) = soon("an accept", listener.accept()).await.unwrap();
        assert_eq!(peer.as_abstract_name().unwrap(), &client_name.as_bytes()[1..]);
        assert_eq!(stream.local_addr().unwrap().as_abstract_name(), peer.as_abstract_name());
        assert_eq!(stream.peer_addr().unwrap().as_abstract_name().unwrap(), &server_name.as_bytes()[1..]);

        stream.write_all(b"ping").await.unwrap();
        let mut ping = [0; 4];
        soon("a ping", accepted.read_exact(&mut ping)).await.unwrap();
        assert_eq!(&ping, b"ping");
    });
}

#[test]
fn datagrams_with_and_without_a_name() {
    run(async {
        let (socket, name) = (UnixSocket::new_datagram().unwrap(), name());
        socket.bind(&name).unwrap();
        let receiver = socket.datagram().unwrap();
        let nameless = UnixSocket::new_datagram().unwrap().datagram().unwrap();
        nameless.send_to(b"ping", &name).await.unwrap();
        let mut buf = [0; 16];
        let (len, sender) = soon("a datagram", receiver.recv_from(&mut buf)).await.unwrap();
        assert_eq!((&buf[..len], sender.is_unnamed()), (&b"ping"[..], true));
    });
}

#[test]
fn a_path_is_bound_once() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&path).unwrap();
        assert!(path.exists());
        assert_eq!(socket.bind(name()).unwrap_err().raw_os_error(), Some(Errno::INVAL.raw_os_error()));
        let other = UnixSocket::new_stream().unwrap();
        assert_eq!(other.bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert_eq!(other.bind("x".repeat(200)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(other.bind("a\0b").unwrap_err().kind(), ErrorKind::InvalidInput);
        // None of the errors has bound it.
        other.bind(dir.path().join("other")).unwrap();
    });
}

#[test]
fn calls_for_sockets_of_the_other_type_are_refused() {
    run(async {
        let datagram = || UnixSocket::new_datagram().unwrap();
        let stream = UnixSocket::new_stream().unwrap();
        let text = stream.datagram().unwrap_err().to_string();
        assert_eq!(text, "datagram cannot be called on a stream socket");
        let text = datagram().listen(1).unwrap_err().to_string();
        assert_eq!(text, "listen cannot be called on a datagram socket");
        let text = datagram().connect(name()).await.unwrap_err().to_string();
        assert_eq!(text, "connect cannot be called on a datagram socket");
    });
}

#[test]
fn a_listener_needs_a_name_and_a_connect_somebody_who_listens() {
    run(async {
        let unbound = UnixSocket::new_stream().unwrap();
        assert_eq!(unbound.listen(1).unwrap_err().raw_os_error(), Some(Errno::INVAL.raw_os_error()));
        let (silent, name) = bound_stream();
        let client = UnixSocket::new_stream().unwrap();
        assert_eq!(client.connect(&name).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        drop(silent);
    });
}

#[test]
fn a_connect_waits_for_room_in_the_queue() {
    run(async {
        let (server, name) = bound_stream();
        // The kernel keeps one more than was asked for.
        let listener = server.listen(0).unwrap();
        let connect = || UnixSocket::new_stream().unwrap().connect(&name);
        let _first = soon("room for one", connect()).await.unwrap();
        assert!(timeout(Duration::from_millis(50), connect()).await.is_err(), "there was room for two");

        let mut second = Box::pin(connect());
        assert!(!poll_once(second.as_mut()));
        soon("the first", listener.accept()).await.unwrap();
        soon("room for the second", second).await.unwrap();
        soon("the second", listener.accept()).await.unwrap();
    });
}

#[test]
fn a_dropped_socket_or_connect_frees_the_name() {
    run(async {
        let (socket, name) = bound_stream();
        drop(socket);
        let again = UnixSocket::new_stream().unwrap();
        again.bind(&name).unwrap();

        let (server, server_name) = bound_stream();
        let _listener = server.listen(0).unwrap();
        let _first = soon("a connection", UnixSocket::new_stream().unwrap().connect(&server_name)).await.unwrap();
        let mut waiting = Box::pin(again.connect(&server_name));
        assert!(!poll_once(waiting.as_mut()));
        drop(waiting);
        rest().await;
        UnixSocket::new_stream().unwrap().bind(&name).unwrap();
    });
}

#[test]
fn descriptors_become_sockets_and_sockets_descriptors() {
    run(async {
        // In blocking mode, as C would make it.
        let fd = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        let (raw, name) = (fd.as_raw_fd(), name());
        let socket = UnixSocket::from(fd);
        assert_eq!(socket.as_raw_fd(), raw);
        socket.bind(&name).unwrap();
        let listener = socket.listen(1).unwrap();
        assert_eq!(listener.as_raw_fd(), raw);
        let flags = rustix::fs::fcntl_getfl(&listener).unwrap();
        assert!(flags.contains(OFlags::NONBLOCK), "{flags:?}");

        let socket = UnixSocket::new_stream().unwrap();
        let flags = rustix::io::fcntl_getfd(socket.as_fd()).unwrap();
        assert!(flags.contains(FdFlags::CLOEXEC), "{flags:?}");
        let raw = socket.as_raw_fd();
        let socket = UnixSocket::from(OwnedFd::from(socket));
        assert_eq!(socket.as_raw_fd(), raw);
        assert_eq!(sockopt::socket_type(&socket).unwrap(), SocketType::STREAM);
        assert_eq!(format!("{socket:?}"), format!("UnixSocket {{ fd: {raw}, local: (unnamed) }}"));
    });
}

#[test]
fn outside_a_runtime_it_panics_and_closes() {
    let clean = Clean::begin();
    let listening = || {
        let (socket, _) = bound_stream();
        socket.listen(1).unwrap()
    };
    let (_, text) = panic_of(listening);
    assert!(text.contains("runtime"), "{text}");
    let (_, text) = panic_of(|| UnixSocket::new_datagram().unwrap().datagram().unwrap());
    assert!(text.contains("runtime"), "{text}");
    clean.end_without_runtime();
}
