//! The threads, and the queue that they empty.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};

use super::call::{Call, Job, Pooled, Unwanted};
use crate::reactor::{explain_as, gone, process_number};

/// What a pool is made with.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) max_threads: usize,
    /// How long a thread stays without work.
    pub(crate) keep_alive: Duration,
    pub(crate) thread_name: String,
    /// Where the threads may run. `None`: where the thread may that starts them, whose mask they
    /// inherit.
    pub(crate) cpus: Option<CpuSet>,
}

/// The blocking pool of a runtime; see the [module](super). Any thread may use it.
pub(crate) struct BlockingPool {
    workers: Arc<Workers>,
    /// The process that made it: a forked child has none of its threads, and its lock may be held
    /// by one of them forever.
    process: u32,
}

impl BlockingPool {
    pub(crate) fn new(config: Config) -> Self {
        let workers = Workers { state: Mutex::default(), called: Condvar::new(), ended: Condvar::new(), config };
        Self { workers: Arc::new(workers), process: process_number() }
    }

    /// Runs a function on a thread of the pool. It begins as soon as a thread is free, whether the
    /// future is polled or not. If it cannot be run, the future says why, and gives the argument
    /// back.
    pub(crate) fn run<A, F, T>(&self, argument: A, function: F) -> Pooled<A, T>
    where
        A: Send + 'static,
        F: FnOnce(A) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.start(argument, function, Unwanted::Dropped)
    }

    /// The same for a function that runs even if its future is dropped or the pool is closed before
    /// it has begun.
    pub(crate) fn run_surely<A, F, T>(&self, argument: A, function: F) -> Pooled<A, T>
    where
        A: Send + 'static,
        F: FnOnce(A) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.start(argument, function, Unwanted::Run)
    }

    fn start<A, F, T>(&self, argument: A, function: F, unwanted: Unwanted) -> Pooled<A, T>
    where
        A: Send + 'static,
        F: FnOnce(A) -> T + Send + 'static,
        T: Send + 'static,
    {
        let call = Arc::new(Call::new(argument, function, unwanted));
        let pooled = Pooled::new(Arc::clone(&call));
        if self.is_ours() {
            self.workers.submit(call);
        } else {
            call.refuse(gone());
        }
        pooled
    }

    /// Ends the pool with its runtime. Functions that have not begun are dropped, unless they must
    /// run. Those that have begun run to their end. Idle threads end at once, the others with their
    /// functions.
    pub(crate) fn close(&self) {
        if !self.is_ours() {
            return;
        }
        let unwanted: VecDeque<_> = {
            let mut state = self.workers.state();
            state.closed = true;
            let queue = mem::take(&mut state.queue);
            let (kept, unwanted) = queue.into_iter().partition(|job| job.unwanted() == Unwanted::Run);
            state.queue = kept;
            unwanted
        };
        self.workers.called.notify_all();
        unwanted.iter().for_each(|job| contain(|| job.refuse(gone())));
    }

    /// Waits, once the pool is closed, until all functions have ended. A function of the pool must
    /// not call this.
    pub(crate) fn join(&self) {
        if self.is_ours() {
            let ended = self.workers.ended.wait_while(self.workers.state(), |state| state.threads > 0);
            drop(ended.unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn is_ours(&self) -> bool {
        self.process == process_number()
    }
}

impl Drop for BlockingPool {
    /// A runtime that is dropped has closed its pool before. This may happen in a function of the
    /// pool, which holds the last handle, so it does not wait.
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingPool").field("config", &self.workers.config).finish_non_exhaustive()
    }
}

/// What the threads share. (In a forked child the references of the parent's threads remain, so
/// what the parent has queued is never dropped there.)
struct Workers {
    state: Mutex<State>,
    /// Tells idle threads that they were called, or that the pool is closed.
    called: Condvar,
    /// Tells `BlockingPool::join` that there is no thread any more.
    ended: Condvar,
    config: Config,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<dyn Job>>,
    /// All threads, with the one that is just starting.
    threads: usize,
    starting: bool,
    /// Threads that wait, and were not called.
    idle: usize,
    /// Threads that waited and were called, and have not come to the queue yet.
    coming: usize,
    closed: bool,
}

/// How another thread comes to the queue.
enum Help {
    NotNeeded,
    Call,
    Start,
}

impl State {
    /// Sees to it that for each queued job a thread is on its way, if there can be one.
    fn find_help(&mut self, max_threads: usize) -> Help {
        if self.queue.len() <= self.coming + usize::from(self.starting) {
            Help::NotNeeded
        } else if self.idle > 0 {
            self.idle -= 1;
            self.coming += 1;
            Help::Call
        } else if !self.starting && self.threads < max_threads {
            self.starting = true;
            self.threads += 1;
            Help::Start
        } else {
            // All are busy, or the one that starts will start the next.
            Help::NotNeeded
        }
    }
}

impl Workers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(self: &Arc<Self>, job: Arc<dyn Job>) {
        let mut state = self.state();
        if state.closed {
            drop(state);
            return job.refuse(gone());
        }
        state.queue.push_back(job);
        let help = state.find_help(self.config.max_threads);
        drop(state);
        self.send_for(help);
    }

    /// With the lock released: a thread that is called would only meet it, and a start takes long.
    fn send_for(self: &Arc<Self>, help: Help) {
        match help {
            Help::NotNeeded => {}
            Help::Call => self.called.notify_one(),
            Help::Start => self.start_thread(),
        }
    }

    fn start_thread(self: &Arc<Self>) {
        let workers = Arc::clone(self);
        let name = self.config.thread_name.clone();
        if let Err(error) = thread::Builder::new().name(name).spawn(move || workers.work()) {
            self.start_failed(&error);
        }
    }

    /// The jobs that counted on the new thread go to an idle one, wait for a busy one, or fail if
    /// there is none.
    fn start_failed(self: &Arc<Self>, error: &io::Error) {
        let (help, unserved) = {
            let mut state = self.state();
            state.starting = false;
            self.thread_ended(&mut state);
            match state.threads {
                0 => (Help::NotNeeded, mem::take(&mut state.queue)),
                // Not by another start.
                threads => (state.find_help(threads), VecDeque::new()),
            }
        };
        self.send_for(help);
        for job in unserved {
            // Not `WouldBlock`, which is what `EAGAIN` would be: the operation was awaited.
            let kind = io::ErrorKind::ResourceBusy;
            let error = error.raw_os_error().map_or(kind.into(), io::Error::from_raw_os_error);
            let text = "the blocking pool has no thread, and pthread_create makes none (see RLIMIT_NPROC, and pids.max \
                        of the cgroup)";
            contain(|| job.refuse(explain_as(kind, error, text)));
        }
    }

    /// A thread's life.
    fn work(self: Arc<Self>) {
        if let Some(cpus) = &self.config.cpus {
            // If it fails they compete with the loop for its CPU, and work anyway.
            let _ = sched_setaffinity(None, cpus);
        }
        let mut state = self.state();
        state.starting = false;
        loop {
            while let Some(job) = state.queue.pop_front() {
                let help = state.find_help(self.config.max_threads);
                drop(state);
                self.send_for(help);
                contain(|| job.run());
                drop(job);
                state = self.state();
            }
            let more;
            (state, more) = self.rest(state);
            if !more {
                break;
            }
        }
        self.thread_ended(&mut state);
    }

    fn thread_ended(&self, state: &mut State) {
        state.threads -= 1;
        if state.threads == 0 {
            self.ended.notify_all();
        }
    }

    /// Waits for a call. False if there is nothing to do: no job has come for long enough, or the
    /// pool is closed.
    fn rest<'a>(&'a self, mut state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, bool) {
        state.idle += 1;
        let is_idle = |state: &mut State| state.coming == 0 && !state.closed;
        let rested = self.called.wait_timeout_while(state, self.config.keep_alive, is_idle);
        let (mut state, _) = rested.unwrap_or_else(PoisonError::into_inner);
        if state.coming > 0 {
            state.coming -= 1;
            return (state, true);
        }
        state.idle -= 1;
        // A job that nobody was called for is meant for a thread that is just starting, which may
        // fail.
        let more = !state.queue.is_empty();
        (state, more)
    }
}

/// Does something with a job. What unwinds is the drop of something that nobody wants any more, or
/// what was logged; it must not take the thread, or the other jobs, with it.
fn contain(act: impl FnOnce()) {
    crate::reactor::contain("a panic while a call of the blocking pool ended", act);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// More than any test takes.
    const LONG: Duration = Duration::from_secs(20);

    fn pool(keep_alive: Duration) -> BlockingPool {
        BlockingPool::new(Config { max_threads: 8, keep_alive, thread_name: "pool-test".to_owned(), cpus: None })
    }

    /// Runs a function; the receiver gets a word when it has begun, and the sender ends it.
    fn occupy(pool: &BlockingPool) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (begins, begun) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let pooled = pool.run((), move |()| {
            begins.send(()).unwrap();
            let _ = released.recv();
        });
        // Dropped, it would take back a function that has not begun.
        mem::forget(pooled);
        (begun, release)
    }

    /// A pool with one busy thread, which the sender ends, and one that has just become idle.
    fn with_a_busy_and_an_idle_thread(keep_alive: Duration) -> (BlockingPool, mpsc::Sender<()>) {
        let pool = pool(keep_alive);
        let [busy, idle] = [(); 2].map(|()| {
            let (begun, release) = occupy(&pool);
            begun.recv_timeout(LONG).unwrap();
            release
        });
        drop(idle);
        while pool.workers.state().idle == 0 {
            thread::yield_now();
        }
        (pool, busy)
    }

    /// What `find_help` notes before a start.
    fn begin_a_start(pool: &BlockingPool) {
        let mut state = pool.workers.state();
        state.starting = true;
        state.threads += 1;
    }

    #[test]
    fn a_job_that_counted_on_a_failed_start_goes_to_an_idle_thread() {
        let (pool, _busy) = with_a_busy_and_an_idle_thread(LONG);
        begin_a_start(&pool);
        let (begun, _release) = occupy(&pool);
        pool.workers.start_failed(&io::ErrorKind::WouldBlock.into());
        begun.recv_timeout(LONG / 2).expect("the job waits beside an idle thread");
    }

    #[test]
    fn a_closed_pool_runs_what_must_run() {
        let pool = BlockingPool::new(Config {
            max_threads: 1,
            keep_alive: LONG,
            thread_name: "pool-test".to_owned(),
            cpus: None,
        });
        let (begun, release) = occupy(&pool);
        begun.recv_timeout(LONG).unwrap();
        let (report, reports) = mpsc::channel();
        let also = report.clone();
        let dropped = pool.run((), move |()| report.send("dropped").unwrap());
        // Nobody waits for it either.
        drop(pool.run_surely((), move |()| also.send("run").unwrap()));
        pool.close();
        drop(release);
        pool.join();
        assert_eq!(reports.iter().collect::<Vec<_>>(), ["run"]);
        drop(dropped);
    }

    #[test]
    fn a_thread_does_not_end_while_a_job_is_queued() {
        let (pool, _busy) = with_a_busy_and_an_idle_thread(Duration::from_millis(100));
        begin_a_start(&pool);
        let (begun, _release) = occupy(&pool);
        begun.recv_timeout(LONG).expect("the job waits for a thread that does not come");
    }
}
