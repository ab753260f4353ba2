//! Unix sockets: every test of a stream, and what only they have: names, and queues that are full.

mod common;
mod streams;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::unix::SocketAddr;
use aio_runtime::net::{UnixListener, UnixStream};
use aio_runtime::time::{sleep, timeout};
use aio_runtime::{Handle, spawn};
use common::{run, soon};
use futures::future::join;
use kind::abstract_name;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

/// Unix sockets, as `streams` wants them: they have abstract names, which nobody has to remove.
mod kind {
    use std::io;
    use std::os::unix::net;
    use std::sync::atomic::{AtomicU32, Ordering};

    pub(crate) use std::os::unix::net::UnixStream as Peer;

    use aio_runtime::net::unix::SocketAddr;
    pub(crate) use aio_runtime::net::{UnixListener as Listener, UnixStream as Stream};

    pub(crate) const NAME: &str = "Unix";

    /// A name that no other test has.
    pub(crate) fn abstract_name() -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("\0aio-runtime test {} {}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) async fn listen() -> Listener {
        Listener::bind(abstract_name()).unwrap()
    }

    pub(crate) fn listen_std() -> net::UnixListener {
        use std::os::linux::net::SocketAddrExt;
        let address = net::SocketAddr::from_abstract_name(&abstract_name()[1..]).unwrap();
        net::UnixListener::bind_addr(&address).unwrap()
    }

    pub(crate) fn bind_now(address: &SocketAddr) -> Listener {
        Listener::bind_addr(address).unwrap()
    }

    pub(crate) fn connect(to: &SocketAddr) -> impl Future<Output = io::Result<Stream>> + use<> {
        let to = to.clone();
        async move { Stream::connect_addr(&to).await }
    }

    pub(crate) fn connect_std(to: &SocketAddr) -> io::Result<Peer> {
        Peer::connect_addr(&to.clone().into())
    }

    pub(crate) fn pair_std() -> (Peer, Peer) {
        Peer::pair().unwrap()
    }

    /// Ends a connection so that the other end gets an error: there has to be something that the
    /// peer has not read.
    pub(crate) fn reset(peer: Peer) {
        drop(peer);
    }

    /// An address where nobody listens, and nobody will.
    pub(crate) struct Deserted(SocketAddr);

    impl Deserted {
        pub(crate) fn new() -> Self {
            use std::os::linux::net::SocketAddrExt;
            Self(net::SocketAddr::from_abstract_name(&abstract_name()[1..]).unwrap().into())
        }

        pub(crate) fn at(address: &SocketAddr) -> Self {
            Self(address.clone())
        }

        pub(crate) fn address(&self) -> SocketAddr {
            self.0.clone()
        }
    }
}

/// A listener whose queue takes one connection, and its address.
fn listener_with_a_short_queue() -> (UnixListener, SocketAddr) {
    let socket = new_socket();
    rustix::net::bind(&socket, &SocketAddrUnix::new_abstract_name(&abstract_name().as_bytes()[1..]).unwrap()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let listener = UnixListener::from_std(socket.into()).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn new_socket() -> OwnedFd {
    rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap()
}

#[test]
fn a_path() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        assert!(std::fs::metadata(&path).unwrap().file_type().is_socket());
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(path.as_path()));

        let (client, accepted) = join(UnixStream::connect(&path), listener.accept()).await;
        let (client, (server, peer)) = (client.unwrap(), accepted.unwrap());
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(path.as_path()));
        assert_eq!(server.local_addr().unwrap().as_pathname(), Some(path.as_path()));
        assert_eq!(client.peer_addr().unwrap().as_abstract_name(), None);
        for unnamed in [peer, server.peer_addr().unwrap(), client.local_addr().unwrap()] {
            assert!(unnamed.is_unnamed() && unnamed.as_pathname().is_none(), "{unnamed:?}");
            assert!(unnamed.as_abstract_name().is_none(), "{unnamed:?}");
        }
    });
}

#[test]
fn an_abstract_name() {
    run(async {
        let name = abstract_name();
        let listener = UnixListener::bind(&name).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(address.as_abstract_name(), Some(&name.as_bytes()[1..]));
        assert!(!address.is_unnamed() && address.as_pathname().is_none());
        let (client, accepted) = join(UnixStream::connect(&name), listener.accept()).await;
        accepted.unwrap();
        assert_eq!(client.unwrap().peer_addr().unwrap().as_abstract_name(), Some(&name.as_bytes()[1..]));
    });
}

#[test]
fn a_path_that_fills_its_field() {
    run(async {
        // 108 bytes and no zero byte: std makes no such address, other programs do.
        let dir = tempfile::tempdir().unwrap();
        let path = |letter: &str| {
            let start = format!("{}/", dir.path().display());
            PathBuf::from(format!("{start}{}", letter.repeat(108 - start.len())))
        };
        let (server_path, client_path) = (path("s"), path("c"));
        let bound_to = |path: &Path| {
            let socket = new_socket();
            rustix::net::bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
            socket
        };
        let socket = bound_to(&server_path);
        rustix::net::listen(&socket, 1).unwrap();
        let listener = UnixListener::from_std(socket.into()).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(address.as_pathname(), Some(server_path.as_path()));

        let client = bound_to(&client_path);
        rustix::net::connect(&client, &SocketAddrUnix::new(&server_path).unwrap()).unwrap();
        let (server, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.as_pathname(), Some(client_path.as_path()));
        assert_eq!(server.peer_addr().unwrap().as_pathname(), Some(client_path.as_path()));
        assert_eq!(server.local_addr().unwrap().as_pathname(), Some(server_path.as_path()));
        let client = UnixStream::connect_addr(&address).await.unwrap();
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(server_path.as_path()));
    });
}

#[test]
fn a_name_that_the_kernel_chooses() {
    run(async {
        let unnamed = UnixStream::pair().unwrap().0.local_addr().unwrap();
        let listener = UnixListener::bind_addr(&unnamed).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(address.as_abstract_name().map(<[u8]>::len), Some(5), "{address:?}");
        let (client, accepted) = join(UnixStream::connect_addr(&address), listener.accept()).await;
        client.unwrap();
        accepted.unwrap();
        let error = UnixStream::connect_addr(&unnamed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn addresses_convert_from_and_to_std() {
    let std = net::SocketAddr::from_pathname("/some/path").unwrap();
    let ours = SocketAddr::from(std.clone());
    assert_eq!(ours.as_pathname(), Some(Path::new("/some/path")));
    assert_eq!(format!("{ours:?}"), format!("{std:?}"));
    let std = net::SocketAddr::from(ours.clone());
    assert_eq!(std.as_pathname(), ours.as_pathname());
}

#[test]
fn invalid_paths() {
    run(async {
        for wrong in ["a\0b".to_owned(), "x".repeat(108), format!("\0{}", "x".repeat(108))] {
            let bound = UnixListener::bind(&wrong).unwrap_err();
            assert_eq!(bound.kind(), ErrorKind::InvalidInput, "{wrong:?}: {bound}");
            let connected = UnixStream::connect(&wrong).await.unwrap_err();
            assert_eq!(connected.kind(), ErrorKind::InvalidInput, "{wrong:?}: {connected}");
        }
    });
}

#[test]
fn paths_where_nobody_listens() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let error = UnixStream::connect(dir.path().join("nothing")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let error = UnixStream::connect(&file).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let datagrams = dir.path().join("datagrams");
        let _socket = net::UnixDatagram::bind(&datagrams).unwrap();
        let error = UnixStream::connect(&datagrams).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPROTOTYPE));
    });
}

#[test]
fn a_path_outlives_its_listener() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let error = UnixListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(listener);
        let error = UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = UnixListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        std::fs::remove_file(&path).unwrap();
        drop(UnixListener::bind(&path).unwrap());
    });
}

#[test]
fn a_pair() {
    run(async {
        let (mut left, mut right) = UnixStream::pair().unwrap();
        left.write_all(b"to the right").await.unwrap();
        right.write_all(b"to the left").await.unwrap();
        left.close().await.unwrap();
        right.close().await.unwrap();
        let (mut at_left, mut at_right) = (String::new(), String::new());
        let (first, second) = join(left.read_to_string(&mut at_left), right.read_to_string(&mut at_right)).await;
        first.unwrap();
        second.unwrap();
        assert_eq!((at_left.as_str(), at_right.as_str()), ("to the left", "to the right"));
        let (left, right) = (left.as_raw_fd(), right.as_raw_fd());
        for fd in [left, right] {
            let flags = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
            let flags = flags.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
            let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
            assert_eq!(flags & (libc::O_NONBLOCK | libc::O_CLOEXEC), libc::O_NONBLOCK | libc::O_CLOEXEC);
        }
    });
}

#[test]
fn credentials_of_the_peer() {
    run(async {
        let this = (Some(std::process::id() as i32), rustix::process::geteuid(), rustix::process::getegid());
        let (left, right) = UnixStream::pair().unwrap();
        for credentials in [left.peer_cred().unwrap(), right.peer_cred().unwrap()] {
            assert_eq!(credentials.pid(), this.0);
            assert_eq!((credentials.uid(), credentials.gid()), (this.1.as_raw(), this.2.as_raw()));
        }
    });
}

#[test]
fn credentials_without_a_process() {
    run(async {
        // The kernel says 0 here as it does for a peer in another PID namespace.
        let unconnected = UnixStream::from_std(new_socket().into()).unwrap();
        let credentials = unconnected.peer_cred().unwrap();
        assert_eq!((credentials.pid(), credentials.uid(), credentials.gid()), (Some(0), u32::MAX, u32::MAX));
    });
}

#[test]
fn a_connect_to_a_full_queue_waits_for_room() {
    run(async {
        let (listener, address) = listener_with_a_short_queue();
        let queued = UnixStream::connect_addr(&address).await.unwrap();
        let connecting = spawn(kind::connect(&address));
        let before = Handle::current().metrics();
        sleep(Duration::from_millis(200)).await;
        let after = Handle::current().metrics();
        assert!(!connecting.is_finished(), "there was room");
        // Pauses of 1, 2, 4, 8, 16, 32 and 50 ms: no event and no turn of the loop but theirs.
        assert!(after.turns - before.turns < 30, "{} turns in 200 ms", after.turns - before.turns);

        let (first, _) = listener.accept().await.unwrap();
        let (mut second, _) = soon("the one that waited", listener.accept()).await.unwrap();
        let mut client = soon("the connect", connecting).await.unwrap().unwrap();
        client.write_all(b"x").await.unwrap();
        second.read_exact(&mut [0]).await.unwrap();
        drop((queued, first));
    });
}

#[test]
fn a_dropped_connect_to_a_full_queue_leaves_nothing_there() {
    run(async {
        let (listener, address) = listener_with_a_short_queue();
        let queued = UnixStream::connect_addr(&address).await.unwrap();
        let connecting = timeout(Duration::from_millis(5), UnixStream::connect_addr(&address));
        assert!(connecting.await.is_err(), "there was room");
        listener.accept().await.unwrap();
        assert!(timeout(Duration::from_millis(60), listener.accept()).await.is_err(), "it connected after its end");
        drop(queued);
    });
}

#[test]
fn a_connect_to_a_full_queue_learns_that_the_listener_has_gone() {
    run(async {
        let (listener, address) = listener_with_a_short_queue();
        let queued = UnixStream::connect_addr(&address).await.unwrap();
        let connecting = spawn(kind::connect(&address));
        sleep(Duration::from_millis(2)).await;
        drop(listener);
        let error = soon("the refusal", connecting).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        drop(queued);
    });
}

#[test]
fn a_std_program_at_the_other_end() {
    run(async {
        let name = abstract_name();
        let listener = UnixListener::bind(&name).unwrap();
        let address = net::SocketAddr::from(listener.local_addr().unwrap());
        let client = std::thread::spawn(move || {
            let mut stream = net::UnixStream::connect_addr(&address).unwrap();
            stream.write_all(b"question").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let (mut stream, _) = soon("an accept", listener.accept()).await.unwrap();
        let mut question = [0; 8];
        soon("the question", stream.read_exact(&mut question)).await.unwrap();
        stream.write_all(b"answer").await.unwrap();
        drop(stream);
        assert_eq!((&question, client.join().unwrap().as_str()), (b"question", "answer"));
    });
}
