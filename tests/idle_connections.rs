//! Thousands of idle connections: each still answers, and fresh ones still close quickly.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::TcpStream;
use aio_runtime::task::{JoinHandle, yield_now};
use aio_runtime::{Builder, Handle, spawn};
use common::{ANY_PORT, Clean, is_at_rest, rest, run_on, soon, stream_and_peer_by};
use rustix::process::{Resource, getrlimit, setrlimit};

/// Connections whose reads are pending, and their peers.
struct Idle {
    readers: Vec<JoinHandle<()>>,
    peers: Vec<std::net::TcpStream>,
}

impl Idle {
    async fn open(number: usize) -> Self {
        let mut idle = Idle { readers: Vec::new(), peers: Vec::new() };
        let listener = std::net::TcpListener::bind(ANY_PORT).unwrap();
        for _ in 0..number {
            let (stream, peer) = stream_and_peer_by(&listener);
            idle.readers.push(spawn(serve(stream)));
            idle.peers.push(peer);
        }
        while Handle::current().metrics().submitted_polls == 0 {
            yield_now().await;
        }
        idle
    }

    async fn close(self) {
        drop(self.peers);
        for reader in self.readers {
            soon("the end of a connection", reader).await.unwrap();
        }
    }
}

/// Answers each byte with the next one.
async fn serve(mut stream: TcpStream) {
    let mut byte = [0];
    while stream.read(&mut byte).await.unwrap() > 0 {
        stream.write_all(&[byte[0].wrapping_add(1)]).await.unwrap();
    }
}

/// Expects an answer from every connection.
async fn exchange(peers: &mut [std::net::TcpStream]) {
    for (number, peer) in peers.iter_mut().enumerate() {
        peer.write_all(&[number as u8]).unwrap();
        peer.set_nonblocking(true).unwrap();
        let mut byte = [0];
        while peer.read(&mut byte).is_err() {
            yield_now().await;
        }
        assert_eq!(byte, [(number as u8).wrapping_add(1)]);
    }
}

/// As many pairs as the limit on descriptors allows, up to 6000.
fn pairs() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    let _ = setrlimit(Resource::Nofile, raised);
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    ((descriptors as usize).saturating_sub(200) / 2).min(6000)
}

#[test]
fn fresh_connections_are_dropped_beside_idle_ones() {
    let pairs = pairs();
    let fresh = pairs / 6;
    run_on(Builder::new().capacity(16384), async {
        let idle = Idle::open(pairs - fresh).await;
        let mut young = Idle::open(fresh).await;
        // All are armed in the kernel, the young ones at the end of its list, where a cancel takes
        // longest.
        exchange(&mut young.peers[..1]).await;
        let begin = Instant::now();
        for reader in &young.readers {
            reader.abort();
        }
        for reader in young.readers {
            assert!(soon("an abort", reader).await.unwrap_err().is_cancelled());
        }
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(5), "{fresh} cancels beside {pairs} polls took {took:?}");
        let ended = async {
            for peer in &mut young.peers {
                peer.set_nonblocking(true).unwrap();
                let mut byte = [0];
                loop {
                    match peer.read(&mut byte) {
                        Ok(read) => break assert_eq!(read, 0),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                    }
                    yield_now().await;
                }
            }
        };
        soon("the ends of the dropped connections", ended).await;
        idle.close().await;
    });
}

#[test]
fn more_connections_than_slots() {
    // The smallest ring is one page, which has fewer slots than that.
    run_on(Builder::new().capacity(1), async {
        let mut idle = Idle::open(1000).await;
        exchange(&mut idle.peers).await;
        let metrics = Handle::current().metrics();
        assert!(metrics.capacity < 1000 && metrics.slots_peak <= metrics.capacity, "{metrics:#?}");
        assert!(metrics.overflow_fds > 0, "{metrics:#?}");
        exchange(&mut idle.peers).await;
        // Half of them are closed by this end, later the rest by the peers.
        for reader in idle.readers.drain(..500) {
            reader.abort();
            assert!(soon("an abort", reader).await.unwrap_err().is_cancelled());
        }
        exchange(&mut idle.peers[500..]).await;
        idle.close().await;
    });
}

#[test]
fn the_runtime_ends_with_idle_connections() {
    let clean = Clean::begin();
    let runtime = Builder::new().capacity(8192).build().unwrap();
    let idle = runtime.block_on(async {
        let mut idle = Idle::open(2000).await;
        exchange(&mut idle.peers[1999..]).await;
        idle
    });
    let begin = Instant::now();
    drop(idle.readers);
    drop(runtime);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    drop(idle.peers);
    clean.end_without_runtime();
}

#[test]
fn connections_come_and_go_through_the_overflow() {
    run_on(Builder::new().capacity(1), async {
        let mut waves = Vec::new();
        for _ in 0..5 {
            waves.push(Idle::open(200).await);
            exchange(&mut waves.last_mut().unwrap().peers).await;
            if waves.len() > 2 {
                waves.remove(0).close().await;
            }
        }
        for wave in waves {
            wave.close().await;
        }
        rest().await;
        assert!(is_at_rest(&Handle::current().metrics()));
    });
}
