//! Counters of what the loop does. The loop alone writes them, by plain relaxed stores; anyone may
//! read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a runtime's loop has done so far, and what it holds now.
        ///
        /// What it holds now is exact on the runtime's own thread; another thread sees it as of the
        /// end of the loop's latest turn.
        ///
        /// Taken by [`Runtime::metrics`](crate::Runtime::metrics) or, from any thread,
        /// [`Handle::metrics`](crate::Handle::metrics). The fields are read one after the other
        /// while the loop runs on, so sums of them may be off by what happened in between.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Metrics {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The live counters behind [`Metrics`].
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(super) $name: Counter,)*
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Metrics {
                Metrics { $($name: self.$name.get(),)* }
            }
        }
    };
}

metrics! {
    /// Turns of the loop: each runs ready tasks, submits, and looks for completions.
    turns,
    /// Calls of `io_submit`.
    submit_calls,
    /// `IOCB_CMD_POLL`s that were handed to `io_submit`.
    submitted_polls,
    /// File reads that were handed to `io_submit`. A direct read that would have blocked counts
    /// twice: see [`fs`](crate::fs#how-an-operation-runs).
    submitted_reads,
    /// File writes that were handed to `io_submit`.
    submitted_writes,
    /// `fsync`s and `fdatasync`s that were handed to `io_submit`.
    submitted_syncs,
    /// Calls of `io_pgetevents` or `io_getevents`: sleeps, and every look for events where the ring
    /// cannot be reaped in user space.
    getevents_calls,
    /// Completions that were reaped from the mapped ring, without a system call.
    events_from_ring,
    /// Completions that a system call returned.
    events_from_syscall,
    /// Polls that had completed when the `io_submit` that armed them returned.
    polls_completed_inline,
    /// Polls skipped because the descriptor's recent polls had all completed at once; it was
    /// retried on the next turn.
    polls_skipped,
    /// Idle polls moved to the nested epoll to free their slots.
    polls_demoted,
    /// Polls cancelled because the futures that waited were dropped, and nobody waited again within
    /// a few turns.
    polls_abandoned,
    /// Attempts that found nothing though an event had just said that there was something, as when
    /// another process or thread was faster.
    contradictions,
    /// Waits that began in the nested epoll: there was no slot for a poll; or it is a listener
    /// or a datagram socket, which an armed poll would hold open beyond its close.
    waits_in_epoll,
    /// File descriptors that wait for edges in the nested epoll for as long as they are open: the
    /// kernel refuses to poll them by AIO (a terminal, a FIFO that was opened for both directions),
    /// or contradictions followed one another (a socket whose error queue is not read).
    fds_edge_triggered,
    /// Waits that ended by a timer, after 1 to 50 ms, because nothing in the kernel tells when such
    /// a descriptor is ready.
    waits_backed_off,
    /// Calls of `io_cancel`.
    cancels,
    /// Moves to a larger AIO context, since there were more requests than slots; or to the first
    /// one, where the runtime has started without.
    growths,
    /// File transfers that went to the blocking pool because the AIO context would have blocked
    /// (`EAGAIN` to `RWF_NOWAIT`): not in the page cache, a hole, a busy file.
    pool_misses,
    /// Direct writes that went to the blocking pool because they end beyond the length that we
    /// know, so that they may extend the file.
    pool_extending,
    /// Buffered transfers that went to the blocking pool because the file system has no
    /// `RWF_NOWAIT` for them, or because the file is open with `O_SYNC` or `O_DSYNC`.
    pool_unsupported,
    /// Buffered transfers that went to the blocking pool because they are too large to be copied on
    /// the loop's thread.
    pool_large,
    /// File transfers and syncs that went to the blocking pool because the host's quota of AIO
    /// requests (`fs.aio-max-nr`) has left no context.
    pool_no_context,
    /// The longest time that the submission of a turn's requests has taken, in nanoseconds; with
    /// [`Builder::measure_stalls`](crate::Builder::measure_stalls), else 0.
    longest_submit_nanos,
    /// The longest time that a task, or the future of `block_on`, has kept the loop in one poll, in
    /// nanoseconds; with [`Builder::measure_stalls`](crate::Builder::measure_stalls), else 0.
    longest_poll_nanos,
    /// Gauge: tasks that have begun and are neither complete nor dropped.
    tasks,
    /// Gauge: file operations whose future was dropped while the kernel has their buffer.
    orphans,
    /// Gauge: requests that are queued for the kernel or in flight.
    slots_in_use,
    /// The most requests that were queued or in flight at a time.
    slots_peak,
    /// Gauge: file descriptors that the nested epoll watches instead of an AIO poll.
    overflow_fds,
    /// Requests that can be in flight at a time. It grows on need, within
    /// [`Builder::capacity`](crate::Builder::capacity) and `fs.aio-max-nr`; 0 while the runtime has
    /// no context.
    capacity,
}

/// Why a file transfer goes to the blocking pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detour {
    Miss,
    Extending,
    Unsupported,
    Large,
    NoContext,
}

impl Counters {
    /// Counts a file transfer that goes to the blocking pool. Only for the loop's thread.
    pub(crate) fn count_detour(&self, detour: Detour) {
        let counter = match detour {
            Detour::Miss => &self.pool_misses,
            Detour::Extending => &self.pool_extending,
            Detour::Unsupported => &self.pool_unsupported,
            Detour::Large => &self.pool_large,
            Detour::NoContext => &self.pool_no_context,
        };
        counter.add(1);
    }

    /// Sets the number of tasks. Only for the loop's thread.
    pub(crate) fn set_tasks(&self, tasks: usize) {
        self.tasks.set(tasks);
    }

    /// Notes how long a poll has taken. Only for the loop's thread.
    pub(crate) fn note_poll(&self, length: Duration) {
        self.longest_poll_nanos.raise(length);
    }
}

/// A number that one thread writes and others read.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds; only for the one writer, so no locked instruction is needed.
    pub(super) fn add(&self, n: u64) {
        self.0.store(self.get().wrapping_add(n), Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }

    /// Sets the nanoseconds of a duration, if they are more than ever before.
    pub(super) fn raise(&self, length: Duration) {
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        if nanos > self.get() {
            self.0.store(nanos, Ordering::Relaxed);
        }
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
