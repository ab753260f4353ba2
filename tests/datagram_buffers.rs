//! Receiving datagrams into buffers that grow.

mod common;

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::pin;

use aio_runtime::net::UnixDatagram;
use aio_runtime::spawn;
use bytes::{BufMut, BytesMut};
use common::datagrams::connected;
use common::{poll_once, run, soon, turn};

async fn next<T>(received: impl Future<Output = io::Result<T>>) -> T {
    soon("a datagram", received).await.unwrap()
}

#[test]
fn a_datagram_is_appended() {
    run(async {
        let (near, far) = connected().await;
        let mut buf = BytesMut::with_capacity(64);
        assert_eq!(near.try_recv_buf(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(near.try_recv_buf_from(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        for part in ["one", "", "three", "four"] {
            far.send(part.as_bytes()).await.unwrap();
        }
        assert_eq!(next(near.recv_buf(&mut buf)).await, 3);
        assert_eq!(next(near.recv_buf(&mut buf)).await, 0);
        assert_eq!(next(near.recv_buf_from(&mut buf)).await, (5, far.local_addr().unwrap()));
        assert_eq!(near.try_recv_buf(&mut buf).unwrap(), 4);
        assert_eq!(buf, "onethreefour");
    });
}

#[test]
fn what_there_is_no_room_for_is_lost() {
    run(async {
        let (near, far) = connected().await;
        for part in ["too long", "next"] {
            far.send(part.as_bytes()).await.unwrap();
        }
        let mut buf = Vec::with_capacity(3);
        assert_eq!(next(near.recv_buf(&mut buf)).await, 3);
        assert_eq!((&buf[..], buf.capacity()), (&b"too"[..], 3));
        // It is full, and makes room.
        assert_eq!(next(near.recv_buf_from(&mut buf)).await.0, 4);
        assert_eq!(buf, b"toonext");
    });
}

#[test]
fn a_cancelled_receive_loses_nothing() {
    run(async {
        let (near, far) = connected().await;
        let mut buf = Vec::with_capacity(64);
        assert!(!poll_once(pin!(near.recv_buf(&mut buf))));
        assert!(!poll_once(pin!(near.recv_buf_from(&mut buf))));
        turn().await;
        far.send(b"one").await.unwrap();
        assert_eq!(next(near.recv_buf(&mut buf)).await, 3);
        assert_eq!(buf, b"one");
    });
}

#[test]
fn in_the_unix_domain() {
    run(async {
        let (near, far) = UnixDatagram::pair().unwrap();
        let receiving = spawn(async move {
            let mut buf = Vec::with_capacity(64);
            let len = near.recv_buf(&mut buf).await.unwrap();
            let (len_of_second, sender) = near.recv_buf_from(&mut buf).await.unwrap();
            assert!(sender.is_unnamed());
            let (len_of_third, _) = near.recv_buf_from(&mut (&mut buf).limit(2)).await.unwrap();
            (len, len_of_second, len_of_third, buf)
        });
        for part in ["one", "three", "cut"] {
            turn().await;
            far.send(part.as_bytes()).await.unwrap();
        }
        assert_eq!(soon("all", receiving).await.unwrap(), (3, 5, 2, b"onethreecu".to_vec()));
    });
}
