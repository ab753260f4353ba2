//! Misuse panics with a sentence that says what to do, at the line of the misuse and not inside the
//! library.

mod common;

use std::time::Duration;

use aio_runtime::fs::{Buf, File, OpenOptions};
use aio_runtime::net::unix::pipe::{Receiver, Sender, pipe};
use aio_runtime::net::{
    TcpListener, TcpSocket, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream, lookup_host,
};
use aio_runtime::task::{spawn_blocking, spawn_local};
use aio_runtime::time::{sleep, timeout};
use aio_runtime::{Builder, Handle, Runtime, spawn};
use common::{ANY_PORT, Clean, panic_of, run};
use rustix::fs::{OFlags, fcntl_getfl};

/// Asserts that something that is called outside a runtime panics in this file, with a text that
/// says how to be inside one.
#[track_caller]
fn assert_wants_runtime<R>(misuse: impl FnOnce() -> R) {
    let (file, text) = panic_of(misuse);
    assert_eq!(file, file!());
    assert!(text.contains("there is no aio-runtime on this thread"), "{text}");
    assert!(text.contains("#[aio_runtime::main]") && text.contains("block_on"), "{text}");
}

#[test]
fn calls_outside_a_runtime() {
    let clean = Clean::begin();
    assert_wants_runtime(|| spawn(async {}));
    assert_wants_runtime(|| spawn_local(async {}));
    assert_wants_runtime(|| spawn_blocking(|| ()));
    assert_wants_runtime(|| Handle::current());
    let error = Handle::try_current().unwrap_err();
    assert!(error.is_missing_context() && error.to_string().contains("no aio-runtime on this thread"));
    let listener = std::net::TcpListener::bind(ANY_PORT).unwrap();
    let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert_wants_runtime(|| TcpListener::from_std(listener));
    assert_wants_runtime(|| TcpStream::from_std(stream));
    let socket = std::net::UdpSocket::bind(ANY_PORT).unwrap();
    assert_wants_runtime(|| UdpSocket::from_std(socket));
    assert_wants_runtime(|| TcpSocket::new_v4().unwrap().listen(1));
    let (left, right) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_wants_runtime(|| UnixStream::from_std(left));
    assert_wants_runtime(|| UnixStream::pair());
    assert_wants_runtime(|| pipe());
    let (reader, writer) = std::io::pipe().unwrap();
    assert_wants_runtime(|| Receiver::from_owned_fd(reader.try_clone().unwrap().into()));
    assert!(!fcntl_getfl(&reader).unwrap().contains(OFlags::NONBLOCK), "others share it");
    drop(reader);
    assert_wants_runtime(|| Sender::from_owned_fd(writer.into()));
    assert_wants_runtime(|| UnixDatagram::pair());
    assert_wants_runtime(|| UnixDatagram::unbound());
    drop(right);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    assert_wants_runtime(|| UnixListener::bind(&path));
    assert_wants_runtime(|| UnixDatagram::bind(&path));
    assert!(!path.exists(), "it was bound anyway");
    clean.end_without_runtime();
}

#[test]
fn awaits_outside_a_runtime() {
    let clean = Clean::begin();
    let file = std::env::current_exe().unwrap();
    assert_wants_runtime(|| futures::executor::block_on(async { sleep(Duration::ZERO).await }));
    assert_wants_runtime(|| {
        futures::executor::block_on(async { timeout(Duration::ZERO, std::future::pending::<()>()).await })
    });
    assert_wants_runtime(|| futures::executor::block_on(async { TcpStream::connect("127.0.0.1:1").await }));
    assert_wants_runtime(|| futures::executor::block_on(async { TcpListener::bind(ANY_PORT).await }));
    assert_wants_runtime(|| futures::executor::block_on(async { UdpSocket::bind(ANY_PORT).await }));
    assert_wants_runtime(|| {
        let socket = TcpSocket::new_v4().unwrap();
        futures::executor::block_on(async { socket.connect("127.0.0.1:1".parse().unwrap()).await })
    });
    assert_wants_runtime(|| futures::executor::block_on(async { lookup_host("localhost:1").await.is_ok() }));
    assert_wants_runtime(|| futures::executor::block_on(async { UnixStream::connect("\0nobody").await }));
    assert_wants_runtime(|| futures::executor::block_on(async { File::open(&file).await }));
    assert_wants_runtime(|| {
        futures::executor::block_on(async { OpenOptions::new().read(true).direct(true).open(&file).await })
    });
    assert_wants_runtime(|| futures::executor::block_on(async { File::create("/nowhere/file").await }));
    let file = File::from_std(std::fs::File::open(&file).unwrap());
    assert_wants_runtime(|| futures::executor::block_on(async { file.read_at(Buf::zeroed(1), 0).await }));
    assert_wants_runtime(|| futures::executor::block_on(async { file.read_exact_at(Buf::zeroed(1), 0).await }));
    assert_wants_runtime(|| futures::executor::block_on(async { file.write_at(Buf::zeroed(1), 0).await }));
    assert_wants_runtime(|| futures::executor::block_on(async { file.write_all_at(Buf::zeroed(1), 0).await }));
    assert_wants_runtime(|| futures::executor::block_on(async { file.sync_all().await }));
    assert_wants_runtime(|| futures::executor::block_on(async { file.sync_data().await }));
    drop(file);
    clean.end_without_runtime();
}

#[test]
fn a_function_for_the_pool_is_not_run_when_spawn_blocking_panics() {
    let clean = Clean::begin();
    let (ran, has_run) = std::sync::mpsc::channel();
    assert_wants_runtime(move || spawn_blocking(move || ran.send(())));
    // The sender is dropped with the function.
    assert!(has_run.recv().is_err(), "it ran, though spawn_blocking panicked");
    clean.end_without_runtime();
}

#[test]
fn futures_are_made_anywhere_and_awaited_in_a_runtime() {
    let clean = Clean::begin();
    let sleeping = sleep(Duration::from_millis(1));
    let binding = TcpListener::bind(ANY_PORT);
    let opening = File::open(std::env::current_exe().unwrap());
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        sleeping.await;
        binding.await.unwrap();
        opening.await.unwrap();
    });
    clean.end(runtime);
}

#[track_caller]
fn assert_refuses_to_nest<R>(misuse: impl FnOnce() -> R) {
    let (file, text) = panic_of(misuse);
    assert_eq!(file, file!());
    assert!(text.contains("cannot block_on within a runtime"), "{text}");
}

#[test]
fn nested_block_on() {
    let clean = Clean::begin();
    let (runtime, other) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    runtime.block_on(async {
        assert_refuses_to_nest(|| runtime.block_on(async {}));
        assert_refuses_to_nest(|| other.block_on(async {}));
    });
    // The same in a task. Afterwards both runtimes still work.
    let nested = std::rc::Rc::new(other);
    let task = runtime.spawn({
        let nested = nested.clone();
        async move { assert_refuses_to_nest(|| nested.block_on(async {})) }
    });
    runtime.block_on(task).unwrap();
    assert_eq!(nested.block_on(async { 1 }), 1);
    drop(nested);
    clean.end(runtime);
}

#[test]
fn settings_of_zero() {
    let clean = Clean::begin();
    let (file, text) = panic_of(|| Builder::new().event_interval(0).build());
    assert_eq!(file, file!());
    assert!(text.contains("event_interval"), "{text}");
    let (file, text) = panic_of(|| Builder::new().capacity(0).build());
    assert_eq!(file, file!());
    assert!(text.contains("capacity"), "{text}");
    clean.end_without_runtime();
}

#[test]
fn into_panic_of_a_task_that_did_not_panic() {
    run(async {
        let task = spawn(std::future::pending::<()>());
        task.abort();
        let error = task.await.unwrap_err();
        let (file, text) = panic_of(|| error.into_panic());
        assert_eq!(file, file!());
        assert!(text.contains("cancelled"), "{text}");
    });
}
