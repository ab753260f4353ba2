//! How long the loop stalls when thousands of connections end at once. A measurement, not part of
//! the suite:
//!
//! ```sh
//! cargo test --release --test mass_close -- --ignored --nocapture
//! ```
//!
//! That no drop waits is checked without a clock, in `reactor/tests/closing.rs`.

mod common;

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read as _};
use std::net::TcpListener;
use std::rc::Rc;
use std::time::{Duration, Instant};

use aio_runtime::io::AsyncReadExt;
use aio_runtime::task::{JoinHandle, yield_now};
use aio_runtime::time::sleep;
use aio_runtime::{Builder, Handle, spawn};
use common::busy::Hogs;
use common::{ANY_PORT, processor_time, stream_and_peer_by};

/// The longest that a task which always yields had to wait, by the clock and by the CPU time of its
/// thread. (On a busy machine the thread itself has to wait, which is not the loop's fault.)
#[derive(Clone, Copy, Debug, Default)]
struct Gap {
    clock: Duration,
    cpu: Duration,
}

async fn watch(longest: Rc<Cell<Gap>>) {
    let mut latest = (Instant::now(), processor_time());
    loop {
        yield_now().await;
        let now = (Instant::now(), processor_time());
        let Gap { clock, cpu } = longest.get();
        longest.set(Gap { clock: clock.max(now.0 - latest.0), cpu: cpu.max(now.1 - latest.1) });
        latest = now;
    }
}

#[derive(Clone, Copy, Debug)]
enum Order {
    OldestFirst,
    NewestFirst,
}

fn measure(streams: usize, hogs: usize, order: Order) {
    let busy = Hogs::begin(hogs);
    let runtime = Builder::new().capacity(2 * streams as u32).build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind(ANY_PORT).unwrap();
        let peers = RefCell::new(Vec::new());
        let mut readers: Vec<JoinHandle<()>> = (0..streams)
            .map(|_| {
                let (mut stream, peer) = stream_and_peer_by(&listener);
                peer.set_nonblocking(true).unwrap();
                peers.borrow_mut().push(peer);
                spawn(async move { assert!(stream.read(&mut [0]).await.is_err()) })
            })
            .collect();
        sleep(Duration::from_millis(50)).await;
        let longest = Rc::<Cell<Gap>>::default();
        let watching = spawn(watch(longest.clone()));
        sleep(Duration::from_millis(300)).await;
        let usual = longest.take();
        if let Order::NewestFirst = order {
            readers.reverse();
        }
        let before = Handle::current().metrics();
        let begin = Instant::now();
        readers.iter().for_each(JoinHandle::abort);
        let mut peers = peers.take();
        while let Some(peer) = peers.last_mut() {
            match peer.read(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ended => drop(peers.pop()),
            }
            yield_now().await;
        }
        let took = begin.elapsed();
        let stalled = longest.take();
        let cancels = Handle::current().metrics().cancels - before.cancels;
        watching.abort();
        println!(
            "{streams} streams, {order:?}, {} busy threads: longest gap {stalled:.1?} (before: {usual:.1?}); \
             all ended after {took:.1?}, {cancels} cancels",
            hogs
        );
    });
    drop(busy);
}

#[test]
#[ignore = "a measurement, which needs a quiet machine"]
fn thousands_of_armed_streams_end_at_once() {
    for streams in [2_000, 9_000] {
        for hogs in [0, 2] {
            for order in [Order::OldestFirst, Order::NewestFirst] {
                measure(streams, hogs, order);
            }
        }
    }
}
