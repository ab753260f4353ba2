//! Errors that come back to UDP sockets: the peer's host says that nobody receives there.

mod common;

use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use aio_runtime::Handle;
use aio_runtime::net::UdpSocket;
use aio_runtime::time::timeout;
use common::datagrams::{deserted, received, socket};
use common::{poll_once, processor_time, run, soon, turn};

#[test]
fn a_refusal_is_reported_once() {
    run(async {
        let deserted = deserted();
        let (socket, address) = socket().await;
        socket.connect(deserted).await.unwrap();
        for _ in 0..3 {
            // Waits first, so that the refusal comes as an event.
            let mut buf = [0; 16];
            let mut receiving = pin!(socket.recv(&mut buf));
            assert!(!poll_once(receiving.as_mut()));
            turn().await;
            socket.send(b"anybody?").await.unwrap();
            let error = soon("the refusal", receiving).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            assert!(socket.take_error().unwrap().is_none());
        }
        // A send reports it as well, and then sends again.
        socket.send(b"anybody?").await.unwrap();
        assert_eq!(socket.send(b"anybody?").await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        // So does the option.
        socket.send(b"anybody?").await.unwrap();
        assert_eq!(socket.take_error().unwrap().unwrap().kind(), ErrorKind::ConnectionRefused);
        assert!(socket.take_error().unwrap().is_none());

        let (before, busy_before) = (Handle::current().metrics(), processor_time());
        let mut buf = [0; 16];
        let nothing = timeout(Duration::from_millis(200), socket.recv(&mut buf)).await;
        assert!(nothing.is_err(), "there is nothing to receive: {nothing:?}");
        let (after, busy) = (Handle::current().metrics(), processor_time() - busy_before);
        assert!(after.turns - before.turns < 20, "{} turns in 200 ms", after.turns - before.turns);
        assert!(busy < Duration::from_millis(40), "{busy:?} of 200 ms on the processor");

        let peer = UdpSocket::bind(deserted).await.unwrap();
        peer.send_to(b"here I am", address).await.unwrap();
        assert_eq!(received(&socket).await, b"here I am");
    });
}

#[test]
fn an_unconnected_socket_is_told_of_no_refusal() {
    run(async {
        let (socket, address) = socket().await;
        socket.send_to(b"anybody?", deserted()).await.unwrap();
        assert!(timeout(Duration::from_millis(20), socket.recv(&mut [0])).await.is_err());
        assert!(socket.take_error().unwrap().is_none());
        socket.send_to(b"self", address).await.unwrap();
        assert_eq!(received(&socket).await, b"self");
    });
}
