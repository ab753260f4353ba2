//! A runtime on each core, in one call.

mod core;
mod placement;

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use futures::future::{Either, select};
use rustix::thread::CpuSet;

pub use self::core::{Core, Stopped};

use self::core::Stop;
use self::placement::Placement;
use super::time::sleep;
use super::{Builder, context};
use crate::reactor::{contain, explain};

/// How long a core that was told to stop may go on, by default.
const DEFAULT_STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// What a core's thread yields: its output, or nothing if it has failed.
type Running<'scope, T> = ScopedJoinHandle<'scope, Option<T>>;

/// Runs a runtime on each CPU that this process may use, each on a thread that is pinned to its
/// CPU, and waits until all have ended. For other settings see [`PerCore`].
///
/// `serve` is called once on each thread, and its future is the main future of the thread's
/// runtime. It may borrow from the caller, and the future need not be `Send`. The outputs come in
/// the order of the cores.
///
/// # Errors
///
/// The error of the core that failed first, with its number in the text; see
/// [`PerCore`](PerCore#when-one-fails).
///
/// # Panics
///
/// If a core's future panics, with the same payload; or inside a runtime, which it would block.
///
/// # Examples
///
/// A server on all cores, to which the kernel hands connections by [`SO_REUSEPORT`]:
///
/// ```no_run
/// use std::io;
/// use std::net::SocketAddr;
///
/// use aio_runtime::Core;
/// use aio_runtime::net::TcpSocket;
///
/// fn main() -> io::Result<()> {
///     let addr = "0.0.0.0:7000".parse().unwrap();
///     aio_runtime::per_core(|core| serve(core, addr))?;
///     Ok(())
/// }
///
/// async fn serve(_core: Core, addr: SocketAddr) -> io::Result<()> {
///     let socket = TcpSocket::new_v4()?;
///     socket.set_reuseport(true)?;
///     socket.bind(addr)?;
///     let listener = socket.listen(1024)?;
///     loop {
///         let (stream, _) = listener.accept().await?;
///         aio_runtime::spawn(async move { aio_runtime::io::copy(&stream, &mut &stream).await });
///     }
/// }
/// ```
///
/// [`SO_REUSEPORT`]: PerCore#one-port-many-listeners
#[track_caller]
pub fn per_core<F, T, E>(serve: F) -> io::Result<Vec<T>>
where
    F: AsyncFn(Core) -> Result<T, E> + Sync,
    T: Send,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    PerCore::new().run(serve)
}

/// Runs a runtime on each of several cores: the settings of [`per_core`].
///
/// # Where they run
///
/// By default there is one runtime for each CPU of the calling thread's affinity mask
/// (`sched_getaffinity(2)`), which is what `taskset` or a container's cpuset leaves, and each
/// thread is pinned to its CPU. Where a container may use less CPU time than that (`cpu.max`),
/// there are as many runtimes as that time is worth, and they are not pinned.
/// [`cpus`](Self::cpus) lists the CPUs, and [`cores`](Self::cores) pins nothing.
///
/// A thread that a core starts itself is pinned with it, and so are two of the library's that a
/// core may be the first to need: the one that reads the [standard input](crate::io::stdin), and
/// the one that destroys AIO contexts. Those of the runtime's blocking pool are not: they may run
/// wherever the thread that called [`run`](Self::run) may.
///
/// The threads are named `aio-core-0` and so on, and a panic's message says which it was.
///
/// # When one fails
///
/// The call returns when the futures of all cores have ended. If one fails (its future returns an
/// error or panics, or its runtime cannot be built), the others are told to stop. The call then
/// returns the error, which names the core and keeps the kind, or goes on with the panic. What
/// fails after that is logged.
///
/// # Stopping
///
/// A core's future learns by [`Core::stopped`] that it is to end: because one of them has called
/// [`Core::stop`], or because one has failed. It then finishes its work and returns. One that has
/// not returned after the [`stop_timeout`](Self::stop_timeout) is dropped, which counts as a
/// failure of kind `TimedOut`. With its future the core's runtime ends, and so do its tasks.
///
/// A future that blocks its thread cannot be cut off. And the runtime's end waits for functions of
/// [`spawn_blocking`](crate::task::spawn_blocking) that have begun, without a limit.
///
/// # The host's quota
///
/// Each runtime has an AIO context, and all contexts of a host share `fs.aio-max-nr`. All runtimes
/// of a call together grow to half of it at most, and each to at most the default
/// [capacity](Builder::capacity): with the usual 65536, two may have 16000 requests each, four 8192
/// and sixty-four 512. Each may have 64, so more than 512 runtimes may take more than half. A
/// capacity that is set, by [`runtime`](Self::runtime), is that of each runtime.
///
/// # One port, many listeners
///
/// With [`TcpSocket::set_reuseport`](crate::net::TcpSocket::set_reuseport), each core has a
/// listener of its own on the same port. The kernel picks one by a hash of the connection's two
/// addresses and ports:
///
/// - A connection stays on its core for life, and nothing is shared between cores.
/// - The shares are equal only on average. Of 8 connections to 4 listeners, in 38 % of all cases
///   one listener gets none. Long and heavy connections may have an unlucky hash: where they are
///   few, accept them on one core and hand them out (by [`Handle::spawn_with`] and `into_std`).
/// - A core that does not accept still gets its share: those connections wait in its queue.
/// - A listener that is closed takes its queue with it: connections that it has not accepted are
///   reset, though other listeners are there. With `sysctl -w net.ipv4.tcp_migrate_req=1` (Linux
///   5.14 or later) they move to another listener.
/// - All must set the option before they bind, and belong to the same user. Port 0 is a different
///   port for each: bind a first socket to find one, and keep it.
///
/// [`Handle::spawn_with`]: super::Handle::spawn_with
///
/// # Examples
///
/// Two cores serve on one port. Each client says to which of them it talks, and one of the clients
/// ends it all:
///
/// ```
/// use std::io;
/// use std::net::SocketAddr;
/// use std::pin::pin;
///
/// use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use aio_runtime::net::TcpSocket;
/// use aio_runtime::{Core, PerCore};
/// use futures::future::{Either, select};
///
/// fn reusing(addr: SocketAddr) -> io::Result<TcpSocket> {
///     let socket = TcpSocket::new_v4()?;
///     socket.set_reuseport(true)?;
///     socket.bind(addr)?;
///     Ok(socket)
/// }
///
/// async fn serve(core: Core, addr: SocketAddr) -> io::Result<u32> {
///     let listener = reusing(addr)?.listen(1024)?;
///     let mut served = 0;
///     // Until it is told to stop.
///     while let Either::Left((accepted, _)) = select(pin!(listener.accept()), core.stopped()).await {
///         let (mut client, _) = accepted?;
///         client.write_all(&[core.index() as u8]).await?;
///         served += 1;
/// #       if served == 1 { core.stop() }
///     }
///     Ok(served)
/// }
///
/// # fn main() -> io::Result<()> {
/// // It does not listen: it keeps the port while the others bind to it.
/// let first = reusing("127.0.0.1:0".parse().unwrap())?;
/// let addr = first.local_addr()?;
/// # let client = std::thread::spawn(move || {
/// #     while std::net::TcpStream::connect(addr).is_err() {
/// #         std::thread::yield_now();
/// #     }
/// # });
/// let served = PerCore::new().cores(2).run(|core| serve(core, addr))?;
/// println!("connections of each core: {served:?}");
/// # assert!(served.iter().sum::<u32>() > 0);
/// # client.join().unwrap();
/// # Ok(())
/// # }
/// ```
///
/// # References
///
/// `SO_REUSEPORT` in [socket(7)], `tcp_migrate_req` in the kernel's [ip-sysctl], and
/// [sched_setaffinity(2)].
///
/// [socket(7)]: https://man7.org/linux/man-pages/man7/socket.7.html
/// [ip-sysctl]: https://docs.kernel.org/networking/ip-sysctl.html
/// [sched_setaffinity(2)]: https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html
#[derive(Clone)]
pub struct PerCore {
    placement: Placement,
    builder: Builder,
    stop_timeout: Duration,
}

impl PerCore {
    /// The default settings: a runtime for each CPU, on a thread that is pinned to it.
    pub fn new() -> Self {
        Self { placement: Placement::EachCpu, builder: Builder::new(), stop_timeout: DEFAULT_STOP_TIMEOUT }
    }

    /// Sets the CPUs, by the kernel's numbers: a runtime for each, on a thread that is pinned to
    /// it. An empty list, a number twice or one of no CPU are errors of [`run`](Self::run).
    pub fn cpus(&mut self, cpus: impl IntoIterator<Item = usize>) -> &mut Self {
        self.placement = Placement::On(cpus.into_iter().collect());
        self
    }

    /// Sets how many runtimes there are, and that they are not pinned: the kernel moves their
    /// threads to whatever CPUs are free. 0 is an error of [`run`](Self::run).
    pub fn cores(&mut self, cores: usize) -> &mut Self {
        self.placement = Placement::Anywhere(cores);
        self
    }

    /// Sets how the runtimes are built.
    pub fn runtime(&mut self, builder: &Builder) -> &mut Self {
        self.builder = builder.clone();
        self
    }

    /// Sets how long a core's future may go on after it was told to stop. The default is 10
    /// seconds.
    pub fn stop_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.stop_timeout = timeout;
        self
    }

    /// Runs the runtimes until all have ended; see [`per_core`].
    ///
    /// # Errors
    ///
    /// - Those of [`per_core`].
    /// - `InvalidInput`: there is no core, or something is wrong with the list of
    ///   [`cpus`](Self::cpus).
    /// - A thread cannot be started or pinned (`EINVAL`: there is no such CPU, or not for this
    ///   process), or a runtime cannot be [built](Builder::build).
    ///
    /// # Panics
    ///
    /// Those of [`per_core`].
    #[track_caller]
    pub fn run<F, T, E>(&self, serve: F) -> io::Result<Vec<T>>
    where
        F: AsyncFn(Core) -> Result<T, E> + Sync,
        T: Send,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        assert!(
            !context::is_inside(),
            "PerCore::run within a runtime would block it: call it from `fn main`, or from a thread of its own"
        );
        let cpus = self.placement.cpus()?;
        let shared = Shared {
            builder: self.builder_of_one(&cpus)?,
            stop_timeout: self.stop_timeout,
            stop: Arc::new(Stop::new()),
            failure: Mutex::new(None),
        };
        let outputs: Vec<Option<T>> = thread::scope(|scope| {
            let cores = cpus.iter().enumerate();
            let cores = cores.map(|(index, &cpu)| Core::new(index, cpus.len(), cpu, &shared.stop));
            let running: Vec<_> = cores.map_while(|core| shared.start(scope, core, &serve)).collect();
            running.into_iter().map(|thread| thread.join().expect("its panics are caught")).collect()
        });
        match shared.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(outputs.into_iter().map(|output| output.expect("no core has failed")).collect()),
            Some(Failure::Error(error)) => Err(error),
            Some(Failure::Panic(payload)) => resume_unwind(payload),
        }
    }

    fn builder_of_one(&self, cpus: &[Option<usize>]) -> io::Result<Builder> {
        let is_pinned = cpus.iter().any(Option::is_some);
        let pool: Option<CpuSet> = is_pinned.then(placement::allowed).transpose()?;
        let mut builder = self.builder.clone();
        builder.share(cpus.len(), pool);
        Ok(builder)
    }
}

impl Default for PerCore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PerCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerCore")
            .field("placement", &self.placement)
            .field("runtime", &self.builder)
            .field("stop_timeout", &self.stop_timeout)
            .finish()
    }
}

/// What the threads of one call share.
struct Shared {
    builder: Builder,
    stop_timeout: Duration,
    stop: Arc<Stop>,
    /// The first one.
    failure: Mutex<Option<Failure>>,
}

/// How a core has failed.
enum Failure {
    Error(io::Error),
    Panic(Box<dyn Any + Send>),
}

impl Shared {
    /// Starts the thread of a core. `None` if it cannot be started.
    fn start<'scope, F, T, E>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        core: Core,
        serve: &'scope F,
    ) -> Option<Running<'scope, T>>
    where
        F: AsyncFn(Core) -> Result<T, E> + Sync,
        T: Send + 'scope,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let thread = thread::Builder::new().name(format!("aio-core-{}", core.index()));
        let started = thread.spawn_scoped(scope, {
            let core = core.clone();
            move || self.run_one(&core, serve)
        });
        match started {
            Ok(thread) => Some(thread),
            Err(error) => {
                let text = "cannot start its thread (see RLIMIT_NPROC, and pids.max of the cgroup)";
                self.fail(&core, Failure::Error(explain(error, text)));
                None
            }
        }
    }

    /// What a core's thread does.
    fn run_one<F, T, E>(&self, core: &Core, serve: &F) -> Option<T>
    where
        F: AsyncFn(Core) -> Result<T, E>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let ended = catch_unwind(AssertUnwindSafe(|| self.serve_one(core, serve)));
        let failure = match ended {
            Ok(Ok(output)) => return Some(output),
            Ok(Err(error)) => Failure::Error(error),
            Err(payload) => Failure::Panic(payload),
        };
        self.fail(core, failure);
        None
    }

    fn serve_one<F, T, E>(&self, core: &Core, serve: &F) -> io::Result<T>
    where
        F: AsyncFn(Core) -> Result<T, E>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        if let Some(cpu) = core.cpu() {
            placement::pin(cpu)?;
        }
        let runtime = self.builder.clone().build()?;
        runtime.block_on(async {
            let late = async {
                core.stopped().await;
                sleep(self.stop_timeout).await;
            };
            // The limit is first: behind a future that uses up the budget in each poll, its sleep
            // would never end.
            match select(pin!(late), pin!(serve(core.clone()))).await {
                Either::Right((ended, _)) => ended.map_err(|error| match error.into().downcast() {
                    Ok(error) => *error,
                    Err(error) => io::Error::other(error),
                }),
                Either::Left(_) => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("its future has not ended within {:?} of the signal to stop", self.stop_timeout),
                )),
            }
        })
    }

    /// Notes the first failure, logs the others, and has all cores stop.
    fn fail(&self, core: &Core, failure: Failure) {
        let failure = match failure {
            Failure::Error(error) => Failure::Error(explain(error, core.to_string())),
            panic @ Failure::Panic(_) => panic,
        };
        let mut first = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let later = match &*first {
            None => {
                *first = Some(failure);
                None
            }
            Some(_) => Some(failure),
        };
        drop(first);
        self.stop.stop();
        let Some(later) = later else { return };
        // A subscriber and the drop of a payload are user code.
        contain("a panic while the failure of a core was logged", || match later {
            Failure::Error(error) => tracing::error!(%error, "another core has failed before"),
            // The panic hook has told of it.
            Failure::Panic(payload) => drop(payload),
        });
    }
}
