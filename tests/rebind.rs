//! A listener's port is free when its `drop` returns, whatever the kernel's preemption model.
//!
//! The long run is not part of the suite. Under `preempt=full` a kernel thread that ends a
//! cancelled poll can be preempted between the event and the release of the file, so run it under
//! both models, as root:
//!
//! ```sh
//! mount -t debugfs none /sys/kernel/debug
//! cat /sys/kernel/debug/sched/preempt         # the model in brackets is to be put back
//! for model in none full; do
//!     echo $model > /sys/kernel/debug/sched/preempt
//!     cargo test --release --test rebind -- --ignored --nocapture
//! done
//! ```
//!
//! Listeners wait in the nested epoll for this reason. In a virtual machine with Linux 6.12 and two
//! CPUs, emulated and beside four busy threads, 200,000 rounds found the port taken 455 times under
//! `full` and 7 times under `none` while they waited by armed polls, and never since.
//!
//! `ROUNDS` (200,000) and `HOGS` (two busy threads for each core) may be set in the environment. A
//! kernel in lockdown refuses the change; then `preempt=full` on its command line does it.

mod common;

use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::thread;
use std::time::Instant;

use aio_runtime::net::TcpListener;
use common::busy::Hogs;
use common::{poll_once, run, turn};

/// Binds, waits for a connection in vain, drops, and binds again at once, by `std`. Returns how
/// many of these binds failed.
async fn rebind(rounds: usize) -> usize {
    // This process's own, so that no connection of another one gets the port in between.
    let [.., high, low] = std::process::id().to_be_bytes();
    let own = SocketAddr::from(([127, 77, high, low], 0));
    let address = StdListener::bind(own).unwrap().local_addr().unwrap();
    let mut failures = 0;
    for _ in 0..rounds {
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                // The failure before has been counted; the kernel frees the port a tick later.
                Err(_) => thread::yield_now(),
            }
        };
        {
            let mut accept = pin!(listener.accept());
            assert!(!poll_once(accept.as_mut()));
            turn().await;
        }
        drop(listener);
        failures += usize::from(StdListener::bind(address).is_err());
    }
    failures
}

#[test]
fn a_port_is_free_when_drop_returns() {
    assert_eq!(run(rebind(500)), 0);
}

#[test]
#[ignore = "takes minutes, and is meant for a kernel with preempt=full"]
fn a_port_is_free_when_drop_returns_on_a_loaded_machine() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<usize>().unwrap());
    let rounds = number("ROUNDS").unwrap_or(200_000);
    let hogs = number("HOGS").unwrap_or_else(|| 2 * thread::available_parallelism().unwrap().get());
    let busy = Hogs::begin(hogs);
    let begin = Instant::now();
    // Not under the watchdog of the other tests: it takes as long as it takes.
    let failures = aio_runtime::Runtime::new().unwrap().block_on(rebind(rounds));
    println!("{rounds} rebinds beside {hogs} busy threads in {:?}: {failures} failed", begin.elapsed());
    drop(busy);
    assert_eq!(failures, 0);
}
