//! Connecting and accepting.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use aio_runtime::io::AsyncReadExt;
use aio_runtime::task::yield_now;
use aio_runtime::time::{sleep, timeout};
use aio_runtime::{Runtime, spawn};
use futures::future::poll_fn;

use super::text_of;
use crate::common::{self, Clean, run, soon};
use crate::kind::{Deserted, connect, connect_std, listen};

#[test]
fn poll_accept_by_hand() {
    run(async {
        let listener = listen().await;
        let address = listener.local_addr().unwrap();
        let accepting = spawn(async move { poll_fn(|cx| listener.poll_accept(cx)).await.unwrap().1 });
        yield_now().await;
        let client = connect(&address).await.unwrap();
        assert_eq!(text_of(Ok(soon("an accept", accepting).await.unwrap())), text_of(client.local_addr()));
    });
}

#[test]
fn accepted_streams_belong_to_the_listeners_runtime() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(listen());
    let address = listener.local_addr().unwrap();
    // A connection that is there needs no waiting for, so no runtime around the accept.
    for other in [None, Some(Runtime::new().unwrap())] {
        let mut peer = connect_std(&address).unwrap();
        let (mut stream, _) = match &other {
            None => futures::executor::block_on(listener.accept()).unwrap(),
            Some(other) => other.block_on(listener.accept()).unwrap(),
        };
        drop(other);
        runtime.block_on(async {
            let reading = spawn(async move { stream.read(&mut [0]).await });
            sleep(Duration::from_millis(1)).await;
            peer.write_all(b"x").unwrap();
            assert_eq!(soon("a byte", reading).await.unwrap().unwrap(), 1);
        });
    }
    drop(listener);
    clean.end(runtime);
}

#[test]
fn a_dropped_accept_takes_no_connection() {
    run(async {
        let listener = listen().await;
        for _ in 0..10 {
            assert!(timeout(Duration::from_micros(100), listener.accept()).await.is_err());
        }
        let peer = connect_std(&listener.local_addr().unwrap()).unwrap();
        let (_, address) = soon("an accept", listener.accept()).await.unwrap();
        assert_eq!(text_of(Ok(address)), text_of(peer.local_addr()));
    });
}

#[test]
fn descriptors_run_out() {
    // In a process of its own, whose limit is small.
    let limit = rustix::process::Resource::Nofile;
    if !common::is_child() {
        return common::assert_passed(&common::in_child("streams::listening::descriptors_run_out"));
    }
    run(async {
        let listener = listen().await;
        let address = listener.local_addr().unwrap();
        let before = rustix::process::getrlimit(limit);
        let few = rustix::process::Rlimit { current: Some(20), ..before };
        rustix::process::setrlimit(limit, few).unwrap();
        let mut hoard = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
        let error = connect(&address).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        hoard.pop();
        let client = connect(&address).await.unwrap();
        let error = soon("the failure", listener.accept()).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        // The connection has waited.
        hoard.pop();
        let (_, peer) = soon("an accept", listener.accept()).await.unwrap();
        assert_eq!(text_of(Ok(peer)), text_of(client.local_addr()));
        drop(hoard);
        rustix::process::setrlimit(limit, before).unwrap();
    });
}

#[test]
fn connect_where_nobody_listens() {
    run(async {
        let deserted = Deserted::new();
        let error = soon("the refusal", connect(&deserted.address())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn connects_succeed_and_are_refused_while_they_wait() {
    run(async {
        let listener = listen().await;
        let (address, deserted) = (listener.local_addr().unwrap(), Deserted::new());
        for _ in 0..50 {
            let good = spawn(connect(&address));
            let bad = spawn(connect(&deserted.address()));
            soon("an accept", listener.accept()).await.unwrap();
            soon("a connect", good).await.unwrap().unwrap();
            let error = soon("a refusal", bad).await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
    });
}
