//! How a runtime is set up.

use std::fmt;
use std::io;
use std::time::Duration;

use rustix::thread::CpuSet;

use super::Runtime;
use super::blocking;
use super::scheduler::Scheduler;
use crate::reactor::{Config, Reactor, aio_quota};

/// Requests to begin with: enough for about a thousand connections, and little of the default
/// `fs.aio-max-nr` of 65,536, which the whole host shares: 32 idle runtimes leave more than half of
/// it. Their rings have 16 pages; 1,024 would need a 17th for the sake of 24.
const INITIAL_CAPACITY: u32 = 1_000;

/// The most requests to ask the kernel for: four times doubled, and a quarter of the default
/// `fs.aio-max-nr`, so that not even a runtime with very many connections takes most of it.
/// Connections beyond it work, and cost a little more.
const DEFAULT_CAPACITY: u32 = 16_000;

/// The fewest requests that are worth a context of their own.
const LEAST_CAPACITY: u32 = 64;

/// Tasks to run between two looks at the reactor. A longer interval makes larger batches for
/// `io_submit`, and completions wait longer.
const DEFAULT_EVENT_INTERVAL: u32 = 128;

/// The most threads of the blocking pool, as in tokio.
const DEFAULT_BLOCKING_THREADS: usize = 512;

/// How long a thread of the blocking pool stays without work, as in tokio.
const DEFAULT_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Environment variable that does what [`Builder::force_syscalls`] does, unless it is empty or `0`.
const FORCE_SYSCALLS: &str = "AIO_RUNTIME_FORCE_SYSCALLS";

/// Builds a [`Runtime`] with settings other than the defaults.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use aio_runtime::Builder;
///
/// let runtime = Builder::new().capacity(512).spin(Duration::from_micros(20)).build()?;
/// runtime.block_on(async { /* ... */ });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Builder {
    config: Config,
    /// Whether the capacity is the default one.
    is_default_capacity: bool,
    event_interval: u32,
    blocking: blocking::Config,
    /// Under the name of tokio, sockets need `enable_io`.
    #[cfg(feature = "facade")]
    enables_io: bool,
}

impl Builder {
    /// The default settings.
    pub fn new() -> Self {
        let config = Config {
            capacity: DEFAULT_CAPACITY,
            initial: INITIAL_CAPACITY,
            spin: Duration::ZERO,
            force_syscalls: std::env::var_os(FORCE_SYSCALLS).is_some_and(|value| !value.is_empty() && value != "0"),
            signal_mask: None,
            measure_stalls: false,
        };
        let blocking = blocking::Config {
            max_threads: DEFAULT_BLOCKING_THREADS,
            keep_alive: DEFAULT_KEEP_ALIVE,
            thread_name: "aio-blocking".to_owned(),
            cpus: None,
        };
        Self {
            config,
            is_default_capacity: true,
            event_interval: DEFAULT_EVENT_INTERVAL,
            blocking,
            #[cfg(feature = "facade")]
            enables_io: false,
        }
    }

    /// The same as [`new`](Self::new), under tokio's name.
    pub fn new_current_thread() -> Self {
        Self::new()
    }

    /// Does nothing: I/O and time are always enabled. For programs written for tokio.
    pub fn enable_all(&mut self) -> &mut Self {
        self.enable_io().enable_time()
    }

    /// Does nothing, like [`enable_all`](Self::enable_all).
    pub fn enable_io(&mut self) -> &mut Self {
        #[cfg(feature = "facade")]
        {
            self.enables_io = true;
        }
        self
    }

    /// Does nothing, like [`enable_all`](Self::enable_all).
    pub fn enable_time(&mut self) -> &mut Self {
        self
    }

    /// Sets how many requests (waits on sockets, file operations) can be in flight at a time at
    /// most. The default is 16000, or less for [one of several](crate::PerCore#the-hosts-quota).
    /// There is no largest value: what the host does not grant is never reached.
    ///
    /// The capacity limits the speed, not the number of connections or of file operations: requests
    /// beyond it wait in an epoll or in a queue. It is limited at all because all processes and
    /// containers of a host share one quota: requests are charged to `fs.aio-nr`, up to
    /// `fs.aio-max-nr`. The default is a quarter of Linux's default for that, 65536. Where a
    /// program has the host to itself, raise both.
    ///
    /// A runtime begins with 1000, or this if it is less, so that many idle ones take little, and
    /// moves to a context twice as large whenever it needs one. Growth leaves an eighth of the
    /// quota to others. If fewer are left at the start, the number is halved until it fits; if
    /// none are, see [`build`](Self::build). [`Metrics::capacity`](crate::Metrics::capacity) is
    /// what the runtime has now.
    ///
    /// # Panics
    ///
    /// If `requests` is 0.
    #[track_caller]
    pub fn capacity(&mut self, requests: u32) -> &mut Self {
        assert!(requests > 0, "Builder::capacity: a runtime needs at least one request");
        self.config.capacity = requests;
        self.is_default_capacity = false;
        self
    }

    /// Sets how long the loop watches for completions in user space before it sleeps. The default
    /// is not to watch at all.
    ///
    /// Watching trades CPU time for latency, and pays where few connections are busy. Give the
    /// runtime a core of its own: the kernel needs another one to complete what the loop watches
    /// for. While file writes or syncs are in flight, which threads of the kernel complete, the
    /// loop yields the core now and then.
    pub fn spin(&mut self, duration: Duration) -> &mut Self {
        self.config.spin = duration;
        self
    }

    /// Takes each completion by a system call instead of from the mapped ring, so that `strace`
    /// shows it and valgrind knows of it. This is slower. The environment variable
    /// `AIO_RUNTIME_FORCE_SYSCALLS=1` makes it the default.
    pub fn force_syscalls(&mut self, force: bool) -> &mut Self {
        self.config.force_syscalls = force;
        self
    }

    /// Sets how many ready tasks run between two looks at the reactor. The default is 128.
    ///
    /// More tasks make larger batches for the kernel; fewer let completions and timers wait less.
    ///
    /// # Panics
    ///
    /// If `tasks` is 0.
    #[track_caller]
    pub fn event_interval(&mut self, tasks: u32) -> &mut Self {
        assert!(tasks > 0, "Builder::event_interval: with 0 tasks between two looks at the reactor none would run");
        self.event_interval = tasks;
        self
    }

    /// Sets the thread's signal mask while the loop sleeps. The default is to leave it alone.
    ///
    /// The kernel installs and removes the mask atomically (`io_pgetevents`). So a signal that the
    /// thread blocks, and that is not in this mask, is delivered while the loop sleeps and at no
    /// other time.
    pub fn signal_mask(&mut self, mask: libc::sigset_t) -> &mut Self {
        self.config.signal_mask = Some(mask);
        self
    }

    /// Sets how many threads the blocking pool may have: for [`spawn_blocking`], host names, and
    /// [file operations](crate::fs#how-an-operation-runs) that would block the loop. The default is
    /// 512. What finds no free thread waits for one.
    ///
    /// # Panics
    ///
    /// If `threads` is 0.
    ///
    /// [`spawn_blocking`]: crate::task::spawn_blocking
    #[track_caller]
    pub fn max_blocking_threads(&mut self, threads: usize) -> &mut Self {
        assert!(threads > 0, "Builder::max_blocking_threads: with 0 threads no file could be opened");
        self.blocking.max_threads = threads;
        self
    }

    /// Sets how long a thread of the blocking pool stays without work. The default is 10 seconds.
    pub fn thread_keep_alive(&mut self, duration: Duration) -> &mut Self {
        self.blocking.keep_alive = duration;
        self
    }

    /// Sets the name of the blocking pool's threads. The default is `aio-blocking`.
    ///
    /// Linux shows the first 15 bytes of it.
    ///
    /// # Panics
    ///
    /// If the name contains a zero byte.
    #[track_caller]
    pub fn thread_name(&mut self, name: impl Into<String>) -> &mut Self {
        let name = name.into();
        assert!(!name.contains('\0'), "Builder::thread_name: {name:?} contains a zero byte");
        self.blocking.thread_name = name;
        self
    }

    /// Measures what keeps the loop from its other work: the longest poll of a task and the longest
    /// `io_submit` are then in the [`Metrics`](crate::Metrics). The default is not to, as it reads
    /// the clock twice for each of them (some 40 ns).
    pub fn measure_stalls(&mut self, measure: bool) -> &mut Self {
        self.config.measure_stalls = measure;
        self
    }

    /// For one of several runtimes of the process: all together take at most half of the host's
    /// quota, unless the capacity was set. `cpus`: where the threads of its blocking pool may run,
    /// if its own thread is pinned.
    pub(super) fn share(&mut self, runtimes: usize, cpus: Option<CpuSet>) -> &mut Self {
        if self.is_default_capacity
            && let Some(quota) = aio_quota("aio-max-nr")
        {
            self.config.capacity = share_of(quota, runtimes);
        }
        self.blocking.cpus = cpus;
        self
    }

    /// Builds the runtime: one AIO context, one eventfd and one epoll. It starts no threads.
    ///
    /// Where the host's quota of AIO requests (`fs.aio-max-nr`) has nothing left, the runtime
    /// starts without a context and logs a warning. Sockets then wait in the epoll, and file
    /// operations run on the blocking pool, which is slower. What would use a context tries to get
    /// one, once a second at most. So when the quota recovers, the runtime moves to a context, and
    /// loses nothing. Until then [`Metrics::capacity`](crate::Metrics::capacity) is 0.
    ///
    /// # Errors
    ///
    /// The text of an error names the call that failed and what to change.
    ///
    /// - `ENOSYS` or `EPERM`: native AIO, or one of its calls, is missing in this kernel or denied
    ///   by a sandbox.
    /// - `EINVAL`: it cannot poll (Linux before 4.19, gVisor).
    /// - `EMFILE`, `ENFILE`, `ENOMEM`: out of descriptors or memory.
    pub fn build(&mut self) -> io::Result<Runtime> {
        let reactor = Reactor::new(self.config.clone())?;
        Ok(Runtime::with_scheduler(Scheduler::new(
            reactor,
            self.event_interval,
            self.config.measure_stalls,
            self.blocking.clone(),
            #[cfg(feature = "facade")]
            self.enables_io,
        )))
    }
}

/// The capacity of one of several runtimes.
fn share_of(quota: u64, runtimes: usize) -> u32 {
    (quota / 2 / runtimes as u64).clamp(LEAST_CAPACITY.into(), DEFAULT_CAPACITY.into()) as u32
}

impl Runtime {
    /// Builds a runtime with the default settings. For others see [`Builder`].
    ///
    /// # Errors
    ///
    /// As for [`Builder::build`].
    pub fn new() -> io::Result<Self> {
        Builder::new().enable_all().build()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("capacity", &self.config.capacity)
            .field("spin", &self.config.spin)
            .field("force_syscalls", &self.config.force_syscalls)
            .field("event_interval", &self.event_interval)
            .field("blocking", &self.blocking)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_that_share_the_quota_take_half_of_it() {
        let shares = [1, 2, 4, 64, 512, 10_000].map(|runtimes| share_of(65_536, runtimes));
        assert_eq!(shares, [16_000, 16_000, 8192, 512, 64, 64]);
        assert_eq!([share_of(100, 1), share_of(1 << 30, 100)], [LEAST_CAPACITY, DEFAULT_CAPACITY]);
        assert_eq!(Builder::new().capacity(7).share(100, None).config.capacity, 7, "what was set stays");
    }
}
