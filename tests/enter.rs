//! A runtime that is entered is the current one of the thread, and makes no progress.

mod common;

use std::cell::Cell;
use std::mem;
use std::rc::Rc;

use aio_runtime::net::UdpSocket;
use aio_runtime::task::yield_now;
use aio_runtime::{Handle, Runtime, spawn};
use common::{ANY_PORT, panic_of};

#[test]
fn tasks_and_sockets_made_inside_a_guard_run_in_block_on() {
    let runtime = Runtime::new().unwrap();
    let ran = Rc::new(Cell::new(false));
    let guard = runtime.enter();
    let task = spawn({
        let ran = Rc::clone(&ran);
        async move { ran.set(true) }
    });
    let socket = UdpSocket::from_std(std::net::UdpSocket::bind(ANY_PORT).unwrap()).unwrap();
    drop(guard);
    assert!(Handle::try_current().is_err());
    assert!(!ran.get(), "nobody runs the loop");

    let addr = socket.local_addr().unwrap();
    let received = runtime.block_on(async {
        task.await.unwrap();
        socket.send_to(b"x", addr).await.unwrap();
        socket.recv_from(&mut [0; 8]).await.unwrap()
    });
    assert_eq!(received, (1, addr));
    assert!(ran.get());
}

#[test]
fn the_innermost_guard_counts() {
    let (outer, inner) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let spawn_one = || {
        let ran = Rc::new(Cell::new(false));
        drop(spawn({
            let ran = Rc::clone(&ran);
            async move { ran.set(true) }
        }));
        ran
    };
    let _outer = outer.enter();
    let guard = inner.enter();
    let of_inner = spawn_one();
    drop(guard);
    let of_outer = spawn_one();

    // Even inside a guard, either may run.
    inner.block_on(yield_now());
    assert_eq!((of_inner.get(), of_outer.get()), (true, false));
    outer.block_on(async {
        let _same = outer.enter();
        yield_now().await;
    });
    assert!(of_outer.get());
    assert!(Handle::try_current().is_ok());
}

#[test]
fn guards_are_dropped_in_reverse_order() {
    let runtime = Runtime::new().unwrap();
    let first = runtime.enter();
    let second = runtime.enter();
    let (_, text) = panic_of(|| drop(first));
    assert!(text.contains("before one that was made after it"), "{text}");
    drop(second);
}

#[test]
fn another_runtime_is_not_entered_inside_block_on() {
    let (runtime, other) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let (file, text) = runtime.block_on(async { panic_of(|| other.enter()) });
    assert_eq!(file, file!());
    assert!(text.contains("cannot enter a runtime inside the block_on of another one"), "{text}");
}

#[test]
fn a_guard_inside_block_on_lets_no_loop_run_inside_the_loop() {
    let (runtime, other) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    runtime.block_on(async {
        let _guard = runtime.enter();
        for nested in [&runtime, &other] {
            let (file, text) = panic_of(|| nested.block_on(async {}));
            assert_eq!(file, file!());
            assert!(text.contains("cannot block_on within a runtime"), "{text}");
        }
        let (_, text) = panic_of(|| other.enter());
        assert!(text.contains("cannot enter a runtime inside the block_on of another one"), "{text}");
    });
    other.block_on(yield_now());
}

#[test]
fn a_guard_that_outlives_its_block_on_leaves_others_alone() {
    let (runtime, other) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let late = runtime.block_on(async { runtime.enter() });
    // As deep as the late one was.
    let first = other.enter();
    let second = other.enter();
    let (_, text) = panic_of(|| drop(late));
    assert!(text.contains("after the block_on that it was made in"), "{text}");
    // Nothing of `runtime` is back: the thread leaves `other` in order, and is then outside.
    drop(second);
    assert!(Handle::try_current().is_ok());
    drop(first);
    assert!(Handle::try_current().is_err());
    assert_eq!(other.block_on(async { spawn(async { 7 }).await.unwrap() }), 7);
}

#[test]
fn a_guard_leaked_inside_block_on_ends_with_it() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async { mem::forget(runtime.enter()) });
    assert!(Handle::try_current().is_err());
    assert_eq!(runtime.block_on(async { spawn(async { 7 }).await.unwrap() }), 7);
}
