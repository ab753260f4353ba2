//! `lookup_host`: what is an address already, what is looked up, and what is neither.

mod common;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use aio_runtime::net::{ToSocketAddrs, lookup_host};
use aio_runtime::task::yield_now;
use aio_runtime::{Builder, spawn};
use common::busy::BusyThread;
use common::{poll_once, run, run_on, soon};
use futures::FutureExt;

/// The addresses that `host` stands for, without a thread: the look-up is ready at once.
#[track_caller]
fn known(host: impl ToSocketAddrs) -> Vec<SocketAddr> {
    lookup_host(host).now_or_never().expect("an address needs no look-up").unwrap().collect()
}

#[test]
fn an_address_is_what_it_says() {
    run(async {
        let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        assert_eq!(known(v4), [v4]);
        assert_eq!(known(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80)), [v4]);
        assert_eq!(known((IpAddr::from(Ipv4Addr::LOCALHOST), 80)), [v4]);
        assert_eq!(known((Ipv4Addr::LOCALHOST, 80)), [v4]);
        assert_eq!(known("127.0.0.1:80"), [v4]);
        assert_eq!(known(String::from("127.0.0.1:80")), [v4]);
        assert_eq!(known(("127.0.0.1", 80)), [v4]);
        assert_eq!(known((String::from("127.0.0.1"), 80)), [v4]);

        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 80));
        let with_scope = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 1, 2);
        assert_eq!(known(with_scope), [SocketAddr::V6(with_scope)]);
        assert_eq!(known((Ipv6Addr::LOCALHOST, 80)), [v6]);
        assert_eq!(known("[::1]:80"), [v6]);
        assert_eq!(known(("::1", 80)), [v6]);

        assert_eq!(known(&[v4, v6][..]), [v4, v6]);
        assert_eq!(known(&[v6, v4][..]), [v6, v4]);
        let none: &[SocketAddr] = &[];
        assert!(known(none).is_empty());
    });
}

#[test]
fn a_name_is_looked_up_on_the_pool() {
    run_on(Builder::new().max_blocking_threads(1), async {
        let busy = BusyThread::begin().await;
        let looking_up = spawn(async { lookup_host("localhost:80").await.unwrap().collect::<Vec<_>>() });
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(!looking_up.is_finished(), "it has found a thread");
        busy.end().await;
        let found = soon("the look-up", looking_up).await.unwrap();
        assert!(!found.is_empty(), "nothing found");
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80), "{found:?}");
        let by_pair: Vec<_> = soon("the look-up", lookup_host(("localhost", 80))).await.unwrap().collect();
        assert_eq!(by_pair, found);
    });
}

#[test]
fn what_is_no_address() {
    run(async {
        for wrong in ["localhost", "localhost:65536", "127.0.0.1", ""] {
            let found = soon("the look-up", lookup_host(wrong)).await;
            let error = found.map(Iterator::count).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}: {error}");
        }
        // A label is too long for a name: no name server has to be asked.
        let unknown = soon("the look-up", lookup_host(("x".repeat(64), 80))).await;
        let error = unknown.map(Iterator::count).unwrap_err();
        assert!(error.to_string().contains("lookup"), "{error}");
    });
}

#[test]
fn a_look_up_that_is_dropped_keeps_nothing() {
    run_on(Builder::new().max_blocking_threads(1), async {
        let busy = BusyThread::begin().await;
        let mut looking_up = Box::pin(lookup_host("localhost:80"));
        assert!(!poll_once(looking_up.as_mut()), "it has found a thread");
        drop(looking_up);
        busy.end().await;
        // The one thread is free.
        let found = soon("the look-up", lookup_host("localhost:80")).await.unwrap();
        assert!(found.count() > 0);
    });
}
