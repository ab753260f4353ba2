//! Reads that take their buffer from a pool when there is something to read.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::pin::pin;

use aio_runtime::io::AsyncWriteExt;
use aio_runtime::net::pool::{self, Pool, PooledRead};
use aio_runtime::spawn;
use futures::future::join_all;

use super::{stream_and_peer, stream_pair};
use crate::common::{pattern, poll_once, run, soon, turn};

#[test]
fn a_read_that_waits_has_no_buffer() {
    run(async {
        let pool = Pool::new(8);
        let (stream, mut peer) = stream_and_peer();
        let mut read = pin!(stream.read_pooled(&pool));
        assert!(!poll_once(read.as_mut()));
        turn().await;
        assert!(!poll_once(read.as_mut()));
        assert_eq!(pool.kept(), 1, "the attempt's is back");
        peer.write_all(b"0123456789").unwrap();
        let first = soon("a chunk", read).await.unwrap();
        assert_eq!(&*first, b"01234567");
        assert_eq!(pool.kept(), 0);
        let second = soon("the rest", stream.read_pooled(&pool)).await.unwrap();
        assert_eq!(&*second, b"89");
        drop((first, second));
        assert_eq!(pool.kept(), 2);
        drop(peer);
        assert!(soon("the end", stream.read_pooled(&pool)).await.unwrap().is_empty());
    });
}

#[test]
fn a_dropped_read_takes_nothing() {
    run(async {
        let pool = Pool::new(64);
        let (stream, mut peer) = stream_and_peer();
        for byte in 0..10 {
            assert!(!poll_once(pin!(stream.read_pooled(&pool))));
            peer.write_all(&[byte]).unwrap();
            turn().await;
            let chunk = soon("the byte", stream.read_pooled(&pool)).await.unwrap();
            assert_eq!(&*chunk, [byte]);
        }
        assert_eq!(pool.kept(), 1);
    });
}

#[test]
fn idle_echoes_share_what_the_busy_ones_need() {
    const CONNECTIONS: usize = 200;
    run(async {
        let pool = Pool::keep(4096, usize::MAX);
        let (mut peers, mut echoes) = (Vec::new(), Vec::new());
        for _ in 0..CONNECTIONS {
            let (stream, peer) = stream_pair();
            let pool = pool.clone();
            echoes.push(spawn(async move { pool::copy(&stream, &mut &stream, &pool).await }));
            peers.push(peer);
        }
        let other = Pool::new(64);
        for peer in &mut peers {
            peer.write_all(b"hello").await.unwrap();
            assert_eq!(&*soon("the echo", peer.read_pooled(&other)).await.unwrap(), b"hello");
        }
        // As many as were ever in use at once.
        assert!(pool.kept() <= 2, "{pool:?}");
        drop(peers);
        for echoed in soon("all ends", join_all(echoes)).await {
            assert_eq!(echoed.unwrap().unwrap(), 5);
        }
    });
}

#[test]
fn what_is_copied_is_what_came() {
    run(async {
        let pool = Pool::keep(1000, 1);
        let (stream, mut peer) = stream_and_peer();
        let mut writer = peer.try_clone().unwrap();
        std::thread::spawn(move || writer.write_all(&pattern(300_000)).unwrap());
        let reader = std::thread::spawn(move || {
            let mut echoed = vec![0; 300_000];
            peer.read_exact(&mut echoed).unwrap();
            peer.shutdown(Shutdown::Both).unwrap();
            echoed
        });
        let echo = spawn(async move {
            let copied = pool::copy(&stream, &mut &stream, &pool).await;
            (copied, pool.kept())
        });
        let (copied, kept) = soon("the copy", echo).await.unwrap();
        assert_eq!(copied.unwrap(), 300_000);
        assert_eq!(kept, 1, "no more than it is to keep");
        assert_eq!(reader.join().unwrap(), pattern(300_000));
    });
}
