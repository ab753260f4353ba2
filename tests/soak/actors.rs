//! Listeners on one port again and again; tasks that sleep, are aborted, or wait for the pool.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::spawn;
use aio_runtime::task::{spawn_blocking, yield_now};
use aio_runtime::time::{Instant, sleep, timeout};
use futures::future::{Either, select};

use crate::random::Random;
use crate::streams::Dropper;
use crate::world::PATIENCE;

/// Binds a port, accepts perhaps, and binds it again: it must be free at once.
pub(crate) async fn listeners(random: Rc<Random>, dropper: Dropper) {
    // Of this process, so that nobody else takes the port while nobody listens on it.
    let [.., a, b, c] = std::process::id().to_be_bytes();
    let mut address = SocketAddr::from(([127, a, b, c | 2], 0));
    while random.next_op() {
        let listener = match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(error) => panic!("bind({address}): {error}"),
        };
        address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        let mut accepted = BTreeSet::new();
        for _ in 0..random.below(4) {
            if random.one_in(2) && random.next_op() {
                let connect = TcpStream::connect(address);
                let client = match random.below(4) {
                    0 => random.perhaps_elsewhere(&dropper, connect).await,
                    _ => random.perhaps(connect).await,
                };
                clients.extend(client.map(Result::unwrap));
            }
            if let Some(client) = random.perhaps(listener.accept()).await {
                accepted.insert(client.unwrap().1);
            }
        }
        // An accept that was dropped has taken none away.
        for client in clients {
            let client = client.local_addr().unwrap();
            while !accepted.contains(&client) {
                let next = timeout(PATIENCE, listener.accept()).await;
                accepted.insert(next.unwrap_or_else(|_| panic!("{client} is not accepted")).unwrap().1);
            }
        }
    }
}

/// Sleeps, races, aborts, and calls to the pool.
pub(crate) async fn tasks(random: Rc<Random>, dropper: Dropper) {
    while random.next_op() {
        let time = Duration::from_micros(random.below(2_000) as u64);
        match random.below(6) {
            0 => {
                let begin = Instant::now();
                if random.perhaps(sleep(time)).await.is_some() {
                    assert!(begin.elapsed() >= time, "a sleep of {time:?} ended early");
                }
            }
            1 => {
                let task = spawn(sleep(Duration::from_secs(3600)));
                yield_now().await;
                task.abort();
                assert!(task.await.unwrap_err().is_cancelled());
            }
            2 => {
                let number = random.below(1000);
                let call = spawn_blocking(move || number + 1);
                if let Some(output) = random.perhaps(call).await {
                    assert_eq!(output.unwrap(), number + 1);
                }
            }
            3 => {
                let race = select(Box::pin(sleep(time)), Box::pin(sleep(2 * time)));
                if let Either::Right(_) = race.await {
                    // Both were due in the same turn.
                    sleep(time).await;
                }
            }
            4 => {
                random.perhaps_elsewhere(&dropper, sleep(time)).await;
            }
            _ => assert!(timeout(time, std::future::pending::<()>()).await.is_err()),
        }
    }
}
