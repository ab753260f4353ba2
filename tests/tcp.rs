//! TCP: every test of a stream, and what only TCP has: addresses, look-ups, options.

mod common;
mod streams;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use aio_runtime::net::{TcpListener, TcpStream};
use common::{ANY_PORT, Deserted, poll_once, rest, run, soon, turn};
use futures::future::join;
use streams::{AT_ONCE, stream_pair};

/// TCP, as `streams` wants it.
mod kind {
    use std::io;
    use std::net::SocketAddr;
    use std::os::fd::AsFd;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    pub(crate) use std::net::TcpStream as Peer;

    pub(crate) use aio_runtime::net::{TcpListener as Listener, TcpStream as Stream};

    use crate::common::ANY_PORT;
    pub(crate) use crate::common::Deserted;

    pub(crate) const NAME: &str = "Tcp";

    pub(crate) async fn listen() -> Listener {
        Listener::bind(ANY_PORT).await.unwrap()
    }

    pub(crate) fn listen_std() -> std::net::TcpListener {
        std::net::TcpListener::bind(ANY_PORT).unwrap()
    }

    /// Binds, without an await, to an address that has just been left.
    pub(crate) fn bind_now(address: &SocketAddr) -> Listener {
        match pin!(Listener::bind(address)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(bound) => bound.unwrap(),
            Poll::Pending => panic!("to bind to an address is not to wait"),
        }
    }

    pub(crate) fn connect(to: &SocketAddr) -> impl Future<Output = io::Result<Stream>> + use<> {
        Stream::connect(*to)
    }

    pub(crate) fn connect_std(to: &SocketAddr) -> io::Result<Peer> {
        Peer::connect(to)
    }

    pub(crate) fn pair_std() -> (Peer, Peer) {
        let listener = listen_std();
        let peer = Peer::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, peer)
    }

    /// Ends a connection by a reset instead of a FIN.
    pub(crate) fn reset(peer: Peer) {
        rustix::net::sockopt::set_socket_linger(peer.as_fd(), Some(Duration::ZERO)).unwrap();
    }
}

#[test]
fn nodelay() {
    run(async {
        let (near, _far) = stream_pair();
        for on in [true, false, true] {
            near.set_nodelay(on).unwrap();
            assert_eq!(near.nodelay().unwrap(), on);
        }
    });
}

#[test]
fn quickack() {
    run(async {
        let (near, _far) = stream_pair();
        for on in [true, false, true] {
            near.set_quickack(on).unwrap();
            assert_eq!(near.quickack().unwrap(), on);
        }
    });
}

#[test]
#[expect(deprecated, reason = "set_linger is to work nevertheless")]
fn linger() {
    run(async {
        let (near, _far) = stream_pair();
        assert_eq!(near.linger().unwrap(), None);
        near.set_linger(Some(Duration::from_secs(1))).unwrap();
        assert_eq!(near.linger().unwrap(), Some(Duration::from_secs(1)));
        near.set_zero_linger().unwrap();
        assert_eq!(near.linger().unwrap(), Some(Duration::ZERO));
        near.set_linger(None).unwrap();
        assert_eq!(near.linger().unwrap(), None);
    });
}

#[test]
fn ttl() {
    run(async {
        let (near, _far) = stream_pair();
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        for ttl in [1, 42, 255] {
            near.set_ttl(ttl).unwrap();
            listener.set_ttl(ttl).unwrap();
            assert_eq!((near.ttl().unwrap(), listener.ttl().unwrap()), (ttl, ttl));
        }
        for wrong in [0, 256, u32::MAX] {
            assert_eq!(near.set_ttl(wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(listener.set_ttl(wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn both_ends_know_their_addresses() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_ne!(address.port(), 0);
        let (client, accepted) = join(TcpStream::connect(address), listener.accept()).await;
        let (client, (server, peer)) = (client.unwrap(), accepted.unwrap());
        assert_eq!(client.peer_addr().unwrap(), address);
        assert_eq!(server.local_addr().unwrap(), address);
        assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
        assert_eq!(peer, client.local_addr().unwrap());
        assert_eq!(client.as_fd().as_raw_fd(), client.as_raw_fd());
        assert_eq!(listener.as_fd().as_raw_fd(), listener.as_raw_fd());
    });
}

#[test]
fn every_form_of_address() {
    run(async {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listeners = [
            TcpListener::bind(any).await.unwrap(),
            TcpListener::bind(&any).await.unwrap(),
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(),
            TcpListener::bind(("127.0.0.1", 0)).await.unwrap(),
            TcpListener::bind((String::from("127.0.0.1"), 0)).await.unwrap(),
            TcpListener::bind(String::from(ANY_PORT)).await.unwrap(),
            TcpListener::bind(&[any][..]).await.unwrap(),
            TcpListener::bind("localhost:0").await.unwrap(),
            TcpListener::bind(("localhost", 0)).await.unwrap(),
        ];
        for listener in listeners {
            let address = listener.local_addr().unwrap();
            assert!(address.ip().is_loopback(), "{address}");
            let (client, accepted) = join(TcpStream::connect(address), listener.accept()).await;
            client.unwrap();
            accepted.unwrap();
        }
    });
}

#[test]
fn ipv6() {
    run(async {
        let listener = match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await {
            Ok(listener) => listener,
            Err(error) => {
                // A host without IPv6 says so, and there is nothing to test.
                let missing = [Some(libc::EAFNOSUPPORT), Some(libc::EADDRNOTAVAIL)];
                return assert!(missing.contains(&error.raw_os_error()), "{error}");
            }
        };
        let address = listener.local_addr().unwrap();
        let (client, accepted) = join(TcpStream::connect(address), listener.accept()).await;
        assert_eq!(client.unwrap().peer_addr().unwrap(), address);
        assert!(accepted.unwrap().1.is_ipv6());
    });
}

#[test]
fn connect_tries_one_address_after_the_other() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let deserted = [Deserted::new(), Deserted::new()];
        let addresses = [deserted[0].address(), deserted[1].address(), listener.local_addr().unwrap()];
        let (client, accepted) = join(TcpStream::connect(&addresses[..]), listener.accept()).await;
        assert_eq!(client.unwrap().peer_addr().unwrap(), addresses[2]);
        accepted.unwrap();
        let error = TcpStream::connect(&addresses[..2]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn invalid_addresses() {
    run(async {
        for wrong in ["127.0.0.1:65536", "127.0.0.1", "localhost:http", ":", "", "127.0.0.1:-1"] {
            let bound = soon("bind", TcpListener::bind(wrong)).await.unwrap_err();
            assert_eq!(bound.kind(), ErrorKind::InvalidInput, "{wrong}: {bound}");
            let connected = soon("connect", TcpStream::connect(wrong)).await.unwrap_err();
            assert_eq!(connected.kind(), ErrorKind::InvalidInput, "{wrong}: {connected}");
        }
        let nothing: &[SocketAddr] = &[];
        let error = TcpStream::connect(nothing).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("could not resolve"), "{error}");
    });
}

#[test]
fn an_unknown_host() {
    run(async {
        // `.invalid` never resolves, with or without a name server (RFC 6761).
        let error = soon("the look-up", TcpStream::connect("no-such-host.invalid:80")).await.unwrap_err();
        assert!(error.to_string().contains("lookup"), "{error}");
    });
}

#[test]
fn bind_to_an_address_in_use() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let error = TcpListener::bind(listener.local_addr().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let error = TcpListener::bind("192.0.2.1:0").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn a_connect_dropped_while_it_waits() {
    run(async {
        // A listener whose queue is full lets further connects wait.
        let listener =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
        rustix::net::bind(&listener, &ANY_PORT.parse::<SocketAddr>().unwrap()).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = SocketAddr::try_from(rustix::net::getsockname(&listener).unwrap()).unwrap();
        let queued = std::net::TcpStream::connect(address).unwrap();
        let mut waiting: Vec<_> = (0..10).map(|_| Box::pin(TcpStream::connect(address))).collect();
        let waiting_for = waiting.iter_mut().filter_map(|connect| (!poll_once(connect.as_mut())).then_some(())).count();
        assert!(waiting_for > 0, "no connect has to wait");
        turn().await;
        let begin = Instant::now();
        drop(waiting);
        rest().await;
        assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
        drop(queued);
    });
}
