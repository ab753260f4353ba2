//! Threads that are kept busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use aio_runtime::task::{JoinHandle, spawn_blocking};
use futures::channel::oneshot;

use super::soon;

/// A thread of the current runtime's pool that is busy until this is dropped.
pub(crate) struct BusyThread {
    release: Sender<()>,
    task: JoinHandle<()>,
}

impl BusyThread {
    pub(crate) async fn begin() -> Self {
        let (release, released) = channel();
        let (began, begun) = oneshot::channel();
        let task = spawn_blocking(move || {
            began.send(()).unwrap();
            let _ = released.recv();
        });
        soon("a thread of the pool", begun).await.unwrap();
        Self { release, task }
    }

    /// Releases the thread, and waits until its function has ended.
    pub(crate) async fn end(self) {
        drop(self.release);
        soon("the busy thread", self.task).await.unwrap();
    }
}

/// Threads that use up the processors until this is dropped.
pub(crate) struct Hogs {
    done: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Hogs {
    pub(crate) fn begin(count: usize) -> Self {
        let done = Arc::<AtomicBool>::default();
        let hog = |_| {
            let done = Arc::clone(&done);
            thread::spawn(move || while !done.load(Ordering::Relaxed) {})
        };
        let threads = (0..count).map(hog).collect();
        Self { done, threads }
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
