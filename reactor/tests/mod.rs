//! The reactor's own tests, one file per group of behaviours. What they share is here.
//!
//! Every test runs through [`alone`], one at a time, since each ends by counting the descriptors of
//! the whole process. Tests with a reactor run through [`with_reactor`], which checks its slots and
//! orphans too.

mod abandoned;
mod abandoned_events;
mod buf;
mod busy;
mod close;
mod closing;
mod commands;
mod contexts;
mod crowd;
mod demotion;
mod directions;
mod faults;
mod growth;
mod keyless_wakes;
mod limits;
mod listener;
mod operations;
mod overflow;
mod process;
mod readiness;
mod readiness_model;
mod requests;
mod reused_numbers;
mod ring;
mod sleep;
mod sockets;
mod strategies;
mod two_queues;
mod waiters;
mod wakers;
mod without_context;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::{Close, Config, Direction, Io, Reactor, coop};
use crate::reactor::kernel::fault::{self, Call};

/// How long to wait for what should come at once, on a machine that may be busy. Longer is a hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a test may take, without its wait for the others, before it counts as hanging. Far more
/// than a failed wait takes.
const TEST_LIMIT: Duration = Duration::from_secs(60);

/// How long to wait for what must not come.
const A_WHILE: Duration = Duration::from_millis(10);

/// As many calls as there are.
const FOREVER: usize = usize::MAX;

/// All that the reactor holds at rest: its own polls, of the cross-thread wake and of the nested
/// epoll.
const OWN_POLLS: u64 = 2;

/// Runs a test while no other runs, and checks that it leaves no descriptor and no fault behind.
fn alone(test: impl FnOnce()) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _watchdog = limits::begin(TEST_LIMIT);
    // A failed test may have left some behind.
    fault::clear();
    // It would take a fault that is meant for this test.
    wait_until("earlier tests' contexts are destroyed", || threads_named("aio-destroy") == 0);
    wait_for_quota();
    let before = open_descriptors();
    test();
    assert!(!fault::clear(), "an injected fault never happened");
    // A context that dies with requests in flight frees its descriptors on another thread. There
    // may be fewer than before: some other test was about to end.
    wait_until("all descriptors are closed", || open_descriptors() <= before);
}

/// The quota of AIO requests is the host's. Another process's test may hold all of it for a moment.
fn wait_for_quota() {
    let read = |name| std::fs::read_to_string(format!("/proc/sys/fs/{name}")).unwrap().trim().parse::<u64>().unwrap();
    let begin = Instant::now();
    while read("aio-nr") + 8_192 > read("aio-max-nr") && begin.elapsed() < PATIENCE {
        thread::sleep(A_WHILE);
    }
}

/// The number of this process's threads of that name.
fn threads_named(name: &str) -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path().join("comm"));
    // One that has just ended has no name any more.
    let names = threads.filter_map(|comm| std::fs::read_to_string(comm).ok());
    names.filter(|found| found.trim() == name).count()
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The plain configuration. Capacity 1 gets the fewest slots that the kernel gives, so that most
/// polls go to the nested epoll.
fn config(capacity: u32) -> Config {
    Config {
        capacity,
        initial: capacity,
        spin: Duration::ZERO,
        force_syscalls: false,
        signal_mask: None,
        measure_stalls: false,
    }
}

/// Runs a test with a reactor, which must be at rest at the end.
fn with_reactor(config: Config, test: impl FnOnce(&Reactor)) {
    alone(|| run(config, test));
}

/// Runs a test with a reactor of each kind. They differ only in how they reap completions.
fn in_each_mode(capacity: u32, test: impl Fn(&Reactor)) {
    alone(|| {
        run(config(capacity), &test);
        run(Config { force_syscalls: true, ..config(capacity) }, |reactor| {
            test(reactor);
            assert_eq!(metrics(reactor).events_from_ring, 0, "all come by system calls");
        });
        fault::inject(Call::MapRing, Errno::NOSYS, 1);
        run(config(fresh_capacity()), |reactor| {
            test(reactor);
            assert_eq!(metrics(reactor).events_from_ring, 0, "the ring is unknown");
        });
    });
}

/// A small capacity that no other reactor has asked for, so that this one does not get a context
/// that another has left in the pool. Not a power of two: reactors that grow from 1 ask for these.
fn fresh_capacity() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(65);
    loop {
        let capacity = NEXT.fetch_add(1, Ordering::Relaxed);
        if !capacity.is_power_of_two() {
            return capacity;
        }
    }
}

fn run(config: Config, test: impl FnOnce(&Reactor)) {
    let reactor = Reactor::new(config).unwrap();
    {
        let _driven = reactor.enter_loop();
        test(&reactor);
    }
    assert_at_rest(&reactor);
}

/// Everything was given back, or is as soon as its event comes.
#[track_caller]
fn assert_at_rest(reactor: &Reactor) {
    turn_until(reactor, |now| now.slots_in_use <= OWN_POLLS && now.orphans == 0 && now.overflow_fds == 0);
}

/// Turns the reactor, without sleep, until its metrics say so.
#[track_caller]
fn turn_until(reactor: &Reactor, mut done: impl FnMut(&super::Metrics) -> bool) {
    let begin = Instant::now();
    loop {
        let now = metrics(reactor);
        if done(&now) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "never: {now:?}");
        reactor.turn();
        thread::yield_now();
    }
}

fn metrics(reactor: &Reactor) -> super::Metrics {
    reactor.metrics()
}

/// Sets a flag when it is dropped, also by a panic: so no other thread goes on for good.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Counts its wakes.
#[derive(Debug, Default)]
struct Flag(AtomicUsize);

impl Flag {
    fn wakes(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// A future that is polled by hand.
struct ManualPoll<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    flag: Arc<Flag>,
}

impl<'a, T> ManualPoll<'a, T> {
    fn new(future: impl Future<Output = T> + 'a) -> Self {
        Self { future: Box::pin(future), flag: Arc::default() }
    }

    /// A future that has been polled once and was not ready.
    #[track_caller]
    fn pending(reactor: &Reactor, future: impl Future<Output = T> + 'a) -> Self {
        let mut pending = Self::new(future);
        assert!(pending.poll(reactor).is_pending(), "it has nothing to wait for");
        pending
    }

    fn poll(&mut self, _reactor: &Reactor) -> Poll<T> {
        coop::refill();
        let waker = Waker::from(Arc::clone(&self.flag));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn wakes(&self) -> usize {
        self.flag.wakes()
    }

    /// Drives the reactor until the future is complete, which is polled only when it was woken.
    #[track_caller]
    fn complete(mut self, reactor: &Reactor) -> T {
        let begin = Instant::now();
        loop {
            let seen = self.wakes();
            if let Poll::Ready(output) = self.poll(reactor) {
                return output;
            }
            loop {
                reactor.turn();
                reactor.unparker().take_notification();
                if self.wakes() != seen {
                    break;
                }
                assert!(begin.elapsed() < PATIENCE, "nobody woke it");
                reactor.park(Some(A_WHILE));
            }
        }
    }
}

/// Runs a future and the reactor until the future is complete.
#[track_caller]
fn block_on<T>(reactor: &Reactor, future: impl Future<Output = T>) -> T {
    ManualPoll::new(future).complete(reactor)
}

/// What a runtime's loop does when it has no task to run.
fn turn_and_park(reactor: &Reactor) {
    reactor.turn();
    reactor.unparker().take_notification();
    reactor.park(Some(A_WHILE));
}

/// Drives the reactor until the flag is woken, and polls nothing in between.
#[track_caller]
fn until_woken(reactor: &Reactor, flag: &Flag) {
    let begin = Instant::now();
    while flag.wakes() == 0 {
        assert!(begin.elapsed() < PATIENCE, "nobody woke it");
        turn_and_park(reactor);
    }
}

/// Has the reactor arm its own polls. Returns how many slots it holds at rest.
fn arm_own_polls(reactor: &Reactor) -> u64 {
    turn_and_park(reactor);
    metrics(reactor).slots_in_use
}

/// Has another thread unpark the loop, most likely while that sleeps, and asserts that it wakes.
#[track_caller]
fn assert_is_unparked(reactor: &Reactor) {
    let unparker = Arc::clone(reactor.unparker());
    let unparks = thread::spawn(move || {
        thread::sleep(Duration::from_millis(1));
        unparker.unpark();
    });
    let begin = Instant::now();
    while !reactor.unparker().take_notification() {
        // Were the wake lost, the end of this sleep would hide it.
        reactor.park(Some(2 * PATIENCE));
    }
    assert!(begin.elapsed() < PATIENCE, "the wake was lost");
    unparks.join().unwrap();
}

/// Registered eventfds, each with its trigger.
fn eventfd_pairs(reactor: &Reactor, number: usize) -> Vec<(Io, OwnedFd)> {
    (0..number).map(|_| eventfd_pair(reactor)).collect()
}

/// Asserts that nothing happens: the loop sleeps for as long as it may, again and again.
#[track_caller]
fn assert_sleeps(reactor: &Reactor) {
    // Events under way may still arrive, and notifications are taken.
    for _ in 0..3 {
        turn_and_park(reactor);
    }
    let begin = Instant::now();
    let mut sleeps = 0;
    while begin.elapsed() < 3 * A_WHILE {
        reactor.turn();
        reactor.park(Some(A_WHILE));
        sleeps += 1;
    }
    // Three, and some for a straggler. A loop that spins would make thousands.
    assert!(sleeps <= 10, "{sleeps} sleeps in the time of three");
}

/// A non-blocking eventfd. Reads take the whole counter.
fn new_eventfd() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap()
}

fn register(reactor: &Reactor, fd: impl Into<OwnedFd>) -> Io {
    Io::new(reactor.home(), fd.into(), Close::Soon).unwrap()
}

/// A registered eventfd, and a duplicate to fire it by.
fn eventfd_pair(reactor: &Reactor) -> (Io, OwnedFd) {
    let fd = new_eventfd();
    let trigger = fd.try_clone().unwrap();
    (register(reactor, fd), trigger)
}

fn fire(eventfd: impl AsFd) {
    assert_eq!(rustix::io::write(eventfd, &1_u64.to_ne_bytes()), Ok(size_of::<u64>()));
}

/// How often an eventfd was fired since it was last read.
fn read_counter(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let mut counter = [0; size_of::<u64>()];
    rustix::io::read(fd, &mut counter)?;
    Ok(u64::from_ne_bytes(counter))
}

/// Waits until the eventfd is fired.
async fn next_counter(io: &Io) -> io::Result<u64> {
    io.io(Direction::Read, read_counter).await
}

/// Has a task wait until the eventfd is fired. Unlike a future's, its poll stays armed when it goes
/// on to something else.
#[track_caller]
fn arm_counter(io: &Io) {
    coop::refill();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(io.poll_io(&mut cx, Direction::Read, read_counter).is_pending(), "it has been fired");
}

/// The same for a byte, from a pipe, a socket or a tty.
#[track_caller]
fn arm_byte(io: &Io) {
    coop::refill();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(io.poll_io(&mut cx, Direction::Read, read_byte).is_pending(), "there is one");
}

/// Waits until a byte can be read, from a pipe, a socket or a tty.
async fn next_byte(io: &Io) -> io::Result<Option<u8>> {
    io.io(Direction::Read, read_byte).await
}

fn read_byte(fd: BorrowedFd<'_>) -> io::Result<Option<u8>> {
    let mut byte = [0];
    let read = rustix::io::read(fd, &mut byte)?;
    Ok((read > 0).then_some(byte[0]))
}

fn set_nonblocking(fd: impl AsFd) {
    rustix::io::ioctl_fionbio(fd, true).unwrap();
}
