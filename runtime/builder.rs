//! How a runtime is set up.

use std::fmt;
use std::io;
use std::time::Duration;

use super::Runtime;
use super::scheduler::Scheduler;
use crate::reactor::{Config, Reactor};

/// Requests to ask the kernel for: enough for some thousand connections, and a sixteenth of the
/// default `fs.aio-max-nr`, which the whole host shares. Connections beyond it cost a little more,
/// and work.
const DEFAULT_CAPACITY: u32 = 4096;

/// Tasks to run between two looks at the reactor. More make larger batches for `io_submit`, and let
/// completions wait longer.
const DEFAULT_EVENT_INTERVAL: u32 = 128;

/// In the environment, with any value but 0 or nothing: as [`Builder::force_syscalls`].
const FORCE_SYSCALLS: &str = "AIO_RUNTIME_FORCE_SYSCALLS";

/// Builds a [`Runtime`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let runtime = aio_runtime::Builder::new().capacity(512).spin(Duration::from_micros(20)).build()?;
/// runtime.block_on(async { /* ... */ });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Builder {
    config: Config,
    event_interval: u32,
}

impl Builder {
    /// The default settings.
    pub fn new() -> Self {
        let config = Config {
            capacity: DEFAULT_CAPACITY,
            spin: Duration::ZERO,
            force_syscalls: std::env::var_os(FORCE_SYSCALLS).is_some_and(|value| !value.is_empty() && value != "0"),
            signal_mask: None,
        };
        Self { config, event_interval: DEFAULT_EVENT_INTERVAL }
    }

    /// The same as [`new`](Self::new), under the name that tokio has for it.
    pub fn new_current_thread() -> Self {
        Self::new()
    }

    /// Does nothing: I/O and time are always there. For programs that come from tokio.
    pub fn enable_all(&mut self) -> &mut Self {
        self
    }

    /// Does nothing, as [`enable_all`](Self::enable_all).
    pub fn enable_io(&mut self) -> &mut Self {
        self
    }

    /// Does nothing, as [`enable_all`](Self::enable_all).
    pub fn enable_time(&mut self) -> &mut Self {
        self
    }

    /// How many requests (waits of sockets, file operations) can be in flight at a time; 4096
    /// unless set.
    ///
    /// That many are charged to `fs.aio-nr`, of which the host has `fs.aio-max-nr` for all
    /// processes and containers. Where it has not that many left, the number is halved until it
    /// fits; [`Metrics::capacity`](crate::Metrics) tells what came of it. It bounds the speed, and
    /// neither the number of connections nor that of file operations: what finds no place waits in
    /// an epoll, or for its turn.
    ///
    /// # Panics
    ///
    /// If 0.
    #[track_caller]
    pub fn capacity(&mut self, requests: u32) -> &mut Self {
        assert!(requests > 0, "Builder::capacity: a runtime needs at least one request");
        self.config.capacity = requests;
        self
    }

    /// How long to watch for completions in user space before sleeping; not at all unless set.
    /// Trades CPU time for latency where few connections are busy. The core should be the runtime's
    /// own: the kernel needs one to complete what is watched for.
    pub fn spin(&mut self, duration: Duration) -> &mut Self {
        self.config.spin = duration;
        self
    }

    /// Takes each completion by a system call instead of from the mapped ring, so that `strace`
    /// shows it and valgrind knows of it. Slower. The environment variable
    /// `AIO_RUNTIME_FORCE_SYSCALLS=1` does the same.
    pub fn force_syscalls(&mut self, force: bool) -> &mut Self {
        self.config.force_syscalls = force;
        self
    }

    /// How many ready tasks to run between two looks at the reactor; 128 unless set.
    ///
    /// # Panics
    ///
    /// If 0.
    #[track_caller]
    pub fn event_interval(&mut self, tasks: u32) -> &mut Self {
        assert!(tasks > 0, "Builder::event_interval: 0 tasks between two looks at the reactor would run none");
        self.event_interval = tasks;
        self
    }

    /// The thread's signal mask while the loop sleeps, installed and removed atomically
    /// (`io_pgetevents`): signals that are blocked otherwise and not in this mask are let in there,
    /// and only there.
    pub fn signal_mask(&mut self, mask: libc::sigset_t) -> &mut Self {
        self.config.signal_mask = Some(mask);
        self
    }

    /// Makes the runtime: one AIO context, one eventfd, one epoll; no thread.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if the host's quota of AIO requests (`fs.aio-max-nr`) is used up to the last;
    /// `ENOSYS` or `EPERM` if native AIO or one of its calls is missing in this kernel or denied by
    /// a sandbox; `EINVAL` if it cannot poll (Linux before 4.19, gVisor); `EMFILE`, `ENFILE`,
    /// `ENOMEM`. The text names the call and what to change.
    pub fn build(&mut self) -> io::Result<Runtime> {
        let reactor = Reactor::new(self.config.clone())?;
        Ok(Runtime::with_scheduler(Scheduler::new(reactor, self.event_interval)))
    }
}

impl Runtime {
    /// A runtime with the default settings; see [`Builder`].
    ///
    /// # Errors
    ///
    /// As for [`Builder::build`].
    pub fn new() -> io::Result<Self> {
        Builder::new().build()
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
            .finish_non_exhaustive()
    }
}
