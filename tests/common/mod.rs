//! What the test files share: running a test on a runtime, and checking that it leaves nothing
//! behind.
#![allow(dead_code)] // Each test file is a crate of its own, and none uses all of this.

pub(crate) mod busy;
pub(crate) mod datagrams;
pub(crate) mod files;
pub(crate) mod fork;
#[path = "../../reactor/tests/limits.rs"]
mod limits;
#[path = "../../reactor/tests/listener.rs"]
pub(crate) mod listener;
pub(crate) mod log;

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{Command, Output};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use aio_runtime::fs::File;
use aio_runtime::net::TcpStream;
use aio_runtime::task::yield_now;
use aio_runtime::time::{sleep, timeout};
use aio_runtime::{Builder, Handle, Metrics, Runtime};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketType, sockopt};
use rustix::time::{ClockId, clock_gettime};

/// How long a test may take before it counts as hanging.
const TEST_LIMIT: Duration = Duration::from_secs(50);

/// How long what was dropped may take to be gone; far more than it needs.
const REST_LIMIT: Duration = Duration::from_secs(10);

/// Runs a test's future on a runtime with the default settings; see [`run_on`].
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    run_on(&mut Builder::new(), future)
}

/// Runs a test's future on a runtime of its own, and checks that it leaves nothing behind: no
/// request in the kernel, no buffer parked, no descriptor open.
pub(crate) fn run_on<F: Future>(builder: &mut Builder, future: F) -> F::Output {
    let clean = Clean::begin();
    let runtime = builder.build().unwrap();
    let output = runtime.block_on(async {
        let output = future.await;
        rest().await;
        output
    });
    clean.end(runtime);
    output
}

/// Waits until the current runtime is at rest.
pub(crate) async fn rest() {
    let handle = Handle::current();
    let begin = Instant::now();
    while !is_at_rest(&handle.metrics()) {
        assert!(begin.elapsed() < REST_LIMIT, "the runtime does not come to rest: {:#?}", handle.metrics());
        sleep(Duration::from_millis(1)).await;
    }
}

/// Lets the loop make a turn: what is queued is submitted, what has completed is seen.
pub(crate) async fn turn() {
    let handle = Handle::current();
    let turns = handle.metrics().turns;
    while handle.metrics().turns == turns {
        yield_now().await;
    }
}

/// Nothing is held but the loop's own polls: that by which other threads wake it and, once the
/// nested epoll has been needed, that of the epoll.
pub(crate) fn is_at_rest(metrics: &Metrics) -> bool {
    let own_polls = if metrics.waits_in_epoll > 0 { 2 } else { 1 };
    metrics.slots_in_use <= own_polls && metrics.orphans == 0 && metrics.overflow_fds == 0
}

/// One test at a time of those in this process, under the eyes of a watchdog; checks at its end
/// that the descriptors are those of its beginning.
pub(crate) struct Clean {
    open_before: BTreeSet<(PathBuf, PathBuf)>,
    _turn: MutexGuard<'static, ()>,
    _watchdog: limits::Watchdog,
}

impl Clean {
    pub(crate) fn begin() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        // Poisoned by a test that failed, which is no reason for this one to.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let watchdog = limits::begin(TEST_LIMIT);
        Self { open_before: open_files(), _turn: turn, _watchdog: watchdog }
    }

    /// Drops the runtime and checks what is left.
    pub(crate) fn end(self, runtime: Runtime) {
        let handle = runtime.handle().clone();
        drop(runtime);
        let left = handle.metrics();
        // It keeps the eventfd by which it would wake the loop.
        drop(handle);
        assert_eq!((left.slots_in_use, left.orphans, left.overflow_fds), (0, 0, 0));
        self.end_without_runtime();
    }

    /// Checks what is left after the test has dropped its runtimes itself.
    pub(crate) fn end_without_runtime(self) {
        // What a function on the blocking pool or a context with reads in flight held is closed a
        // little later.
        let begin = Instant::now();
        loop {
            let now = open_files();
            let left: Vec<_> = now.difference(&self.open_before).collect();
            if left.is_empty() {
                return;
            }
            assert!(begin.elapsed() < REST_LIMIT, "still open: {left:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Descriptors of this process, with what they stand for.
fn open_files() -> BTreeSet<(PathBuf, PathBuf)> {
    let links: Vec<_> = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path()).collect();
    // The directory's own descriptor is closed by now and has no target.
    links.into_iter().filter_map(|link| Some((link.clone(), std::fs::read_link(link).ok()?))).collect()
}

/// Polls a future once, with a waker that does nothing. Returns whether it is ready.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// The time that this thread has spent on a processor.
pub(crate) fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Waits, on this thread, for something that other threads or the kernel bring about.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !happened() {
        assert!(begin.elapsed() < REST_LIMIT, "not within {REST_LIMIT:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A future that has to be ready soon. The limit tells milliseconds from a hang, on a loaded
/// machine too.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match timeout(Duration::from_secs(10), future).await {
        Ok(output) => output,
        Err(_) => panic!("not within 10 s: {what}"),
    }
}

/// A connection of which the runtime has one end.
pub(crate) fn stream_and_peer() -> (TcpStream, std::net::TcpStream) {
    stream_and_peer_by(&std::net::TcpListener::bind(ANY_PORT).unwrap())
}

/// The same by way of one listener for many: where thousands of ports are in use, it takes long to
/// find a free one.
pub(crate) fn stream_and_peer_by(listener: &std::net::TcpListener) -> (TcpStream, std::net::TcpStream) {
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    (TcpStream::from_std(stream).unwrap(), peer)
}

/// A connection of which the runtime has both ends.
pub(crate) fn stream_pair() -> (TcpStream, TcpStream) {
    let (stream, peer) = stream_and_peer();
    (stream, TcpStream::from_std(peer).unwrap())
}

/// Any free port of this host.
pub(crate) const ANY_PORT: &str = "127.0.0.1:0";

/// An address where nobody listens, and nobody will.
pub(crate) struct Deserted {
    /// Bound, so that no other socket gets the port: not even the one that connects, which would
    /// then be connected to itself.
    socket: OwnedFd,
}

impl Deserted {
    pub(crate) fn new() -> Self {
        Self::at(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// At an address that was in use until now.
    pub(crate) fn at(address: &SocketAddr) -> Self {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        rustix::net::bind(&socket, address).unwrap();
        Self { socket }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        rustix::net::getsockname(&self.socket).unwrap().try_into().unwrap()
    }
}

/// A directory on the file system that the project is built on, which has `O_DIRECT` where the one
/// of temporary files may not.
pub(crate) fn real_dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Sends until the socket is full, and stays so. Returns the bytes sent.
pub(crate) fn fill(socket: impl AsFd) -> usize {
    // The kernel's first probe of a closed window comes 200 ms after the last byte was accepted,
    // and the answer makes room for one segment more, of which no event tells.
    const PROBED: Duration = Duration::from_millis(500);
    let block = pattern(65536);
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    // Left alone, it grows.
    sockopt::set_socket_send_buffer_size(&socket, 128 << 10).unwrap();
    let (mut sent, mut full_since) = (0, Instant::now());
    loop {
        // A busy machine may have put this thread off for longer: what counts is the look after it.
        let was_probed = full_since.elapsed() > PROBED;
        match rustix::net::send(&socket, &block, flags) {
            Ok(more) => (sent, full_since) = (sent + more, Instant::now()),
            Err(Errno::AGAIN) if was_probed => return sent,
            Err(Errno::AGAIN) => thread::sleep(Duration::from_millis(20)),
            Err(errno) => panic!("{errno}"),
        }
    }
}

/// `len` bytes by which a place in a file is known.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32 / 4 + 1).flat_map(|word| word.wrapping_mul(2_654_435_761).to_ne_bytes()).take(len).collect()
}

/// Opens a file for direct reading.
pub(crate) async fn open_direct(path: impl AsRef<std::path::Path>) -> File {
    let mut options = aio_runtime::fs::OpenOptions::new();
    options.read(true).direct(true).open(path).await.unwrap()
}

/// Runs one test of this file once more, in a process of its own, where [`is_child`] is true and no
/// other test runs.
pub(crate) fn in_child(test: &str) -> Output {
    child(test).output().unwrap()
}

/// The command behind [`in_child`].
pub(crate) fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    command
}

/// Asserts that a child passed its test, and shows what it said if not.
#[track_caller]
pub(crate) fn assert_passed(output: &Output) {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}", output.status);
    assert!(said.contains("1 passed"), "the child ran no test:\n{said}");
}

pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

const CHILD: &str = "AIO_RUNTIME_TEST_CHILD";

/// Counts its drops.
pub(crate) struct Dropped(pub(crate) Rc<Cell<u32>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

pub(crate) fn counter() -> Rc<Cell<u32>> {
    Rc::default()
}

/// Notes the threads on which it is dropped.
#[derive(Clone, Default)]
pub(crate) struct DropLog(pub(crate) Arc<Mutex<Vec<ThreadId>>>);

pub(crate) struct Logged(DropLog);

impl DropLog {
    pub(crate) fn guard(&self) -> Logged {
        Logged(self.clone())
    }

    pub(crate) fn take(&self) -> Vec<ThreadId> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().push(thread::current().id());
    }
}

/// The text of a panic, from its payload.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> String {
    match payload.downcast_ref::<&str>() {
        Some(text) => (*text).to_owned(),
        None => payload.downcast_ref::<String>().cloned().unwrap_or_default(),
    }
}

/// Runs something that panics. Returns the file of the panic's location, and the text.
pub(crate) fn panic_of<R>(misuse: impl FnOnce() -> R) -> (String, String) {
    let seen = Arc::new(Mutex::new(None));
    let hook = {
        let seen = seen.clone();
        move |info: &PanicHookInfo<'_>| {
            let file = info.location().unwrap().file().to_owned();
            let text = panic_text(info.payload());
            *seen.lock().unwrap() = Some((file, text));
        }
    };
    // The hook is process-wide. One test at a time may replace it: the one that holds a `Clean`.
    let usual = take_hook();
    set_hook(Box::new(hook));
    let panicked = catch_unwind(AssertUnwindSafe(misuse)).is_err();
    set_hook(usual);
    assert!(panicked, "it did not panic");
    seen.lock().unwrap().take().unwrap()
}
