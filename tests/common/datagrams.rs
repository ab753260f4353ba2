//! UDP sockets for tests.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket as StdSocket};

use aio_runtime::net::UdpSocket;
use aio_runtime::task::JoinHandle;

use super::{ANY_PORT, soon};

/// A socket, and its address.
pub(crate) async fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(ANY_PORT).await.unwrap();
    let address = socket.local_addr().unwrap();
    assert_ne!(address.port(), 0);
    (socket, address)
}

/// Two sockets that are connected to each other.
pub(crate) async fn connected() -> (UdpSocket, UdpSocket) {
    let ((near, near_address), (far, far_address)) = (socket().await, socket().await);
    near.connect(far_address).await.unwrap();
    far.connect(near_address).await.unwrap();
    (near, far)
}

/// An address where nobody receives: this process's own, so that no other one gets the port.
pub(crate) fn deserted() -> SocketAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    StdSocket::bind((Ipv4Addr::new(127, 78, high, low), 0)).unwrap().local_addr().unwrap()
}

/// Asserts that of these tasks each receives one of the datagrams that those send: the number of
/// the round, and the sender's.
pub(crate) async fn assert_each_gets_one(
    round: u8,
    receivers: Vec<JoinHandle<[u8; 2]>>,
    senders: Vec<JoinHandle<usize>>,
) {
    let mut got = BTreeSet::new();
    for receiver in receivers {
        assert!(got.insert(soon("a datagram for each task", receiver).await.unwrap()));
    }
    assert_eq!(got, (0..).zip(&senders).map(|(sender, _)| [round, sender]).collect());
    for sender in senders {
        assert_eq!(soon("a sender", sender).await.unwrap(), 2);
    }
}

/// The next datagram.
pub(crate) async fn received(socket: &UdpSocket) -> Vec<u8> {
    let mut buf = [0; 128];
    let len = soon("a datagram", socket.recv(&mut buf)).await.unwrap();
    buf[..len].to_vec()
}
